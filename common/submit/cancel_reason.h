// SPDX-License-Identifier: Apache-2.0
// Why a job is cancelled, as whoever cancels it says. Pure functions; any thread.
#ifndef CRESS_SUBMIT_CANCEL_REASON_H
#define CRESS_SUBMIT_CANCEL_REASON_H

#include "common/base/status.h"

enum { CRESS_CANCEL_REASON_MAX = 256 }; /* bytes, without the NUL */

/* CRESS_INVALID unless `reason` is UTF-8 of at most that size. */
CRESS_MUST_CHECK enum cress_status cress_cancel_check_reason(const char *reason,
                                                             struct cress_error *err);

/* The error, as JSON text, of a job that is cancelled for `reason`; free() it. */
char *cress_cancel_error(const char *reason);

#endif
