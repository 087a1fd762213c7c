// SPDX-License-Identifier: Apache-2.0
// Jobs as people ask for them: the JSON request of POST /v1/jobs and of `cress enqueue --jsonl`.
#include "common/job/job.h"

#include "common/base/clock.h"
#include "common/base/json_read.h"
#include "common/base/mem.h"

#include <stddef.h>
#include <stdlib.h>

/* The members as they came; NULL or -1: absent. */
struct request {
    const char *task, *queue, *priority, *id, *run_at, *backoff, *key, *unique;
    const char *after; /* "" for an empty list */
    int64_t delay_ms, max_attempts, backoff_base_ms, backoff_cap_ms, timeout_ms, expires_ms,
        unique_for_ms;
    struct cress_json payload;
    bool after_any;
};

static const struct cress_json_field members[] = {
#define TEXT(member)                                                          \
    {                                                                         \
#member, CRESS_FIELD_TEXT, .offset = offsetof(struct request, member) \
    }
#define NUMBER(member, min, max)                                                       \
    {                                                                                  \
#member, CRESS_FIELD_INT, .offset = offsetof(struct request, member), min, max \
    }
    TEXT(task),
    {"payload", CRESS_FIELD_JSON, .offset = offsetof(struct request, payload)},
    TEXT(queue),
    TEXT(priority),
    TEXT(id),
    NUMBER(delay_ms, 0, CRESS_JOB_DELAY_MAX_MS),
    TEXT(run_at),
    NUMBER(max_attempts, 1, CRESS_JOB_ATTEMPTS_MAX),
    TEXT(backoff),
    NUMBER(backoff_base_ms, 1, CRESS_JOB_BACKOFF_MAX_MS),
    NUMBER(backoff_cap_ms, 1, CRESS_JOB_BACKOFF_MAX_MS),
    NUMBER(timeout_ms, 1, CRESS_JOB_TIMEOUT_MAX_MS),
    NUMBER(expires_ms, 1, CRESS_JOB_DELAY_MAX_MS),
    TEXT(key),
    TEXT(unique),
    NUMBER(unique_for_ms, 1, CRESS_JOB_DELAY_MAX_MS),
    {"after", CRESS_FIELD_IDS, .offset = offsetof(struct request, after)},
    {"after_any", CRESS_FIELD_BOOL, .offset = offsetof(struct request, after_any)},
#undef TEXT
#undef NUMBER
};

/* When the job is due and until when, both as wall clock. */
static enum cress_status settle_times(const struct request *request, int64_t now_ms,
                                      struct cress_job *job, struct cress_error *err)
{
    if (request->run_at && request->delay_ms >= 0) {
        return cress_error_set(err, CRESS_INVALID, NULL, "give delay_ms or run_at, not both");
    }
    int64_t due_ms = 0;
    if (request->run_at) {
        struct cress_error why;
        if (cress_time_parse(request->run_at, &due_ms, &why) != CRESS_OK) {
            return cress_error_set(err, CRESS_INVALID, NULL, "run_at: %s", why.message);
        }
    } else if (request->delay_ms > 0) {
        due_ms = now_ms + request->delay_ms;
    }
    job->not_before_ms = due_ms > now_ms ? due_ms : 0;
    job->expires_ms = request->expires_ms > 0 ? now_ms + request->expires_ms : 0;
    return CRESS_OK;
}

static enum cress_status make_job(const struct request *request, int64_t now_ms,
                                  struct cress_job *job, struct cress_error *err)
{
    *job = (struct cress_job){
        .id = request->id,
        .task = request->task,
        .queue = request->queue ? request->queue : "default",
        .priority = CRESS_PRIORITY_NORMAL,
        .attempt = 1,
        .max_attempts = request->max_attempts > 0 ? (int)request->max_attempts : 0,
        .backoff = request->backoff,
        .backoff_base_ms = request->backoff_base_ms,
        .backoff_cap_ms = request->backoff_cap_ms,
        .timeout_ms = request->timeout_ms > 0 ? request->timeout_ms : 0,
        .created_ms = now_ms,
        .key = request->key,
        .unique = request->unique,
        .unique_for_ms = request->unique_for_ms > 0 ? request->unique_for_ms : 0,
        .payload = request->payload.text,
        .payload_size = request->payload.size,
        .after = request->after && *request->after ? request->after : NULL,
        .after_any = request->after_any,
    };
    if (request->priority && !cress_priority_parse(request->priority, &job->priority)) {
        return cress_error_set(err, CRESS_INVALID, NULL,
                               "priority \"%s\" is none of high, normal, low", request->priority);
    }
    if (request->after_any && !request->after) {
        return cress_error_set(err, CRESS_INVALID, NULL, "after_any goes with after");
    }
    const enum cress_status status = settle_times(request, now_ms, job, err);
    /* The payload's size is for the caller to check, who knows the limit. */
    return status == CRESS_OK ? cress_job_check(job, INT64_MAX, err) : status;
}

enum cress_status cress_job_from_request(const char *text, size_t size, int64_t now_ms,
                                         struct cress_job *job, char **texts,
                                         struct cress_error *err)
{
    static const char what[] = "a job is a JSON object such as {\"task\": \"cress.echo\"}";
    struct request request = {.payload = {.text = "null", .size = 4},
                              .delay_ms = -1,
                              .max_attempts = -1,
                              .timeout_ms = -1,
                              .expires_ms = -1,
                              .unique_for_ms = -1};
    struct cress_json json;
    struct cress_job made;
    char *room = NULL;
    enum cress_status status = cress_json_check(text, size, &json, err);
    if (status == CRESS_OK) {
        status = cress_json_read(json, members, CRESS_COUNT(members), what, &request, &room, err);
    }
    if (status == CRESS_OK) {
        status = make_job(&request, now_ms, &made, err);
    }
    if (status != CRESS_OK) {
        free(room);
        return status;
    }
    *job = made;
    *texts = room;
    return CRESS_OK;
}
