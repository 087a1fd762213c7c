// SPDX-License-Identifier: Apache-2.0
// What follows an outcome; see settle.h.
//
// The steps are read from the end: each calls the one that must follow it, so the last ones come
// first in this file.
//
//   outcome -> [bury | pass on] -> record_end -> follow_up -> reply -> acknowledge
//
// Any step may be done twice, after a crash or because the answer to the first time was lost. So
// every step first asks what the world says now, and takes "already so" for its own work.
#include "worker/settle.h"

#include "common/base/clock.h"
#include "common/base/error_json.h"
#include "common/base/mem.h"
#include "common/job/promise.h"
#include "worker/pass_on.h"
#include "worker/recall.h"
#include "worker/retry.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { FAILED_LOG_INTERVAL_MS = 1000 };

static void start_settling(struct cress_attempt *attempt, enum cress_state end)
{
    attempt->phase = CRESS_ATTEMPT_SETTLING;
    attempt->end = end;
}

/* --- the last steps --- */

/* A dead letter that could not be copied is settled as CRESS_DEAD: the broker moves the original. */
static void acknowledge(struct cress_attempt *attempt)
{
    cress_attempt_end(attempt, attempt->settlement);
}

/* A reply is tried once. The caller that waits for it may have gone, and its queue with it: that is
 * no fault of the job, and waiting for such a queue would hold up the jobs behind. Only a worker
 * that is closing (CRESS_CANCELLED: nothing was sent) gives the message back, so that another one
 * finds the record's end and replies. */
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

/* After the record: who hears the reply and then asks for the record must find what was said. A job
 * that will be tried again has no end yet, and nobody is told of it. */
static void reply(struct cress_attempt *attempt)
{
    const struct cress_worker *worker = attempt->worker;
    if (!attempt->run.job.reply_to || !attempt->text || !cress_state_is_terminal(attempt->end)) {
        acknowledge(attempt);
        return;
    }
    const struct cress_reply said = {
        .job = &attempt->run.job,
        .original = attempt->delivery->message,
        .state = attempt->end,
        .body = attempt->text,
        .body_size = strlen(attempt->text),
    };
    struct cress_header headers[CRESS_JOB_HEADER_MAX];
    struct cress_message message;
    attempt->codec->reply(&said, headers, &message);
    worker->effects->publish(worker->services.broker, &message, 0, replied_cb, attempt);
}

/* --- what follows the end --- */

static void follow_up_step(struct cress_attempt *attempt);

static void followed_up_cb(const struct cress_error *err, void *arg)
{
    struct cress_attempt *attempt = arg;
    if (err) {
        cress_attempt_again(attempt, follow_up_step, "do what follows", err);
        return;
    }
    attempt->failures = 0;
    attempt->after_follow_up(attempt);
}

static void follow_up_step(struct cress_attempt *attempt)
{
    const struct cress_worker *worker = attempt->worker;
    worker->effects->follow_up(cress_services_door(&worker->services, 0), attempt->run.job.id,
                               followed_up_cb, attempt);
}

/* Jobs that wait for this one, and the completion of its batch, have no message of their own yet:
 * until they are published, this delivery is what brings somebody to do it. So it is not settled
 * before, and a crash repeats the step. */
static void follow_up_then(struct cress_attempt *attempt,
                           void (*next)(struct cress_attempt *attempt))
{
    attempt->after_follow_up = next;
    follow_up_step(attempt);
}

/* `follow`: whoever ended the job may have died before it did what follows. */
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
    if (!attempt->error) {
        attempt->error = CRESS_NEW(struct cress_error);
    }
    *attempt->error = *err;
    struct cress_buf text = cress_buf_make(8 * CRESS_ERROR_MESSAGE_MAX);
    cress_error_json(&text, err->code, err->message);
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

/* SUSPECT is what the store may answer to any start; here it is no question any more whether the
 * job kills workers, for it has run. */
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

/* The record was lost while the job ran (a flushed store), or that it runs (a lost second): it is made
 * once more, as running, so that the result has a place. */
static void record_again(struct cress_attempt *attempt)
{
    const struct cress_worker *worker = attempt->worker;
    attempt->start.is_recalled = true;
    attempt->start.limits = NULL; /* it has run: no limit can forbid that any more */
    worker->effects->start(worker->services.store, &attempt->start, remade_cb, attempt);
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

/* A foreign client's job that expires, or cannot be run at all, has no record: nobody has made one,
 * and a start, which would, never comes. It gets one all the same, to say what became of it. */
static void adopt(struct cress_attempt *attempt)
{
    const struct cress_worker *worker = attempt->worker;
    struct cress_job job = attempt->run.job;
    job.unique = NULL; /* it claims no key, which another may have: it will never run */
    worker->effects->adopt(worker->services.store, &job, adopted_cb, attempt);
}

static void count_end(struct cress_attempt *attempt)
{
    struct cress_worker *worker = attempt->worker;
    if (attempt->end != CRESS_STATE_FAILED) {
        return;
    }
    worker->failed++;
    uint64_t suppressed;
    if (cress_log_allow(&worker->failed_log, FAILED_LOG_INTERVAL_MS, &suppressed)) {
        cress_log(CRESS_LOG_WARN, "job failed, its message is in the dead-letter queue",
                  CRESS_KV("job", attempt->run.job.id), CRESS_KV("task", attempt->run.job.task),
                  CRESS_KV("queue", attempt->queue->name), CRESS_KV_ERROR(attempt->error),
                  CRESS_KVI("others", suppressed));
    }
}

/* The record has ended: by us, or it is not there at all. */
static void end_recorded(struct cress_attempt *attempt, bool follow)
{
    attempt->failures = 0;
    cress_recall_add(attempt);
    count_end(attempt);
    if (follow) {
        follow_up_then(attempt, reply);
    } else {
        reply(attempt);
    }
}

/* It had begun elsewhere before it expired, and that worker died: to expire it now would lose work
 * that may have been half done. It takes its turn. */
static void run_after_all(struct cress_attempt *attempt)
{
    free(attempt->text);
    attempt->text = NULL;
    attempt->failures = 0;
    attempt->phase = CRESS_ATTEMPT_WAITING;
    attempt->had_begun = true;
    cress_ids_remove(&attempt->worker->ids, &attempt->by_id);
    cress_attempt_enqueue(attempt);
}

/* One that never ran here owns nothing, so when it ends the store cannot tell a repeated call, whose
 * first answer was lost, from another copy's: after a failure "ended already" counts as ours, for a
 * reply may be sent twice, rather than never. */
static bool is_our_end(const struct cress_attempt *attempt, enum cress_verdict verdict)
{
    const bool is_repeat =
        verdict == CRESS_VERDICT_TERMINAL && !attempt->recorded && attempt->failures > 0;
    return verdict == CRESS_VERDICT_APPLIED || verdict == CRESS_VERDICT_CANCELLED ||
           verdict == CRESS_VERDICT_MISSING || is_repeat;
}

/* Ends without having started, which is when the record of a foreign client's job is made. What was no
 * job at all has no task. */
static bool is_unheard_of(const struct cress_attempt *attempt)
{
    const bool is_end = attempt->end == CRESS_STATE_EXPIRED || attempt->end == CRESS_STATE_FAILED;
    return is_end && attempt->run.job.task && !attempt->adopted;
}

static void ended_cb(enum cress_verdict verdict, bool follow, const struct cress_error *err,
                     void *arg)
{
    struct cress_attempt *attempt = arg;
    const bool expires = attempt->end == CRESS_STATE_EXPIRED;
    if (err) {
        cress_attempt_again(attempt, record_end, "record outcome", err);
    } else if (attempt->recorded && (verdict == CRESS_VERDICT_MISSING ||
                                     (verdict == CRESS_VERDICT_STALE && !attempt->is_told_again))) {
        attempt->is_told_again = true;
        record_again(attempt);
    } else if (verdict == CRESS_VERDICT_MISSING && is_unheard_of(attempt)) {
        adopt(attempt);
    } else if (verdict == CRESS_VERDICT_STALE && expires) {
        run_after_all(attempt);
    } else if (!is_our_end(attempt, verdict)) {
        attempt->failures = 0;
        cress_settle_drop(attempt, follow); /* another copy was faster, and has replied */
    } else {
        if (verdict == CRESS_VERDICT_CANCELLED) { /* a cancel that came before this end has won */
            become_cancelled(attempt);
        }
        end_recorded(attempt, follow);
    }
}

/* Who has not asked the store for the job does not speak as the one that runs it: this worker may run it
 * while another message of its id comes. */
static void record_end(struct cress_attempt *attempt)
{
    const struct cress_worker *worker = attempt->worker;
    const bool succeeded = attempt->end == CRESS_STATE_SUCCEEDED;
    const struct cress_change change = {
        .id = attempt->run.job.id,
        .to = attempt->end,
        .attempt = attempt->run.job.attempt,
        .worker = attempt->start.worker,
        .promise = attempt->run.job.promise,
        .result = succeeded ? attempt->text : NULL,
        .result_size = succeeded ? strlen(attempt->text) : 0,
        .error = succeeded ? NULL : attempt->text,
        .run_at_ms = attempt->due_ms,
        .now_ms = cress_clock_wall_ms(),
    };
    worker->effects->change(worker->services.store, &change, ended_cb, attempt);
}

/* --- ends without an outcome --- */

/* Without an id there is no record: what was no job at all is only a dead letter, and an answer to
 * whoever waits for one. */
static void record_failed(struct cress_attempt *attempt)
{
    if (attempt->run.job.id && !attempt->is_foreign) {
        record_end(attempt);
    } else {
        count_end(attempt);
        reply(attempt);
    }
}

/* The letter first: see settle.h. The place is free at once, for no handler runs any more. */
void cress_settle_fail(struct cress_attempt *attempt, const struct cress_error *reason)
{
    start_settling(attempt, CRESS_STATE_FAILED);
    set_error(attempt, reason);
    cress_attempt_leave_place(attempt);
    cress_pass_on_dead(attempt, record_failed);
}

/* Whatever was read of the job is not to be trusted, but for what is checked: its id, so that the
 * record of a job whose message was spoilt on its way says so, and who waits for an answer. */
void cress_settle_undecodable(struct cress_attempt *attempt, const struct cress_error *reason)
{
    const struct cress_message *message = attempt->delivery->message;
    const char *id = message->message_id;
    attempt->run.job = (struct cress_job){
        .id = id && cress_id_is_valid(id) ? id : NULL,
        .reply_to = message->reply_to && *message->reply_to ? message->reply_to : NULL,
        .promise = cress_promise_of(message),
        .attempt = 1,
    };
    cress_settle_fail(attempt, reason);
}

/* The record is made without what was refused: it would break the answer of everybody who shows it,
 * or be too large to be read. */
void cress_settle_refuse(struct cress_attempt *attempt, const struct cress_error *reason)
{
    attempt->run.job.payload = NULL;
    attempt->run.job.payload_size = 0;
    cress_settle_fail(attempt, reason);
}

/* The record is somebody else's job. */
void cress_settle_foreign(struct cress_attempt *attempt)
{
    struct cress_error err;
    cress_error_set(&err, CRESS_CONFLICT, "foreign_message",
                    "job %s was promised to another message: give yours an id of its own",
                    attempt->run.job.id);
    attempt->is_foreign = true;
    cress_settle_fail(attempt, &err);
}

void cress_settle_expire(struct cress_attempt *attempt)
{
    struct cress_error err;
    cress_error_set(&err, CRESS_TIMEOUT, "expired", "no worker took it before its expiry");
    start_settling(attempt, CRESS_STATE_EXPIRED);
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
    start_settling(attempt, CRESS_STATE_CANCELLED);
    set_error(attempt, &err);
    cress_attempt_leave_place(attempt);
    record_end(attempt);
}

/* Who has lost the job to another worker - the connection broke, and its message was delivered there -
 * lets go of what it has left of it: that one has a message of its own. Else the message goes back,
 * even when the record could not be asked, and is judged when it is delivered again. */
static void handed_back_cb(enum cress_verdict verdict, bool follow, const struct cress_error *err,
                           void *arg)
{
    if (!err && (verdict == CRESS_VERDICT_STALE || verdict == CRESS_VERDICT_TERMINAL)) {
        cress_settle_drop(arg, follow);
    } else {
        cress_give_back(arg);
    }
}

/* Recorded first: a message that is back before the record says `queued` looks to the next worker
 * like one whose worker has died, and counts as a crash. */
void cress_settle_hand_back(struct cress_attempt *attempt)
{
    const struct cress_worker *worker = attempt->worker;
    attempt->phase = CRESS_ATTEMPT_SETTLING;
    const struct cress_change change = {
        .id = attempt->run.job.id,
        .to = CRESS_STATE_QUEUED,
        .attempt = attempt->run.job.attempt,
        .worker = worker->id,
        .now_ms = cress_clock_wall_ms(),
    };
    worker->effects->change(worker->services.store, &change, handed_back_cb, attempt);
}

/* --- outcomes --- */

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

/* The next attempt is in the broker before the record says so: a crash in between leaves two
 * messages, of which the record lets one count. */
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
    cress_pass_on_next(attempt, record_end, cress_settle_fail);
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

/* A success counts whatever was asked of the handler meanwhile: the work is done, and only the store
 * knows whether a cancel came first. A failure of one that was stopped does not: it was our doing. */
static void settle_outcome(struct cress_attempt *attempt, struct cress_outcome *outcome)
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

static void flush_notes(struct cress_attempt *attempt)
{
    char *log = attempt->log ? cress_job_log_finish(attempt->log) : NULL;
    if (log && !attempt->notes) {
        attempt->notes = cress_notes_new(&attempt->run, attempt->worker->id);
    }
    if (attempt->notes) {
        cress_notes_flush(attempt->notes, log);
    }
    free(log);
}

/* May be called within start(): the attempt lives at least until the store has answered, so whoever
 * started it can still look at its phase. */
static void run_done(struct cress_run *run, struct cress_outcome *outcome)
{
    struct cress_attempt *attempt = attempt_of(run);
    assert(attempt->phase == CRESS_ATTEMPT_RUNNING);
    attempt->phase = CRESS_ATTEMPT_SETTLING;
    cress_attempt_stop_waiting(attempt);
    cress_pace_add(&attempt->queue->pace, (int64_t)(uv_hrtime() / 1000) - attempt->begun_us,
                   attempt->delivery->message->body_size);
    flush_notes(attempt);
    settle_outcome(attempt, outcome);
    cress_attempt_leave_place(attempt);
}

static void run_progressed(struct cress_run *run, int percent, const char *message)
{
    struct cress_attempt *attempt = attempt_of(run);
    if (!attempt->notes) {
        attempt->notes = cress_notes_new(run, attempt->worker->id);
    }
    cress_notes_progress(attempt->notes, percent, message);
}

static void run_logged(struct cress_run *run, const char *text, size_t size)
{
    struct cress_attempt *attempt = attempt_of(run);
    if (!attempt->log) {
        attempt->log = cress_job_log_new(run, attempt->worker->id);
    }
    cress_job_log_add(attempt->log, text, size);
}

const struct cress_run_sink cress_settle_sink = {
    .done = run_done,
    .progress = run_progressed,
    .log = run_logged,
};
