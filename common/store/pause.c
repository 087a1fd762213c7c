// SPDX-License-Identifier: Apache-2.0
// Queues that are paused; see store.h.
#include "common/store/call.h"

#include "common/base/mem.h"
#include "common/base/text.h"

#include <stdlib.h>

static void on_pause(struct cress_redis_request *request, const redisReply *reply,
                     const struct cress_error *err)
{
    struct cress_call *call = CRESS_CONTAINER(request, struct cress_call, request);
    struct cress_error unknown;
    const long long changed = err ? 0 : reply->element[0]->integer;
    const int64_t since_ms = err ? 0 : reply->element[1]->integer;

    if (changed < 0) {
        cress_error_set(&unknown, CRESS_NOT_FOUND, "unknown_queue",
                        "no queue named %.200s: no worker has ever consumed it, and the "
                        "configuration has no section [queue %.200s]",
                        call->id, call->id);
        err = &unknown;
    }
    call->then.pause(since_ms, changed > 0, err, call->arg);
    cress_call_free(call);
}

/* `now_ms` 0: resumes. */
static void change(struct cress_store *store, const char *queue, int64_t now_ms,
                   cress_store_pause_cb done, void *arg)
{
    struct cress_call *call = cress_call_new(store, on_pause, arg);
    struct cress_redis_args args;

    cress_redis_args_init(&args);
    call->then.pause = done;
    call->id = cress_strdup(queue);
    cress_call_script(call, CRESS_SCRIPT_PAUSE, 2, &args);
    cress_redis_add(&args, CRESS_KEY_PAUSED);
    cress_redis_add(&args, CRESS_KEY_QUEUES);
    cress_redis_add(&args, queue);
    if (now_ms > 0) {
        cress_redis_add_int(&args, now_ms);
    } else {
        cress_redis_add(&args, "");
    }
    cress_redis_add(&args, cress_config_queue(store->options.config, queue) ? "1" : "0");
    cress_call_send(call, &args);
}

void cress_store_pause(struct cress_store *store, const char *queue, int64_t now_ms,
                       cress_store_pause_cb done, void *arg)
{
    change(store, queue, now_ms, done, arg);
}

void cress_store_resume(struct cress_store *store, const char *queue, cress_store_pause_cb done,
                        void *arg)
{
    change(store, queue, 0, done, arg);
}

static void on_paused(struct cress_redis_request *request, const redisReply *reply,
                      const struct cress_error *err)
{
    struct cress_call *call = CRESS_CONTAINER(request, struct cress_call, request);
    const size_t count = err ? 0 : reply->elements / 2;
    struct cress_paused_queue *queues = cress_alloc((count + 1) * sizeof *queues);

    for (size_t i = 0; i < count; i++) {
        queues[i].name = reply->element[2 * i]->str;
        cress_text_to_int(reply->element[2 * i + 1]->str, &queues[i].since_ms);
    }
    call->then.paused(queues, count, err, call->arg);
    free(queues);
    cress_call_free(call);
}

void cress_store_paused(struct cress_store *store, cress_store_paused_cb done, void *arg)
{
    struct cress_call *call = cress_call_new(store, on_paused, arg);
    struct cress_redis_args args;

    cress_redis_args_init(&args);
    call->then.paused = done;
    cress_redis_add(&args, "HGETALL");
    cress_redis_add(&args, CRESS_KEY_PAUSED);
    cress_call_send(call, &args);
}
