// SPDX-License-Identifier: Apache-2.0
// Who is there: workers and queues; see store.h.
#include "common/store/internal.h"

void cress_store_beat(struct cress_store *store, const char *worker, const char *json,
                      int64_t ttl_ms, cress_store_close_cb done, void *arg)
{
    struct cress_call *call = cress_call_new(store, cress_call_on_follow, arg);
    struct cress_redis_args args;
    char key[CRESS_KEY_MAX];

    cress_redis_args_init(&args);
    call->then.close = done;
    cress_call_script(call, CRESS_SCRIPT_BEAT, 2, &args);
    cress_redis_add(&args, cress_key(CRESS_KEY_WORKER, worker, key));
    cress_redis_add(&args, CRESS_KEY_WORKERS);
    cress_redis_add(&args, worker);
    cress_redis_add(&args, json);
    cress_redis_add_int(&args, ttl_ms);
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
