// SPDX-License-Identifier: Apache-2.0
// What a running job says about itself: its progress, and at the end the tail of its log
// (job_log.h).
//
// Notes are a courtesy to whoever watches: one that the store does not take is not sent again.
#ifndef CRESS_WORKER_NOTES_H
#define CRESS_WORKER_NOTES_H

#include "worker/attempt.h"

/* cress_run_progress() of handler.h. */
void cress_notes_progress(struct cress_attempt *attempt, int percent, const char *message);

/* Sends what is not yet in the record. Before the outcome is recorded: the commands reach the store
 * in this order, so that who sees the outcome sees the log. */
void cress_notes_flush(struct cress_attempt *attempt);

/* Forgets them; with the attempt. */
void cress_notes_end(struct cress_attempt *attempt);

#endif
