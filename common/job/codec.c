// SPDX-License-Identifier: Apache-2.0
// Jobs on the wire: struct cress_job to an AMQP message and back.
//
//   property         content                    header           content
//   type             the task                   attempt          from 1; always written
//   message_id       the id                     max_attempts     0 or absent: the worker's default
//   content_type     application/json           timeout_ms       0 or absent: the worker's default
//   correlation_id   the batch                  not_before_ms    wall clock; 0 or absent: at once
//   reply_to         who wants the result too   expires_ms       wall clock; 0 or absent: never
//   timestamp        created, in seconds        traceparent      W3C trace context
//   app_id           "cress"                    key              whom it is for
//                                               unique           its unique key
//                                               unique_for_ms    0 or absent: until it has ended
//                                               after            ids, separated by commas
//                                               backoff          absent: the worker's default
//                                               backoff_base_ms  0 or absent: the worker's default
//                                               backoff_cap_ms   0 or absent: the worker's default
//                                               promise          see promise.h
//
// Anyone may publish, so reading is liberal where nothing can go wrong: an empty property counts as
// absent, an integer may be of any AMQP type or be text, headers that are not in this picture are
// ignored. A header of this picture that makes no sense is an error, for running the job without
// its deadline would be a guess. To add a header: a line here, in struct cress_job and in
// numbers[]; never change what a name means, because old messages wait in queues.
#include "common/job/job.h"

#include "common/base/backoff.h"
#include "common/base/id.h"
#include "common/base/mem.h"
#include "common/base/text.h"
#include "common/job/after.h"
#include "common/job/promise.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

/* The headers that hold integers, read into and written from this. */
struct numbers {
    int64_t attempt, max_attempts, timeout_ms, not_before_ms, expires_ms;
    int64_t backoff_base_ms, backoff_cap_ms, unique_for_ms;
};

static const struct {
    const char *name;
    size_t offset;
    int64_t min, max;
} number_headers[] = {
#define NUMBER(member, min, max)                            \
    {                                                       \
#member, offsetof(struct numbers, member), min, max \
    }
    NUMBER(attempt, 1, INT32_MAX),
    NUMBER(max_attempts, 0, CRESS_JOB_ATTEMPTS_MAX),
    NUMBER(timeout_ms, 0, CRESS_JOB_TIMEOUT_MAX_MS),
    NUMBER(not_before_ms, 0, CRESS_JOB_TIME_MAX_MS),
    NUMBER(expires_ms, 0, CRESS_JOB_TIME_MAX_MS),
    NUMBER(backoff_base_ms, 0, CRESS_JOB_BACKOFF_MAX_MS),
    NUMBER(backoff_cap_ms, 0, CRESS_JOB_BACKOFF_MAX_MS),
    NUMBER(unique_for_ms, 0, CRESS_JOB_DELAY_MAX_MS),
#undef NUMBER
};

/* Those that hold texts: backoff, traceparent, key, unique, after, promise. */
enum { TEXT_HEADERS = 6 };

static_assert(CRESS_COUNT(number_headers) + TEXT_HEADERS <= CRESS_JOB_HEADER_MAX,
              "all that a job has fits into the headers that callers bring");

static int64_t *number_at(struct numbers *numbers, size_t header)
{
    return (int64_t *)(void *)((char *)numbers + number_headers[header].offset);
}

static void add_text(struct cress_header *headers, size_t *count, const char *name,
                     const char *text)
{
    if (text) {
        headers[(*count)++] =
            (struct cress_header){.name = name, .kind = CRESS_HEADER_TEXT, .text = text};
    }
}

void cress_job_to_message(const struct cress_job *job,
                          struct cress_header headers[CRESS_JOB_HEADER_MAX],
                          struct cress_message *message)
{
    struct numbers numbers = {
        .attempt = job->attempt > 0 ? job->attempt : 1,
        .max_attempts = job->max_attempts,
        .timeout_ms = job->timeout_ms,
        .not_before_ms = job->not_before_ms,
        .expires_ms = job->expires_ms,
        .backoff_base_ms = job->backoff_base_ms,
        .backoff_cap_ms = job->backoff_cap_ms,
        .unique_for_ms = job->unique_for_ms,
    };
    size_t count = 0;
    for (size_t i = 0; i < CRESS_COUNT(number_headers); i++) {
        const int64_t *number = number_at(&numbers, i);
        if (*number != 0) {
            headers[count++] = (struct cress_header){
                .name = number_headers[i].name, .kind = CRESS_HEADER_INT, .number = *number};
        }
    }
    add_text(headers, &count, "backoff", job->backoff);
    add_text(headers, &count, "traceparent", job->traceparent);
    add_text(headers, &count, "key", job->key);
    add_text(headers, &count, "unique", job->unique);
    add_text(headers, &count, "after", job->after);
    add_text(headers, &count, CRESS_HEADER_PROMISE, job->promise);
    *message = (struct cress_message){
        .exchange = "",
        .routing_key = job->queue,
        .type = job->task,
        .message_id = job->id,
        .content_type = "application/json",
        .correlation_id = job->batch ? job->batch : job->correlation_id,
        .reply_to = job->reply_to,
        .app_id = "cress",
        .due_ms = job->not_before_ms,
        .timestamp_s = job->created_ms / 1000,
        .headers = headers,
        .header_count = count,
        .body = job->payload,
        .body_size = job->payload_size,
    };
}

static const char *or_null(const char *text)
{
    return text && *text ? text : NULL;
}

/* application/json or anything/anything+json (RFC 6839, section 3.1), parameters aside. */
static bool is_json_type(const char *content_type)
{
    static const char json[] = "application/json";
    static const char suffix[] = "+json";
    const size_t size = strcspn(content_type, "; \t");
    if (size == sizeof(json) - 1 && strncasecmp(content_type, json, size) == 0) {
        return true;
    }
    const size_t suffix_size = sizeof(suffix) - 1;
    return size > suffix_size &&
           strncasecmp(content_type + size - suffix_size, suffix, suffix_size) == 0;
}

static enum cress_status read_number(const struct cress_header *header, int64_t min, int64_t max,
                                     int64_t *number, struct cress_error *err)
{
    int64_t value = header->number;
    const bool is_number =
        header->kind == CRESS_HEADER_INT ||
        (header->kind == CRESS_HEADER_TEXT && cress_text_to_int(header->text, &value));
    if (!is_number) {
        return cress_error_set(err, CRESS_MALFORMED, NULL, "header %s is not a whole number",
                               header->name);
    }
    if (value < min || value > max) {
        return cress_error_set(err, CRESS_MALFORMED, NULL,
                               "header %s is %" PRId64 ", allowed: %" PRId64 " to %" PRId64,
                               header->name, value, min, max);
    }
    *number = value;
    return CRESS_OK;
}

static enum cress_status read_numbers(const struct cress_message *message, struct cress_job *job,
                                      struct cress_error *err)
{
    struct numbers numbers = {.attempt = 1};
    for (size_t i = 0; i < CRESS_COUNT(number_headers); i++) {
        const struct cress_header *header = cress_message_header(message, number_headers[i].name);
        if (!header) {
            continue;
        }
        const enum cress_status status = read_number(
            header, number_headers[i].min, number_headers[i].max, number_at(&numbers, i), err);
        if (status != CRESS_OK) {
            return status;
        }
    }
    job->attempt = (int)numbers.attempt;
    job->max_attempts = (int)numbers.max_attempts;
    job->timeout_ms = numbers.timeout_ms;
    job->not_before_ms = numbers.not_before_ms;
    job->expires_ms = numbers.expires_ms;
    job->backoff_base_ms = numbers.backoff_base_ms;
    job->backoff_cap_ms = numbers.backoff_cap_ms;
    job->unique_for_ms = numbers.unique_for_ms;
    return CRESS_OK;
}

static enum cress_status read_backoff(const struct cress_message *message, const char **backoff,
                                      struct cress_error *err)
{
    const struct cress_header *header = cress_message_header(message, "backoff");
    enum cress_backoff_kind kind;
    if (!header) {
        return CRESS_OK;
    }
    if (header->kind != CRESS_HEADER_TEXT || !cress_backoff_parse(header->text, &kind)) {
        return cress_error_set(err, CRESS_MALFORMED, NULL, "header backoff is none of %s",
                               cress_backoff_list);
    }
    *backoff = header->text;
    return CRESS_OK;
}

/* version-traceid-parentid-flags in lower-case hexadecimal: 2, 32, 16 and 2 digits. One that is
 * wrong starts a new trace and disturbs nobody (W3C Trace Context, section 3.2). */
static const char *read_traceparent(const struct cress_message *message)
{
    const struct cress_header *header = cress_message_header(message, "traceparent");
    if (!header || header->kind != CRESS_HEADER_TEXT) {
        return NULL;
    }
    static const size_t digits[] = {2, 32, 16, 2};
    const char *at = header->text;
    for (size_t i = 0; i < CRESS_COUNT(digits); i++) {
        if (strspn(at, "0123456789abcdef") != digits[i]) {
            return NULL;
        }
        at += digits[i];
        if (*at != (i + 1 < CRESS_COUNT(digits) ? '-' : '\0')) {
            return NULL;
        }
        at++;
    }
    return header->text;
}

static bool is_set(const struct cress_message *message, const char *name)
{
    const struct cress_header *header = cress_message_header(message, name);
    return header && header->kind != CRESS_HEADER_TEXT && header->number != 0;
}

static enum cress_status read_after(const struct cress_message *message, const char **after,
                                    struct cress_error *err)
{
    const struct cress_header *header = cress_message_header(message, "after");
    if (!header) {
        return CRESS_OK;
    }
    if (header->kind != CRESS_HEADER_TEXT || cress_after_check(header->text, NULL) != CRESS_OK) {
        return cress_error_set(err, CRESS_MALFORMED, NULL,
                               "header after is not a list of at most %d ids, separated by commas",
                               CRESS_AFTER_MAX);
    }
    *after = header->text;
    return CRESS_OK;
}

static enum cress_status check_id(const char *what, const char *id, struct cress_error *err)
{
    if (id && !cress_id_is_valid(id)) {
        return cress_error_set(err, CRESS_MALFORMED, NULL,
                               "%s \"%s\" is not an id: 1 to %d of A-Z a-z 0-9 . _ : @ -", what, id,
                               CRESS_ID_MAX);
    }
    return CRESS_OK;
}

/* NULL when absent. One of another type is no text that anybody meant. */
static enum cress_status read_text(const struct cress_message *message, const char *name,
                                   const char **text, struct cress_error *err)
{
    const struct cress_header *header = cress_message_header(message, name);
    if (header && header->kind != CRESS_HEADER_TEXT) {
        return cress_error_set(err, CRESS_MALFORMED, NULL, "header %s is not a text", name);
    }
    *text = header ? or_null(header->text) : NULL;
    return CRESS_OK;
}

static enum cress_status read_keys(const struct cress_message *message, struct cress_job *job,
                                   struct cress_error *err)
{
    enum cress_status status = read_text(message, "key", &job->key, err);
    if (status == CRESS_OK) {
        status = check_id("key", job->key, err);
    }
    if (status == CRESS_OK) {
        status = read_text(message, "unique", &job->unique, err);
    }
    if (status == CRESS_OK && job->unique && !cress_unique_is_valid(job->unique)) {
        status = cress_error_set(err, CRESS_MALFORMED, NULL,
                                 "header unique must have 1 to %d bytes and no control characters",
                                 CRESS_JOB_UNIQUE_MAX);
    }
    return status;
}

static enum cress_status check_properties(const struct cress_message *message,
                                          const struct cress_job *job, struct cress_error *err)
{
    if (!job->task) {
        return cress_error_set(err, CRESS_MALFORMED, NULL,
                               "no task: the message has no `type` and queue %s no default task",
                               job->queue);
    }
    if (!cress_task_is_valid(job->task)) {
        return cress_error_set(err, CRESS_MALFORMED, NULL,
                               "type \"%s\" is not a task's name: 1 to %d of A-Z a-z 0-9 . _ -",
                               job->task, CRESS_TASK_NAME_MAX);
    }
    if (or_null(message->content_type) && !is_json_type(message->content_type)) {
        return cress_error_set(err, CRESS_MALFORMED, NULL,
                               "content_type is \"%s\", expected application/json",
                               message->content_type);
    }
    if (message->body_size == 0) {
        return cress_error_set(err, CRESS_MALFORMED, NULL,
                               "the body is empty, expected a JSON value");
    }
    const enum cress_status status = check_id("message_id", job->id, err);
    return status == CRESS_OK ? check_id("correlation_id", job->batch, err) : status;
}

enum cress_status cress_job_from_message(const struct cress_message *message, const char *queue,
                                         enum cress_priority priority, const char *default_task,
                                         struct cress_job *job, struct cress_error *err)
{
    const char *type = or_null(message->type);
    struct cress_job made = {
        .id = or_null(message->message_id),
        .task = type ? type : or_null(default_task),
        .queue = queue,
        .priority = priority,
        .payload = message->body,
        .payload_size = message->body_size,
        .batch = or_null(message->correlation_id),
        .reply_to = or_null(message->reply_to),
        .traceparent = read_traceparent(message),
        .after_any = is_set(message, "after_any"),
        .promise = cress_promise_of(message),
    };
    /* Some clients send milliseconds or garbage here; a time after year 9999 tells nothing. */
    if (message->timestamp_s > 0 && message->timestamp_s <= CRESS_JOB_TIME_MAX_MS / 1000) {
        made.created_ms = message->timestamp_s * 1000;
    }
    /* Who asks for a reply has an id of their own making here, which need not look like ours. */
    if (made.reply_to && made.batch && !cress_id_is_valid(made.batch)) {
        made.correlation_id = made.batch;
        made.batch = NULL;
    }
    enum cress_status status = check_properties(message, &made, err);
    if (status == CRESS_OK) {
        status = read_numbers(message, &made, err);
    }
    if (status == CRESS_OK) {
        status = read_backoff(message, &made.backoff, err);
    }
    if (status == CRESS_OK) {
        status = read_keys(message, &made, err);
    }
    if (status == CRESS_OK) {
        status = read_after(message, &made.after, err);
    }
    if (status == CRESS_OK) {
        *job = made;
    }
    return status;
}
