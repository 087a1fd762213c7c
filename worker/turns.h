// SPDX-License-Identifier: Apache-2.0
// Whose turn it is within the limits of a task, as the store tells it: jobs that wait here, in hand,
// start, and messages of jobs that wait in a delay queue are published from their records, so that
// whoever gets them can take the place that has become free. common/store/scripts/places.lua has the
// rules.
#ifndef CRESS_WORKER_TURNS_H
#define CRESS_WORKER_TURNS_H

#include "worker/attempt.h"

/* Listens to the store. */
void cress_turns_start(struct cress_worker *worker);

/* The store has said CRESS_VERDICT_NEXT: keeps the attempt until its turn, and looks by itself after
 * `look_ms`. */
void cress_turns_keep(struct cress_attempt *attempt, int64_t look_ms);

/* The turn of job `id` has come: starts it if it is kept here. */
void cress_turns_come(struct cress_worker *worker, const char *id);

#endif
