// SPDX-License-Identifier: Apache-2.0
// What a worker is told from outside while it runs: that a job of its is to stop, that a queue is
// paused.
//
// A message says where to look, and the store what is so: a message can be lost with a connection,
// so after each reconnect the worker looks for itself.
#ifndef CRESS_WORKER_CONTROL_H
#define CRESS_WORKER_CONTROL_H

#include "worker/state.h"

/* Begins to listen; the store is open. `on_known` is called whenever the store has said which queues
 * are paused: only then may the worker consume. */
void cress_control_start(struct cress_worker *worker,
                         void (*on_known)(struct cress_worker *worker));

/* The store is there, or back: whatever was missed is asked for. */
void cress_control_refresh(struct cress_worker *worker);

/* Before the store is closed; without a start it does nothing. */
void cress_control_stop(struct cress_worker *worker);

#endif
