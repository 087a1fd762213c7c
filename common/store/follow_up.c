// SPDX-License-Identifier: Apache-2.0
// What follows the ends of jobs, and how they ended; see store.h. The rules are in
// scripts/follow_up.lua.
#include "common/store/call.h"

#include "common/base/clock.h"

static void on_follow_up(struct cress_redis_request *request, const redisReply *reply,
                         const struct cress_error *err)
{
    struct cress_call *call = CRESS_CONTAINER(request, struct cress_call, request);
    const char *entries[CRESS_FOLLOW_UP_MAX] = {NULL};
    size_t count = 0;

    for (size_t i = 1; !err && i < reply->elements && count < CRESS_FOLLOW_UP_MAX; i++) {
        entries[count++] = reply->element[i]->str;
    }
    call->then.follow_up(entries, count, !err && reply->element[0]->integer != 0, err, call->arg);
    cress_call_free(call);
}

void cress_store_follow_up(struct cress_store *store, const char *id, char *const *done,
                           size_t done_count, cress_store_follow_up_cb then, void *arg)
{
    struct cress_call *call = cress_call_new(store, on_follow_up, arg);
    struct cress_redis_args args;
    char key[CRESS_KEY_MAX];

    cress_redis_args_init(&args);
    call->then.follow_up = then;
    cress_call_script(call, CRESS_SCRIPT_FOLLOW_UP, 1, &args);
    cress_redis_add(&args, cress_key(CRESS_KEY_JOB, id, key));
    cress_redis_add_int(&args, store->options.config->store_ttl_ms);
    cress_redis_add_int(&args, cress_clock_wall_ms());
    for (size_t i = 0; i < done_count; i++) {
        cress_redis_add(&args, done[i]);
    }
    cress_call_send(call, &args);
}

void cress_store_outcomes(struct cress_store *store, const char *const *ids, size_t count,
                          cress_store_results_cb done, void *arg)
{
    struct cress_call *call = cress_call_new(store, cress_call_on_texts, arg);
    struct cress_redis_args args;
    char keys[CRESS_OUTCOMES_MAX][CRESS_KEY_MAX];

    cress_redis_args_init(&args);
    call->then.results = done;
    cress_call_script(call, CRESS_SCRIPT_OUTCOMES, (int)count, &args);
    for (size_t i = 0; i < count; i++) {
        cress_redis_add(&args, cress_key(CRESS_KEY_JOB, ids[i], keys[i]));
    }
    cress_call_send(call, &args);
}
