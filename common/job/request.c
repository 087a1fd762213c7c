// SPDX-License-Identifier: Apache-2.0
// Jobs as people ask for them: the JSON request of POST /v1/jobs and of `cress enqueue --jsonl`.
#include "common/job/job.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/text.h"
#include "common/job/after.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The members as they came; NULL or -1: absent. */
struct request {
    const char *task, *queue, *priority, *id, *run_at, *backoff, *key, *unique;
    int64_t delay_ms, max_attempts, backoff_base_ms, backoff_cap_ms, timeout_ms, expires_ms,
        unique_for_ms;
    const json_t *payload, *after;
    bool after_any;
};

struct member {
    const char *name;
    enum { MEMBER_TEXT, MEMBER_INT, MEMBER_BOOL, MEMBER_LIST, MEMBER_ANY } kind;
    size_t offset;
    int64_t min, max;
};

static const struct member members[] = {
#define FIELD(member) #member, .offset = offsetof(struct request, member)
    {FIELD(task), .kind = MEMBER_TEXT},
    {FIELD(payload), .kind = MEMBER_ANY},
    {FIELD(queue), .kind = MEMBER_TEXT},
    {FIELD(priority), .kind = MEMBER_TEXT},
    {FIELD(id), .kind = MEMBER_TEXT},
    {FIELD(delay_ms), .kind = MEMBER_INT, .min = 0, .max = CRESS_JOB_DELAY_MAX_MS},
    {FIELD(run_at), .kind = MEMBER_TEXT},
    {FIELD(max_attempts), .kind = MEMBER_INT, .min = 1, .max = CRESS_JOB_ATTEMPTS_MAX},
    {FIELD(backoff), .kind = MEMBER_TEXT},
    {FIELD(backoff_base_ms), .kind = MEMBER_INT, .min = 1, .max = CRESS_JOB_BACKOFF_MAX_MS},
    {FIELD(backoff_cap_ms), .kind = MEMBER_INT, .min = 1, .max = CRESS_JOB_BACKOFF_MAX_MS},
    {FIELD(timeout_ms), .kind = MEMBER_INT, .min = 1, .max = CRESS_JOB_TIMEOUT_MAX_MS},
    {FIELD(expires_ms), .kind = MEMBER_INT, .min = 1, .max = CRESS_JOB_DELAY_MAX_MS},
    {FIELD(key), .kind = MEMBER_TEXT},
    {FIELD(unique), .kind = MEMBER_TEXT},
    {FIELD(unique_for_ms), .kind = MEMBER_INT, .min = 1, .max = CRESS_JOB_DELAY_MAX_MS},
    {FIELD(after), .kind = MEMBER_LIST},
    {FIELD(after_any), .kind = MEMBER_BOOL},
#undef FIELD
};

enum { MEMBER_COUNT = CRESS_COUNT(members) };

static enum cress_status refuse_unknown(const char *name, struct cress_error *err)
{
    const char *names[MEMBER_COUNT + 1] = {NULL};
    for (size_t i = 0; i < MEMBER_COUNT; i++) {
        names[i] = members[i].name;
    }
    const char *closest = cress_text_closest(name, names);
    if (closest) {
        return cress_error_set(err, CRESS_INVALID, NULL,
                               "unknown member \"%s\", did you mean \"%s\"?", name, closest);
    }
    return cress_error_set(err, CRESS_INVALID, NULL,
                           "unknown member \"%s\"; a job has task, payload, queue, priority, id, "
                           "delay_ms, run_at, max_attempts, backoff, backoff_base_ms, "
                           "backoff_cap_ms, timeout_ms, expires_ms, key, unique, unique_for_ms, "
                           "after and after_any",
                           name);
}

static enum cress_status read_text(const struct member *member, const json_t *value,
                                   const char **field, struct cress_error *err)
{
    const char *text = json_string_value(value);
    if (!text) {
        return cress_error_set(err, CRESS_INVALID, NULL, "%s must be a string", member->name);
    }
    if (strlen(text) != json_string_length(value)) {
        return cress_error_set(err, CRESS_INVALID, NULL, "%s holds a NUL character", member->name);
    }
    *field = text;
    return CRESS_OK;
}

static enum cress_status read_int(const struct member *member, const json_t *value, int64_t *field,
                                  struct cress_error *err)
{
    if (!json_is_integer(value)) {
        return cress_error_set(err, CRESS_INVALID, NULL, "%s must be a whole number", member->name);
    }
    const int64_t number = json_integer_value(value);
    if (number < member->min || number > member->max) {
        return cress_error_set(err, CRESS_INVALID, NULL,
                               "%s is %" PRId64 ", allowed: %" PRId64 " to %" PRId64, member->name,
                               number, member->min, member->max);
    }
    *field = number;
    return CRESS_OK;
}

static enum cress_status read_bool(const struct member *member, const json_t *value, bool *field,
                                   struct cress_error *err)
{
    if (!json_is_boolean(value)) {
        return cress_error_set(err, CRESS_INVALID, NULL, "%s must be true or false", member->name);
    }
    *field = json_is_true(value);
    return CRESS_OK;
}

static enum cress_status read_value(const struct member *member, const json_t *value,
                                    struct request *request, struct cress_error *err)
{
    void *field = (char *)request + member->offset;
    switch (member->kind) {
    case MEMBER_TEXT:
        return read_text(member, value, field, err);
    case MEMBER_INT:
        return read_int(member, value, field, err);
    case MEMBER_BOOL:
        return read_bool(member, value, field, err);
    case MEMBER_LIST:
    case MEMBER_ANY:
        break;
    }
    *(const json_t **)field = value;
    return CRESS_OK;
}

/* A null counts as absent, except as a payload, where it is a value. */
static enum cress_status read_member(const char *name, const json_t *value, struct request *request,
                                     struct cress_error *err)
{
    for (size_t i = 0; i < MEMBER_COUNT; i++) {
        const struct member *member = &members[i];
        if (strcmp(member->name, name) != 0) {
            continue;
        }
        const bool is_absent = json_is_null(value) && member->kind != MEMBER_ANY;
        return is_absent ? CRESS_OK : read_value(member, value, request, err);
    }
    return refuse_unknown(name, err);
}

static enum cress_status read_members(const json_t *json, struct request *request,
                                      struct cress_error *err)
{
    if (!json_is_object(json)) {
        return cress_error_set(err, CRESS_INVALID, NULL,
                               "a job is a JSON object such as {\"task\": \"cress.echo\"}");
    }
    /* jansson iterates by non-const pointers even when it only reads. */
    json_t *object = (json_t *)json;
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value)
    {
        const enum cress_status status = read_member(name, value, request, err);
        if (status != CRESS_OK) {
            return status;
        }
    }
    return CRESS_OK;
}

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
        .after_any = request->after_any,
    };
    if (request->priority && !cress_priority_parse(request->priority, &job->priority)) {
        return cress_error_set(err, CRESS_INVALID, NULL,
                               "priority \"%s\" is none of high, normal, low", request->priority);
    }
    const enum cress_status status = settle_times(request, now_ms, job, err);
    /* Without a payload yet: its size is for the caller to check, who knows the limit. */
    return status == CRESS_OK ? cress_job_check(job, 0, err) : status;
}

/* The texts that the job does not borrow from the request, in one block: the payload, and behind
 * its end the list `after`. */
static enum cress_status write_texts(const struct request *request, struct cress_job *job,
                                     char **out, struct cress_error *err)
{
    char *after = NULL;
    if (request->after_any && !request->after) {
        return cress_error_set(err, CRESS_INVALID, NULL, "after_any goes with after");
    }
    if (request->after) {
        const enum cress_status status = cress_after_from_json(request->after, &after, err);
        if (status != CRESS_OK) {
            return status;
        }
    }
    char *text = request->payload ? json_dumps(request->payload, JSON_COMPACT | JSON_ENCODE_ANY)
                                  : cress_strdup("null");
    if (!text) {
        free(after);
        return cress_error_set(err, CRESS_INVALID, NULL, "payload cannot be written as JSON");
    }
    job->payload_size = strlen(text);
    if (after) {
        text = cress_realloc_array(text, job->payload_size + strlen(after) + 2, 1);
        job->after = memcpy(text + job->payload_size + 1, after, strlen(after) + 1);
        free(after);
    }
    job->payload = *out = text;
    return CRESS_OK;
}

enum cress_status cress_job_from_request(const json_t *request, int64_t now_ms,
                                         struct cress_job *job, char **payload_text,
                                         struct cress_error *err)
{
    struct request given = {.delay_ms = -1,
                            .max_attempts = -1,
                            .timeout_ms = -1,
                            .expires_ms = -1,
                            .unique_for_ms = -1};
    struct cress_job made;
    char *text = NULL;
    enum cress_status status = read_members(request, &given, err);
    if (status == CRESS_OK) {
        status = make_job(&given, now_ms, &made, err);
    }
    if (status == CRESS_OK) {
        status = write_texts(&given, &made, &text, err);
    }
    if (status == CRESS_OK) {
        *job = made;
        *payload_text = text;
    }
    return status;
}
