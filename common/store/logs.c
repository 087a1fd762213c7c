// SPDX-License-Identifier: Apache-2.0
// The logs of attempts: texts that grow while they run; see store.h.
#include "common/store/call.h"

#include <stdio.h>

/* A `/` is in no id. */
static const char *log_key(const char *id, int attempt, char key[CRESS_KEY_MAX])
{
    snprintf(key, CRESS_KEY_MAX, CRESS_KEY_LOG "%s/%d", id, attempt);
    return key;
}

void cress_store_log_add(struct cress_store *store, const struct cress_log_piece *piece,
                         cress_store_done_cb done, void *arg)
{
    struct cress_call *call = cress_call_new(store, cress_call_on_done, arg);
    struct cress_redis_args args;
    char key[CRESS_KEY_MAX], job_key[CRESS_KEY_MAX];

    cress_redis_args_init(&args);
    call->then.done = done;
    cress_call_script(call, CRESS_SCRIPT_LOG, 2, &args);
    cress_redis_add(&args, log_key(piece->id, piece->attempt, key));
    cress_redis_add(&args, cress_key(CRESS_KEY_JOB, piece->id, job_key));
    cress_redis_add_bytes(&args, piece->text, piece->size);
    cress_redis_add_int(&args, piece->full_bytes);
    cress_redis_add_int(&args, piece->ttl_ms);
    cress_redis_add_int(&args, piece->attempt);
    cress_redis_add(&args, piece->worker);
    cress_call_send(call, &args);
}

static void on_log(struct cress_redis_request *request, const redisReply *reply,
                   const struct cress_error *err)
{
    struct cress_call *call = CRESS_CONTAINER(request, struct cress_call, request);

    call->then.log(err ? NULL : reply->str, err ? 0 : reply->len, err, call->arg);
    cress_call_free(call);
}

void cress_store_log_get(struct cress_store *store, const char *id, int attempt, int64_t offset,
                         cress_store_log_cb done, void *arg)
{
    struct cress_call *call = cress_call_new(store, on_log, arg);
    struct cress_redis_args args;
    char key[CRESS_KEY_MAX];

    cress_redis_args_init(&args);
    call->then.log = done;
    cress_redis_add(&args, "GETRANGE");
    cress_redis_add(&args, log_key(id, attempt, key));
    cress_redis_add_int(&args, offset);
    cress_redis_add_int(&args, -1);
    cress_call_send(call, &args);
}
