// SPDX-License-Identifier: Apache-2.0
// What a worker does with deliveries, and when.
//
//   delivery -> job? -> due? -> lane -> place free -> first of its id? -> expired? -> begin.h
//
// Whatever leaves this path goes to settle.h or pass_on.h.
#ifndef CRESS_WORKER_DISPATCH_H
#define CRESS_WORKER_DISPATCH_H

#include "worker/attempt.h"

/* Takes over deliveries; `arg` is the worker. For cress_broker_consume(). */
void cress_dispatch_deliveries_cb(struct cress_list *deliveries, void *arg);

/* The pump's turn: what was given up goes back, the next suspect gets into its lane, and
 * jobs start while there are places. */
void cress_dispatch_turn(struct cress_worker *worker);

/* Whether it is recorded as running and has no outcome yet: its handler runs, or is about to. */
bool cress_dispatch_is_under_way(const struct cress_attempt *attempt);

/* The job is cancelled: stops its handler, or does not start it. `error` is JSON text, copied. */
void cress_dispatch_cancel(struct cress_attempt *attempt, const char *error);

/* Returns everything that has not begun to the broker - lanes, short delays, held deliveries -, of
 * the queues that are paused, or of all when the worker stops. */
void cress_dispatch_return_waiting(struct cress_worker *worker);

/* Stops the handlers of running jobs, which are then handed back, and returns what waits for a step
 * to be tried again. */
void cress_dispatch_hand_back(struct cress_worker *worker);

#endif
