// SPDX-License-Identifier: Apache-2.0
// Batches: jobs that are counted together; see store.h.
#include "common/store/call.h"

#include "common/base/mem.h"
#include "common/base/text.h"

#include <string.h>

void cress_store_batch_open(struct cress_store *store, const char *id, const char *completion,
                            bool if_succeeded, int64_t now_ms, cress_store_done_cb done, void *arg)
{
    struct cress_call *call = cress_call_new(store, cress_call_on_done, arg);
    struct cress_redis_args args;
    char key[CRESS_KEY_MAX];

    cress_redis_args_init(&args);
    call->then.done = done;
    cress_call_script(call, CRESS_SCRIPT_BATCH_OPEN, 1, &args);
    cress_redis_add(&args, cress_key(CRESS_KEY_BATCH, id, key));
    cress_redis_add(&args, "created_ms");
    cress_redis_add_int(&args, now_ms);
    if (if_succeeded) {
        cress_redis_add(&args, "if_succeeded");
        cress_redis_add(&args, "1");
    }
    if (completion) {
        cress_redis_add(&args, "completion");
        cress_redis_add(&args, completion);
    }
    cress_call_send(call, &args);
}

static enum cress_status refuse_unknown(const char *id, struct cress_error *err)
{
    return cress_error_set(err, CRESS_NOT_FOUND, "unknown_batch",
                           "there is no batch %s: it never existed, or has expired", id);
}

/* The script answers FOLLOW or 0, or a negative number when there is no such batch. */
static void on_batch_closed(struct cress_redis_request *request, const redisReply *reply,
                            const struct cress_error *err)
{
    struct cress_call *call = CRESS_CONTAINER(request, struct cress_call, request);
    struct cress_error missing;

    if (!err && reply->integer < 0) {
        refuse_unknown(call->id, &missing);
        err = &missing;
    }
    call->then.close(!err && reply->integer == CRESS_SCRIPT_FOLLOW, err, call->arg);
    cress_call_free(call);
}

void cress_store_batch_close(struct cress_store *store, const char *id, cress_store_close_cb done,
                             void *arg)
{
    struct cress_call *call = cress_call_new(store, on_batch_closed, arg);
    struct cress_redis_args args;

    cress_redis_args_init(&args);
    call->then.close = done;
    call->id = cress_strdup(id);
    cress_call_script(call, CRESS_SCRIPT_BATCH_CLOSE, 0, &args);
    cress_redis_add(&args, id);
    cress_call_send(call, &args);
}

void cress_store_batch_complete(struct cress_store *store, const char *id, bool skipped,
                                cress_store_done_cb done, void *arg)
{
    struct cress_call *call = cress_call_new(store, cress_call_on_done, arg);
    struct cress_redis_args args;
    char key[CRESS_KEY_MAX];
    char results_key[CRESS_KEY_MAX];
    char members_key[CRESS_KEY_MAX];

    cress_redis_args_init(&args);
    call->then.done = done;
    cress_call_script(call, CRESS_SCRIPT_BATCH_COMPLETE, 3, &args);
    cress_redis_add(&args, cress_key(CRESS_KEY_BATCH, id, key));
    cress_redis_add(&args, cress_key(CRESS_KEY_RESULTS, id, results_key));
    cress_redis_add(&args, cress_key(CRESS_KEY_MEMBERS, id, members_key));
    cress_redis_add(&args, skipped ? "0" : "1");
    cress_redis_add_int(&args, store->options.config->store_ttl_ms);
    cress_call_send(call, &args);
}

static void on_batch_cancel(struct cress_redis_request *request, const redisReply *reply,
                            const struct cress_error *err)
{
    struct cress_call *call = CRESS_CONTAINER(request, struct cress_call, request);
    struct cress_batch_cancel answer = {0};
    struct cress_error refused;

    if (!err && reply->type == REDIS_REPLY_ARRAY) {
        answer.cancelled = reply->element[0]->integer;
        answer.asked = reply->element[1]->integer;
        answer.ended = reply->element[2]->integer;
        answer.next = reply->element[3]->len > 0 ? reply->element[3]->str : NULL;
    } else if (!err && reply->integer == -1) {
        refuse_unknown(call->id, &refused);
        err = &refused;
    } else if (!err) {
        cress_error_set(&refused, CRESS_CONFLICT, "batch_ended",
                        "all jobs of batch %s have ended already", call->id);
        err = &refused;
    }
    call->then.batch_cancel(&answer, err, call->arg);
    cress_call_free(call);
}

void cress_store_batch_cancel(struct cress_store *store, const char *id, const char *cursor,
                              const char *error, int64_t now_ms, cress_store_batch_cancel_cb done,
                              void *arg)
{
    struct cress_call *call = cress_call_new(store, on_batch_cancel, arg);
    struct cress_redis_args args;
    char key[CRESS_KEY_MAX];
    char members_key[CRESS_KEY_MAX];

    cress_redis_args_init(&args);
    call->then.batch_cancel = done;
    call->id = cress_strdup(id);
    cress_call_script(call, CRESS_SCRIPT_BATCH_CANCEL, 2, &args);
    cress_redis_add(&args, cress_key(CRESS_KEY_BATCH, id, key));
    cress_redis_add(&args, cress_key(CRESS_KEY_MEMBERS, id, members_key));
    cress_redis_add(&args, cursor ? cursor : "");
    cress_redis_add_int(&args, CRESS_BATCH_CANCEL_MAX);
    cress_redis_add(&args, error);
    cress_redis_add_int(&args, now_ms);
    cress_redis_add_int(&args, store->options.config->store_ttl_ms);
    cress_redis_add_int(&args, store->options.config->store_cancelled_ttl_ms);
    cress_call_send(call, &args);
}

void cress_batch_read(const redisReply *reply, struct cress_batch *batch)
{
    int64_t closed = 0, completed = 0, skipped = 0, if_succeeded = 0, cancel_requested = 0;
    const struct {
        const char *name;
        int64_t *number;
    } fields[] = {
        {"total", &batch->total},
        {"succeeded", &batch->succeeded},
        {"failed", &batch->failed},
        {"cancelled", &batch->cancelled},
        {"expired", &batch->expired},
        {"created_ms", &batch->created_ms},
        {"closed", &closed},
        {"completed", &completed},
        {"skipped", &skipped},
        {"if_succeeded", &if_succeeded},
        {"cancel_requested", &cancel_requested},
    };

    for (size_t i = 0; i + 1 < reply->elements; i += 2) {
        const char *name = reply->element[i]->str;
        const char *value = reply->element[i + 1]->str;
        if (strcmp(name, "completion") == 0) {
            batch->completion = value;
        }
        for (size_t f = 0; f < CRESS_COUNT(fields); f++) {
            if (strcmp(name, fields[f].name) == 0) {
                cress_text_to_int(value, fields[f].number);
            }
        }
    }
    batch->closed = closed != 0;
    batch->completed = completed != 0;
    batch->skipped = skipped != 0;
    batch->if_succeeded = if_succeeded != 0;
    batch->cancel_requested = cancel_requested != 0;
}

static void on_batch(struct cress_redis_request *request, const redisReply *reply,
                     const struct cress_error *err)
{
    struct cress_call *call = CRESS_CONTAINER(request, struct cress_call, request);
    struct cress_batch batch = {.id = call->id};

    if (cress_call_asks_primary(call, reply, err)) {
        return;
    }
    const bool exists = !err && reply->elements > 0;
    if (exists) {
        cress_batch_read(reply, &batch);
    }
    call->then.batch(exists ? &batch : NULL, err, call->arg);
    cress_call_free(call);
}

static void send_batch_get(struct cress_call *call)
{
    struct cress_redis_args args;
    char key[CRESS_KEY_MAX];

    cress_redis_args_init(&args);
    cress_redis_add(&args, "HGETALL");
    cress_redis_add(&args, cress_key(CRESS_KEY_BATCH, call->id, key));
    cress_call_send_read(call, key, &args, send_batch_get);
}

static struct cress_call *new_batch_get(struct cress_store *store, const char *id,
                                        cress_store_batch_cb done, void *arg)
{
    struct cress_call *call = cress_call_new(store, on_batch, arg);

    call->then.batch = done;
    call->id = cress_strdup(id);
    return call;
}

void cress_store_batch_get(struct cress_store *store, const char *id, cress_store_batch_cb done,
                           void *arg)
{
    send_batch_get(new_batch_get(store, id, done, arg));
}

void cress_store_peek_batch(struct cress_store *store, const char *id, cress_store_batch_cb done,
                            void *arg)
{
    struct cress_call *call = new_batch_get(store, id, done, arg);

    call->may_lag = true;
    send_batch_get(call);
}

void cress_store_batch_results(struct cress_store *store, const char *id, int64_t offset,
                               int64_t count, cress_store_results_cb done, void *arg)
{
    struct cress_call *call = cress_call_new(store, cress_call_on_texts, arg);
    struct cress_redis_args args;
    char key[CRESS_KEY_MAX];

    cress_redis_args_init(&args);
    call->then.results = done;
    cress_redis_add(&args, "LRANGE");
    cress_redis_add(&args, cress_key(CRESS_KEY_RESULTS, id, key));
    cress_redis_add_int(&args, offset);
    cress_redis_add_int(&args, offset + count - 1);
    cress_call_send(call, &args);
}
