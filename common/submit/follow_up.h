// SPDX-License-Identifier: Apache-2.0
// What follows the end of a job, once the store has said that something does: the completion job of
// the batch that it ended is submitted, once.
//
// Whoever ends a job does this - a worker, before it acknowledges the job's message, or whoever
// cancels it. A crash in between leaves the batch incomplete: the next one that looks at the job (a
// redelivery, a second cancel) hears so from the store and does it again.
#ifndef CRESS_SUBMIT_FOLLOW_UP_H
#define CRESS_SUBMIT_FOLLOW_UP_H

#include "common/submit/submit.h"

/* Submits the completion job of `batch` and notes that in the batch; does nothing when that was
 * done before. The completion job's id is in the batch's request, which makes a second submission
 * harmless. `options` is copied. After an error it is worth another try; `done` is called once,
 * never from within. */
void cress_follow_up(const struct cress_submit_options *options, const char *batch,
                     cress_store_done_cb done, void *arg);

#endif
