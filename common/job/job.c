// SPDX-License-Identifier: Apache-2.0
// The job's rules: which names are allowed, which tasks are built in, and what a producer must
// obey.
#include "common/job/job.h"

#include "common/job/record.h"

#include "common/base/backoff.h"
#include "common/base/id.h"
#include "common/base/json.h"
#include "common/base/mem.h"
#include "common/base/text.h"
#include "common/job/after.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

static const char *const priorities[CRESS_PRIORITY_COUNT] = {
    [CRESS_PRIORITY_HIGH] = "high",
    [CRESS_PRIORITY_NORMAL] = "normal",
    [CRESS_PRIORITY_LOW] = "low",
};

static const char *const tasks[] = {
#define CRESS_TASK(name, payload, summary) name,
#include "common/job/tasks.def"
#undef CRESS_TASK
    NULL,
};

static const char *const reserved_prefixes[] = {"cress.", "page.", "site."};

/* Names with these would be those of other queues: see common/broker/topology.h. */
static const char *const reserved_suffixes[] = {".high", ".low", ".dead"};

bool cress_priority_parse(const char *word, enum cress_priority *priority)
{
    for (size_t i = 0; i < CRESS_PRIORITY_COUNT; i++) {
        if (strcmp(priorities[i], word) == 0) {
            *priority = (enum cress_priority)i;
            return true;
        }
    }
    return false;
}

const char *cress_priority_word(enum cress_priority priority)
{
    assert(priority < CRESS_PRIORITY_COUNT);
    return priorities[priority];
}

const char *const *cress_task_names(void)
{
    return tasks;
}

static bool is_builtin(const char *task)
{
    for (const char *const *name = tasks; *name; name++) {
        if (strcmp(*name, task) == 0) {
            return true;
        }
    }
    return false;
}

bool cress_task_is_misspelt(const char *task)
{
    for (size_t i = 0; i < CRESS_COUNT(reserved_prefixes); i++) {
        if (cress_text_starts_with(task, reserved_prefixes[i])) {
            return !is_builtin(task);
        }
    }
    return false;
}

static bool is_name(const char *text, size_t max)
{
    const size_t size = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                     "0123456789._-");
    return size >= 1 && size <= max && text[size] == '\0';
}

bool cress_task_is_valid(const char *task)
{
    return is_name(task, CRESS_TASK_NAME_MAX);
}

static bool ends_with(const char *text, const char *suffix)
{
    const size_t size = strlen(text);
    const size_t suffix_size = strlen(suffix);
    return size >= suffix_size && strcmp(text + size - suffix_size, suffix) == 0;
}

static enum cress_status check_task(const char *task, struct cress_error *err)
{
    if (!task) {
        return cress_error_set(err, CRESS_INVALID, NULL,
                               "task is missing; give a task's name such as cress.echo");
    }
    if (!cress_task_is_valid(task)) {
        return cress_error_set(err, CRESS_INVALID, NULL,
                               "task \"%s\" is not a name: 1 to %d of A-Z a-z 0-9 . _ -", task,
                               CRESS_TASK_NAME_MAX);
    }
    if (cress_task_is_misspelt(task)) {
        const char *closest = cress_text_closest(task, tasks);
        return cress_error_set(err, CRESS_INVALID, "unknown_task",
                               "task \"%s\" does not exist%s%s; names that begin with cress., "
                               "page. or site. are Cress's own",
                               task, closest ? ", did you mean " : "", closest ? closest : "");
    }
    return CRESS_OK;
}

enum cress_status cress_queue_name_check(const char *queue, struct cress_error *err)
{
    if (!queue) {
        return cress_error_set(err, CRESS_INVALID, NULL, "queue is missing");
    }
    if (!is_name(queue, CRESS_QUEUE_NAME_MAX)) {
        return cress_error_set(err, CRESS_INVALID, NULL,
                               "queue \"%s\" is not a name: 1 to %d of A-Z a-z 0-9 . _ -", queue,
                               CRESS_QUEUE_NAME_MAX);
    }
    for (size_t i = 0; i < CRESS_COUNT(reserved_suffixes); i++) {
        if (ends_with(queue, reserved_suffixes[i])) {
            return cress_error_set(err, CRESS_INVALID, NULL,
                                   "queue \"%s\" may not end in %s: Cress adds that itself", queue,
                                   reserved_suffixes[i]);
        }
    }
    /* RabbitMQ refuses to declare names that begin with amq. (AMQP 0-9-1, queue.declare). */
    if (cress_text_starts_with(queue, "amq.") || cress_text_starts_with(queue, "cress.")) {
        return cress_error_set(err, CRESS_INVALID, NULL,
                               "queue \"%s\" is reserved: names may not begin with amq. or cress.",
                               queue);
    }
    return CRESS_OK;
}

static enum cress_status check_id(const char *what, const char *id, struct cress_error *err)
{
    if (id && !cress_id_is_valid(id)) {
        return cress_error_set(err, CRESS_INVALID, NULL,
                               "%s \"%s\" is not an id: 1 to %d of A-Z a-z 0-9 . _ : @ -", what, id,
                               CRESS_ID_MAX);
    }
    return CRESS_OK;
}

static enum cress_status check_backoff(const struct cress_job *job, struct cress_error *err)
{
    enum cress_backoff_kind kind;
    if (job->backoff && !cress_backoff_parse(job->backoff, &kind)) {
        return cress_error_set(err, CRESS_INVALID, NULL, "backoff \"%s\" is none of %s",
                               job->backoff, cress_backoff_list);
    }
    if (job->backoff_base_ms < 0 || job->backoff_base_ms > CRESS_JOB_BACKOFF_MAX_MS ||
        job->backoff_cap_ms < 0 || job->backoff_cap_ms > CRESS_JOB_BACKOFF_MAX_MS) {
        return cress_error_set(err, CRESS_INVALID, NULL,
                               "backoff_base_ms or backoff_cap_ms is out of range: 1 to %" PRId64
                               ", or 0 for the default",
                               CRESS_JOB_BACKOFF_MAX_MS);
    }
    return CRESS_OK;
}

bool cress_unique_is_valid(const char *text)
{
    size_t size = 0;
    for (; text[size] != '\0'; size++) {
        if ((unsigned char)text[size] < ' ' || text[size] == 0x7f) {
            return false;
        }
    }
    return size >= 1 && size <= CRESS_JOB_UNIQUE_MAX;
}

static enum cress_status check_unique(const char *what, const char *unique, struct cress_error *err)
{
    if (unique && !cress_unique_is_valid(unique)) {
        return cress_error_set(err, CRESS_INVALID, NULL,
                               "%s must have 1 to %d bytes and no control characters", what,
                               CRESS_JOB_UNIQUE_MAX);
    }
    return CRESS_OK;
}

static enum cress_status check_keys(const struct cress_job *job, struct cress_error *err)
{
    enum cress_status status = check_id("key", job->key, err);
    if (status == CRESS_OK) {
        status = check_unique("unique", job->unique, err);
    }
    if (status == CRESS_OK) {
        status = check_unique("Idempotency-Key", job->idempotency_key, err);
    }
    if (status == CRESS_OK && job->unique_for_ms != 0 && !job->unique) {
        status = cress_error_set(err, CRESS_INVALID, NULL,
                                 "unique_for_ms says how long `unique` is taken; it is missing");
    }
    return status;
}

static enum cress_status check_numbers(const struct cress_job *job, struct cress_error *err)
{
    if (job->max_attempts < 0 || job->max_attempts > CRESS_JOB_ATTEMPTS_MAX) {
        return cress_error_set(err, CRESS_INVALID, NULL,
                               "max_attempts %d is out of range: 1 to %d, or 0 for the default",
                               job->max_attempts, CRESS_JOB_ATTEMPTS_MAX);
    }
    if (job->timeout_ms < 0 || job->timeout_ms > CRESS_JOB_TIMEOUT_MAX_MS) {
        return cress_error_set(err, CRESS_INVALID, NULL,
                               "timeout_ms %" PRId64 " is out of range: 1 to %" PRId64
                               ", or 0 for the default",
                               job->timeout_ms, CRESS_JOB_TIMEOUT_MAX_MS);
    }
    if (job->expires_ms != 0 && job->expires_ms <= job->not_before_ms) {
        return cress_error_set(err, CRESS_INVALID, NULL, "the job would expire before it is due");
    }
    return CRESS_OK;
}

enum cress_status cress_job_check(const struct cress_job *job, int64_t max_payload_bytes,
                                  struct cress_error *err)
{
    enum cress_status status = check_task(job->task, err);
    if (status == CRESS_OK) {
        status = cress_queue_name_check(job->queue, err);
    }
    if (status == CRESS_OK) {
        status = check_id("id", job->id, err);
    }
    if (status == CRESS_OK) {
        status = check_id("batch", job->batch, err);
    }
    if (status == CRESS_OK && job->after) {
        status = cress_after_check(job->after, err);
    }
    if (status == CRESS_OK) {
        status = check_keys(job, err);
    }
    if (status == CRESS_OK) {
        status = check_numbers(job, err);
    }
    if (status == CRESS_OK) {
        status = check_backoff(job, err);
    }
    if (status == CRESS_OK && job->payload_size > (uint64_t)max_payload_bytes) {
        status = cress_error_set(err, CRESS_TOO_LARGE, "payload_too_large",
                                 "the payload has %zu bytes, job.max_payload allows %" PRId64
                                 "; larger data belongs into an object store",
                                 job->payload_size, max_payload_bytes);
    }
    return status;
}

enum cress_status cress_job_check_payload(struct cress_job *job, int64_t max_payload_bytes,
                                          struct cress_error *err)
{
    struct cress_json payload;
    struct cress_error where;
    if (job->payload_size > (uint64_t)max_payload_bytes) {
        return cress_error_set(err, CRESS_TOO_LARGE, "payload_too_large",
                               "the payload has %zu bytes; job.max_payload allows %" PRId64,
                               job->payload_size, max_payload_bytes);
    }
    if (cress_json_check(job->payload, job->payload_size, &payload, &where) != CRESS_OK) {
        return cress_error_set(err, CRESS_MALFORMED, "payload_not_json", "the body is not JSON: %s",
                               where.message);
    }
    job->payload = payload.text;
    job->payload_size = payload.size;
    return CRESS_OK;
}

void cress_job_from_record(const struct cress_record *record, struct cress_job *job)
{
    *job = (struct cress_job){
        .id = record->id,
        .task = record->task,
        .queue = record->queue,
        .priority = CRESS_PRIORITY_NORMAL,
        .payload = record->payload ? record->payload : "null",
        .attempt = 1,
        .max_attempts = record->max_attempts,
        .backoff = record->backoff,
        .backoff_base_ms = record->backoff_base_ms,
        .backoff_cap_ms = record->backoff_cap_ms,
        .timeout_ms = record->timeout_ms,
        .created_ms = record->created_ms,
        .not_before_ms = record->run_at_ms,
        .expires_ms = record->expires_ms,
        .key = record->key,
        .unique = record->unique,
        .unique_for_ms = record->unique_for_ms,
        .after = record->after,
        .after_any = record->after_any,
        .batch = record->batch,
        .reply_to = record->reply_to,
        .correlation_id = record->correlation_id,
        .traceparent = record->traceparent,
        .promise = record->promise,
    };
    job->payload_size = strlen(job->payload);
    if (record->priority) {
        cress_priority_parse(record->priority, &job->priority);
    }
}
