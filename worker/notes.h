// SPDX-License-Identifier: Apache-2.0
// What a running job says about itself: its progress, and at the end the tail of its log
// (job_log.h).
//
// Notes are a courtesy to whoever watches: one that the store does not take is not sent again.
#ifndef CRESS_WORKER_NOTES_H
#define CRESS_WORKER_NOTES_H

#include "worker/handler/handler.h"

struct cress_notes;

/* Of `run`, which worker `worker` has; both outlive them. */
struct cress_notes *cress_notes_new(const struct cress_run *run, const char *worker);

/* cress_run_progress() of handler.h. */
void cress_notes_progress(struct cress_notes *notes, int percent, const char *message);

/* Sends what is not yet in the record, and `log` (NULL: none), the tail of the log. Before the
 * outcome is recorded: the commands reach the store in this order, so that who sees the outcome
 * sees the log. */
void cress_notes_flush(struct cress_notes *notes, const char *log);

/* Frees them, unsent; NULL does nothing. */
void cress_notes_free(struct cress_notes *notes);

#endif
