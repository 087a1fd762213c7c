// SPDX-License-Identifier: Apache-2.0
// How many deliveries the broker sends ahead of free places: for each queue as its pace asks (pace.h),
// unless worker.prefetch says a number.
//
// RabbitMQ has a consumer keep the number that it began with; another number is another consumer. So
// it is changed only when it is off by half.
#ifndef CRESS_WORKER_FETCH_H
#define CRESS_WORKER_FETCH_H

#include "worker/state.h"

/* The subscription of a queue that begins to be consumed. */
void cress_fetch_begin(struct cress_worker *worker, struct cress_worker_queue *queue,
                       struct cress_subscription *subscription);

/* How long all places have been taken, and nothing could begin; 0: there are free ones. */
int64_t cress_fetch_stuck_ms(const struct cress_worker *worker);

/* Looks at the pace of each queue: once in a while. */
void cress_fetch_adapt(struct cress_worker *worker);

#endif
