// SPDX-License-Identifier: Apache-2.0
// Turns within limits; see turns.h.
#include "worker/turns.h"

#include "common/base/mem.h"
#include "common/store/limits.h"
#include "common/submit/republish.h"

#include <stdlib.h>

/* --- jobs in hand --- */

static void look_step(struct cress_attempt *attempt)
{
    attempt->is_next = false;
    cress_ids_remove(&attempt->worker->ids, &attempt->by_id);
    cress_attempt_enqueue(attempt);
}

void cress_turns_keep(struct cress_attempt *attempt, int64_t look_ms)
{
    /* The turn can be told before the answer that it has to be waited for: by another connection. */
    const bool has_come = attempt->turn_came;
    attempt->turn_came = false;
    attempt->is_next = true;
    cress_attempt_wait(attempt, has_come ? 0 : look_ms, look_step);
}

void cress_turns_come(struct cress_worker *worker, const char *id)
{
    struct cress_id_node *node = cress_ids_find(&worker->ids, id);
    if (!node) {
        return;
    }
    struct cress_attempt *attempt = CRESS_CONTAINER(node, struct cress_attempt, by_id);
    if (attempt->phase == CRESS_ATTEMPT_STARTING) {
        attempt->turn_came = true;
    } else if (attempt->is_next) {
        cress_attempt_stop_waiting(attempt);
        look_step(attempt);
    }
}

/* --- jobs in a delay queue --- */

/* What fails is made up for by the next beat, or by the guard. */
static void published_cb(const struct cress_error *err, void *arg)
{
    (void)err;
    (void)arg;
}

static void record_cb(const struct cress_record *record, const struct cress_error *err, void *arg)
{
    const struct cress_worker *worker = arg;
    const bool waits =
        !err && record &&
        (record->state == CRESS_STATE_QUEUED || record->state == CRESS_STATE_SCHEDULED ||
         record->state == CRESS_STATE_RETRYING);
    if (waits && worker->phase != CRESS_WORKER_CLOSING && record->task && record->queue) {
        cress_republish(cress_services_door(&worker->services, 0), record, published_cb, NULL);
    }
}

static void turn_cb(const char *id, bool at_hand, void *arg)
{
    struct cress_worker *worker = arg;
    if (at_hand) {
        cress_turns_come(worker, id);
    } else if (worker->phase != CRESS_WORKER_CLOSING) {
        cress_store_get(worker->services.store, id, record_cb, worker);
    }
}

void cress_turns_start(struct cress_worker *worker)
{
    cress_store_on_turn(worker->services.store, turn_cb, worker);
}
