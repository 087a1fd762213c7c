// SPDX-License-Identifier: Apache-2.0
// From a delivery to a running handler; see dispatch.h.
#include "worker/dispatch.h"

#include "common/base/clock.h"
#include "common/base/json.h"
#include "common/broker/topology.h"
#include "common/store/limits.h"
#include "worker/after.h"
#include "worker/attempt.h"
#include "worker/give_back.h"
#include "worker/handler/tasks.h"
#include "worker/lease.h"
#include "worker/presence.h"
#include "worker/settle.h"
#include "worker/suspect.h"

#include <string.h>

/* --- accepting --- */

static void enqueue(struct cress_attempt *attempt)
{
    cress_list_remove(&attempt->node);
    cress_lanes_add(&attempt->worker->lanes, attempt->run.job.priority, &attempt->node);
}

static int64_t due_in_ms(const struct cress_attempt *attempt)
{
    const int64_t due_ms = attempt->run.job.not_before_ms;
    return due_ms ? due_ms - cress_clock_wall_ms() - attempt->behind_ms : 0;
}

/* The delay queues are the broker's clock: a wall clock that is wrong, here or where the time was
 * set, holds nothing up for long. */
static void trust_delay_queue(struct cress_attempt *attempt)
{
    const struct cress_header *from =
        cress_message_header(attempt->delivery->message, "x-first-death-queue");
    if (from && from->kind == CRESS_HEADER_TEXT) {
        attempt->behind_ms = cress_route_excess_ms(from->text, due_in_ms(attempt));
    }
}

static void again_step(struct cress_attempt *attempt)
{
    enqueue(attempt);
    cress_dispatch_next(attempt->worker);
}

/* The timer counts whole milliseconds of another clock: it may be up a moment too early. */
static void due_step(struct cress_attempt *attempt)
{
    if (due_in_ms(attempt) > 0) {
        cress_attempt_wait(attempt, due_in_ms(attempt), due_step);
    } else {
        again_step(attempt);
    }
}

/* Not yet due: to a delay queue, or onto a timer for what is shorter than any of them. */
static void delay(struct cress_attempt *attempt)
{
    if (due_in_ms(attempt) < CRESS_DELAY_MIN_MS) {
        cress_attempt_wait(attempt, due_in_ms(attempt), due_step);
    } else {
        cress_settle_send_on(attempt);
    }
}

static void fill_defaults(struct cress_attempt *attempt)
{
    struct cress_task *task;
    struct cress_job *job = &attempt->run.job;
    cress_tasks_find(attempt->worker->tasks, job->task, &task);
    const struct cress_job_limits limits =
        cress_config_limits(attempt->worker->config, task ? task->config : NULL);
    if (!job->id) { /* a new one at each delivery: there is nothing stable to derive it from */
        job->id = cress_id_new(attempt->id_room);
    }
    if (job->max_attempts == 0) {
        job->max_attempts = limits.max_attempts;
    }
    if (job->timeout_ms == 0) {
        job->timeout_ms = limits.timeout_ms;
    }
    attempt->limits = cress_limits_text(task ? task->config : NULL, job);
}

static void take_in(struct cress_worker *worker, struct cress_delivery *delivery)
{
    struct cress_attempt *attempt = cress_attempt_new(worker, delivery);
    if (cress_must_go_back(attempt)) {
        cress_give_back(attempt);
        return;
    }
    attempt->queue->epochs[delivery->priority] = delivery->epoch;
    struct cress_job *job = &attempt->run.job;
    struct cress_error err;
    if (cress_job_from_message(delivery->message, delivery->queue, delivery->priority,
                               attempt->queue->default_task, job, &err) != CRESS_OK) {
        cress_settle_undecodable(attempt, &err);
        return;
    }
    fill_defaults(attempt);
    trust_delay_queue(attempt);
    if (due_in_ms(attempt) > 0) {
        delay(attempt);
    } else {
        enqueue(attempt);
    }
}

void cress_dispatch_deliveries_cb(struct cress_list *deliveries, void *arg)
{
    struct cress_worker *worker = arg;
    struct cress_list *node;
    while ((node = cress_list_shift(deliveries))) {
        take_in(worker, CRESS_CONTAINER(node, struct cress_delivery, node));
    }
    cress_dispatch_next(worker);
}

/* --- running --- */

static void stop_handler(struct cress_attempt *attempt, enum cress_stop_reason reason)
{
    attempt->stopping = true;
    attempt->stop_reason = reason;
    if (attempt->run.handler->stop) {
        attempt->run.handler->stop(&attempt->run, reason);
    }
}

static void timed_out_step(struct cress_attempt *attempt)
{
    stop_handler(attempt, CRESS_STOP_TIMED_OUT);
}

static enum cress_status find_task(const struct cress_tasks *tasks, struct cress_run *run,
                                   struct cress_error *err)
{
    struct cress_task *task;
    const struct cress_handler *found = cress_tasks_find(tasks, run->job.task, &task);
    if (!found) {
        struct cress_buf names = cress_buf_make(CRESS_ERROR_MESSAGE_MAX);
        cress_tasks_list(tasks, &names);
        cress_error_set(err, CRESS_NOT_FOUND, "unknown_task",
                        "this worker has no task %s; it has %s", run->job.task,
                        cress_buf_text(&names));
        cress_buf_free(&names);
        return CRESS_NOT_FOUND;
    }
    cress_task_hold(task);
    run->handler = found;
    run->task = task;
    return CRESS_OK;
}

static enum cress_status check_payload(const struct cress_job *job, int64_t max_bytes,
                                       struct cress_error *err)
{
    if ((int64_t)job->payload_size > max_bytes) {
        return cress_error_set(err, CRESS_TOO_LARGE, "payload_too_large",
                               "the payload has %zu bytes; job.max_payload allows %lld",
                               job->payload_size, (long long)max_bytes);
    }
    if (cress_json_check(job->payload, job->payload_size, NULL, err) != CRESS_OK) {
        struct cress_error where = *err;
        return cress_error_set(err, CRESS_MALFORMED, "payload_not_json", "the body is not JSON: %s",
                               where.message);
    }
    return CRESS_OK;
}

/* Whether it can run at all; what cannot is not tried again. */
static enum cress_status prepare(struct cress_attempt *attempt, struct cress_error *err)
{
    struct cress_run *run = &attempt->run;
    const struct cress_job *job = &run->job;
    if (job->attempt > job->max_attempts) {
        return cress_error_set(err, CRESS_INVALID, "attempts_exhausted",
                               "the message is attempt %d of at most %d", job->attempt,
                               job->max_attempts);
    }
    const enum cress_status status = find_task(attempt->worker->tasks, run, err);
    return status != CRESS_OK
               ? status
               : check_payload(job, attempt->worker->config->job_max_payload_bytes, err);
}

static void run_handler(struct cress_attempt *attempt)
{
    struct cress_error err;
    if (attempt->cancel_error) {
        cress_settle_cancel(attempt);
        return;
    }
    if (attempt->worker->phase >= CRESS_WORKER_HANDING_BACK) {
        cress_settle_hand_back(attempt); /* those that ran were stopped a moment ago */
        return;
    }
    if (prepare(attempt, &err) != CRESS_OK) {
        cress_settle_fail(attempt, &err);
        return;
    }
    attempt->phase = CRESS_ATTEMPT_RUNNING;
    attempt->run.handler->start(&attempt->run);
    /* most small jobs have ended by now and need no timer; none is freed before the loop's next
     * turn */
    if (attempt->phase == CRESS_ATTEMPT_RUNNING && attempt->run.handler->stop) {
        cress_attempt_wait(attempt, attempt->run.job.timeout_ms, timed_out_step);
    }
}

static void run_recorded(struct cress_attempt *attempt)
{
    attempt->recorded = true;
    if (attempt->run.job.after) {
        cress_after_read(attempt, run_handler);
    } else {
        run_handler(attempt);
    }
}

static void fail_as_poison(struct cress_attempt *attempt)
{
    struct cress_error err;
    cress_error_set(&err, CRESS_INTERNAL, "poison",
                    "workers died %lld times while running this job; it is not tried again",
                    (long long)attempt->worker->config->worker_max_crashes);
    cress_settle_fail(attempt, &err);
}

static void record_running(struct cress_attempt *attempt);

/* A limit forbids it for now. It makes way for other jobs, and comes back: from a delay queue, or,
 * when that is sooner than any of them, from a timer. */
static void hold_back(struct cress_attempt *attempt, int64_t wait_ms)
{
    cress_attempt_leave_place(attempt);
    cress_suspect_leave(attempt);
    attempt->phase = CRESS_ATTEMPT_WAITING;
    if (wait_ms >= CRESS_DELAY_MIN_MS) {
        cress_settle_send_back(attempt, wait_ms);
    } else if (cress_must_go_back(attempt)) {
        cress_give_back(attempt); /* what waited has been given back already */
    } else {
        cress_ids_remove(&attempt->worker->ids, &attempt->by_id);
        cress_attempt_wait(attempt, wait_ms, again_step);
    }
}

static bool is_held_back(const struct cress_attempt *attempt, const char *task)
{
    return attempt->phase == CRESS_ATTEMPT_WAITING && attempt->step == again_step &&
           strcmp(attempt->run.job.task, task) == 0;
}

void cress_dispatch_limit_freed(struct cress_worker *worker, const char *task)
{
    struct cress_attempt *next = NULL;
    for (struct cress_list *at = worker->active.next; at != &worker->active; at = at->next) {
        struct cress_attempt *attempt = CRESS_CONTAINER(at, struct cress_attempt, node);
        if (is_held_back(attempt, task) &&
            (!next || uv_timer_get_due_in(&attempt->timer) < uv_timer_get_due_in(&next->timer))) {
            next = attempt;
        }
    }
    if (next) {
        cress_attempt_stop_waiting(next);
        again_step(next);
    }
}

/* A worker that lives runs it. Asked again when that one, should it be dead, is known to be. */
static void leave_alone(struct cress_attempt *attempt)
{
    if (cress_lease_of(attempt)) {
        cress_lease_renew(attempt);
    } else {
        cress_attempt_leave_place(attempt);
        cress_settle_send_back(attempt, cress_presence_ttl_ms(attempt->worker->config));
    }
}

static void recorded_cb(enum cress_verdict verdict, bool follow, int64_t wait_ms,
                        const struct cress_error *err, void *arg)
{
    struct cress_attempt *attempt = arg;
    if (err) {
        cress_attempt_again(attempt, record_running, "record running", err);
        return;
    }
    attempt->failures = 0;
    switch (verdict) {
    case CRESS_VERDICT_APPLIED:
        run_recorded(attempt);
        break;
    case CRESS_VERDICT_SUSPECT:
        cress_suspect_start(attempt, run_recorded);
        break;
    case CRESS_VERDICT_POISON:
        fail_as_poison(attempt);
        break;
    case CRESS_VERDICT_LEASED:
        leave_alone(attempt);
        break;
    case CRESS_VERDICT_CANCELLED:
        cress_settle_cancel(attempt);
        break;
    case CRESS_VERDICT_LIMITED:
        hold_back(attempt, wait_ms);
        break;
    case CRESS_VERDICT_DUPLICATE:
        cress_settle_duplicate(attempt);
        break;
    case CRESS_VERDICT_TERMINAL:
    case CRESS_VERDICT_STALE:
    case CRESS_VERDICT_MISSING:
        cress_settle_drop(attempt, follow);
        break;
    }
}

static void record_running(struct cress_attempt *attempt)
{
    cress_store_start(attempt->worker->services.store, &attempt->start, recorded_cb, attempt);
}

void cress_dispatch_start(struct cress_attempt *attempt)
{
    attempt->has_place = true;
    attempt->worker->running++;
    attempt->phase = CRESS_ATTEMPT_STARTING;
    /* made once: the store knows a repeated call, whose answer was lost, by its time */
    attempt->start = (struct cress_start){
        .job = &attempt->run.job,
        .worker = attempt->worker->id,
        .redelivered = cress_was_delivered(attempt),
        .patience_ms = cress_presence_ttl_ms(attempt->worker->config),
        .lease = cress_lease_of(attempt),
        .max_crashes = (int)attempt->worker->config->worker_max_crashes,
        .limits = attempt->limits,
        .now_ms = cress_clock_wall_ms(),
    };
    record_running(attempt);
}

/* --- taking from the lanes --- */

/* Another delivery of a job that is in hand waits for the end of the first; a guard comes again. */
static void hold(struct cress_attempt *first, struct cress_attempt *attempt)
{
    cress_suspect_leave(attempt);
    if (cress_lease_of(attempt)) {
        cress_list_append(&attempt->worker->active, &attempt->node);
        cress_lease_renew(attempt);
    } else {
        cress_list_append(&first->held, &attempt->node);
    }
}

static void begin(struct cress_attempt *attempt)
{
    struct cress_worker *worker = attempt->worker;
    const struct cress_job *job = &attempt->run.job;
    const struct cress_delivery *delivery = attempt->delivery;
    if (delivery->epoch < attempt->queue->epochs[delivery->priority]) {
        cress_attempt_end(attempt, CRESS_REQUEUE); /* its channel is gone: it was redelivered */
        return;
    }
    struct cress_id_node *same = cress_ids_find(&worker->ids, job->id);
    if (same) {
        hold(CRESS_CONTAINER(same, struct cress_attempt, by_id), attempt);
        return;
    }
    cress_list_append(&worker->active, &attempt->node);
    cress_ids_add(&worker->ids, &attempt->by_id, job->id);
    if (job->expires_ms && job->expires_ms <= cress_clock_wall_ms()) {
        cress_settle_expire(attempt);
    } else {
        cress_dispatch_start(attempt);
    }
}

void cress_dispatch_next(struct cress_worker *worker)
{
    struct cress_list *node;
    while (worker->running < worker->config->worker_concurrency &&
           (node = cress_lanes_take(&worker->lanes))) {
        begin(CRESS_CONTAINER(node, struct cress_attempt, node));
    }
}

/* --- stopping --- */

bool cress_dispatch_is_under_way(const struct cress_attempt *attempt)
{
    return attempt->recorded && attempt->phase != CRESS_ATTEMPT_SETTLING;
}

/* One that is stopped for another reason ends soon, and the store sees to it that it is not tried
 * again. */
void cress_dispatch_cancel(struct cress_attempt *attempt, const char *error)
{
    if (!cress_dispatch_is_under_way(attempt) || attempt->stopping || attempt->cancel_error) {
        return;
    }
    cress_log(CRESS_LOG_INFO, "job is cancelled while it runs",
              CRESS_KV("job", attempt->run.job.id), CRESS_KV("task", attempt->run.job.task));
    attempt->cancel_error = cress_strdup(error);
    if (attempt->phase == CRESS_ATTEMPT_RUNNING) { /* else it ends when it would run */
        cress_attempt_stop_waiting(attempt);
        stop_handler(attempt, CRESS_STOP_CANCELLED);
    }
}

/* `node`, in no list, goes back or to `stay`. */
static void sort_out(struct cress_list *node, struct cress_list *stay)
{
    struct cress_attempt *attempt = CRESS_CONTAINER(node, struct cress_attempt, node);
    if (cress_must_go_back(attempt)) {
        cress_give_back(attempt);
    } else {
        cress_list_append(stay, node);
    }
}

static void return_lanes(struct cress_worker *worker)
{
    struct cress_list stay;
    struct cress_list *node;
    cress_list_init(&stay);
    while ((node = cress_lanes_take(&worker->lanes))) {
        sort_out(node, &stay);
    }
    while ((node = cress_list_shift(&stay))) {
        enqueue(CRESS_CONTAINER(node, struct cress_attempt, node));
    }
}

static void return_attempt(struct cress_attempt *attempt)
{
    struct cress_list stay;
    struct cress_list *node;
    cress_list_init(&stay);
    while ((node = cress_list_shift(&attempt->held))) {
        sort_out(node, &stay);
    }
    cress_list_splice(&attempt->held, &stay);
    if (attempt->phase == CRESS_ATTEMPT_WAITING && cress_must_go_back(attempt)) {
        cress_give_back(attempt);
    }
}

void cress_dispatch_return_waiting(struct cress_worker *worker)
{
    return_lanes(worker);
    cress_attempt_each_active(worker, return_attempt);
}

static void hand_back(struct cress_attempt *attempt)
{
    if (attempt->phase != CRESS_ATTEMPT_RUNNING) {
        if (attempt->step) {
            cress_give_back(attempt);
        }
        return;
    }
    cress_attempt_stop_waiting(attempt);
    if (!attempt->cancel_error) { /* else it is asked already, and for good */
        stop_handler(attempt, CRESS_STOP_SHUTDOWN);
    }
}

void cress_dispatch_hand_back(struct cress_worker *worker)
{
    cress_attempt_each_active(worker, hand_back);
}
