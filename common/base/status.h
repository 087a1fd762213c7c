// SPDX-License-Identifier: Apache-2.0
// Status codes, and the error value that travels with them: <cress/error.h>, which users see too,
// and what only Cress needs. An error is logged once, by whoever decides not to pass it on.
//
// Any thread; nothing here blocks or allocates.
#ifndef CRESS_BASE_STATUS_H
#define CRESS_BASE_STATUS_H

#include "include/cress/error.h"

#include <stdbool.h>
#include <stddef.h>

#define CRESS_PRINTF(format_at, args_at) __attribute__((format(printf, format_at, args_at)))

/* Fills `*err` (may be NULL) and returns `status`, so that a failing function ends in `return
 * cress_error_set(err, CRESS_NOT_FOUND, "unknown_queue", "queue %s does not exist", name);` `code`
 * NULL takes the status's own word. Text that does not fit is cut at a character boundary, and bytes that
 * are not UTF-8 become question marks. */
enum cress_status cress_error_set(struct cress_error *err, enum cress_status status,
                                  const char *code, const char *format, ...) CRESS_PRINTF(4, 5);

/* Puts "context: " in front of the message, so that the reader learns which of several things
 * failed. */
void cress_error_prefix(struct cress_error *err, const char *format, ...) CRESS_PRINTF(2, 3);

const char *cress_status_word(enum cress_status status);
int cress_status_exit_code(enum cress_status status);
int cress_status_http(enum cress_status status);

#endif
