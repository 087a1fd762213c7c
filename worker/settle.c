// SPDX-License-Identifier: Apache-2.0
// What follows an outcome; see settle.h.
#include "worker/settle.h"

#include "common/base/clock.h"
#include "common/submit/follow_up.h"
#include "worker/dispatch.h"
#include "worker/give_back.h"
#include "worker/job_log.h"
#include "worker/lease.h"
#include "worker/notes.h"
#include "worker/outgoing.h"
#include "worker/retry.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { LOG_INTERVAL_MS = 1000 };

/* --- the last steps --- */

static void acknowledge(struct cress_attempt *attempt)
{
    cress_attempt_end(attempt, attempt->settlement);
}

/* The caller that waits for a reply may have gone, and its queue with it: that is no fault of the
 * job. */
static void replied_cb(const struct cress_error *err, void *arg)
{
    struct cress_attempt *attempt = arg;
    if (err && err->status == CRESS_CANCELLED) {
        cress_give_back(attempt);
        return;
    }
    if (err) {
        cress_log(CRESS_LOG_DEBUG, "reply not delivered", CRESS_KV("job", attempt->run.job.id),
                  CRESS_KV("reply_to", attempt->run.job.reply_to), CRESS_KV_ERROR(err));
    }
    acknowledge(attempt);
}

static void reply(struct cress_attempt *attempt)
{
    if (!attempt->run.job.reply_to || !attempt->text || !cress_state_is_terminal(attempt->end)) {
        acknowledge(attempt);
        return;
    }
    struct cress_outgoing out;
    cress_outgoing_reply(&out, &attempt->run.job, attempt->delivery->message, attempt->end,
                         attempt->text, strlen(attempt->text));
    cress_broker_publish(attempt->worker->services.broker, &out.message, 0, replied_cb, attempt);
}

/* --- what follows the end --- */

static void follow_up(struct cress_attempt *attempt);

static void followed_up_cb(const struct cress_error *err, void *arg)
{
    struct cress_attempt *attempt = arg;
    if (err) {
        cress_attempt_again(attempt, follow_up, "do what follows", err);
        return;
    }
    attempt->failures = 0;
    attempt->after_follow_up(attempt);
}

static void follow_up(struct cress_attempt *attempt)
{
    cress_follow_up(cress_services_door(&attempt->worker->services, 0), attempt->run.job.id,
                    followed_up_cb, attempt);
}

/* The delivery is not settled before that is safe: a crash repeats it. */
static void follow_up_then(struct cress_attempt *attempt,
                           void (*next)(struct cress_attempt *attempt))
{
    attempt->after_follow_up = next;
    follow_up(attempt);
}

void cress_settle_drop(struct cress_attempt *attempt, bool follow)
{
    cress_attempt_leave_place(attempt);
    attempt->phase = CRESS_ATTEMPT_SETTLING;
    if (follow) {
        follow_up_then(attempt, acknowledge);
    } else {
        acknowledge(attempt);
    }
}

/* --- recording the end --- */

static void set_error(struct cress_attempt *attempt, const struct cress_error *err)
{
    attempt->error = *err;
    struct cress_buf text = cress_buf_make(8 * CRESS_ERROR_MESSAGE_MAX);
    cress_buf_add_text(&text, "{\"code\":");
    cress_buf_add_json(&text, err->code, strlen(err->code));
    cress_buf_add_text(&text, ",\"message\":");
    cress_buf_add_json(&text, err->message, strlen(err->message));
    cress_buf_add_char(&text, '}');
    free(attempt->text);
    attempt->text = cress_buf_take(&text);
}

/* When it was cancelled elsewhere, only the record knows why. */
static void become_cancelled(struct cress_attempt *attempt)
{
    struct cress_error err;
    attempt->end = CRESS_STATE_CANCELLED;
    if (attempt->cancel_error) {
        free(attempt->text);
        attempt->text = cress_strdup(attempt->cancel_error);
        return;
    }
    cress_error_set(&err, CRESS_CANCELLED, NULL, "cancelled by request");
    set_error(attempt, &err);
}

static void record_end(struct cress_attempt *attempt);
static void record_again(struct cress_attempt *attempt);

/* The record was lost while the job ran (a flushed store): it is made once more, so that the result
 * has a place. */
static void remade_cb(enum cress_verdict verdict, bool follow, int64_t wait_ms,
                      const struct cress_error *err, void *arg)
{
    (void)wait_ms;
    struct cress_attempt *attempt = arg;
    if (err) {
        cress_attempt_again(attempt, record_again, "record running", err);
    } else if (verdict == CRESS_VERDICT_APPLIED || verdict == CRESS_VERDICT_SUSPECT) {
        record_end(attempt);
    } else {
        cress_settle_drop(attempt, follow);
    }
}

static void record_again(struct cress_attempt *attempt)
{
    attempt->start.limits = NULL; /* it has run: no limit can forbid that any more */
    cress_store_start(attempt->worker->services.store, &attempt->start, remade_cb, attempt);
}

static void adopt(struct cress_attempt *attempt);

static void adopted_cb(const struct cress_error *err, void *arg)
{
    struct cress_attempt *attempt = arg;
    if (err) {
        cress_attempt_again(attempt, adopt, "make the record", err);
        return;
    }
    attempt->adopted = true;
    record_end(attempt);
}

/* Nobody has made a record of it, and it shall say what became of the job. */
static void adopt(struct cress_attempt *attempt)
{
    cress_store_adopt(attempt->worker->services.store, &attempt->run.job, adopted_cb, attempt);
}

static void count_end(struct cress_attempt *attempt)
{
    struct cress_worker *worker = attempt->worker;
    if (attempt->end != CRESS_STATE_FAILED) {
        return;
    }
    worker->failed++;
    uint64_t suppressed;
    if (cress_log_allow(&worker->failed_log, LOG_INTERVAL_MS, &suppressed)) {
        cress_log(CRESS_LOG_WARN, "job failed, its message is in the dead-letter queue",
                  CRESS_KV("job", attempt->run.job.id), CRESS_KV("task", attempt->run.job.task),
                  CRESS_KV("queue", attempt->queue->name), CRESS_KV_ERROR(&attempt->error),
                  CRESS_KVI("others", suppressed));
    }
}

static void ended_cb(enum cress_verdict verdict, bool follow, const struct cress_error *err,
                     void *arg)
{
    struct cress_attempt *attempt = arg;
    if (err) {
        cress_attempt_again(attempt, record_end, "record outcome", err);
        return;
    }
    if (verdict == CRESS_VERDICT_MISSING && attempt->recorded) {
        record_again(attempt);
        return;
    }
    if (verdict == CRESS_VERDICT_MISSING && attempt->end == CRESS_STATE_EXPIRED &&
        !attempt->adopted) {
        adopt(attempt);
        return;
    }
    if (verdict == CRESS_VERDICT_STALE && attempt->end == CRESS_STATE_EXPIRED) {
        free(attempt->text);
        attempt->text = NULL;
        cress_dispatch_start(attempt);
        return;
    }
    if (verdict == CRESS_VERDICT_CANCELLED) {
        become_cancelled(attempt);
    }
    /* "ended already" is also what a repeated call hears whose first answer was lost */
    const bool is_ours = verdict == CRESS_VERDICT_APPLIED || verdict == CRESS_VERDICT_CANCELLED ||
                         attempt->failures > 0;
    attempt->failures = 0;
    if (!is_ours && verdict != CRESS_VERDICT_MISSING) {
        cress_settle_drop(attempt, follow); /* another copy was faster, and has replied */
        return;
    }
    if (attempt->limits && attempt->recorded) {
        cress_dispatch_limit_freed(attempt->worker, attempt->run.job.task);
    }
    count_end(attempt);
    if (follow) {
        follow_up_then(attempt, reply);
    } else {
        reply(attempt);
    }
}

static void record_end(struct cress_attempt *attempt)
{
    const bool succeeded = attempt->end == CRESS_STATE_SUCCEEDED;
    const struct cress_change change = {
        .id = attempt->run.job.id,
        .to = attempt->end,
        .attempt = attempt->run.job.attempt,
        .result = succeeded ? attempt->text : NULL,
        .result_size = succeeded ? strlen(attempt->text) : 0,
        .error = succeeded ? NULL : attempt->text,
        .run_at_ms = attempt->due_ms,
        .now_ms = cress_clock_wall_ms(),
    };
    cress_store_change(attempt->worker->services.store, &change, ended_cb, attempt);
}

/* --- failed --- */

static void bury(struct cress_attempt *attempt);

/* A queue that someone else owns need not have a dead-letter queue of ours; then its owner's policy
 * decides. */
static bool has_no_dead_queue(const struct cress_attempt *attempt, const struct cress_error *err)
{
    const struct cress_queue_config *queue =
        cress_config_queue(attempt->worker->config, attempt->queue->name);
    return queue && strcmp(queue->declare, "passive") == 0 &&
           (err->status == CRESS_NOT_FOUND || err->status == CRESS_CONFLICT);
}

static void buried_cb(const struct cress_error *err, void *arg)
{
    struct cress_attempt *attempt = arg;
    if (err && has_no_dead_queue(attempt, err)) {
        attempt->settlement = CRESS_DEAD;
        if (attempt->is_leased) {
            cress_log(CRESS_LOG_WARN,
                      "job failed after its delivery was let go, and its queue has no dead "
                      "letters: only the record is left",
                      CRESS_KV("job", attempt->run.job.id),
                      CRESS_KV("queue", attempt->queue->name));
        }
    } else if (err) {
        cress_attempt_again(attempt, bury, "publish dead letter", err);
        return;
    }
    attempt->failures = 0;
    if (attempt->run.job.id) {
        record_end(attempt);
    } else {
        count_end(attempt);
        acknowledge(attempt);
    }
}

static void bury(struct cress_attempt *attempt)
{
    struct cress_outgoing out;
    cress_outgoing_dead(&out, attempt->delivery->message, attempt->queue->name,
                        attempt->delivery->priority, &attempt->error, cress_clock_wall_ms());
    cress_broker_publish(attempt->worker->services.broker, &out.message, 0, buried_cb, attempt);
}

void cress_settle_fail(struct cress_attempt *attempt, const struct cress_error *reason)
{
    attempt->phase = CRESS_ATTEMPT_SETTLING;
    attempt->end = CRESS_STATE_FAILED;
    set_error(attempt, reason);
    cress_attempt_leave_place(attempt);
    bury(attempt);
}

void cress_settle_undecodable(struct cress_attempt *attempt, const struct cress_error *reason)
{
    const char *id = attempt->delivery->message->message_id;
    attempt->run.job = (struct cress_job){
        .id = id && cress_id_is_valid(id) ? id : NULL,
        .attempt = 1,
    };
    cress_settle_fail(attempt, reason);
}

/* --- sent on: a later attempt, or the same one later --- */

static void send_on(struct cress_attempt *attempt);

static void sent_on_cb(const struct cress_error *err, void *arg)
{
    struct cress_attempt *attempt = arg;
    if (err) {
        cress_attempt_again(attempt, send_on, "publish to delay", err);
        return;
    }
    attempt->failures = 0;
    if (attempt->recorded) {
        record_end(attempt);
    } else {
        acknowledge(attempt);
    }
}

static void send_on(struct cress_attempt *attempt)
{
    struct cress_job job = attempt->run.job;
    const int64_t behind_ms = attempt->recorded ? 0 : attempt->behind_ms;
    const int64_t now_ms = cress_clock_wall_ms() + behind_ms;
    if (attempt->recorded) {
        job.attempt++;
        job.not_before_ms = attempt->due_ms;
    }
    const struct cress_message *message = attempt->delivery->message;
    const char *lease = attempt->recorded ? NULL : cress_lease_of(attempt);
    struct cress_outgoing out;
    if (lease) {
        cress_outgoing_guard(&out, &job, message, lease, now_ms);
    } else {
        cress_outgoing_job(&out, &job, message, now_ms);
    }
    out.message.due_ms -= out.message.due_ms ? behind_ms : 0;
    cress_broker_publish(attempt->worker->services.broker, &out.message, 0, sent_on_cb, attempt);
}

static void send_back(struct cress_attempt *attempt);

static void sent_back_cb(const struct cress_error *err, void *arg)
{
    struct cress_attempt *attempt = arg;
    if (err) {
        cress_attempt_again(attempt, send_back, "publish to delay", err);
    } else {
        acknowledge(attempt);
    }
}

static void send_back(struct cress_attempt *attempt)
{
    struct cress_outgoing out;
    cress_outgoing_later(&out, &attempt->run.job, attempt->delivery->message,
                         attempt->start.redelivered, attempt->wait_ms, cress_clock_wall_ms());
    cress_broker_publish(attempt->worker->services.broker, &out.message, 0, sent_back_cb, attempt);
}

void cress_settle_send_back(struct cress_attempt *attempt, int64_t wait_ms)
{
    attempt->phase = CRESS_ATTEMPT_SETTLING;
    attempt->wait_ms = wait_ms;
    send_back(attempt);
}

void cress_settle_send_on(struct cress_attempt *attempt)
{
    attempt->phase = CRESS_ATTEMPT_SETTLING;
    send_on(attempt);
}

void cress_settle_expire(struct cress_attempt *attempt)
{
    struct cress_error err;
    cress_error_set(&err, CRESS_TIMEOUT, "expired", "no worker took it before its expiry");
    attempt->phase = CRESS_ATTEMPT_SETTLING;
    attempt->end = CRESS_STATE_EXPIRED;
    set_error(attempt, &err);
    record_end(attempt);
}

void cress_settle_cancel(struct cress_attempt *attempt)
{
    cress_attempt_leave_place(attempt);
    attempt->phase = CRESS_ATTEMPT_SETTLING;
    become_cancelled(attempt);
    record_end(attempt);
}

void cress_settle_duplicate(struct cress_attempt *attempt)
{
    struct cress_error err;
    cress_error_set(&err, CRESS_CANCELLED, "duplicate", "another job has the unique key %s",
                    attempt->run.job.unique);
    attempt->phase = CRESS_ATTEMPT_SETTLING;
    attempt->end = CRESS_STATE_CANCELLED;
    set_error(attempt, &err);
    cress_attempt_leave_place(attempt);
    record_end(attempt);
}

/* --- outcomes --- */

static void handed_back_cb(enum cress_verdict verdict, bool follow, const struct cress_error *err,
                           void *arg)
{
    (void)verdict; /* whatever the record says: the message goes back, and is judged when it is
                      delivered again */
    (void)follow;
    (void)err;
    cress_give_back(arg);
}

void cress_settle_hand_back(struct cress_attempt *attempt)
{
    attempt->phase = CRESS_ATTEMPT_SETTLING;
    const struct cress_change change = {
        .id = attempt->run.job.id,
        .to = CRESS_STATE_QUEUED,
        .attempt = attempt->run.job.attempt,
        .now_ms = cress_clock_wall_ms(),
    };
    cress_store_change(attempt->worker->services.store, &change, handed_back_cb, attempt);
}

static void succeed(struct cress_attempt *attempt, struct cress_outcome *outcome)
{
    const int64_t max_bytes = attempt->worker->config->job_max_result_bytes;
    if ((int64_t)outcome->result_size > max_bytes) {
        struct cress_error err;
        cress_error_set(&err, CRESS_TOO_LARGE, "result_too_large",
                        "the result has %zu bytes; job.max_result allows %lld",
                        outcome->result_size, (long long)max_bytes);
        cress_settle_fail(attempt, &err);
        return;
    }
    attempt->text = outcome->result ? outcome->result : cress_strdup("null");
    outcome->result = NULL;
    attempt->end = CRESS_STATE_SUCCEEDED;
    record_end(attempt);
}

static void retry_or_fail(struct cress_attempt *attempt, const struct cress_outcome *outcome)
{
    const struct cress_task *task = attempt->run.task;
    const struct cress_job_limits limits =
        cress_config_limits(attempt->worker->config, task ? task->config : NULL);
    const struct cress_retry retry =
        cress_retry_decide(&attempt->run.job, outcome, &limits.backoff, cress_random());
    if (!retry.again) {
        cress_settle_fail(attempt, &outcome->error);
        return;
    }
    set_error(attempt, &outcome->error);
    attempt->end = CRESS_STATE_RETRYING;
    attempt->due_ms = cress_clock_wall_ms() + retry.delay_ms;
    send_on(attempt);
}

/* What a handler says after it was asked to stop is a consequence of that, unless it says so. */
static void explain_stop(const struct cress_attempt *attempt, struct cress_outcome *outcome)
{
    if (attempt->stopping && attempt->stop_reason == CRESS_STOP_TIMED_OUT &&
        outcome->kind != CRESS_OUTCOME_TIMED_OUT) {
        outcome->kind = CRESS_OUTCOME_TIMED_OUT;
        cress_error_set(&outcome->error, CRESS_TIMEOUT, "timeout",
                        "stopped: the attempt took longer than %lld ms",
                        (long long)attempt->run.job.timeout_ms);
    }
}

static void settle(struct cress_attempt *attempt, struct cress_outcome *outcome)
{
    if (outcome->kind == CRESS_OUTCOME_SUCCEEDED) {
        succeed(attempt, outcome);
        return;
    }
    if (attempt->stopping && attempt->stop_reason == CRESS_STOP_SHUTDOWN) {
        cress_settle_hand_back(attempt);
        return;
    }
    if (attempt->cancel_error) {
        become_cancelled(attempt);
        record_end(attempt);
        return;
    }
    explain_stop(attempt, outcome);
    if (outcome->kind == CRESS_OUTCOME_CANCELLED) {
        set_error(attempt, &outcome->error);
        attempt->end = CRESS_STATE_CANCELLED;
        record_end(attempt);
        return;
    }
    retry_or_fail(attempt, outcome);
}

/* --- what a run says --- */

static struct cress_attempt *attempt_of(struct cress_run *run)
{
    return CRESS_CONTAINER(run, struct cress_attempt, run);
}

static void run_done(struct cress_run *run, struct cress_outcome *outcome)
{
    struct cress_attempt *attempt = attempt_of(run);
    assert(attempt->phase == CRESS_ATTEMPT_RUNNING);
    attempt->phase = CRESS_ATTEMPT_SETTLING;
    cress_attempt_stop_waiting(attempt);
    cress_notes_flush(attempt);
    settle(attempt, outcome);
    cress_attempt_leave_place(attempt);
}

static void run_progressed(struct cress_run *run, int percent, const char *message)
{
    cress_notes_progress(attempt_of(run), percent, message);
}

static void run_logged(struct cress_run *run, const char *text, size_t size)
{
    cress_job_log_add(attempt_of(run), text, size);
}

const struct cress_run_sink cress_settle_sink = {
    .done = run_done,
    .progress = run_progressed,
    .log = run_logged,
};
