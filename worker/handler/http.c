// SPDX-License-Identifier: Apache-2.0
// The handler `http`: a job is a POST of its payload to the task's URL, signed as a webhook.
//
// Each task has an HTTP client of its own, so that per_host counts its requests alone. The URL is
// the operator's, and so it is not guarded; redirects are not followed.
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/text.h"
#include "common/base/url.h"
#include "common/base/version.h"
#include "worker/handler/exec_verdict.h"
#include "worker/handler/handler.h"
#include "worker/handler/webhook.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SECRETS_MAX_BYTES = 8192, NUMBER_MAX = 24, USER_AGENT_MAX = 64 };
enum { HEADERS_MAX = 10, SIGNATURE_MAX = 64 * CRESS_WEBHOOK_KEYS_MAX };
enum { SHOWN_BODY_MAX = 200 }; /* of a refusal, in the error */
enum { AFTER_MAX = 4096 };     /* of Cress-After: servers take few KiB of headers */

/* What a task keeps: task->state. */
struct push {
    struct cress_http *client;
    struct cress_webhook_keys keys; /* none: requests are not signed */
    struct cress_error failure;     /* of reading them; CRESS_OK: none */
    char shown_url[CRESS_URL_MAX];  /* without a password */
};

/* --- secrets --- */

static enum cress_status read_secret_file(const char *path, struct cress_buf *text,
                                          struct cress_error *err)
{
    FILE *file = fopen(path, "re");
    if (!file) {
        return cress_error_set(err, CRESS_CONFIG, "bad_secret", "cannot read secret_file %s: %s",
                               path, strerror(errno));
    }
    char piece[1024];
    size_t size;
    while ((size = fread(piece, 1, sizeof piece, file)) > 0) {
        cress_buf_add(text, piece, size);
    }
    const bool is_whole = !ferror(file) && !text->overflowed;
    fclose(file);
    return is_whole ? CRESS_OK
                    : cress_error_set(err, CRESS_CONFIG, "bad_secret",
                                      "secret_file %s cannot be read, or has more than %d bytes",
                                      path, SECRETS_MAX_BYTES);
}

/* From secret_file, or the variable that secret_env names; none leave `keys` empty. */
static enum cress_status read_secret_keys(const struct cress_task_config *config,
                                          struct cress_webhook_keys *keys, struct cress_error *err)
{
    *keys = (struct cress_webhook_keys){.count = 0};
    if (config->secret_env[0]) {
        const char *value = getenv(config->secret_env);
        return value ? cress_webhook_keys_parse(value, keys, err)
                     : cress_error_set(err, CRESS_CONFIG, "bad_secret",
                                       "secret_env names %s, which is not in the environment",
                                       config->secret_env);
    }
    if (!config->secret_file[0]) {
        return CRESS_OK;
    }
    struct cress_buf text = cress_buf_make(SECRETS_MAX_BYTES);
    enum cress_status status = read_secret_file(config->secret_file, &text, err);
    if (status == CRESS_OK) {
        status = cress_webhook_keys_parse(cress_buf_text(&text), keys, err);
    }
    cress_buf_free(&text);
    return status;
}

/* --- the response --- */

/* As much of a refusal's body as helps, on one line. */
static void quote_body(const struct cress_http_response *response, struct cress_error *err)
{
    char text[SHOWN_BODY_MAX + 1];
    const size_t size = response->body_size < SHOWN_BODY_MAX ? response->body_size : SHOWN_BODY_MAX;
    memcpy(text, response->body, size);
    text[size] = '\0';
    for (char *c = text; *c; c++) {
        *c = (unsigned char)*c < ' ' ? ' ' : *c;
    }
    if (text[0] && cress_text_is_utf8(text, strlen(text))) {
        const size_t length = strlen(err->message);
        snprintf(err->message + length, sizeof err->message - length, ": %s", text);
    }
}

static void judge_response(const struct cress_http_response *response, const struct push *push,
                           struct cress_outcome *outcome)
{
    outcome->kind = cress_webhook_judge(response->status);
    if (outcome->kind == CRESS_OUTCOME_SUCCEEDED) {
        outcome->result = cress_exec_result(response->body, response->body_size);
        outcome->result_size = outcome->result ? strlen(outcome->result) : 0;
        return;
    }
    char code[CRESS_ERROR_CODE_MAX];
    snprintf(code, sizeof code, "http_%d", response->status);
    const bool again = outcome->kind == CRESS_OUTCOME_RETRY;
    cress_error_set(&outcome->error, again ? CRESS_TEMPORARY : CRESS_INVALID, code,
                    "%.200s answered %d%s", push->shown_url, response->status,
                    response->status / 100 == 3 ? " (redirects are not followed)" : "");
    quote_body(response, &outcome->error);
    if (again) {
        outcome->retry_after_ms = cress_http_retry_after_ms(
            cress_http_header_value(response, "retry-after"), cress_clock_wall_ms());
    }
}

static void judge_failure(const struct cress_error *err, const struct push *push,
                          struct cress_outcome *outcome)
{
    outcome->kind = err->status == CRESS_CANCELLED           ? CRESS_OUTCOME_CANCELLED
                    : err->status == CRESS_TIMEOUT           ? CRESS_OUTCOME_TIMED_OUT
                    : cress_status_is_temporary(err->status) ? CRESS_OUTCOME_RETRY
                                                             : CRESS_OUTCOME_FAILED;
    outcome->error = *err;
    cress_error_prefix(&outcome->error, "%.200s", push->shown_url);
}

static void answered_cb(const struct cress_http_response *response, const struct cress_error *err,
                        void *arg)
{
    struct cress_run *run = arg;
    struct cress_outcome outcome = {.result = NULL};
    run->state = NULL;
    if (err) {
        judge_failure(err, run->task->state, &outcome);
    } else {
        judge_response(response, run->task->state, &outcome);
    }
    cress_run_done(run, outcome);
}

/* --- the request --- */

/* The texts of one request's headers; cress_http_start() copies them. */
struct headers {
    struct cress_http_header list[HEADERS_MAX];
    size_t count;
    char attempt[NUMBER_MAX], deadline[NUMBER_MAX], timestamp[NUMBER_MAX];
    struct cress_buf signature;
};

static void add_push_header(struct headers *headers, const char *name, const char *value)
{
    headers->list[headers->count++] = (struct cress_http_header){name, value};
}

/* Free headers->signature. */
static void make_headers(const struct cress_run *run, const struct cress_webhook_keys *keys,
                         struct headers *headers)
{
    const struct cress_job *job = &run->job;
    const int64_t now_s = cress_clock_wall_ms() / 1000;
    *headers = (struct headers){.signature = cress_buf_make(SIGNATURE_MAX)};
    snprintf(headers->attempt, sizeof headers->attempt, "%d", job->attempt);
    snprintf(headers->deadline, sizeof headers->deadline, "%lld",
             (long long)cress_run_deadline_ms(run));
    snprintf(headers->timestamp, sizeof headers->timestamp, "%lld", (long long)now_s);
    add_push_header(headers, "Content-Type", "application/json");
    add_push_header(headers, "Cress-Job-Id", job->id);
    add_push_header(headers, "Cress-Task", job->task);
    add_push_header(headers, "Cress-Attempt", headers->attempt);
    add_push_header(headers, "Cress-Deadline-Ms", headers->deadline);
    add_push_header(headers, "webhook-id", job->id);
    add_push_header(headers, "webhook-timestamp", headers->timestamp);
    if (keys->count > 0) {
        cress_webhook_sign(keys, job->id, now_s, job->payload, job->payload_size,
                           &headers->signature);
        add_push_header(headers, "webhook-signature", cress_buf_text(&headers->signature));
    }
    if (job->traceparent) {
        add_push_header(headers, "traceparent", job->traceparent);
    }
    if (job->after && strlen(job->after) <= AFTER_MAX) {
        add_push_header(headers, "Cress-After", job->after);
    }
}

static void http_start(struct cress_run *run)
{
    const struct push *push = run->task->state;
    const struct cress_job *job = &run->job;
    if (push->failure.status != CRESS_OK) {
        cress_run_done(run,
                       (struct cress_outcome){.kind = CRESS_OUTCOME_RETRY, .error = push->failure});
        return;
    }
    char user_agent[USER_AGENT_MAX];
    snprintf(user_agent, sizeof user_agent, "cress/%s", cress_version());
    struct headers headers;
    make_headers(run, &push->keys, &headers);
    const struct cress_http_request request = {
        .method = "POST",
        .url = run->task->config->url,
        .headers = headers.list,
        .header_count = headers.count,
        .body = job->payload,
        .body_size = job->payload_size,
        .user_agent = user_agent,
        .timeout_ms = job->timeout_ms,
        .max_bytes = run->task->config->output_max_bytes,
    };
    run->state = cress_http_start(push->client, &request, answered_cb, run);
    cress_buf_free(&headers.signature);
}

static void http_stop(struct cress_run *run, enum cress_stop_reason reason)
{
    (void)reason;
    cress_http_cancel(run->state);
}

/* --- the task --- */

static enum cress_status http_check(const struct cress_task_config *config, struct cress_error *err)
{
    if (!config->url[0]) {
        return cress_error_set(err, CRESS_CONFIG, NULL, "handler = http needs a url");
    }
    if (config->secret_file[0] && config->secret_env[0]) {
        return cress_error_set(err, CRESS_CONFIG, NULL,
                               "secret_file and secret_env exclude each "
                               "other");
    }
    struct cress_url url;
    if (cress_url_parse(config->url, &url, err) != CRESS_OK) {
        err->status = CRESS_CONFIG;
        return CRESS_CONFIG;
    }
    cress_url_free(&url);
    struct cress_webhook_keys keys;
    return read_secret_keys(config, &keys, err);
}

static void http_open(struct cress_task *task)
{
    struct push *push = CRESS_NEW(struct push);
    push->client = cress_http_open(task->services->loop, (int)task->config->per_host);
    cress_text_redact_url(task->config->url, push->shown_url, sizeof push->shown_url);
    if (read_secret_keys(task->config, &push->keys, &push->failure) != CRESS_OK) {
        cress_log(CRESS_LOG_ERROR, "http task cannot run", CRESS_KV("task", task->config->name),
                  CRESS_KV_ERROR(&push->failure));
    }
    task->state = push;
}

static void client_closed_cb(void *arg)
{
    struct cress_task *task = arg;
    free(task->state);
    task->state = NULL;
    cress_task_closed(task);
}

static void http_close(struct cress_task *task)
{
    const struct push *push = task->state;
    cress_http_close(push->client, client_closed_cb, task);
}

const struct cress_handler cress_http_handler = {
    .task = "http",
    .start = http_start,
    .stop = http_stop,
    .check = http_check,
    .open = http_open,
    .close = http_close,
};
