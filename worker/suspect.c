// SPDX-License-Identifier: Apache-2.0
// Suspects one at a time; see suspect.h.
#include "worker/suspect.h"

#include "worker/step_back.h"

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

/* The one that ran may have ended meanwhile. */
static void wait_for_turn(struct cress_attempt *attempt)
{
    attempt->is_suspect = true;
    attempt->worker->suspect_left = true;
    cress_pump_want(&attempt->worker->pump);
}

/* --- the interface --- */

void cress_suspect_start(struct cress_attempt *attempt, void (*run)(struct cress_attempt *attempt))
{
    struct cress_worker *worker = attempt->worker;
    if (worker->suspect && worker->suspect != attempt) {
        cress_step_back(attempt, wait_for_turn);
        return;
    }
    worker->suspect = attempt;
    run(attempt);
}
