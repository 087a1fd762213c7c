// SPDX-License-Identifier: Apache-2.0
// Suspects one at a time; see suspect.h.
#include "worker/suspect.h"

#include "common/base/clock.h"
#include "worker/dispatch.h"
#include "worker/give_back.h"
#include "worker/settle.h"

/* --- waiting --- */

static bool is_held(const struct cress_attempt *attempt)
{
    return attempt->is_suspect && attempt->phase == CRESS_ATTEMPT_WAITING &&
           !cress_must_go_back(attempt);
}

/* It takes its turn like any other, and is judged anew. It is the suspect from now on: whatever
 * becomes of it, the next one gets its turn after it. */
static void take_next(struct cress_worker *worker)
{
    for (struct cress_list *at = worker->active.next; at != &worker->active; at = at->next) {
        struct cress_attempt *next = CRESS_CONTAINER(at, struct cress_attempt, node);
        if (is_held(next)) {
            next->is_suspect = false;
            worker->suspect = next;
            cress_list_remove(&next->node);
            cress_lanes_add(&worker->lanes, next->run.job.priority, &next->node);
            cress_dispatch_next(worker);
            return;
        }
    }
}

static void hold(struct cress_attempt *attempt);

static void held_cb(enum cress_verdict verdict, bool follow, const struct cress_error *err,
                    void *arg)
{
    struct cress_attempt *attempt = arg;
    struct cress_worker *worker = attempt->worker;
    if (err) {
        cress_attempt_again(attempt, hold, "record waiting", err);
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
        if (!worker->suspect) { /* the one that ran has ended meanwhile */
            take_next(worker);
        }
    }
}

static void hold(struct cress_attempt *attempt)
{
    const struct cress_change change = {
        .id = attempt->run.job.id,
        .to = CRESS_STATE_QUEUED,
        .attempt = attempt->run.job.attempt,
        .now_ms = cress_clock_wall_ms(),
    };
    cress_store_change(attempt->worker->services.store, &change, held_cb, attempt);
}

/* --- the interface --- */

void cress_suspect_start(struct cress_attempt *attempt, void (*run)(struct cress_attempt *attempt))
{
    struct cress_worker *worker = attempt->worker;
    attempt->is_suspect = true;
    if (worker->suspect && worker->suspect != attempt) {
        cress_attempt_leave_place(attempt);
        hold(attempt);
        return;
    }
    worker->suspect = attempt;
    run(attempt);
}

void cress_suspect_leave(struct cress_attempt *attempt)
{
    struct cress_worker *worker = attempt->worker;
    if (worker->suspect == attempt) {
        worker->suspect = NULL;
        take_next(worker);
    }
}
