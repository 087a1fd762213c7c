// SPDX-License-Identifier: Apache-2.0
// One worker: a loop, its connections, and the jobs in hand (state.h).
//
//   broker --deliveries--> dispatch.c --a place is free--> begin.c -> handler --outcome--> settle.c
//                          accept, delay, lanes            record running,                 store,
//                                                          builtin, render, ...            publish,
//                                                                                          ack
//
// Each delivery becomes a struct cress_attempt (attempt.h) that lives until the delivery is
// settled. What an attempt does to the store and the broker is a chain of steps; a step that fails
// because a server is away is done again with backoff, for as long as the worker lives, so that
// nothing is acknowledged whose outcome is not recorded.
//
// Loop thread only.
#ifndef CRESS_WORKER_WORKER_H
#define CRESS_WORKER_WORKER_H

#include "common/config/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

struct cress_worker;

/* Starts connecting and consuming; returns at once. A server that cannot be reached is tried for
 * ever; only a configuration that cannot work is an error (the loop must then still be run until
 * nothing is left on it). `on_closed` is called after cress_worker_stop(), when everything is
 * closed and given back; the caller then frees. `config` must outlive the worker, and its tasks
 * have been checked. */
CRESS_MUST_CHECK enum cress_status
cress_worker_start(uv_loop_t *loop, const struct cress_config *config, void (*on_closed)(void *arg),
                   void *arg, struct cress_worker **out, struct cress_error *err);

/* Goes over to `config`, which must outlive the worker too, for what can change while jobs run:
 * tasks, limits and schedules. Running jobs end as they began. What changed is logged, and what
 * needs a restart. */
void cress_worker_reload(struct cress_worker *worker, const struct cress_config *config);

/* Whether cress_worker_reload() takes over a change of this option. */
bool cress_worker_is_live(const char *section, const char *key);

/* First call: takes no more jobs, returns the waiting ones, lets the running ones finish until
 * worker.drain, then hands back the rest. Second call: hands back at once. */
void cress_worker_stop(struct cress_worker *worker);

/* Attempts in hand. After `on_closed`: those whose handlers could not be stopped. */
size_t cress_worker_in_hand(const struct cress_worker *worker);

void cress_worker_free(struct cress_worker *worker);

#endif
