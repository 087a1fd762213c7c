// SPDX-License-Identifier: Apache-2.0
// What the other workers report of themselves (presence.h): which tasks they have, and whether they
// have free places.
//
// The store is asked only when somebody wants to know, and once in a worker.heartbeat at most:
// reports are no newer than that.
#ifndef CRESS_WORKER_PEERS_H
#define CRESS_WORKER_PEERS_H

#include "worker/state.h"

/* Calls `done`, at once or when the store has answered; `err` NULL: the functions below know. Asked
 * twice meanwhile, it is called once. At most CRESS_PEERS_ASKERS different ones. */
void cress_peers_ask(struct cress_worker *worker,
                     void (*done)(struct cress_worker *worker, const struct cress_error *err));

/* Whether another worker that takes jobs of `queue` has `task`. */
bool cress_peers_have_task(const struct cress_worker *worker, const char *queue, const char *task);

/* Whether another worker that takes jobs of `queue` and has `task` has a free place. */
bool cress_peers_have_place(const struct cress_worker *worker, const char *queue, const char *task);

void cress_peers_free(struct cress_worker *worker);

#endif
