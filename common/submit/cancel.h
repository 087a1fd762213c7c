// SPDX-License-Identifier: Apache-2.0
// Cancelling a job, and what follows from that.
//
// A job that waits - queued, scheduled, retrying - is cancelled at once; its message is dropped when
// it comes. A job that runs is asked to stop through the worker that has it: its record says
// `cancelled` when it has. Whoever cancels is also the one who ends the job, and so does what
// follows (follow_up.h). A job that has made a batch under its own id, as site.prerender does, is
// cancelled with that batch, also when it has ended itself. Loop thread only; nothing blocks.
#ifndef CRESS_SUBMIT_CANCEL_H
#define CRESS_SUBMIT_CANCEL_H

#include "common/store/store.h"
#include "common/submit/cancel_reason.h"
#include "common/submit/door.h"

/* How it ended. `err` NULL: the job is cancelled (`state` CANCELLED; it may have been so before), has
 * been asked to stop (RUNNING), or has ended, but its batch is cancelled. CRESS_CONFLICT "job_ended":
 * it has ended otherwise, as `state` says. CRESS_NOT_FOUND "unknown_job". After another error it is
 * worth another try. What follows and could not be done now is no error: the workers do it. */
typedef void (*cress_cancel_cb)(enum cress_state state, const struct cress_error *err, void *arg);

/* Cancels job `id`; both texts are copied. `reason` (NULL: none) has been checked; it becomes the
 * message of the job's error, of which the code is "cancelled". Repeating it is harmless.
 * `door.timeout_ms` bounds the submission of what follows. `done` is called exactly once, never
 * from within. */
void cress_cancel_job(struct cress_door door, const char *id, const char *reason,
                      cress_cancel_cb done, void *arg);

#endif
