// SPDX-License-Identifier: Apache-2.0
// What follows the end of a batch: its completion job is submitted, once.
#ifndef CRESS_SUBMIT_COMPLETION_H
#define CRESS_SUBMIT_COMPLETION_H

#include "common/submit/submit.h"

/* Submits the completion job of `batch`, whose jobs have all ended, unless it is not to run, and
 * notes that in the batch; does nothing when that was done before. The completion job's id is in
 * the batch's request, which makes a second submission harmless. After an error it is worth another try;
 * `done` is called once, never from within. */
void cress_completion_submit(struct cress_door door, const char *batch, cress_store_done_cb done,
                             void *arg);

#endif
