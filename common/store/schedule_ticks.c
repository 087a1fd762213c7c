// SPDX-License-Identifier: Apache-2.0
// What workers do with a schedule, tick by tick, and its pause; see schedules.h.
#include "common/store/call.h"

#include "common/base/mem.h"

#define FORGET_MS (INT64_C(30) * 86400000)

/* --- registering --- */

static void on_registered(struct cress_redis_request *request, const redisReply *reply,
                          const struct cress_error *err)
{
    struct cress_call *call = CRESS_CONTAINER(request, struct cress_call, request);

    call->then.registered(err ? 0 : reply->integer, err, call->arg);
    cress_call_free(call);
}

static void add_pair(struct cress_redis_args *args, const char *name, const char *value)
{
    cress_redis_add(args, name);
    cress_redis_add(args, value);
}

void cress_store_schedule_register(struct cress_store *store, const char *name, const char *worker,
                                   const struct cress_schedule_definition *definition,
                                   int64_t known_ms, bool replaces, cress_store_registered_cb done,
                                   void *arg)
{
    struct cress_call *call = cress_call_new(store, on_registered, arg);
    struct cress_redis_args args;
    char key[CRESS_KEY_MAX];

    cress_redis_args_init(&args);
    call->then.registered = done;
    cress_call_script(call, CRESS_SCRIPT_SCHEDULE_REGISTER, 2, &args);
    cress_redis_add(&args, cress_key(CRESS_KEY_SCHEDULE, name, key));
    cress_redis_add(&args, CRESS_KEY_SCHEDULES);
    cress_redis_add(&args, name);
    cress_redis_add_int(&args, known_ms);
    cress_redis_add_int(&args, replaces);
    cress_redis_add_int(&args, FORGET_MS);
    cress_redis_add(&args, worker);
    add_pair(&args, "cron", definition->cron);
    add_pair(&args, "timezone", definition->timezone);
    add_pair(&args, "missed", definition->missed);
    add_pair(&args, "overlap", definition->overlap);
    add_pair(&args, "request", definition->request);
    cress_call_send(call, &args);
}

/* --- ticks --- */

static void on_claim(struct cress_redis_request *request, const redisReply *reply,
                     const struct cress_error *err)
{
    struct cress_call *call = CRESS_CONTAINER(request, struct cress_call, request);
    const bool good = !err && reply->elements == 2;

    call->then.claim(good ? (enum cress_claim)reply->element[0]->integer : CRESS_CLAIM_UNKNOWN,
                     good ? reply->element[1]->integer : 0, err, call->arg);
    cress_call_free(call);
}

void cress_store_schedule_claim(struct cress_store *store, const char *name, int64_t tick_ms,
                                int64_t hold_ms, bool skips_overlap, cress_store_claim_cb done,
                                void *arg)
{
    struct cress_call *call = cress_call_new(store, on_claim, arg);
    struct cress_redis_args args;
    char key[CRESS_KEY_MAX];

    cress_redis_args_init(&args);
    call->then.claim = done;
    cress_call_script(call, CRESS_SCRIPT_SCHEDULE_CLAIM, 1, &args);
    cress_redis_add(&args, cress_key(CRESS_KEY_SCHEDULE, name, key));
    cress_redis_add_int(&args, tick_ms);
    cress_redis_add_int(&args, hold_ms);
    cress_redis_add_int(&args, skips_overlap);
    cress_call_send(call, &args);
}

void cress_store_schedule_done(struct cress_store *store, const char *name, int64_t tick_ms,
                               const char *id, cress_store_done_cb done, void *arg)
{
    struct cress_call *call = cress_call_new(store, cress_call_on_done, arg);
    struct cress_redis_args args;
    char key[CRESS_KEY_MAX];

    cress_redis_args_init(&args);
    call->then.done = done;
    cress_call_script(call, CRESS_SCRIPT_SCHEDULE_DONE, 1, &args);
    cress_redis_add(&args, cress_key(CRESS_KEY_SCHEDULE, name, key));
    cress_redis_add_int(&args, tick_ms);
    cress_redis_add(&args, id ? id : "");
    cress_call_send(call, &args);
}

/* --- pausing --- */

static void on_pause(struct cress_redis_request *request, const redisReply *reply,
                     const struct cress_error *err)
{
    struct cress_call *call = CRESS_CONTAINER(request, struct cress_call, request);
    struct cress_error missing;

    if (!err && reply->integer == 0) {
        cress_error_set(&missing, CRESS_NOT_FOUND, "unknown_schedule",
                        "no schedule \"%.64s\": no worker has a [schedule] section of that name",
                        call->id);
        err = &missing;
    }
    call->then.done(err, call->arg);
    cress_call_free(call);
}

void cress_store_schedule_pause(struct cress_store *store, const char *name, bool paused,
                                cress_store_done_cb done, void *arg)
{
    struct cress_call *call = cress_call_new(store, on_pause, arg);
    struct cress_redis_args args;
    char key[CRESS_KEY_MAX];

    cress_redis_args_init(&args);
    call->then.done = done;
    call->id = cress_strdup(name);
    cress_call_script(call, CRESS_SCRIPT_SCHEDULE_PAUSE, 1, &args);
    cress_redis_add(&args, cress_key(CRESS_KEY_SCHEDULE, name, key));
    cress_redis_add_int(&args, paused);
    cress_call_send(call, &args);
}
