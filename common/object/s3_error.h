// SPDX-License-Identifier: Apache-2.0
// What an S3 error means to us. Pure functions; any thread.
#ifndef CRESS_OBJECT_S3_ERROR_H
#define CRESS_OBJECT_S3_ERROR_H

#include "common/base/status.h"

/* Fills `err` from the store's code ("NoSuchBucket"; NULL or "": unknown), the HTTP status (0:
 * unknown) and the store's message (may be NULL). `where` is what was asked for, for the reader.
 * Returns the status. */
enum cress_status cress_s3_error_set(struct cress_error *err, int http, const char *code,
                                     const char *message, const char *where);

/* The same for an HTTP response whose body, when it is XML, holds code and message. */
enum cress_status cress_s3_error_from_response(struct cress_error *err, int http, const char *body,
                                               const char *where);

#endif
