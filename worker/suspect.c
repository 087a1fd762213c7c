// SPDX-License-Identifier: Apache-2.0
// Suspects one at a time; see suspect.h.
#include "worker/suspect.h"

#include "common/base/clock.h"
#include "worker/pass_on.h"
#include "worker/settle.h"

/* --- waiting --- */

static bool is_held_suspect(const struct cress_attempt *attempt)
{
    return attempt->is_suspect && attempt->phase == CRESS_ATTEMPT_WAITING &&
           !cress_must_go_back(attempt);
}

/* It takes its turn like any other, and is judged anew. It is the suspect from now on: whatever
 * becomes of it, the next one gets its turn after it. */
void cress_suspect_next(struct cress_worker *worker)
{
    struct cress_list *at = worker->active.next;
    worker->suspect_left = false;
    while (!worker->suspect && at != &worker->active) {
        struct cress_attempt *next = CRESS_CONTAINER(at, struct cress_attempt, node);
        at = at->next;
        if (is_held_suspect(next)) {
            next->is_suspect = false;
            worker->suspect = next;
            cress_attempt_enqueue(next);
        }
    }
}

static void hold_suspect(struct cress_attempt *attempt);

static void suspect_held_cb(enum cress_verdict verdict, bool follow, const struct cress_error *err,
                            void *arg)
{
    struct cress_attempt *attempt = arg;
    struct cress_worker *worker = attempt->worker;
    if (err) {
        cress_attempt_again(attempt, hold_suspect, "record waiting", err);
    } else if (verdict == CRESS_VERDICT_CANCELLED) {
        cress_settle_cancel(attempt);
    } else if (verdict != CRESS_VERDICT_APPLIED) {
        cress_settle_drop(attempt, follow);
    } else if (cress_must_go_back(attempt)) {
        cress_give_back(attempt);
    } else {
        attempt->failures = 0;
        attempt->phase = CRESS_ATTEMPT_WAITING;
        cress_ids_remove(&worker->ids, &attempt->by_id);
        worker->suspect_left = true; /* the one that ran may have ended meanwhile */
        cress_pump_want(&worker->pump);
    }
}

static void hold_suspect(struct cress_attempt *attempt)
{
    const struct cress_change change = {
        .id = attempt->run.job.id,
        .to = CRESS_STATE_QUEUED,
        .attempt = attempt->run.job.attempt,
        .now_ms = cress_clock_wall_ms(),
    };
    attempt->worker->effects->change(attempt->worker->services.store, &change, suspect_held_cb,
                                     attempt);
}

/* --- the interface --- */

void cress_suspect_start(struct cress_attempt *attempt, void (*run)(struct cress_attempt *attempt))
{
    struct cress_worker *worker = attempt->worker;
    attempt->is_suspect = true;
    if (worker->suspect && worker->suspect != attempt) {
        cress_attempt_leave_place(attempt);
        hold_suspect(attempt);
        return;
    }
    worker->suspect = attempt;
    run(attempt);
}
