// SPDX-License-Identifier: Apache-2.0
// How a call of Cress ends: the status it returns, and the error value that says what happened.
//
// A function that can fail returns `enum cress_status`, zero being good, and takes a
// `struct cress_error *err` (may be NULL) in which it says what happened. What it returns through
// other pointers is untouched on failure.
#ifndef CRESS_ERROR_H
#define CRESS_ERROR_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CRESS_API        __attribute__((visibility("default")))
#define CRESS_MUST_CHECK __attribute__((warn_unused_result))

/* The numbers are part of the library's ABI: they never change, and new ones follow the last. The
 * same call may succeed later after the statuses marked (temporary). */
enum cress_status {
    CRESS_OK = 0,
    CRESS_JOB_FAILED = 1,   /* the job ended without success */
    CRESS_USAGE = 2,        /* the caller's mistake */
    CRESS_NOT_FOUND = 3,    /* no such job, queue or file */
    CRESS_CONFLICT = 4,     /* against what exists already */
    CRESS_TIMEOUT = 5,      /* not in the time given (temporary) */
    CRESS_CANCELLED = 6,    /* stopped by request */
    CRESS_MALFORMED = 7,    /* not JSON, not a URL, … */
    CRESS_INVALID = 8,      /* well-formed, but not allowed */
    CRESS_TOO_LARGE = 9,    /* above a limit of the configuration */
    CRESS_UNAVAILABLE = 10, /* RabbitMQ or Redis is away (temporary) */
    CRESS_INTERNAL = 11,    /* a fault of Cress */
    CRESS_NO_SPACE = 12,    /* the output cannot be stored (temporary) */
    CRESS_IO = 13,          /* reading or writing failed (temporary) */
    CRESS_TEMPORARY = 14,   /* another failure that may pass (temporary) */
    CRESS_DENIED = 15,      /* login or permission refused */
    CRESS_CONFIG = 16,      /* the configuration is wrong */
};

enum { CRESS_ERROR_CODE_MAX = 48, CRESS_ERROR_MESSAGE_MAX = 512 };

/* What went wrong. `code` is for machines and stable ("unknown_queue", "NoSuchBucket"); `message`
 * is for people and says what was wrong, what was expected and what to do. Neither ever holds a
 * secret. Both are NUL-terminated. */
struct cress_error {
    enum cress_status status;
    char code[CRESS_ERROR_CODE_MAX];
    char message[CRESS_ERROR_MESSAGE_MAX];
};

/* True when the same call may succeed later, so that repeating it makes sense. Any thread. */
CRESS_API bool cress_status_is_temporary(enum cress_status status);

#ifdef __cplusplus
}
#endif

#endif
