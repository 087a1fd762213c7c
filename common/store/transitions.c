// SPDX-License-Identifier: Apache-2.0
// Transitions of jobs for workers: start and change; see store.h. The rules are in
// scripts/start.lua and change.lua.
//
// DESIGN
//
// A worker makes two transitions for each job, so they are the store's hot path. Those of one loop
// turn travel together, as one call of the script for up to BULK_MAX jobs, sent before the loop
// waits again. This adds no delay, for hiredis would not write earlier either, and spares Redis a
// quarter of its time and us half of ours. A bulk that fails fails for all its jobs, of which some
// may have been carried out; repeating is harmless.
#include "common/store/call.h"

#include "common/base/log.h"
#include "common/base/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* More than 64 gains nothing, and Redis serves nobody else while it runs one. */
enum { BULK_MAX = 64, BULK_BYTES_MAX = 256 * 1024 };

enum { LOG_INTERVAL_MS = 1000 };

/* One start or change. */
struct transition {
    struct cress_list node;
    struct cress_store *store;
    const struct cress_start *start; /* the caller's; NULL: a change */
    cress_store_start_cb started;    /* of a start */
    cress_store_verdict_cb changed;  /* of a change */
    void *arg;
    struct cress_change change; /* its texts follow */
    char texts[];
};

/* Transitions to be sent as one command, and that command under way. */
struct bulk {
    struct cress_redis_request request;
    struct cress_store *store;
    struct cress_list transitions;
    int count;
    size_t bytes; /* of their texts */
};

struct cress_transitions {
    struct cress_store *store;
    struct cress_log_limit lone_guards;
    struct bulk *starts, *changes; /* being collected; NULL: none */
    uv_idle_t
        idle; /* active while there is one: runs before the loop waits, and keeps it from waiting */
    void (*closed)(void *arg);
    void *closed_arg;
};

/* --- verdicts --- */

static void add_start(struct cress_transitions *transitions, struct transition *transition);
static void create(struct transition *transition, const struct cress_job *job,
                   enum cress_state state, cress_redis_reply_cb reply);

static void finish(struct transition *transition, long long answer, const struct cress_error *err)
{
    const bool follow = (answer & CRESS_SCRIPT_FOLLOW) != 0;
    const enum cress_verdict verdict = (enum cress_verdict)(answer & (CRESS_SCRIPT_FOLLOW - 1));

    if (transition->start) {
        transition->started(verdict, follow, answer / CRESS_SCRIPT_WAIT, err, transition->arg);
    } else {
        transition->changed(verdict, follow, err, transition->arg);
    }
    free(transition);
}

static void on_duplicate_created(struct cress_redis_request *request, const redisReply *reply,
                                 const struct cress_error *err)
{
    struct cress_call *call = CRESS_CONTAINER(request, struct cress_call, request);

    (void)reply; /* it is there now, whoever made it */
    finish(call->arg, err ? CRESS_VERDICT_MISSING : CRESS_VERDICT_DUPLICATE, err);
    cress_call_free(call);
}

/* Another job has the unique key of this one: it gets a record without it, which can tell so. */
static void create_duplicate(struct transition *transition)
{
    struct cress_job job = *transition->start->job;

    job.unique = NULL;
    create(transition, &job, CRESS_STATE_QUEUED, on_duplicate_created);
}

/* The guard of a job that waits for others: without a record it waits again. */
static bool is_of_a_chain(const struct cress_start *start)
{
    return start->is_guard && start->job->after;
}

static void on_created(struct cress_redis_request *request, const redisReply *reply,
                       const struct cress_error *err)
{
    struct cress_call *call = CRESS_CONTAINER(request, struct cress_call, request);
    struct transition *transition = call->arg;

    const bool was_there = !err && reply->type == REDIS_REPLY_ARRAY;
    const bool has_begun = !err && reply->type == REDIS_REPLY_INTEGER && !transition->start->limits;
    if (err) {
        finish(transition, CRESS_VERDICT_MISSING, err);
    } else if (was_there && strcmp(reply->element[2]->str, transition->start->job->id) != 0) {
        create_duplicate(transition);
    } else if (!has_begun || is_of_a_chain(transition->start)) {
        /* someone else has made it meanwhile, or it was made to wait: it can be judged now */
        add_start(call->store->transitions, transition);
    } else {
        finish(transition, CRESS_VERDICT_APPLIED, NULL);
    }
    cress_call_free(call);
}

/* Of a job that has a message: whoever submitted it has counted it in its batch, or it is no member,
 * and what it waited for has ended. */
static void create(struct transition *transition, const struct cress_job *job,
                   enum cress_state state, cress_redis_reply_cb reply)
{
    const struct cress_start *start = transition->start;
    struct cress_call *call = cress_call_new(transition->store, reply, transition);
    struct cress_record record;

    cress_store_record(job, state, &record);
    if (state == CRESS_STATE_RUNNING) {
        record.attempt = job->attempt;
        record.worker = start->worker;
        record.started_ms = start->now_ms;
    }
    cress_call_create(call, job, &record,
                      is_of_a_chain(start) ? CRESS_MAKER_GUARD : CRESS_MAKER_MESSAGE);
}

/* A verdict, or an array of one and of what others' turns bring, see limits.h. */
static long long read_answer(struct cress_store *store, const redisReply *answer)
{
    if (answer->type != REDIS_REPLY_ARRAY) {
        return answer->integer;
    }
    for (size_t i = 1; i < answer->elements; i++) {
        cress_turn_tell(store, answer->element[i]->str);
    }
    return answer->element[0]->integer;
}

/* Its job may have ended so long ago that the record has expired, and runs all the same: see
 * docs/decisions/0016-guards-of-chains.md. */
static void report_lone_guard(struct cress_transitions *transitions,
                              const struct cress_start *start)
{
    uint64_t suppressed;
    if (start->is_guard && !start->is_recalled &&
        cress_log_allow(&transitions->lone_guards, LOG_INTERVAL_MS, &suppressed)) {
        cress_log(
            CRESS_LOG_WARN,
            "a guard came without a record, which was lost or has expired: the job is taken as "
            "one that has not run",
            CRESS_KV("job", start->job->id), CRESS_KV("task", start->job->task),
            CRESS_KVI("others", suppressed));
    }
}

static void on_bulk(struct cress_redis_request *request, const redisReply *reply,
                    const struct cress_error *err)
{
    struct bulk *bulk = CRESS_CONTAINER(request, struct bulk, request);
    struct cress_list *node;

    for (size_t i = 0; (node = cress_list_shift(&bulk->transitions)); i++) {
        struct transition *transition = CRESS_CONTAINER(node, struct transition, node);
        const long long answer =
            err ? CRESS_VERDICT_MISSING : read_answer(bulk->store, reply->element[i]);
        if (!err && transition->start && answer == CRESS_VERDICT_MISSING) {
            report_lone_guard(bulk->store->transitions, transition->start);
            create(transition, transition->start->job,
                   transition->start->limits || is_of_a_chain(transition->start)
                       ? CRESS_STATE_QUEUED
                       : CRESS_STATE_RUNNING,
                   on_created);
        } else {
            finish(transition, answer, err);
        }
    }
    free(bulk);
}

/* --- sending --- */

static void add_start_words(struct cress_redis_args *args, const struct cress_start *start)
{
    cress_redis_add_int(args, start->job->attempt);
    cress_redis_add(args, start->worker);
    cress_redis_add_int(args, start->now_ms);
    cress_redis_add_int(args, start->is_recalled   ? CRESS_SCRIPT_RECALLED
                              : start->redelivered ? 1 + start->patience_ms
                                                   : 0);
    cress_redis_add(args, start->lease ? start->lease : "");
    cress_redis_add_int(args, start->is_guard);
    cress_redis_add_int(args, start->max_crashes);
    cress_redis_add(args, start->limits ? start->limits : "");
    cress_redis_add(args, start->job->promise ? start->job->promise : "");
    cress_redis_add_int(args, start->job->max_attempts);
    cress_redis_add_int(args, start->job->timeout_ms);
    cress_redis_add(args, start->follows ? start->follows : "");
}

static void add_change_words(struct cress_redis_args *args, const struct cress_change *change)
{
    cress_redis_add(args, cress_state_word(change->to));
    cress_redis_add_int(args, change->attempt);
    cress_redis_add(args, change->worker ? change->worker : "");
    cress_redis_add(args, change->promise ? change->promise : "");
    if (change->result) {
        cress_redis_add(args, "result");
        cress_redis_add_bytes(args, change->result, change->result_size);
    } else {
        cress_redis_add(args, change->error ? "error" : "");
        cress_redis_add(args, change->error ? change->error : "");
    }
    cress_redis_add_int(args, change->run_at_ms);
    cress_redis_add_int(args, change->now_ms);
}

enum { SCRIPT_WORDS = 5, JOB_WORDS = 13 }; /* EVALSHA and what is common; key and arguments */
static_assert(SCRIPT_WORDS + BULK_MAX * JOB_WORDS <= CRESS_REDIS_ARGS_MAX,
              "a bulk fits into one command");

static void send_bulk(struct bulk *bulk, enum cress_script script)
{
    const struct cress_list *transitions = &bulk->transitions;
    struct cress_redis_args args;
    char keys[BULK_MAX][CRESS_KEY_MAX];
    int i = 0;

    cress_redis_args_init(&args);
    bulk->request.done = on_bulk;
    cress_redis_add_script(&args, &bulk->request, &bulk->store->scripts[script], bulk->count);
    for (struct cress_list *at = transitions->next; at != transitions; at = at->next) {
        const struct transition *transition = CRESS_CONTAINER(at, struct transition, node);
        const char *id = transition->start ? transition->start->job->id : transition->change.id;
        cress_redis_add(&args, cress_key(CRESS_KEY_JOB, id, keys[i++]));
    }
    cress_redis_add_int(&args, bulk->store->options.config->store_ttl_ms);
    if (script == CRESS_SCRIPT_CHANGE) {
        cress_redis_add_int(&args, bulk->store->options.config->store_cancelled_ttl_ms);
    }
    for (struct cress_list *at = transitions->next; at != transitions; at = at->next) {
        const struct transition *transition = CRESS_CONTAINER(at, struct transition, node);
        if (transition->start) {
            add_start_words(&args, transition->start);
        } else {
            add_change_words(&args, &transition->change);
        }
    }
    cress_redis_send(bulk->store->commands, &bulk->request, &args);
}

static void flush(struct bulk **collected, enum cress_script script)
{
    struct bulk *bulk = *collected;

    if (bulk) {
        *collected = NULL;
        send_bulk(bulk, script);
    }
}

static void flush_all(uv_idle_t *idle)
{
    struct cress_transitions *transitions = idle->data;

    uv_idle_stop(idle);
    flush(&transitions->starts, CRESS_SCRIPT_START);
    flush(&transitions->changes, CRESS_SCRIPT_CHANGE);
}

static void collect(struct cress_transitions *transitions, struct bulk **collected,
                    enum cress_script script, struct transition *transition, size_t bytes)
{
    struct bulk *bulk = *collected;

    if (!bulk) {
        bulk = *collected = CRESS_NEW(struct bulk);
        bulk->store = transitions->store;
        cress_list_init(&bulk->transitions);
    }
    cress_list_append(&bulk->transitions, &transition->node);
    bulk->count++;
    bulk->bytes += bytes;
    if (bulk->count == BULK_MAX || bulk->bytes >= BULK_BYTES_MAX) {
        flush(collected, script);
    } else {
        uv_idle_start(&transitions->idle, flush_all);
    }
}

static void add_start(struct cress_transitions *transitions, struct transition *transition)
{
    collect(transitions, &transitions->starts, CRESS_SCRIPT_START, transition, 0);
}

void cress_store_start(struct cress_store *store, const struct cress_start *start,
                       cress_store_start_cb done, void *arg)
{
    struct transition *transition = CRESS_NEW(struct transition);

    transition->store = store;
    transition->started = done;
    transition->arg = arg;
    transition->start = start;
    add_start(store->transitions, transition);
}

/* Copies `size` bytes to `*room`, terminates them and moves it on. NULL stays NULL. */
static const char *keep(char **room, const char *text, size_t size)
{
    char *copy = *room;

    if (!text) {
        return NULL;
    }
    memcpy(copy, text, size);
    copy[size] = '\0';
    *room += size + 1;
    return copy;
}

void cress_store_change(struct cress_store *store, const struct cress_change *change,
                        cress_store_verdict_cb done, void *arg)
{
    const size_t id_size = strlen(change->id);
    const size_t result_size = change->result ? change->result_size : 0;
    const size_t error_size = change->error ? strlen(change->error) : 0;
    const size_t worker_size = change->worker ? strlen(change->worker) : 0;
    const size_t promise_size = change->promise ? strlen(change->promise) : 0;
    const size_t bytes = id_size + result_size + error_size + worker_size + promise_size + 5;
    struct transition *transition = cress_alloc(sizeof(*transition) + bytes);
    char *room = transition->texts;

    transition->store = store;
    transition->changed = done;
    transition->arg = arg;
    transition->change = *change;
    transition->change.id = keep(&room, change->id, id_size);
    transition->change.result = keep(&room, change->result, result_size);
    transition->change.error = keep(&room, change->error, error_size);
    transition->change.worker = keep(&room, change->worker, worker_size);
    transition->change.promise = keep(&room, change->promise, promise_size);
    collect(store->transitions, &store->transitions->changes, CRESS_SCRIPT_CHANGE, transition,
            bytes);
}

/* --- life --- */

struct cress_transitions *cress_transitions_open(struct cress_store *store)
{
    struct cress_transitions *transitions = CRESS_NEW(struct cress_transitions);

    transitions->store = store;
    uv_idle_init(store->loop, &transitions->idle);
    transitions->idle.data = transitions;
    return transitions;
}

static void on_closed(uv_handle_t *handle)
{
    struct cress_transitions *transitions = handle->data;

    transitions->closed(transitions->closed_arg);
    free(transitions);
}

void cress_transitions_close(struct cress_transitions *transitions, void (*closed)(void *arg),
                             void *arg)
{
    flush_all(&transitions->idle);
    transitions->closed = closed;
    transitions->closed_arg = arg;
    uv_close((uv_handle_t *)&transitions->idle, on_closed);
}
