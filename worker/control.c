// SPDX-License-Identifier: Apache-2.0
// What a worker is told from outside; see control.h.
#include "worker/control.h"

#include "common/base/text.h"
#include "common/broker/broker.h"
#include "worker/dispatch.h"
#include "worker/turns.h"

#include <stdlib.h>
#include <string.h>

/* --- jobs that are to stop --- */

/* Is this job to stop? By the time of the answer it may have ended. */
struct cancel_question {
    struct cress_worker *worker;
    char id[CRESS_ID_MAX + 1];
};

/* An answer that is lost with the connection is asked for again when there is a new one. */
static void reason_cb(const char *reason, const struct cress_error *err, void *arg)
{
    struct cancel_question *question = arg;
    struct cress_worker *worker = question->worker;
    struct cress_id_node *node = !err && reason ? cress_ids_find(&worker->ids, question->id) : NULL;
    if (node) {
        cress_dispatch_cancel(CRESS_CONTAINER(node, struct cress_attempt, by_id), reason);
    }
    free(question);
}

static void ask_about_job(struct cress_worker *worker, const char *id)
{
    struct cancel_question *question = CRESS_NEW(struct cancel_question);
    question->worker = worker;
    snprintf(question->id, sizeof question->id, "%s", id);
    cress_store_cancel_reason(worker->services.store, question->id, reason_cb, question);
}

static void ask_about_all(struct cress_worker *worker)
{
    for (struct cress_list *at = worker->active.next; at != &worker->active; at = at->next) {
        const struct cress_attempt *attempt = CRESS_CONTAINER(at, struct cress_attempt, node);
        if (cress_dispatch_is_under_way(attempt)) {
            ask_about_job(worker, attempt->run.job.id);
        }
    }
}

/* --- queues that are paused --- */

static void pause_queue(struct cress_worker *worker, struct cress_worker_queue *queue)
{
    cress_log(CRESS_LOG_INFO, "queue is paused", CRESS_KV("queue", queue->name));
    queue->paused = true;
    if (worker->consuming) {
        cress_broker_pause(worker->services.broker, queue->name);
    }
    cress_dispatch_return_waiting(worker);
}

static void resume_queue(struct cress_worker *worker, struct cress_worker_queue *queue)
{
    cress_log(CRESS_LOG_INFO, "queue is resumed", CRESS_KV("queue", queue->name));
    queue->paused = false;
    if (!queue->withdrawn) {
        cress_broker_resume(worker->services.broker, queue->name);
    }
}

static bool is_among(const struct cress_paused_queue *queues, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(queues[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static void paused_cb(const struct cress_paused_queue *queues, size_t count,
                      const struct cress_error *err, void *arg)
{
    struct cress_worker *worker = arg;
    if (err) {
        return; /* asked again when the store is back */
    }
    for (size_t i = 0; i < worker->queue_count; i++) {
        struct cress_worker_queue *queue = &worker->queues[i];
        const bool paused = is_among(queues, count, queue->name);
        if (paused && !queue->paused) {
            pause_queue(worker, queue);
        } else if (!paused && queue->paused) {
            resume_queue(worker, queue);
        }
    }
    worker->on_pauses_known(worker);
}

/* --- listening --- */

void cress_control_refresh(struct cress_worker *worker)
{
    cress_store_paused(worker->services.store, paused_cb, worker);
    ask_about_all(worker);
}

static void heard_cb(const char *message, void *arg)
{
    struct cress_worker *worker = arg;
    if (!message) {
        cress_control_refresh(worker);
    } else if (strcmp(message, "queues") == 0) {
        cress_store_paused(worker->services.store, paused_cb, worker);
    } else if (cress_text_starts_with(message, "start ")) {
        cress_turns_come(worker, message + strlen("start "));
    } else if (cress_text_starts_with(message, "cancel ")) {
        const char *id = message + strlen("cancel ");
        if (cress_ids_find(&worker->ids, id)) {
            ask_about_job(worker, id);
        }
    }
}

void cress_control_start(struct cress_worker *worker, void (*on_known)(struct cress_worker *worker))
{
    worker->on_pauses_known = on_known;
    worker->control = cress_store_listen(worker->services.store, heard_cb, worker);
}

void cress_control_stop(struct cress_worker *worker)
{
    if (worker->control) {
        cress_watch_stop(worker->control);
        worker->control = NULL;
    }
}
