// SPDX-License-Identifier: Apache-2.0
// Single job records: create, discard, get, cancel, note; see store.h. The transitions that workers make
// are in transitions.c.
#include "common/store/call.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/store/fields.h"

#include <string.h>

void cress_store_record(const struct cress_job *job, enum cress_state state,
                        struct cress_record *record)
{
    *record = (struct cress_record){
        .id = job->id,
        .task = job->task,
        .queue = job->queue,
        .priority = cress_priority_word(job->priority),
        .state = state,
        .version = 1,
        .max_attempts = job->max_attempts,
        .timeout_ms = job->timeout_ms,
        .backoff = job->backoff,
        .backoff_base_ms = job->backoff_base_ms,
        .backoff_cap_ms = job->backoff_cap_ms,
        .batch = job->batch,
        .key = job->key,
        .unique = job->unique,
        .unique_for_ms = job->unique_for_ms,
        .idempotency_key = job->idempotency_key,
        .created_ms = job->created_ms,
        .run_at_ms = job->not_before_ms,
        .expires_ms = job->expires_ms,
        .promise = job->promise,
        .after = job->after,
        .after_any = job->after_any,
        .reply_to = job->reply_to,
        .correlation_id = job->correlation_id,
        .traceparent = job->traceparent,
    };
}

/* A key that at most one job has at a time. */
struct claim {
    char key[CRESS_KEY_MAX];
    const char *fingerprint; /* of the request that took it; "": does not matter */
    int64_t for_ms;          /* 0: until the job has ended */
};

enum { CLAIMS_MAX = 2 };

/* A unique key whose time is over already, as that of a job whose record was lost and is made
 * again, is claimed no more. */
static size_t claims_of(const struct cress_job *job, struct claim claims[CLAIMS_MAX])
{
    size_t count = 0;

    if (job->idempotency_key) {
        struct claim *claim = &claims[count++];
        cress_key(CRESS_KEY_IDEMPOTENCY, job->idempotency_key, claim->key);
        claim->fingerprint = job->fingerprint ? job->fingerprint : "";
        claim->for_ms = CRESS_IDEMPOTENCY_MS;
    }
    if (!job->unique) {
        return count;
    }
    const int64_t now_ms = cress_clock_wall_ms();
    const int64_t since_ms = job->created_ms > 0 ? job->created_ms : now_ms;
    const int64_t left_ms = since_ms + job->unique_for_ms - now_ms;
    if (job->unique_for_ms == 0 || left_ms > 0) {
        struct claim *claim = &claims[count++];
        cress_key(CRESS_KEY_UNIQUE, job->unique, claim->key);
        claim->fingerprint = "";
        claim->for_ms = job->unique_for_ms == 0 ? 0 : left_ms;
    }
    return count;
}

void cress_call_create(struct cress_call *call, const struct cress_job *job,
                       const struct cress_record *record, enum cress_maker maker)
{
    static const char *const maker_words[] = {
        [CRESS_MAKER_SUBMITTER] = "submitter",
        [CRESS_MAKER_MESSAGE] = "message",
        [CRESS_MAKER_GUARD] = "guard",
    };
    struct cress_redis_args args;
    char key[CRESS_KEY_MAX];
    char batch_key[CRESS_KEY_MAX];
    char status[CRESS_STATUS_MAX];
    struct claim claims[CLAIMS_MAX];
    const size_t claim_count = claims_of(job, claims);
    const bool counted = maker == CRESS_MAKER_SUBMITTER && job->batch;
    const bool waits = maker != CRESS_MAKER_MESSAGE && job->after;

    cress_redis_args_init(&args);
    cress_call_script(call, CRESS_SCRIPT_CREATE,
                      claim_count > 0 ? 2 + (int)claim_count
                      : counted       ? 2
                                      : 1,
                      &args);
    cress_redis_add(&args, cress_key(CRESS_KEY_JOB, job->id, key));
    if (counted) {
        cress_redis_add(&args, cress_key(CRESS_KEY_BATCH, job->batch, batch_key));
    } else if (claim_count > 0) {
        cress_redis_add(&args, "");
    }
    for (size_t i = 0; i < claim_count; i++) {
        cress_redis_add(&args, claims[i].key);
    }
    for (size_t i = 0; i < claim_count; i++) {
        cress_redis_add(&args, claims[i].fingerprint);
        cress_redis_add_int(&args, claims[i].for_ms);
    }
    cress_redis_add(&args, maker_words[maker]);
    cress_redis_add(&args, waits ? job->after : "");
    if (waits) {
        cress_redis_add(&args, job->after_any ? "1" : "0");
        cress_redis_add_int(&args, cress_clock_wall_ms());
        cress_redis_add_int(&args, call->store->options.config->store_ttl_ms);
    }
    cress_fields_add(&args, record, status);
    if (job->payload) {
        cress_redis_add(&args, "payload");
        cress_redis_add_bytes(&args, job->payload, job->payload_size);
    }
    cress_call_send(call, &args);
}

/* Why create.lua made no record, or the state that it made it in. */
static enum cress_status read_created(const redisReply *reply, enum cress_state *state,
                                      struct cress_error *err)
{
    static const char unknown[] = "unknown ";

    if (reply->type == REDIS_REPLY_STRING && !cress_state_parse(reply->str, state)) {
        return cress_error_set(err, CRESS_NOT_FOUND, "unknown_job",
                               "after: there is no job %s; what is to be waited for must have been "
                               "submitted before",
                               reply->str + strlen(unknown));
    }
    if (reply->type == REDIS_REPLY_INTEGER && reply->integer == 0) {
        return cress_error_set(err, CRESS_NOT_FOUND, "unknown_batch",
                               "the job's batch does not exist; open it first");
    }
    if (reply->type == REDIS_REPLY_INTEGER && reply->integer < 0) {
        return cress_error_set(err, CRESS_CONFLICT, "batch_closed",
                               "the job's batch is closed: it takes no more jobs");
    }
    return CRESS_OK;
}

static void on_create(struct cress_redis_request *request, const redisReply *reply,
                      const struct cress_error *err)
{
    struct cress_call *call = CRESS_CONTAINER(request, struct cress_call, request);
    struct cress_record record = {0};
    struct cress_existing existing = {.record = &record};
    enum cress_state state = call->state;
    struct cress_error refused;
    const bool exists = !err && reply->type == REDIS_REPLY_ARRAY;

    if (exists) {
        existing.why = (unsigned)reply->element[0]->integer;
        existing.is_sent = reply->element[1]->integer != 0;
        record.id = reply->element[2]->str;
        cress_fields_read(reply->element[3], &record);
    } else if (!err && read_created(reply, &state, &refused) != CRESS_OK) {
        err = &refused;
    }
    call->then.create(exists ? &existing : NULL, state, err, call->arg);
    cress_call_free(call);
}

void cress_store_create(struct cress_store *store, const struct cress_job *job,
                        enum cress_state state, cress_store_create_cb done, void *arg)
{
    struct cress_call *call = cress_call_new(store, on_create, arg);
    struct cress_record record;

    call->then.create = done;
    call->id = cress_strdup(job->id);
    call->state = state;
    cress_store_record(job, state, &record);
    cress_call_create(call, job, &record, CRESS_MAKER_SUBMITTER);
}

void cress_store_adopt(struct cress_store *store, const struct cress_job *job,
                       cress_store_done_cb done, void *arg)
{
    struct cress_call *call = cress_call_new(store, cress_call_on_done, arg);
    struct cress_record record;

    call->then.done = done;
    cress_store_record(job, CRESS_STATE_QUEUED, &record);
    cress_call_create(call, job, &record, CRESS_MAKER_MESSAGE);
}

/* Runs `script` on one job. */
static void run_on(struct cress_store *store, enum cress_script script, const char *id,
                   cress_store_done_cb done, void *arg)
{
    struct cress_call *call = cress_call_new(store, cress_call_on_done, arg);
    struct cress_redis_args args;
    char key[CRESS_KEY_MAX];

    cress_redis_args_init(&args);
    call->then.done = done;
    cress_call_script(call, script, 1, &args);
    cress_redis_add(&args, cress_key(CRESS_KEY_JOB, id, key));
    cress_call_send(call, &args);
}

void cress_store_discard(struct cress_store *store, const char *id, cress_store_done_cb done,
                         void *arg)
{
    run_on(store, CRESS_SCRIPT_DISCARD, id, done, arg);
}

void cress_store_sent(struct cress_store *store, const char *id, cress_store_done_cb done,
                      void *arg)
{
    run_on(store, CRESS_SCRIPT_SENT, id, done, arg);
}

static void on_cancel(struct cress_redis_request *request, const redisReply *reply,
                      const struct cress_error *err)
{
    struct cress_call *call = CRESS_CONTAINER(request, struct cress_call, request);
    struct cress_cancel_answer answer = {.verdict = CRESS_VERDICT_MISSING};

    if (!err) {
        const long long verdict = reply->element[0]->integer;
        answer.verdict = (enum cress_verdict)(verdict & ~(long long)CRESS_SCRIPT_FOLLOW);
        answer.follow = (verdict & CRESS_SCRIPT_FOLLOW) != 0;
        answer.has_batch = reply->element[2]->integer != 0;
        cress_state_parse(reply->element[1]->str, &answer.state);
    }
    call->then.cancel(&answer, err, call->arg);
    cress_call_free(call);
}

void cress_store_cancel(struct cress_store *store, const char *id, const char *error,
                        int64_t now_ms, cress_store_cancel_cb done, void *arg)
{
    struct cress_call *call = cress_call_new(store, on_cancel, arg);
    struct cress_redis_args args;
    char key[CRESS_KEY_MAX];

    cress_redis_args_init(&args);
    call->then.cancel = done;
    cress_call_script(call, CRESS_SCRIPT_CANCEL, 1, &args);
    cress_redis_add(&args, cress_key(CRESS_KEY_JOB, id, key));
    cress_redis_add(&args, error);
    cress_redis_add_int(&args, now_ms);
    cress_redis_add_int(&args, store->options.config->store_ttl_ms);
    cress_redis_add_int(&args, store->options.config->store_cancelled_ttl_ms);
    cress_call_send(call, &args);
}

static void on_reason(struct cress_redis_request *request, const redisReply *reply,
                      const struct cress_error *err)
{
    struct cress_call *call = CRESS_CONTAINER(request, struct cress_call, request);

    call->then.text(err ? NULL : reply->str, err, call->arg);
    cress_call_free(call);
}

void cress_store_cancel_reason(struct cress_store *store, const char *id, cress_store_text_cb done,
                               void *arg)
{
    struct cress_call *call = cress_call_new(store, on_reason, arg);
    struct cress_redis_args args;
    char key[CRESS_KEY_MAX];

    cress_redis_args_init(&args);
    call->then.text = done;
    cress_redis_add(&args, "HGET");
    cress_redis_add(&args, cress_key(CRESS_KEY_JOB, id, key));
    cress_redis_add(&args, "cancel");
    cress_call_send(call, &args);
}

void cress_store_note(struct cress_store *store, const struct cress_note *note,
                      cress_store_done_cb done, void *arg)
{
    struct cress_call *call = cress_call_new(store, cress_call_on_done, arg);
    struct cress_redis_args args;
    char key[CRESS_KEY_MAX];

    cress_redis_args_init(&args);
    call->then.done = done;
    cress_call_script(call, CRESS_SCRIPT_NOTE, 1, &args);
    cress_redis_add(&args, cress_key(CRESS_KEY_JOB, note->id, key));
    cress_redis_add_int(&args, note->attempt);
    cress_redis_add(&args, note->worker);
    if (note->progress) {
        cress_redis_add(&args, "progress");
        cress_redis_add(&args, note->progress);
    }
    if (note->log) {
        cress_redis_add(&args, "log");
        cress_redis_add(&args, note->log);
    }
    cress_call_send(call, &args);
}

void cress_store_block(struct cress_store *store, const struct cress_job *job, const char *blocked,
                       cress_store_done_cb done, void *arg)
{
    struct cress_call *call = cress_call_new(store, cress_call_on_done, arg);
    struct cress_redis_args args;
    char key[CRESS_KEY_MAX];

    cress_redis_args_init(&args);
    call->then.done = done;
    cress_call_script(call, CRESS_SCRIPT_BLOCK, 1, &args);
    cress_redis_add(&args, cress_key(CRESS_KEY_JOB, job->id, key));
    cress_redis_add(&args, blocked ? blocked : "");
    cress_redis_add(&args, job->promise ? job->promise : "");
    cress_call_send(call, &args);
}

static void on_get(struct cress_redis_request *request, const redisReply *reply,
                   const struct cress_error *err)
{
    struct cress_call *call = CRESS_CONTAINER(request, struct cress_call, request);
    struct cress_record record = {.id = call->id};

    if (cress_call_asks_primary(call, reply, err)) {
        return;
    }
    const bool exists = !err && reply->elements > 0;
    if (exists) {
        cress_fields_read(reply, &record);
    }
    call->then.get(exists ? &record : NULL, err, call->arg);
    cress_call_free(call);
}

static void send_get(struct cress_call *call)
{
    struct cress_redis_args args;
    char key[CRESS_KEY_MAX];

    cress_redis_args_init(&args);
    cress_redis_add(&args, "HGETALL");
    cress_redis_add(&args, cress_key(CRESS_KEY_JOB, call->id, key));
    cress_call_send_read(call, key, &args, send_get);
}

static struct cress_call *new_get(struct cress_store *store, const char *id,
                                  cress_store_get_cb done, void *arg)
{
    struct cress_call *call = cress_call_new(store, on_get, arg);

    call->then.get = done;
    call->id = cress_strdup(id);
    return call;
}

void cress_store_get(struct cress_store *store, const char *id, cress_store_get_cb done, void *arg)
{
    send_get(new_get(store, id, done, arg));
}

void cress_store_peek(struct cress_store *store, const char *id, cress_store_get_cb done, void *arg)
{
    struct cress_call *call = new_get(store, id, done, arg);

    call->may_lag = true;
    send_get(call);
}
