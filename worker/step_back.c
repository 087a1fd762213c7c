// SPDX-License-Identifier: Apache-2.0
// Recorded as running, and to wait after all; see step_back.h.
#include "worker/step_back.h"

#include "common/base/clock.h"
#include "worker/pass_on.h"
#include "worker/settle.h"

static void record_waiting(struct cress_attempt *attempt);

static void stepped_back_cb(enum cress_verdict verdict, bool follow, const struct cress_error *err,
                            void *arg)
{
    struct cress_attempt *attempt = arg;
    if (err) {
        cress_attempt_again(attempt, record_waiting, "record waiting", err);
    } else if (verdict == CRESS_VERDICT_CANCELLED) {
        cress_settle_cancel(attempt);
    } else if (verdict != CRESS_VERDICT_APPLIED) {
        cress_settle_drop(attempt, follow);
    } else if (cress_must_go_back(attempt)) {
        cress_give_back(attempt);
    } else {
        attempt->failures = 0;
        attempt->recorded = false;
        attempt->phase = CRESS_ATTEMPT_WAITING;
        cress_ids_remove(&attempt->worker->ids, &attempt->by_id);
        attempt->after_step_back(attempt);
    }
}

static void record_waiting(struct cress_attempt *attempt)
{
    const struct cress_worker *worker = attempt->worker;
    const struct cress_change change = {
        .id = attempt->run.job.id,
        .to = CRESS_STATE_QUEUED,
        .attempt = attempt->run.job.attempt,
        .worker = worker->id,
        .now_ms = cress_clock_wall_ms(),
    };
    worker->effects->change(worker->services.store, &change, stepped_back_cb, attempt);
}

void cress_step_back(struct cress_attempt *attempt, void (*then)(struct cress_attempt *attempt))
{
    cress_attempt_leave_place(attempt);
    attempt->after_step_back = then;
    record_waiting(attempt);
}
