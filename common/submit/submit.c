// SPDX-License-Identifier: Apache-2.0
// Submitting a job; see submit.h.
//
// DESIGN
//
//   cress_submit() -> store: create -> on_created() -> broker: publish -> on_published() -> finish()
//        |                                 |                                 |               ^
//        | invalid                         | refused, another job's id,      | nowhere:      |
//        |                                 | a duplicate, one whose          | discard       |
//        |                                 | dependency has failed           |               |
//        +---------------------------------+---------------------------------+---------------+
//
// A duplicate, by its unique or its idempotency key, ends well with the record of the earlier job.
// That job's message is published once more when nobody has noted that it is safe: its submitter
// may have died in between. Whatever becomes of that, the record stays: the first message may have
// arrived.
//
// What is published of a job that waits for others is its guard: see docs/decisions/0016.
//
// The record comes first: once a worker can see the message, a status can be asked for. A message
// that certainly reached no queue takes its record with it; one that may have arrived keeps it, for
// the job may run.
#include "common/submit/submit.h"

#include "common/base/clock.h"
#include "common/base/id.h"
#include "common/base/mem.h"
#include "common/broker/topology.h"
#include "common/job/promise.h"
#include "common/metrics/metrics.h"

#include <stdlib.h>
#include <string.h>

struct submission {
    struct cress_door door;
    struct cress_message *message; /* owned */
    struct cress_record *record;   /* owned */
    int64_t started_ms;            /* monotonic */
    bool taken;                    /* `record` is another job's */
    bool after_any;                /* of the job, see become_guard() */
    bool has_keys;                 /* a unique or an idempotency key */
    bool is_repetition;            /* the record was there: an earlier message may have arrived */
    struct cress_error err;        /* CRESS_OK while all is well */
    uv_timer_t later;              /* for an answer without a round trip */
    cress_submit_cb done;
    void *arg;
};

static void finish(struct submission *submission)
{
    const bool good = submission->err.status == CRESS_OK;

    cress_metric_add(good ? CRESS_METRIC_JOBS_SUBMITTED : CRESS_METRIC_JOBS_REFUSED, 1);
    if (good) {
        cress_metric_observe_ms(CRESS_METRIC_SUBMIT_SECONDS,
                                (double)(cress_clock_mono_ms() - submission->started_ms));
    }
    submission->done(good || submission->taken ? submission->record : NULL,
                     good ? NULL : &submission->err, submission->arg);
    free(submission->message);
    free(submission->record);
    free(submission);
}

static void on_discarded(const struct cress_error *err, void *arg)
{
    (void)err; /* the caller learns what went wrong first; a record left behind does no harm */
    finish(arg);
}

/* The message is nowhere: neither shall the record be. */
static void discard(struct submission *submission)
{
    if (submission->is_repetition) {
        finish(submission);
        return;
    }
    cress_store_discard(submission->door.store, submission->record->id, on_discarded, submission);
}

/* The publish failed; says so in terms of what the caller can do. True when the message certainly
 * is nowhere. */
static bool explain(struct submission *submission, const struct cress_error *err)
{
    const char *queue = submission->record->queue;

    submission->err = *err;
    if (strcmp(err->code, "unroutable") == 0) {
        cress_error_set(&submission->err, CRESS_NOT_FOUND, "unknown_queue",
                        "no queue named %s: start a worker with --queues %s, or add a [queue %s] "
                        "section to cress.conf",
                        queue, queue, queue);
    }
    return strcmp(err->code, "unconfirmed") != 0 && err->status != CRESS_CANCELLED;
}

static void on_noted(const struct cress_error *err, void *arg)
{
    (void)err; /* then a repetition publishes it once more, which does no harm */
    finish(arg);
}

static void on_published(const struct cress_error *err, void *arg)
{
    struct submission *submission = arg;

    if (err && explain(submission, err)) {
        discard(submission);
    } else if (!err && submission->has_keys) {
        cress_store_sent(submission->door.store, submission->record->id, on_noted, submission);
    } else {
        finish(submission);
    }
}

static void publish(struct submission *submission)
{
    const struct cress_door door = submission->door;
    int64_t left_ms = 0;

    if (door.timeout_ms > 0) {
        left_ms = door.timeout_ms - (cress_clock_mono_ms() - submission->started_ms);
        if (left_ms <= 0) {
            cress_error_set(&submission->err, CRESS_UNAVAILABLE, "too_slow",
                            "store and broker took longer than %lld ms",
                            (long long)door.timeout_ms);
            discard(submission);
            return;
        }
    }
    cress_broker_publish(door.broker, submission->message, left_ms, on_published, submission);
}

static bool is_untouched(const struct cress_record *record)
{
    return record->attempt == 0 &&
           (record->state == CRESS_STATE_QUEUED || record->state == CRESS_STATE_SCHEDULED ||
            record->state == CRESS_STATE_WAITING);
}

/* Whether `existing` is this very job, not yet taken, so that it may be published again. */
static bool is_repeat(const struct cress_record *existing, const struct cress_record *ours)
{
    return is_untouched(existing) && strcmp(existing->task, ours->task) == 0 &&
           strcmp(existing->queue, ours->queue) == 0 &&
           strcmp(existing->payload, ours->payload) == 0;
}

/* Whether what stands in the way is to be published, once more. Else the submission's end is
 * decided. */
static bool take_over(struct submission *submission, const struct cress_existing *existing)
{
    const bool is_repetition = is_repeat(existing->record, submission->record);
    struct cress_record *record = cress_record_clone(existing->record);

    free(submission->record);
    submission->record = record;
    submission->message->message_id = record->id;
    if (record->promise) {
        cress_promise_replace(submission->message, record->promise);
    }
    submission->is_repetition = true;
    switch (existing->why) {
    case CRESS_SAME_UNIQUE:
    case CRESS_SAME_REQUEST:
        record->is_duplicate = true;
        return is_repetition && !existing->is_sent;
    case CRESS_OTHER_REQUEST:
        submission->taken = true;
        cress_error_set(&submission->err, CRESS_INVALID, "idempotency_key_reused",
                        "this Idempotency-Key came with another request before, which made job %s",
                        record->id);
        return false;
    case CRESS_SAME_ID:
        break;
    }
    submission->taken = !is_repetition;
    if (submission->taken) {
        cress_error_set(&submission->err, CRESS_CONFLICT, "job_exists",
                        "job %s exists already and is %s; choose another id or leave it out",
                        record->id, cress_state_word(record->state));
    }
    return is_repetition;
}

/* It shall not run, because of one that it was to wait for: the record says so. */
static void on_cancelled(const struct cress_record *record, const struct cress_error *err,
                         void *arg)
{
    struct submission *submission = arg;

    if (record) {
        free(submission->record);
        submission->record = cress_record_clone(record);
    } else if (err) {
        submission->err = *err;
    }
    finish(submission);
}

/* A job that waits for others has no message to run by, but one that looks after it, far ahead: its
 * guard. When the store has lost the record, all of it is made anew from that; else it finds that it
 * is not needed, and goes away again for longer. start.lua has the rules. */
static void become_guard(struct submission *submission)
{
    enum { GUARD_MS = 120000 };
    struct cress_header headers[CRESS_JOB_HEADER_MAX + 3];
    struct cress_message guard = *submission->message;
    const int64_t guard_ms = cress_clock_wall_ms() + GUARD_MS;
    size_t count = 0;

    guard.due_ms = guard.due_ms > guard_ms ? guard.due_ms : guard_ms;
    for (size_t i = 0; i < guard.header_count; i++) {
        if (strcmp(guard.headers[i].name, "not_before_ms") != 0) {
            headers[count++] = guard.headers[i];
        }
    }
    headers[count++] = (struct cress_header){
        .name = "not_before_ms", .kind = CRESS_HEADER_INT, .number = guard.due_ms};
    headers[count++] =
        (struct cress_header){.name = "guard", .kind = CRESS_HEADER_BOOL, .number = 1};
    if (submission->after_any) {
        headers[count++] =
            (struct cress_header){.name = "after_any", .kind = CRESS_HEADER_BOOL, .number = 1};
    }
    guard.headers = headers;
    guard.header_count = count;
    struct cress_message *clone = cress_message_clone(&guard);
    free(submission->message);
    submission->message = clone;
}

static void on_created(const struct cress_existing *existing, enum cress_state made,
                       const struct cress_error *err, void *arg)
{
    struct submission *submission = arg;

    if (err) {
        submission->err = *err;
        finish(submission);
        return;
    }
    const bool is_ours = !existing || take_over(submission, existing);
    submission->record->state = existing ? existing->record->state : made;
    if (!is_ours) {
        finish(submission);
    } else if (submission->record->state == CRESS_STATE_WAITING) {
        become_guard(submission);
        publish(submission);
    } else if (submission->record->state == CRESS_STATE_CANCELLED) {
        cress_store_get(submission->door.store, submission->record->id, on_cancelled, submission);
    } else {
        publish(submission);
    }
}

/* --- beginning --- */

static void on_later(uv_handle_t *handle)
{
    finish(handle->data);
}

/* uv_close() does nothing but call back on a later turn. */
static void refuse_later(struct submission *submission)
{
    uv_timer_init(cress_store_loop(submission->door.store), &submission->later);
    submission->later.data = submission;
    uv_close((uv_handle_t *)&submission->later, on_later);
}

static void keep_message(struct submission *submission, const struct cress_job *job)
{
    struct cress_header headers[CRESS_JOB_HEADER_MAX];
    struct cress_message message;
    char routing_key[CRESS_ROUTE_NAME_MAX];

    cress_route_message(job, headers, routing_key, &message);
    submission->message = cress_message_clone(&message);
}

static void keep_record(struct submission *submission, const struct cress_job *job,
                        enum cress_state state)
{
    struct cress_record record;
    char *payload = cress_strndup(job->payload, job->payload_size);

    cress_store_record(job, state, &record);
    record.payload = payload;
    submission->record = cress_record_clone(&record);
    free(payload);
}

void cress_submit(struct cress_door door, const struct cress_job *request, cress_submit_cb done,
                  void *arg)
{
    struct submission *submission = CRESS_NEW(struct submission);
    struct cress_job job = *request;
    const int64_t now_ms = cress_clock_wall_ms();
    char id[CRESS_UUID_TEXT_SIZE], promise[CRESS_PROMISE_SIZE];

    submission->door = door;
    submission->started_ms = cress_clock_mono_ms();
    submission->done = done;
    submission->arg = arg;
    submission->after_any = job.after_any;
    submission->has_keys = job.unique || job.idempotency_key;
    job.id = job.id ? job.id : cress_id_new(id);
    job.created_ms = job.created_ms > 0 ? job.created_ms : now_ms;
    job.attempt = 1;
    job.promise = cress_promise_new(promise);
    if (cress_job_check(&job, door.config->job_max_payload_bytes, &submission->err)) {
        refuse_later(submission);
        return;
    }
    const enum cress_state state =
        job.not_before_ms > now_ms ? CRESS_STATE_SCHEDULED : CRESS_STATE_QUEUED;
    keep_message(submission, &job);
    keep_record(submission, &job, state);
    cress_store_create(door.store, &job, state, on_created, submission);
}
