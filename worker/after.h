// SPDX-License-Identifier: Apache-2.0
// How the jobs ended that a job waited for: read before its handler runs, so that each kind of
// handler has it at hand.
#ifndef CRESS_WORKER_AFTER_H
#define CRESS_WORKER_AFTER_H

#include "worker/attempt.h"

/* Of all results together: they are in memory while the job runs. */
enum { CRESS_AFTER_RESULTS_MAX = 64 << 20 };

/* Makes run.after of `attempt`, whose job has `after`, and then calls `next`. A job whose earlier
 * ones left more than CRESS_AFTER_RESULTS_MAX bytes fails instead. */
void cress_after_read(struct cress_attempt *attempt, void (*next)(struct cress_attempt *attempt));

/* NULL does nothing. */
void cress_after_free(struct cress_after *after);

#endif
