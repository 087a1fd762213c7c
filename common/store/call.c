// SPDX-License-Identifier: Apache-2.0
// Calls of the store; see call.h.
#include "common/store/call.h"

#include "common/base/mem.h"

#include <stdlib.h>

struct cress_call *cress_call_new(struct cress_store *store, cress_redis_reply_cb reply, void *arg)
{
    struct cress_call *call = CRESS_NEW(struct cress_call);

    call->request.done = reply;
    call->store = store;
    call->arg = arg;
    return call;
}

void cress_call_free(struct cress_call *call)
{
    free(call->id);
    free(call);
}

void cress_call_script(struct cress_call *call, enum cress_script script, int key_count,
                       struct cress_redis_args *args)
{
    cress_redis_add_script(args, &call->request, &call->store->scripts[script], key_count);
}

void cress_call_send(struct cress_call *call, struct cress_redis_args *args)
{
    cress_redis_send(call->store->commands, &call->request, args);
}

/* Whoever was woken by a change must see it: what is watched is read from where it changes. */
void cress_call_send_read(struct cress_call *call, const char *key, struct cress_redis_args *args,
                          void (*read)(struct cress_call *call))
{
    struct cress_store *store = call->store;

    if (call->may_lag && store->replica && cress_replica_is_usable(store->replica) &&
        !cress_watch_exists(store, key)) {
        call->may_lag = false;
        call->read = read;
        cress_replica_send(store->replica, &call->request, args);
    } else {
        call->read = NULL;
        cress_call_send(call, args);
    }
}

bool cress_call_asks_primary(struct cress_call *call, const redisReply *reply,
                             const struct cress_error *err)
{
    if (!call->read || (!err && reply->elements > 0)) {
        return false;
    }
    call->read(call);
    return true;
}

void cress_call_on_done(struct cress_redis_request *request, const redisReply *reply,
                        const struct cress_error *err)
{
    struct cress_call *call = CRESS_CONTAINER(request, struct cress_call, request);

    (void)reply;
    call->then.done(err, call->arg);
    cress_call_free(call);
}

void cress_call_on_texts(struct cress_redis_request *request, const redisReply *reply,
                         const struct cress_error *err)
{
    struct cress_call *call = CRESS_CONTAINER(request, struct cress_call, request);

    if (err) {
        call->then.results(NULL, 0, err, call->arg);
    } else {
        const char **texts = cress_realloc_array(NULL, reply->elements + 1, sizeof(*texts));
        for (size_t i = 0; i < reply->elements; i++) {
            texts[i] = reply->element[i]->str;
        }
        texts[reply->elements] = NULL;
        call->then.results(texts, reply->elements, NULL, call->arg);
        free(texts);
    }
    cress_call_free(call);
}
