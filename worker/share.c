// SPDX-License-Identifier: Apache-2.0
// What waits in hand while others idle; see share.h.
#include "worker/share.h"

#include "worker/dispatch.h"
#include "worker/fetch.h"
#include "worker/peers.h"

/* A job that waits longer than this had better move; shorter, and moving costs more. */
enum { STUCK_MS = 1000 };

static bool is_stuck(const struct cress_worker *worker)
{
    return worker->phase == CRESS_WORKER_RUNNING && worker->consuming && worker->lanes.count > 0 &&
           cress_fetch_stuck_ms(worker) >= STUCK_MS;
}

/* Whether a job of `queue` that waits in `lane` could begin elsewhere. */
static bool has_better_place(const struct cress_worker *worker, const struct cress_list *lane,
                             const struct cress_worker_queue *queue)
{
    for (const struct cress_list *at = lane->next; at != lane; at = at->next) {
        const struct cress_attempt *attempt = CRESS_CONTAINER(at, struct cress_attempt, node);
        if (attempt->queue == queue &&
            cress_peers_have_place(worker, queue->name, attempt->run.job.task)) {
            return true;
        }
    }
    return false;
}

static bool is_wanted_elsewhere(const struct cress_worker *worker,
                                const struct cress_worker_queue *queue)
{
    for (int i = 0; i < CRESS_PRIORITY_COUNT; i++) {
        if (has_better_place(worker, &worker->lanes.lists[i], queue)) {
            return true;
        }
    }
    return false;
}

static void withdraw(struct cress_worker *worker, struct cress_worker_queue *queue)
{
    cress_log(CRESS_LOG_INFO, "jobs that wait here go to workers with free places",
              CRESS_KV("queue", queue->name), CRESS_KVI("waiting", worker->lanes.count));
    queue->withdrawn = true;
    worker->withdrawn++;
    cress_broker_pause(worker->services.broker, queue->name);
}

static void share_with_peers(struct cress_worker *worker, const struct cress_error *err)
{
    if (err || !is_stuck(worker)) {
        return;
    }
    for (size_t i = 0; i < worker->queue_count; i++) {
        struct cress_worker_queue *queue = &worker->queues[i];
        if (!queue->paused && !queue->withdrawn && is_wanted_elsewhere(worker, queue)) {
            withdraw(worker, queue);
        }
    }
    if (worker->withdrawn > 0) {
        cress_dispatch_return_waiting(worker);
    }
}

void cress_share_check(struct cress_worker *worker)
{
    if (is_stuck(worker)) {
        cress_peers_ask(worker, share_with_peers);
    }
}

void cress_share_turn(struct cress_worker *worker)
{
    if (worker->withdrawn == 0 || worker->running >= worker->config->worker_concurrency ||
        worker->phase != CRESS_WORKER_RUNNING) {
        return;
    }
    worker->withdrawn = 0;
    for (size_t i = 0; i < worker->queue_count; i++) {
        struct cress_worker_queue *queue = &worker->queues[i];
        if (queue->withdrawn && !queue->paused) {
            cress_broker_resume(worker->services.broker, queue->name);
        }
        queue->withdrawn = false;
    }
}
