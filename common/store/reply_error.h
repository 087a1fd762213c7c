// SPDX-License-Identifier: Apache-2.0
// What Redis answers with an error, as Cress's errors. Pure functions; any thread.
#ifndef CRESS_STORE_REPLY_ERROR_H
#define CRESS_STORE_REPLY_ERROR_H

#include "common/base/status.h"

#include <stdbool.h>

/* Whether `text` is the error `word`, such as "READONLY", also where it came out of a script. */
bool cress_reply_is_error(const char *text, const char *word);

/* Fills in `err` from the error reply `text` of the server called `label`. Temporary is what passes
 * by itself or by what an operator does to Redis: full, loading, a replica, busy. */
void cress_reply_error(const char *label, const char *text, struct cress_error *err);

#endif
