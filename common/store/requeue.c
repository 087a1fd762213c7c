// SPDX-License-Identifier: Apache-2.0
// Records of jobs that are to run again; see store.h.
#include "common/store/call.h"

#include "common/base/mem.h"

static void on_requeue(struct cress_redis_request *request, const redisReply *reply,
                       const struct cress_error *err)
{
    struct cress_call *call = CRESS_CONTAINER(request, struct cress_call, request);
    enum cress_state was = CRESS_STATE_QUEUED;
    const bool exists = !err && cress_state_parse(reply->str, &was);

    call->then.requeue(exists, was, err, call->arg);
    cress_call_free(call);
}

void cress_store_requeue(struct cress_store *store, const char *id, const char *promise,
                         cress_store_requeue_cb done, void *arg)
{
    struct cress_call *call = cress_call_new(store, on_requeue, arg);
    struct cress_redis_args args;
    char key[CRESS_KEY_MAX];

    cress_redis_args_init(&args);
    call->then.requeue = done;
    cress_call_script(call, CRESS_SCRIPT_REQUEUE, 1, &args);
    cress_redis_add(&args, cress_key(CRESS_KEY_JOB, id, key));
    cress_redis_add(&args, promise ? promise : "");
    cress_call_send(call, &args);
}

static void on_mend(struct cress_redis_request *request, const redisReply *reply,
                    const struct cress_error *err)
{
    struct cress_call *call = CRESS_CONTAINER(request, struct cress_call, request);

    call->then.mend(!err && reply->integer == 1, err, call->arg);
    cress_call_free(call);
}

void cress_store_mend(struct cress_store *store, const char *id, int64_t version, int64_t now_ms,
                      cress_store_mend_cb done, void *arg)
{
    struct cress_call *call = cress_call_new(store, on_mend, arg);
    struct cress_redis_args args;
    char key[CRESS_KEY_MAX];

    cress_redis_args_init(&args);
    call->then.mend = done;
    cress_call_script(call, CRESS_SCRIPT_MEND, 1, &args);
    cress_redis_add(&args, cress_key(CRESS_KEY_JOB, id, key));
    cress_redis_add_int(&args, version);
    cress_redis_add_int(&args, now_ms);
    cress_call_send(call, &args);
}
