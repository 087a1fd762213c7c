// SPDX-License-Identifier: Apache-2.0
// What a worker does with deliveries, and when; see dispatch.h.
#include "worker/dispatch.h"

#include "common/base/clock.h"
#include "common/broker/topology.h"
#include "common/store/limits.h"
#include "worker/begin.h"
#include "worker/lease.h"
#include "worker/no_task.h"
#include "worker/settle.h"
#include "worker/suspect.h"

#include <stdlib.h>
#include <string.h>

enum { PASS_ON_US = 1000 }; /* what is only passed on is fetched ahead like a short job */

/* --- accepting --- */

static int64_t due_in_ms(const struct cress_attempt *attempt)
{
    const int64_t due_ms = attempt->run.job.not_before_ms;
    return due_ms ? due_ms - cress_clock_wall_ms() - attempt->behind_ms : 0;
}

/* What comes out of the delay queues has been found to be due: a wall clock that is wrong, here or
 * where the time was set, does not hold it up. The delay queues of before cress.due was a queue lead
 * here directly. */
static void trust_delay_queue(struct cress_attempt *attempt)
{
    const struct cress_message *message = attempt->delivery->message;
    const struct cress_header *from = cress_message_header(message, "x-first-death-queue");
    const int64_t due_ms = due_in_ms(attempt);
    if (cress_message_header(message, CRESS_HEADER_DUE_FROM)) {
        attempt->behind_ms = due_ms >= CRESS_DELAY_MIN_MS ? due_ms : 0;
    } else if (from && from->kind == CRESS_HEADER_TEXT) {
        attempt->behind_ms = cress_delay_excess_ms(CRESS_OLD_DELAY_STEPS, from->text, due_ms);
    }
}

/* The timer counts whole milliseconds of another clock: it may be up a moment too early. */
static void due_step(struct cress_attempt *attempt)
{
    if (due_in_ms(attempt) > 0) {
        cress_attempt_wait(attempt, due_in_ms(attempt), due_step);
    } else {
        cress_attempt_enqueue(attempt);
    }
}

/* Not yet due: to a delay queue, or onto a timer for what is shorter than any of them. */
static void delay(struct cress_attempt *attempt)
{
    if (due_in_ms(attempt) < CRESS_DELAY_MIN_MS) {
        cress_attempt_wait(attempt, due_in_ms(attempt), due_step);
    } else {
        cress_pace_add(&attempt->queue->pace, PASS_ON_US, attempt->delivery->message->body_size);
        cress_pass_on_later(attempt, cress_settle_fail);
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
    struct cress_attempt *attempt = cress_attempt_new(worker, delivery, &cress_settle_sink);
    if (cress_must_go_back(attempt)) {
        cress_give_back(attempt);
        return;
    }
    attempt->queue->epochs[delivery->priority] = delivery->epoch;
    struct cress_job *job = &attempt->run.job;
    struct cress_error err;
    if (attempt->codec->read(delivery->message, delivery->queue, delivery->priority,
                             attempt->queue->default_task, job, &err) != CRESS_OK) {
        cress_settle_undecodable(attempt, &err);
        return;
    }
    fill_defaults(attempt);
    if (cress_job_check_payload(job, worker->config->job_max_payload_bytes, &err) != CRESS_OK) {
        cress_settle_refuse(attempt, &err);
        return;
    }
    attempt->no_task_ms = cress_no_task_ms(delivery->message);
    trust_delay_queue(attempt);
    if (due_in_ms(attempt) > 0) {
        delay(attempt);
    } else {
        cress_attempt_enqueue(attempt);
    }
}

void cress_dispatch_deliveries_cb(struct cress_list *deliveries, void *arg)
{
    struct cress_worker *worker = arg;
    struct cress_list *node;
    while ((node = cress_list_shift(deliveries))) {
        take_in(worker, CRESS_CONTAINER(node, struct cress_delivery, node));
    }
}

/* --- taking from the lanes --- */

/* Another delivery of a job that is in hand waits for the end of the first; a guard comes again, but
 * for one that was here before, from which the first may have begun. */
static void hold_duplicate(struct cress_attempt *first, struct cress_attempt *attempt)
{
    cress_attempt_leave_suspicion(attempt);
    if (cress_lease_of(attempt->delivery->message) && !cress_was_delivered(attempt)) {
        cress_list_append(&attempt->worker->active, &attempt->node);
        cress_lease_renew(attempt, cress_settle_fail);
    } else {
        cress_list_append(&first->held, &attempt->node);
    }
}

static bool has_task(const struct cress_attempt *attempt)
{
    struct cress_task *task;
    return cress_tasks_find(attempt->worker->tasks, attempt->run.job.task, &task) != NULL;
}

static bool is_expired(const struct cress_attempt *attempt)
{
    const int64_t expires_ms = attempt->run.job.expires_ms;
    return !attempt->had_begun && expires_ms && expires_ms <= cress_clock_wall_ms();
}

/* Whether the record is asked before anybody looks for a worker that has the task: it may have to wait
 * for other jobs, or be running elsewhere. What guards it would be used up by a failure that the record
 * refuses, and before the last message of any job is made a dead letter, the record has to agree. */
static bool asks_record_first(const struct cress_attempt *attempt)
{
    const struct cress_message *message = attempt->delivery->message;
    const bool is_guard =
        cress_lease_of(message) || (attempt->run.job.after && cress_outgoing_is_guard(message));
    return attempt->no_task_ms > 0
               ? attempt->no_task_ms >= attempt->worker->config->worker_unknown_task_wait_ms
               : is_guard;
}

/* It is in worker->active. */
static void decide_turn(struct cress_attempt *attempt)
{
    struct cress_ids *ids = &attempt->worker->ids;
    if (is_expired(attempt)) {
        cress_ids_add(ids, &attempt->by_id, attempt->run.job.id);
        cress_settle_expire(attempt);
    } else if (!has_task(attempt) && !asks_record_first(attempt)) {
        cress_attempt_leave_suspicion(attempt);
        cress_no_task_take(attempt);
    } else if (attempt->no_task_ms > 0 && has_task(attempt)) {
        cress_no_task_found(attempt);
    } else {
        cress_ids_add(ids, &attempt->by_id, attempt->run.job.id);
        cress_begin(attempt);
    }
}

static void take_turn(struct cress_attempt *attempt)
{
    struct cress_worker *worker = attempt->worker;
    const struct cress_delivery *delivery = attempt->delivery;
    if (delivery->epoch < attempt->queue->epochs[delivery->priority]) {
        cress_attempt_end(attempt, CRESS_REQUEUE); /* its channel is gone: it was redelivered */
        return;
    }
    struct cress_id_node *same = cress_ids_find(&worker->ids, attempt->run.job.id);
    if (same) {
        hold_duplicate(CRESS_CONTAINER(same, struct cress_attempt, by_id), attempt);
        return;
    }
    cress_list_append(&worker->active, &attempt->node);
    decide_turn(attempt);
}

static void start_next(struct cress_worker *worker)
{
    struct cress_list *node;
    while (cress_begin_has_room(worker) && (node = cress_lanes_take(&worker->lanes))) {
        take_turn(CRESS_CONTAINER(node, struct cress_attempt, node));
    }
}

/* --- the pump --- */

static void give_all_back(struct cress_worker *worker)
{
    struct cress_list *node;
    while ((node = cress_list_shift(&worker->going_back))) {
        cress_give_back(CRESS_CONTAINER(node, struct cress_attempt, node));
    }
}

void cress_dispatch_turn(struct cress_worker *worker)
{
    give_all_back(worker);
    if (worker->suspect_left) {
        cress_suspect_next(worker);
    }
    start_next(worker);
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
        cress_begin_stop(attempt, CRESS_STOP_CANCELLED);
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
        cress_attempt_enqueue(CRESS_CONTAINER(node, struct cress_attempt, node));
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

static void hand_back_attempt(struct cress_attempt *attempt)
{
    if (attempt->phase != CRESS_ATTEMPT_RUNNING) {
        if (attempt->step) {
            cress_give_back(attempt);
        }
        return;
    }
    cress_attempt_stop_waiting(attempt);
    if (!attempt->cancel_error) { /* else it is asked already, and for good */
        cress_begin_stop(attempt, CRESS_STOP_SHUTDOWN);
    }
}

void cress_dispatch_hand_back(struct cress_worker *worker)
{
    cress_attempt_each_active(worker, hand_back_attempt);
}
