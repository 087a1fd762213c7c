// SPDX-License-Identifier: Apache-2.0
// Enqueueing, one at a time and many at once; see include/cress/cress.h.
#include "common/base/clock.h"
#include "common/base/id.h"
#include "common/base/json.h"
#include "common/base/mem.h"
#include "common/base/text.h"
#include "common/submit/submit.h"
#include "library/client.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert((int)CRESS_ID_SIZE == (int)CRESS_ID_MAX + 1, "the public room for an id");

struct enqueue {
    struct cress_client_call call;
    char id[CRESS_ID_SIZE];
    struct cress_buf request;
    char *texts;
    struct cress_job job; /* borrows from the three above */
    cress_enqueued_cb done;
    void *arg;
};

enum { REQUEST_REST_MAX = 1 << 20 }; /* of a request besides its payload */

/* --- the request --- */

/* JSON has no way to say what is not UTF-8. */
static enum cress_status add_text_member(struct cress_buf *out, const char *member,
                                         const char *text, struct cress_error *err)
{
    if (!text) {
        return CRESS_OK;
    }
    if (!cress_text_is_utf8(text, strlen(text))) {
        return cress_error_set(err, CRESS_INVALID, NULL, "%s is not UTF-8", member);
    }
    cress_buf_printf(out, ",\"%s\":", member);
    cress_buf_add_member(out, "", text);
    return CRESS_OK;
}

/* "a,b" as an array */
static void add_list(struct cress_buf *out, const char *member, const char *text)
{
    char **items = cress_text_split(text);
    cress_buf_printf(out, ",\"%s\":[", member);
    for (char **item = items; *item; item++) {
        cress_buf_add_member(out, item == items ? "" : ",", *item);
    }
    cress_buf_add_char(out, ']');
    cress_text_list_free(items);
}

static void add_number_member(struct cress_buf *out, const char *member, int64_t number)
{
    if (number != 0) {
        cress_buf_printf(out, ",\"%s\":%" PRId64, member, number);
    }
}

/* The payload as it was given. */
static enum cress_status begin_request(const char *text, struct cress_buf *out,
                                       struct cress_error *err)
{
    struct cress_json payload;
    if (cress_json_check(text, strlen(text), &payload, err) != CRESS_OK) {
        cress_error_prefix(err, "the payload is not JSON");
        return CRESS_MALFORMED;
    }
    *out = cress_buf_make(payload.size + REQUEST_REST_MAX);
    cress_buf_add_text(out, "{\"payload\":");
    cress_buf_add(out, payload.text, payload.size);
    return CRESS_OK;
}

/* The request that HTTP and --jsonl know, so that one function decides what is valid. */
static enum cress_status make_enqueue_request(const struct cress_request *request,
                                              struct cress_buf *out, struct cress_error *err)
{
    const struct {
        const char *member, *text;
    } texts[] = {
        {"task", request->task}, {"queue", request->queue},     {"priority", request->priority},
        {"id", request->id},     {"backoff", request->backoff}, {"unique", request->unique},
    };
    enum cress_status status =
        begin_request(request->payload ? request->payload : "null", out, err);
    for (size_t i = 0; i < CRESS_COUNT(texts) && status == CRESS_OK; i++) {
        status = add_text_member(out, texts[i].member, texts[i].text, err);
    }
    if (status != CRESS_OK) {
        return status;
    }
    add_number_member(out, "delay_ms", request->delay_ms);
    add_number_member(out, "expires_ms", request->expires_ms);
    add_number_member(out, "timeout_ms", request->timeout_ms);
    add_number_member(out, "max_attempts", request->max_attempts);
    add_number_member(out, "backoff_base_ms", request->backoff_base_ms);
    add_number_member(out, "backoff_cap_ms", request->backoff_cap_ms);
    add_number_member(out, "unique_for_ms", request->unique_for_ms);
    if (request->after) {
        add_list(out, "after", request->after);
        cress_buf_add_text(out, request->after_any ? ",\"after_any\":true" : "");
    }
    cress_buf_add_char(out, '}');
    if (out->overflowed) {
        return cress_error_set(err, CRESS_TOO_LARGE, NULL, "the request's texts are too long");
    }
    return CRESS_OK;
}

static void enqueue_free(struct enqueue *enqueue)
{
    cress_buf_free(&enqueue->request);
    free(enqueue->texts);
    free(enqueue);
}

static enum cress_status enqueue_new(const struct cress_client *client,
                                     const struct cress_request *request, struct enqueue **out,
                                     struct cress_error *err)
{
    enum cress_status status = cress_client_check(client, err);
    if (status != CRESS_OK) {
        return status;
    }
    struct enqueue *enqueue = CRESS_NEW(struct enqueue);
    status = make_enqueue_request(request, &enqueue->request, err);
    if (status == CRESS_OK) {
        status = cress_job_from_request(enqueue->request.data, enqueue->request.size,
                                        cress_clock_wall_ms(), &enqueue->job, &enqueue->texts, err);
    }
    if (status == CRESS_OK) {
        status = cress_job_check(&enqueue->job, client->config->job_max_payload_bytes, err);
    }
    if (status != CRESS_OK) {
        enqueue_free(enqueue);
        return status;
    }
    if (enqueue->job.id) {
        snprintf(enqueue->id, sizeof enqueue->id, "%s", enqueue->job.id);
    } else {
        cress_id_new(enqueue->id);
    }
    enqueue->job.id = enqueue->id;
    *out = enqueue;
    return CRESS_OK;
}

/* --- the loop thread --- */

static void submit_enqueue(struct enqueue *enqueue, cress_submit_cb done)
{
    const struct cress_client *client = enqueue->call.client;
    cress_submit(cress_client_door(client), &enqueue->job, done, enqueue);
}

/* Another job may have the unique key. */
static void take_id(struct enqueue *enqueue, const struct cress_record *record)
{
    snprintf(enqueue->id, sizeof enqueue->id, "%s", record->id);
}

static void on_enqueued(const struct cress_record *record, const struct cress_error *err, void *arg)
{
    struct enqueue *enqueue = arg;
    if (!err) {
        take_id(enqueue, record);
    }
    cress_client_call_end(&enqueue->call, err);
}

static void begin_enqueue(struct cress_client_call *call)
{
    submit_enqueue(CRESS_CONTAINER(call, struct enqueue, call), on_enqueued);
}

static void on_enqueued_async(const struct cress_record *record, const struct cress_error *err,
                              void *arg)
{
    struct enqueue *enqueue = arg;
    struct cress_client *client = enqueue->call.client;
    if (!err) {
        take_id(enqueue, record);
    }
    if (enqueue->done) {
        enqueue->done(enqueue->id, err, enqueue->arg);
    }
    uv_mutex_lock(&client->lock);
    client->in_flight--;
    if (err && client->failure.status == CRESS_OK) {
        client->failure = *err;
    }
    uv_cond_broadcast(&client->changed);
    uv_mutex_unlock(&client->lock);
    enqueue_free(enqueue);
}

static void begin_async(struct cress_client_call *call)
{
    submit_enqueue(CRESS_CONTAINER(call, struct enqueue, call), on_enqueued_async);
}

/* --- the caller's thread --- */

static void give_id(const struct enqueue *enqueue, char id[CRESS_ID_SIZE])
{
    if (id) {
        memcpy(id, enqueue->id, CRESS_ID_SIZE);
    }
}

enum cress_status cress_client_enqueue(struct cress_client *client,
                                       const struct cress_request *request, char id[CRESS_ID_SIZE],
                                       struct cress_error *err)
{
    struct enqueue *enqueue;
    enum cress_status status = enqueue_new(client, request, &enqueue, err);
    if (status != CRESS_OK) {
        return status;
    }
    status = cress_client_perform(client, &enqueue->call, begin_enqueue, err);
    if (status == CRESS_OK) {
        give_id(enqueue, id);
    }
    enqueue_free(enqueue);
    return status;
}

enum cress_status cress_client_enqueue_async(struct cress_client *client,
                                             const struct cress_request *request,
                                             char id[CRESS_ID_SIZE], cress_enqueued_cb done,
                                             void *arg, struct cress_error *err)
{
    struct enqueue *enqueue;
    const enum cress_status status = enqueue_new(client, request, &enqueue, err);
    if (status != CRESS_OK) {
        return status;
    }
    enqueue->done = done;
    enqueue->arg = arg;
    give_id(enqueue, id);
    const bool may_wait = !cress_client_in_callback(client);
    uv_mutex_lock(&client->lock);
    while (may_wait && client->in_flight >= client->max_in_flight) {
        uv_cond_wait(&client->changed, &client->lock);
    }
    client->in_flight++;
    uv_mutex_unlock(&client->lock);
    cress_client_post(client, &enqueue->call, begin_async);
    return CRESS_OK;
}

/* Under the lock: until none is under way. False when the time is over. */
static bool await_all(struct cress_client *client, int64_t timeout_ms)
{
    const int64_t deadline_ms = cress_clock_mono_ms() + timeout_ms;
    while (client->in_flight > 0) {
        const int64_t left_ms = deadline_ms - cress_clock_mono_ms();
        if (timeout_ms == 0) {
            uv_cond_wait(&client->changed, &client->lock);
        } else if (left_ms <= 0) {
            return false;
        } else {
            uv_cond_timedwait(&client->changed, &client->lock, (uint64_t)left_ms * 1000000);
        }
    }
    return true;
}

enum cress_status cress_client_flush(struct cress_client *client, int64_t timeout_ms,
                                     struct cress_error *err)
{
    struct cress_error failure = {.status = CRESS_OK};
    if (cress_client_check(client, err) != CRESS_OK) {
        return CRESS_USAGE;
    }
    if (cress_client_in_callback(client)) {
        return cress_error_set(err, CRESS_USAGE, "in_callback",
                               "flushing waits, which a callback must not");
    }
    uv_mutex_lock(&client->lock);
    if (await_all(client, timeout_ms)) {
        failure = client->failure;
        client->failure.status = CRESS_OK;
    } else {
        cress_error_set(&failure, CRESS_TIMEOUT, NULL, "%zu jobs have no outcome yet",
                        client->in_flight);
    }
    uv_mutex_unlock(&client->lock);
    if (failure.status != CRESS_OK && err) {
        *err = failure;
    }
    return failure.status;
}
