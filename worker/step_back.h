// SPDX-License-Identifier: Apache-2.0
// A job that is recorded as running and may not run yet: the record says `queued` again, at no cost,
// and the attempt waits here.
#ifndef CRESS_WORKER_STEP_BACK_H
#define CRESS_WORKER_STEP_BACK_H

#include "worker/attempt.h"

/* Leaves the place. `then` is called when the record is changed: the attempt is in worker->active,
 * waits, and is not among the ids in hand. It is not called for one whose job has ended meanwhile, or
 * that must go back. */
void cress_step_back(struct cress_attempt *attempt, void (*then)(struct cress_attempt *attempt));

#endif
