// SPDX-License-Identifier: Apache-2.0
// Whether an attempt that failed is followed by another, and when. Pure.
#ifndef CRESS_WORKER_RETRY_H
#define CRESS_WORKER_RETRY_H

#include "common/base/backoff.h"
#include "worker/handler/handler.h"

#include <stdbool.h>
#include <stdint.h>

struct cress_retry {
    bool again;
    int64_t delay_ms; /* until the next attempt */
};

/* `outcome` is that of `job`'s attempt and not a success; the job's max_attempts is known (not 0).
 * The delay is that of the job's own backoff, where it names none `usual`, or what the handler asks
 * for when that is longer. `random` is any 64 random bits. */
struct cress_retry cress_retry_decide(const struct cress_job *job,
                                      const struct cress_outcome *outcome,
                                      const struct cress_backoff *usual, uint64_t random);

#endif
