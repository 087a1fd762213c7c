// SPDX-License-Identifier: Apache-2.0
// From a place to a running handler:
//
//   record running -> what it waited for is read -> checks -> handler, and its timer
//
// Whatever leaves this path goes to settle.h or pass_on.h.
#ifndef CRESS_WORKER_BEGIN_H
#define CRESS_WORKER_BEGIN_H

#include "worker/attempt.h"

/* Whether another attempt may begin now. */
bool cress_begin_has_room(const struct cress_worker *worker);

/* Gives the attempt a place and records it as running; then its handler starts. */
void cress_begin(struct cress_attempt *attempt);

/* Asks the handler of a running attempt to end. */
void cress_begin_stop(struct cress_attempt *attempt, enum cress_stop_reason reason);

#endif
