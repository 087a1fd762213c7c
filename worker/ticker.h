// SPDX-License-Identifier: Apache-2.0
// Schedules: at each tick of a [schedule] section one job is submitted.
//
// Every worker does this; none leads. They agree by three things, of which the first alone makes
// one job of a tick: the job's id is made of the schedule's name and the tick; the store knows up to
// which tick a schedule is done; and a worker claims a tick there for some seconds before it submits
// the job, so that the others need not. See common/store/schedules.h.
//
// Loop thread only. Nothing is on the loop while there are no schedules.
#ifndef CRESS_WORKER_TICKER_H
#define CRESS_WORKER_TICKER_H

#include "common/config/config.h"
#include "worker/handler/handler.h"

struct cress_ticker;

/* Begins with the schedules of services->config; `services` and `worker`, the worker's identity, must
 * outlive the ticker. */
struct cress_ticker *cress_ticker_open(const struct cress_services *services, const char *worker);

/* Goes over to the schedules of `config`, which must outlive the ticker. */
void cress_ticker_reload(struct cress_ticker *ticker, const struct cress_config *config);

/* The store has come (back): schedules are registered again, for it may have lost them. */
void cress_ticker_store_ready(struct cress_ticker *ticker);

/* Submits no more. */
void cress_ticker_stop(struct cress_ticker *ticker);

/* Stops, waits for what is under way, some seconds at most, frees and calls `closed`, now or
 * later. */
void cress_ticker_close(struct cress_ticker *ticker, void (*closed)(void *arg), void *arg);

#endif
