// SPDX-License-Identifier: Apache-2.0
// An error as JSON text, the same in records, answers and outputs: {"code":…,"message":…}.
#ifndef CRESS_BASE_ERROR_JSON_H
#define CRESS_BASE_ERROR_JSON_H

#include "common/base/buf.h"

/* Appends it. What is not UTF-8 becomes U+FFFD; NULL becomes null. False when it does not fit; room
 * for 8 * CRESS_ERROR_MESSAGE_MAX bytes is enough for any struct cress_error. */
bool cress_error_json(struct cress_buf *out, const char *code, const char *message);

#endif
