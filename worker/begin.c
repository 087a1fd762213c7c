// SPDX-License-Identifier: Apache-2.0
// From a place to a running handler; see begin.h.
#include "worker/begin.h"

#include "common/base/clock.h"
#include "common/base/json.h"
#include "common/broker/topology.h"
#include "worker/lease.h"
#include "worker/no_task.h"
#include "worker/settle.h"
#include "worker/step_back.h"
#include "worker/suspect.h"
#include "worker/turns.h"

enum {
    /* So many in a row: the next one does so, too. */
    ENDED_AT_ONCE_SURE = 64,
    /* Beyond this a worker that dies leaves more to clean up than a larger batch would win. */
    STARTING_MAX = 1000,
    /* What runs a task is starting: so soon its jobs look again, and so long after one was begun to
     * start it another one is, should that not have come so far. */
    READY_LOOK_MS = 50,
    TRY_AGAIN_MS = 1000,
};

/* --- the handler --- */

void cress_begin_stop(struct cress_attempt *attempt, enum cress_stop_reason reason)
{
    attempt->stopping = true;
    attempt->stop_reason = reason;
    if (attempt->run.handler->stop) {
        attempt->run.handler->stop(&attempt->run, reason);
    }
}

static void time_out_step(struct cress_attempt *attempt)
{
    cress_begin_stop(attempt, CRESS_STOP_TIMED_OUT);
}

static bool find_task(struct cress_attempt *attempt)
{
    struct cress_run *run = &attempt->run;
    struct cress_task *task;
    run->handler = cress_tasks_find(attempt->worker->tasks, run->job.task, &task);
    if (!run->handler) {
        return false;
    }
    cress_task_hold(task);
    run->task = task;
    return true;
}

/* One that was recorded without a place gets one now, if there is one. */
static bool take_place(struct cress_attempt *attempt)
{
    struct cress_worker *worker = attempt->worker;
    if (attempt->has_place) {
        return true;
    }
    cress_attempt_leave_place(attempt);
    if (worker->running >= worker->config->worker_concurrency) {
        return false;
    }
    attempt->has_place = true;
    worker->running++;
    return true;
}

static void start_handler(struct cress_attempt *attempt)
{
    struct cress_worker *worker = attempt->worker;
    attempt->phase = CRESS_ATTEMPT_RUNNING;
    attempt->begun_us = (int64_t)(uv_hrtime() / 1000);
    worker->last_begun_ms = attempt->begun_us / 1000;
    attempt->run.handler->start(&attempt->run);
    /* most small jobs have ended by now and need no timer; none is freed before the loop's next
     * turn */
    if (attempt->phase != CRESS_ATTEMPT_RUNNING) {
        worker->ended_at_once++;
        return;
    }
    worker->ended_at_once = 0;
    if (attempt->run.handler->stop) {
        cress_attempt_wait(attempt, attempt->run.job.timeout_ms, time_out_step);
    }
}

static void run_handler(struct cress_attempt *attempt)
{
    const struct cress_job *job = &attempt->run.job;
    struct cress_error err;
    if (attempt->cancel_error) {
        cress_settle_cancel(attempt);
        return;
    }
    if (attempt->worker->phase >= CRESS_WORKER_HANDING_BACK) {
        cress_settle_hand_back(attempt); /* those that ran were stopped a moment ago */
        return;
    }
    if (!take_place(attempt)) {
        cress_step_back(attempt, cress_attempt_enqueue);
        return;
    }
    if (job->attempt > job->max_attempts) {
        cress_error_set(&err, CRESS_INVALID, "attempts_exhausted",
                        "the message is attempt %d of at most %d", job->attempt, job->max_attempts);
        cress_settle_fail(attempt, &err);
        return;
    }
    if (!find_task(attempt)) { /* the record was asked first, or the settings have changed since */
        cress_attempt_leave_suspicion(attempt);
        cress_step_back(attempt, cress_no_task_take);
        return;
    }
    start_handler(attempt);
}

/* --- what it waited for --- */

static void read_after_step(struct cress_attempt *attempt);

static void after_read_cb(const struct cress_error *err, void *arg)
{
    struct cress_attempt *attempt = arg;
    if (err && err->status == CRESS_TOO_LARGE) {
        cress_settle_fail(attempt, err);
        return;
    }
    if (err) {
        cress_attempt_again(attempt, read_after_step, "read the results of earlier jobs", err);
        return;
    }
    const struct cress_buf *results = cress_after_results(attempt->after);
    attempt->failures = 0;
    attempt->run.after = cress_buf_text(results);
    attempt->run.after_size = results->size;
    run_handler(attempt);
}

static void read_after_step(struct cress_attempt *attempt)
{
    cress_after_read(attempt->after, after_read_cb, attempt);
}

static void run_recorded(struct cress_attempt *attempt)
{
    const struct cress_worker *worker = attempt->worker;
    attempt->recorded = true;
    if (attempt->run.job.after) {
        cress_after_free(attempt->after); /* it may have stepped back since it read them */
        attempt->after =
            cress_after_new(worker->effects, worker->services.store, attempt->run.job.after);
        read_after_step(attempt);
    } else {
        run_handler(attempt);
    }
}

/* --- recording that it runs --- */

static void fail_as_poison(struct cress_attempt *attempt)
{
    struct cress_error err;
    cress_error_set(&err, CRESS_INTERNAL, "poison",
                    "workers died %lld times while running this job; it is not tried again",
                    (long long)attempt->worker->config->worker_max_crashes);
    cress_settle_fail(attempt, &err);
}

/* A limit forbids it for now. It makes way for other jobs, and comes back: from a delay queue, or,
 * when that is sooner than any of them, from a timer. */
static void hold_back(struct cress_attempt *attempt, int64_t wait_ms)
{
    cress_attempt_leave_place(attempt);
    cress_attempt_leave_suspicion(attempt);
    attempt->phase = CRESS_ATTEMPT_WAITING;
    if (wait_ms >= CRESS_DELAY_MIN_MS) {
        cress_pass_on_wait(attempt, wait_ms, true, cress_settle_fail);
    } else if (cress_must_go_back(attempt)) {
        cress_give_back(attempt); /* what waited has been given back already */
    } else {
        cress_ids_remove(&attempt->worker->ids, &attempt->by_id);
        cress_attempt_wait(attempt, wait_ms, cress_attempt_enqueue);
    }
}

/* A limit forbids it, and its turn is near: it makes way for other jobs, but stays. */
static void keep_near(struct cress_attempt *attempt, int64_t look_ms)
{
    cress_attempt_leave_place(attempt);
    cress_attempt_leave_suspicion(attempt);
    attempt->phase = CRESS_ATTEMPT_WAITING;
    if (cress_must_go_back(attempt)) {
        cress_give_back(attempt);
    } else {
        cress_turns_keep(attempt, look_ms);
    }
}

/* A worker that lives runs it. Asked again when that one, should it be dead, is known to be. A guard
 * that comes once more may be what that one began it from: it is its message, and names another. */
static void leave_alone(struct cress_attempt *attempt)
{
    if (cress_lease_of(attempt->delivery->message) && !cress_was_delivered(attempt)) {
        cress_lease_renew(attempt, cress_settle_fail);
    } else {
        cress_attempt_leave_place(attempt);
        cress_pass_on_wait(attempt, cress_worker_ttl_ms(attempt->worker->config), false,
                           cress_settle_fail);
    }
}

static void record_running(struct cress_attempt *attempt);

static void started_cb(enum cress_verdict verdict, bool follow, int64_t wait_ms,
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
    case CRESS_VERDICT_NEXT:
        keep_near(attempt, wait_ms);
        break;
    case CRESS_VERDICT_DUPLICATE:
        cress_settle_duplicate(attempt);
        break;
    case CRESS_VERDICT_FOREIGN:
        cress_settle_foreign(attempt);
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
    attempt->worker->effects->start(attempt->worker->services.store, &attempt->start, started_cb,
                                    attempt);
}

/* Jobs that end within their start need a place for an instant, but the store's answer for as long as
 * it takes: places would be busy with waiting. When all jobs have been like that lately, more are
 * recorded than there are places. Should the next one be different after all, it takes a place as
 * long as there is one, and the rest step back. */
static bool ends_at_once(const struct cress_worker *worker)
{
    return worker->ended_at_once >= ENDED_AT_ONCE_SURE;
}

bool cress_begin_has_room(const struct cress_worker *worker)
{
    return worker->running < worker->config->worker_concurrency &&
           (!ends_at_once(worker) || worker->starting < STARTING_MAX);
}

/* Whether it would count as a start now, and be seen later, together with those that follow. */
static bool would_be_late(const struct cress_attempt *attempt)
{
    struct cress_task *task;
    const struct cress_worker *worker = attempt->worker;
    const struct cress_handler *handler =
        cress_tasks_find(worker->tasks, attempt->run.job.task, &task);
    if (!task || !handler->readiness ||
        (task->config->rate.count == 0 && task->config->key_rate.count == 0)) {
        return false;
    }
    const enum cress_readiness readiness = handler->readiness(task);
    const uint64_t now_ms = uv_now(worker->services.loop);
    if (readiness == CRESS_READY_FOR_ONE &&
        (task->tried_ms == 0 || now_ms - task->tried_ms >= TRY_AGAIN_MS)) {
        task->tried_ms = now_ms;
        return false;
    }
    return readiness != CRESS_READY;
}

void cress_begin(struct cress_attempt *attempt)
{
    struct cress_worker *worker = attempt->worker;
    if (would_be_late(attempt)) {
        hold_back(attempt, READY_LOOK_MS);
        return;
    }
    attempt->is_starting = ends_at_once(worker);
    attempt->has_place = !attempt->is_starting;
    worker->starting += attempt->is_starting;
    worker->running += attempt->has_place;
    attempt->phase = CRESS_ATTEMPT_STARTING;
    /* made once: the store knows a repeated call, whose answer was lost, by its time */
    attempt->start = (struct cress_start){
        .job = &attempt->run.job,
        .worker = attempt->worker->id,
        .redelivered = cress_was_delivered(attempt),
        .patience_ms = cress_worker_ttl_ms(attempt->worker->config),
        .lease = cress_lease_of(attempt->delivery->message),
        .follows = cress_outgoing_follows(attempt->delivery->message),
        .is_guard = cress_outgoing_is_guard(attempt->delivery->message),
        .max_crashes = (int)attempt->worker->config->worker_max_crashes,
        .limits = attempt->limits,
        .now_ms = cress_clock_wall_ms(),
    };
    record_running(attempt);
}
