// SPDX-License-Identifier: Apache-2.0
// What follows the end of a batch's last job: its completion job is submitted, once.
#ifndef CRESS_WORKER_BATCH_H
#define CRESS_WORKER_BATCH_H

#include "worker/attempt.h"

/* Submits the completion job of `batch` and notes that in the batch; does nothing when that was
 * done before. The completion job's id is in the batch's request, which makes a second submission
 * harmless. A failure is worth another try. */
void cress_batch_complete(const struct cress_services *services, const char *batch,
                          cress_store_done_cb done, void *arg);

/* The same for the batch that `attempt` belongs to, tried for ever; then calls `next`. The delivery
 * is not settled before, so that a crash repeats it. */
void cress_batch_finish(struct cress_attempt *attempt, void (*next)(struct cress_attempt *attempt));

#endif
