// SPDX-License-Identifier: Apache-2.0
// What this worker did lately, for a store that has lost it.
//
// DESIGN
// A Redis that is restarted, or replaced by a replica, may have lost what it was told last: with
// appendfsync everysec a second or two, with asynchronous replication what was on its way. What it
// lost has been confirmed to us, and the messages of the jobs are acknowledged: nobody would ever
// say it again. So a worker remembers the outcomes of the last minute, and each time that its
// connection to the store is there again it says them once more, oldest first, and which jobs it
// runs. Each goes through the scripts that it went through before,
//
//   start (is_recalled) -> change -> what follows
//
// so claims, batches and those who wait for the job follow. The store leaves alone what it has heard
// of: for nearly all of them the first answer ends it.
//
// Memory is bounded, by age, number and bytes; what exceeds it is forgotten, oldest first, and is
// left to the reconciler (reconcile.h), as is all that a worker remembered that has ended since.
#ifndef CRESS_WORKER_RECALL_H
#define CRESS_WORKER_RECALL_H

#include "worker/attempt.h"

enum {
    CRESS_RECALL_MS = 60000,
    CRESS_RECALL_MAX = 65536,
    CRESS_RECALL_MAX_BYTES = 32 << 20,
};

void cress_recall_init(struct cress_recall *recall);
void cress_recall_free(struct cress_recall *recall);

/* The outcome of `attempt` is in its record. */
void cress_recall_add(const struct cress_attempt *attempt);

/* With each beat: forgets what is old. */
void cress_recall_check(struct cress_worker *worker);

/* The store is there again: it is told what it may have lost. */
void cress_recall_tell(struct cress_worker *worker);

#endif
