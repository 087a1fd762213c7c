// SPDX-License-Identifier: Apache-2.0
// What time it is for Redis: asked now and then, so that every program goes by one clock; see
// common/base/clock.h. At the beginning of each connection redis.c asks, too.
#include "common/store/internal.h"

#include "common/base/clock.h"

enum { ASK_EVERY_MS = 10000 };

static void on_time(struct cress_redis_request *request, const redisReply *reply,
                    const struct cress_error *err)
{
    struct cress_store *store = CRESS_CONTAINER(request, struct cress_store, time_request);
    store->is_asking_time = false;
    if (!err) {
        cress_redis_learn_time(reply, store->asked_time_ms);
    }
}

static void on_ask_time(uv_timer_t *timer)
{
    struct cress_store *store = timer->data;
    struct cress_redis_args args;
    if (store->is_asking_time || !cress_redis_is_ready(store->commands, NULL)) {
        return;
    }
    cress_redis_args_init(&args);
    cress_redis_add(&args, "TIME");
    store->is_asking_time = true;
    store->asked_time_ms = cress_clock_mono_ms();
    store->time_request = (struct cress_redis_request){.done = on_time};
    cress_redis_send(store->commands, &store->time_request, &args);
}

void cress_store_time_start(struct cress_store *store)
{
    uv_timer_init(store->loop, &store->time_timer);
    store->time_timer.data = store;
    uv_timer_start(&store->time_timer, on_ask_time, ASK_EVERY_MS, ASK_EVERY_MS);
    uv_unref((uv_handle_t *)&store->time_timer); /* it keeps no program from ending */
}
