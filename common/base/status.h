// SPDX-License-Identifier: Apache-2.0
// Status codes, and the error value that travels with them.
//
// A function that can fail returns `enum cress_status`, zero being good, and takes a
// `struct cress_error *err` in which it says what happened. Out parameters are untouched on
// failure. An error is logged once, by whoever decides not to pass it on.
//
// Any thread; nothing here blocks or allocates.
#ifndef CRESS_BASE_STATUS_H
#define CRESS_BASE_STATUS_H

#include <stdbool.h>
#include <stddef.h>

enum cress_status {
#define CRESS_STATUS(name, word, class, exit_code, http, title) CRESS_##name,
#include "common/base/status.def"
#undef CRESS_STATUS
};

enum { CRESS_ERROR_CODE_MAX = 48, CRESS_ERROR_MESSAGE_MAX = 512 };

/* What went wrong. `code` is for machines and stable ("unknown_queue", "NoSuchBucket"); `message`
 * is for people and says what was wrong, what was expected and what to do. Neither ever holds a
 * secret. */
struct cress_error {
    enum cress_status status;
    char code[CRESS_ERROR_CODE_MAX];
    char message[CRESS_ERROR_MESSAGE_MAX];
};

#define CRESS_MUST_CHECK                 __attribute__((warn_unused_result))
#define CRESS_PRINTF(format_at, args_at) __attribute__((format(printf, format_at, args_at)))

/* Fills `*err` (may be NULL) and returns `status`, so that a failing function ends in `return
 * cress_error_set(err, CRESS_NOT_FOUND, "unknown_queue", "queue %s does not exist", name);` `code`
 * NULL takes the status's own word. Text that does not fit is cut at a character boundary. */
enum cress_status cress_error_set(struct cress_error *err, enum cress_status status,
                                  const char *code, const char *format, ...) CRESS_PRINTF(4, 5);

/* Puts "context: " in front of the message, so that the reader learns which of several things
 * failed. */
void cress_error_prefix(struct cress_error *err, const char *format, ...) CRESS_PRINTF(2, 3);

const char *cress_status_word(enum cress_status status);
const char *cress_status_title(enum cress_status status);
int cress_status_exit_code(enum cress_status status);
int cress_status_http(enum cress_status status);

/* True when the same call may succeed later, so that retrying makes sense. */
bool cress_status_is_temporary(enum cress_status status);

#endif
