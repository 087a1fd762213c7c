// SPDX-License-Identifier: Apache-2.0
// Problem documents (RFC 9457): the body of every error answer.
//
//   {"type": "urn:cress:problem:unknown-queue", "title": "Not Found", "status": 404,
//    "detail": "what was wrong and what to do", "code": "unknown_queue"}
//
// Pure functions; any thread.
#ifndef CRESS_GATEWAY_PROBLEM_H
#define CRESS_GATEWAY_PROBLEM_H

#include "common/base/buf.h"

#define CRESS_PROBLEM_TYPE "application/problem+json"

/* The reason phrase of an HTTP status that the gateway uses. */
const char *cress_problem_title(int status);

/* The HTTP status that tells a client of `status`. What the gateway may not do at broker or store,
 * and what timed out there, is nothing that a client can mend: 503. */
int cress_problem_status(enum cress_status status);

/* Writes the document. `members` is JSON text of further members (`"state": "failed"`) or NULL. */
void cress_problem_write(struct cress_buf *out, int status, const char *code, const char *detail,
                         const char *members);

#endif
