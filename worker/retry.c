// SPDX-License-Identifier: Apache-2.0
// Whether another attempt follows; see retry.h.
#include "worker/retry.h"

static bool is_worth_retrying(enum cress_outcome_kind kind)
{
    return kind == CRESS_OUTCOME_RETRY || kind == CRESS_OUTCOME_TIMED_OUT ||
           kind == CRESS_OUTCOME_CRASHED;
}

static struct cress_backoff backoff_of(const struct cress_job *job,
                                       const struct cress_backoff *usual)
{
    struct cress_backoff backoff = *usual;
    if (job->backoff) {
        cress_backoff_parse(job->backoff, &backoff.kind);
    }
    backoff.base_ms = job->backoff_base_ms ? job->backoff_base_ms : usual->base_ms;
    backoff.cap_ms = job->backoff_cap_ms ? job->backoff_cap_ms : usual->cap_ms;
    return backoff;
}

struct cress_retry cress_retry_decide(const struct cress_job *job,
                                      const struct cress_outcome *outcome,
                                      const struct cress_backoff *usual, uint64_t random)
{
    if (!is_worth_retrying(outcome->kind) || job->attempt >= job->max_attempts) {
        return (struct cress_retry){.again = false};
    }
    const struct cress_backoff backoff = backoff_of(job, usual);
    int64_t delay_ms = cress_backoff_ms(&backoff, (unsigned)job->attempt, random);
    if (delay_ms < outcome->retry_after_ms) {
        delay_ms = outcome->retry_after_ms;
    }
    return (struct cress_retry){.again = true, .delay_ms = delay_ms};
}
