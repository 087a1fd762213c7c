// SPDX-License-Identifier: Apache-2.0
// Enqueueing, one at a time and many at once; see include/cress/cress.h.
#include "common/base/clock.h"
#include "common/base/id.h"
#include "common/base/mem.h"
#include "common/base/text.h"
#include "common/submit/submit.h"
#include "library/client.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert((int)CRESS_ID_SIZE == (int)CRESS_ID_MAX + 1, "the public room for an id");

struct enqueue {
    struct cress_client_call call;
    char id[CRESS_ID_SIZE];
    json_t *request;
    char *payload;
    struct cress_job job; /* borrows from the three above */
    cress_enqueued_cb done;
    void *arg;
};

/* --- the request --- */

static void add_text(json_t *object, const char *member, const char *text)
{
    if (text) {
        json_object_set_new(object, member, json_string(text));
    }
}

/* "a,b" as an array */
static void add_list(json_t *object, const char *member, const char *text)
{
    char **items = cress_text_split(text ? text : "");
    json_t *list = json_array();
    for (char **item = items; *item; item++) {
        json_array_append_new(list, json_string(*item));
    }
    cress_text_list_free(items);
    json_object_set_new(object, member, list);
}

static void add_number(json_t *object, const char *member, int64_t number)
{
    if (number != 0) {
        json_object_set_new(object, member, json_integer(number));
    }
}

/* The request that HTTP and --jsonl know, so that one function decides what is valid. */
static enum cress_status make_request(const struct cress_request *request, json_t **out,
                                      struct cress_error *err)
{
    json_error_t why;
    const char *text = request->payload ? request->payload : "null";
    json_t *payload = json_loads(text, JSON_DECODE_ANY, &why);
    if (!payload) {
        return cress_error_set(err, CRESS_MALFORMED, "bad_json",
                               "the payload is not JSON: %s (line %d, column %d)", why.text,
                               why.line, why.column);
    }
    json_t *object = json_object();
    json_object_set_new(object, "payload", payload);
    add_text(object, "task", request->task);
    add_text(object, "queue", request->queue);
    add_text(object, "priority", request->priority);
    add_text(object, "id", request->id);
    add_number(object, "delay_ms", request->delay_ms);
    add_number(object, "expires_ms", request->expires_ms);
    add_number(object, "timeout_ms", request->timeout_ms);
    add_number(object, "max_attempts", request->max_attempts);
    add_text(object, "backoff", request->backoff);
    add_number(object, "backoff_base_ms", request->backoff_base_ms);
    add_number(object, "backoff_cap_ms", request->backoff_cap_ms);
    add_text(object, "unique", request->unique);
    add_number(object, "unique_for_ms", request->unique_for_ms);
    if (request->after) {
        add_list(object, "after", request->after);
        json_object_set_new(object, "after_any", json_boolean(request->after_any));
    }
    *out = object;
    return CRESS_OK;
}

static void enqueue_free(struct enqueue *enqueue)
{
    json_decref(enqueue->request);
    free(enqueue->payload);
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
    status = make_request(request, &enqueue->request, err);
    if (status == CRESS_OK) {
        status = cress_job_from_request(enqueue->request, cress_clock_wall_ms(), &enqueue->job,
                                        &enqueue->payload, err);
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

static void submit(struct enqueue *enqueue, cress_submit_cb done)
{
    const struct cress_client *client = enqueue->call.client;
    cress_submit(cress_client_door(client), &enqueue->job, done, enqueue);
}

/* Another job may have the unique key. */
static void take_id(struct enqueue *enqueue, const struct cress_record *record)
{
    snprintf(enqueue->id, sizeof enqueue->id, "%s", record->id);
}

static void on_submitted(const struct cress_record *record, const struct cress_error *err,
                         void *arg)
{
    struct enqueue *enqueue = arg;
    if (!err) {
        take_id(enqueue, record);
    }
    cress_client_call_end(&enqueue->call, err);
}

static void begin(struct cress_client_call *call)
{
    submit(CRESS_CONTAINER(call, struct enqueue, call), on_submitted);
}

static void on_submitted_async(const struct cress_record *record, const struct cress_error *err,
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
    submit(CRESS_CONTAINER(call, struct enqueue, call), on_submitted_async);
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
    status = cress_client_perform(client, &enqueue->call, begin, err);
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
