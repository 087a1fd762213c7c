// SPDX-License-Identifier: Apache-2.0
// One delivery in hand; see attempt.h.
#include "worker/attempt.h"

#include "common/base/backoff.h"
#include "common/base/clock.h"
#include "common/base/mem.h"

#include <stdlib.h>
#include <string.h>

static const struct cress_backoff step_backoff = {.base_ms = 100, .cap_ms = 5000};

enum { WAITING_LOG_INTERVAL_MS = 5000 };

static struct cress_worker_queue *queue_named(struct cress_worker *worker, const char *name)
{
    struct cress_worker_queue *queue = worker->queues;
    while (queue->name != name && strcmp(queue->name, name) != 0) {
        queue++; /* deliveries come from subscribed queues only */
    }
    return queue;
}

struct cress_attempt *cress_attempt_new(struct cress_worker *worker,
                                        struct cress_delivery *delivery,
                                        const struct cress_run_sink *sink)
{
    struct cress_attempt *attempt = CRESS_NEW(struct cress_attempt);
    attempt->run.services = &worker->services;
    attempt->run.sink = sink;
    attempt->worker = worker;
    attempt->delivery = delivery;
    attempt->codec = cress_codec_of(delivery->message);
    attempt->queue = queue_named(worker, delivery->queue);
    attempt->queue->unacked++;
    attempt->arrived_ms = cress_clock_mono_ms();
    worker->in_hand++;
    cress_list_init(&attempt->held);
    cress_list_append(&worker->active, &attempt->node);
    return attempt;
}

/* --- its end --- */

static void attempt_closed_cb(uv_handle_t *timer)
{
    free(timer->data);
}

/* They take their turn like any other, and are judged anew. */
static void release_held(struct cress_attempt *attempt)
{
    struct cress_list *node;
    while ((node = cress_list_shift(&attempt->held))) {
        const struct cress_attempt *next = CRESS_CONTAINER(node, struct cress_attempt, node);
        cress_lanes_add(&attempt->worker->lanes, next->run.job.priority, node);
    }
}

/* A guard that is on its way finds nobody. */
static void forget_guard(struct cress_attempt *attempt)
{
    if (attempt->guard) {
        attempt->guard->attempt = NULL;
        attempt->guard = NULL;
    }
}

static void free_attempt(struct cress_attempt *attempt)
{
    cress_notes_free(attempt->notes);
    cress_job_log_free(attempt->log);
    cress_run_clear(&attempt->run);
    cress_task_release(attempt->run.task);
    cress_after_free(attempt->after);
    free(attempt->text);
    free(attempt->error);
    free(attempt->cancel_error);
    free(attempt->limits);
    if (attempt->timer_made) {
        uv_close((uv_handle_t *)&attempt->timer, attempt_closed_cb);
    } else {
        free(attempt);
    }
}

void cress_attempt_end(struct cress_attempt *attempt, enum cress_settlement how)
{
    struct cress_worker *worker = attempt->worker;
    cress_attempt_stop_waiting(attempt);
    cress_list_remove(&attempt->node);
    cress_ids_remove(&worker->ids, &attempt->by_id);
    release_held(attempt);
    forget_guard(attempt);
    attempt->queue->unacked -= !attempt->is_leased;
    worker->in_hand--;
    worker->processed += attempt->recorded;
    worker->effects->settle(worker->services.broker, attempt->delivery, how);
    attempt->delivery = NULL;
    cress_attempt_leave_suspicion(attempt);
    cress_attempt_leave_place(attempt);
    free_attempt(attempt);
    cress_pump_want(&worker->pump);
}

/* --- where it is --- */

void cress_attempt_each_active(struct cress_worker *worker, void (*each)(struct cress_attempt *))
{
    struct cress_list all;
    cress_list_init(&all);
    cress_list_splice(&all, &worker->active);
    struct cress_list *node;
    while ((node = cress_list_shift(&all))) {
        cress_list_append(&worker->active, node);
        each(CRESS_CONTAINER(node, struct cress_attempt, node));
    }
}

void cress_attempt_enqueue(struct cress_attempt *attempt)
{
    cress_list_remove(&attempt->node);
    cress_lanes_add(&attempt->worker->lanes, attempt->run.job.priority, &attempt->node);
    cress_pump_want(&attempt->worker->pump);
}

void cress_attempt_leave_place(struct cress_attempt *attempt)
{
    struct cress_worker *worker = attempt->worker;
    if (attempt->has_place || attempt->is_starting) {
        worker->running -= attempt->has_place;
        worker->starting -= attempt->is_starting;
        attempt->has_place = attempt->is_starting = false;
        cress_pump_want(&worker->pump);
    }
}

void cress_attempt_leave_suspicion(struct cress_attempt *attempt)
{
    struct cress_worker *worker = attempt->worker;
    if (worker->suspect == attempt) {
        worker->suspect = NULL;
        worker->suspect_left = true;
        cress_pump_want(&worker->pump);
    }
}

bool cress_must_go_back(const struct cress_attempt *attempt)
{
    const struct cress_worker_queue *queue = attempt->queue;
    return attempt->worker->phase != CRESS_WORKER_RUNNING || queue->paused || queue->withdrawn;
}

bool cress_was_delivered(const struct cress_attempt *attempt)
{
    return attempt->delivery->redelivered || cress_is_copy_of_delivered(attempt->delivery->message);
}

/* --- waiting --- */

static void attempt_timer_cb(uv_timer_t *timer)
{
    struct cress_attempt *attempt = timer->data;
    void (*step)(struct cress_attempt *) = attempt->step;
    attempt->step = NULL;
    step(attempt);
}

void cress_attempt_wait(struct cress_attempt *attempt, int64_t ms,
                        void (*step)(struct cress_attempt *attempt))
{
    if (!attempt->timer_made) {
        uv_timer_init(attempt->worker->services.loop, &attempt->timer);
        attempt->timer.data = attempt;
        attempt->timer_made = true;
    }
    attempt->step = step;
    /* the loop's idea of now is from the start of its turn, which may have been long */
    uv_update_time(attempt->worker->services.loop);
    uv_timer_start(&attempt->timer, attempt_timer_cb, ms > 0 ? (uint64_t)ms : 0, 0);
}

void cress_attempt_stop_waiting(struct cress_attempt *attempt)
{
    if (attempt->step) {
        uv_timer_stop(&attempt->timer);
        attempt->step = NULL;
    }
}

static void log_again(struct cress_attempt *attempt, const char *what,
                      const struct cress_error *err)
{
    uint64_t suppressed;
    if (cress_log_allow(&attempt->worker->waiting_log, WAITING_LOG_INTERVAL_MS, &suppressed)) {
        cress_log(CRESS_LOG_WARN, "job waits: a step failed and is tried again",
                  CRESS_KV("step", what), CRESS_KV("job", attempt->run.job.id),
                  CRESS_KV("queue", attempt->queue->name), CRESS_KV_ERROR(err),
                  CRESS_KVI("others", suppressed));
    }
}

void cress_attempt_again(struct cress_attempt *attempt, void (*step)(struct cress_attempt *attempt),
                         const char *what, const struct cress_error *err)
{
    struct cress_worker *worker = attempt->worker;
    if (worker->phase == CRESS_WORKER_CLOSING) { /* the connection that closes takes it along */
        cress_attempt_end(attempt, CRESS_REQUEUE);
        return;
    }
    if (worker->phase == CRESS_WORKER_HANDING_BACK) {
        cress_list_remove(&attempt->node);
        cress_list_append(&worker->going_back, &attempt->node);
        cress_pump_want(&worker->pump);
        return;
    }
    log_again(attempt, what, err);
    attempt->failures++;
    cress_attempt_wait(attempt, cress_backoff_ms(&step_backoff, attempt->failures, cress_random()),
                       step);
}
