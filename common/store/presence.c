// SPDX-License-Identifier: Apache-2.0
// Who is there: workers and queues; see store.h.
#include "common/store/call.h"

static void on_beat(struct cress_redis_request *request, const redisReply *reply,
                    const struct cress_error *err)
{
    struct cress_call *call = CRESS_CONTAINER(request, struct cress_call, request);
    for (size_t i = 1; !err && i < reply->elements; i++) {
        cress_turn_tell(call->store, reply->element[i]->str);
    }
    call->then.close(!err && reply->element[0]->integer != 0, err, call->arg);
    cress_call_free(call);
}

void cress_store_beat(struct cress_store *store, const struct cress_beat *beat,
                      cress_store_close_cb done, void *arg)
{
    struct cress_call *call = cress_call_new(store, on_beat, arg);
    struct cress_redis_args args;
    char key[CRESS_KEY_MAX];

    cress_redis_args_init(&args);
    call->then.close = done;
    cress_call_script(call, CRESS_SCRIPT_BEAT, 2, &args);
    cress_redis_add(&args, cress_key(CRESS_KEY_WORKER, beat->worker, key));
    cress_redis_add(&args, CRESS_KEY_WORKERS);
    cress_redis_add(&args, beat->worker);
    cress_redis_add(&args, beat->json);
    cress_redis_add_int(&args, beat->ttl_ms);
    cress_redis_add_int(&args, store->options.config->store_ttl_ms);
    for (size_t i = 0; i < beat->limit_count && i < CRESS_BEAT_LIMITS_MAX; i++) {
        cress_redis_add(&args, beat->limits[i]);
    }
    cress_call_send(call, &args);
}

void cress_store_leave(struct cress_store *store, const char *worker, cress_store_done_cb done,
                       void *arg)
{
    struct cress_call *call = cress_call_new(store, cress_call_on_done, arg);
    struct cress_redis_args args;
    char key[CRESS_KEY_MAX];

    cress_redis_args_init(&args);
    call->then.done = done;
    cress_call_script(call, CRESS_SCRIPT_LEAVE, 2, &args);
    cress_redis_add(&args, cress_key(CRESS_KEY_WORKER, worker, key));
    cress_redis_add(&args, CRESS_KEY_WORKERS);
    cress_redis_add(&args, worker);
    cress_call_send(call, &args);
}

void cress_store_workers(struct cress_store *store, cress_store_results_cb done, void *arg)
{
    struct cress_call *call = cress_call_new(store, cress_call_on_texts, arg);
    struct cress_redis_args args;

    cress_redis_args_init(&args);
    call->then.results = done;
    cress_call_script(call, CRESS_SCRIPT_WORKERS, 1, &args);
    cress_redis_add(&args, CRESS_KEY_WORKERS);
    cress_call_send(call, &args);
}

void cress_store_add_queue(struct cress_store *store, const char *name, cress_store_done_cb done,
                           void *arg)
{
    struct cress_call *call = cress_call_new(store, cress_call_on_done, arg);
    struct cress_redis_args args;

    cress_redis_args_init(&args);
    call->then.done = done;
    cress_redis_add(&args, "SADD");
    cress_redis_add(&args, CRESS_KEY_QUEUES);
    cress_redis_add(&args, name);
    cress_call_send(call, &args);
}

void cress_store_queues(struct cress_store *store, cress_store_results_cb done, void *arg)
{
    struct cress_call *call = cress_call_new(store, cress_call_on_texts, arg);
    struct cress_redis_args args;

    cress_redis_args_init(&args);
    call->then.results = done;
    cress_redis_add(&args, "SORT");
    cress_redis_add(&args, CRESS_KEY_QUEUES);
    cress_redis_add(&args, "ALPHA");
    cress_call_send(call, &args);
}
