// SPDX-License-Identifier: Apache-2.0
// Whether another attempt follows; see retry.h.
#include "worker/retry.h"

static bool is_worth_retrying(enum cress_outcome_kind kind)
{
    return kind == CRESS_OUTCOME_RETRY || kind == CRESS_OUTCOME_TIMED_OUT ||
           kind == CRESS_OUTCOME_CRASHED;
}

struct cress_retry cress_retry_decide(const struct cress_job *job,
                                      const struct cress_outcome *outcome,
                                      const struct cress_backoff *backoff, uint64_t random)
{
    if (!is_worth_retrying(outcome->kind) || job->attempt >= job->max_attempts) {
        return (struct cress_retry){.again = false};
    }
    int64_t delay_ms = cress_backoff_ms(backoff, (unsigned)job->attempt, random);
    if (delay_ms < outcome->retry_after_ms) {
        delay_ms = outcome->retry_after_ms;
    }
    return (struct cress_retry){.again = true, .delay_ms = delay_ms};
}
