// SPDX-License-Identifier: Apache-2.0
// What waits in hand while others idle is theirs.
//
// Jobs are fetched ahead by their pace (fetch.h), and yet they may come to wait behind a long one: a
// pace changes, worker.prefetch says a number, each priority has a window of its own. When no place
// has come free for a while and another worker of the queue reports free ones, this worker withdraws
// from the queue - the broker would give back to it what it gives back - and returns what waits. With
// its next free place it consumes again.
#ifndef CRESS_WORKER_SHARE_H
#define CRESS_WORKER_SHARE_H

#include "worker/state.h"

/* On the worker's beat. */
void cress_share_check(struct cress_worker *worker);

/* In each turn: consumes again, when there are free places. */
void cress_share_turn(struct cress_worker *worker);

#endif
