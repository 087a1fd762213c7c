// SPDX-License-Identifier: Apache-2.0
// What the files of the store share and nobody else sees.
#ifndef CRESS_STORE_INTERNAL_H
#define CRESS_STORE_INTERNAL_H

#include "common/store/keys.h"
#include "common/store/limits.h"
#include "common/store/redis.h"
#include "common/store/replica.h"
#include "common/store/schedules.h"
#include "common/store/script.h"
#include "common/store/store.h"

struct cress_store {
    uv_loop_t *loop;
    struct cress_store_options options;
    struct cress_redis_address address, read_address;
    struct cress_redis_script scripts[CRESS_SCRIPT_COUNT];
    struct cress_transitions *transitions;
    struct cress_redis *commands;
    struct cress_redis *subscriptions; /* NULL until the first watch */
    struct cress_replica *replica;     /* NULL: every read goes to the primary */
    void *channels;                    /* tree of struct channel, see watch.c */
    cress_store_turn_cb on_turn;       /* limits.c; NULL: nobody cares */
    void *on_turn_arg;
    uv_timer_t time_timer; /* this and the next three: time.c */
    struct cress_redis_request time_request;
    bool is_asking_time;
    int64_t asked_time_ms; /* by the monotonic clock */
    int open_parts;        /* while closing: connections, transitions, the timer */
    void (*closed)(void *arg);
    void *closed_arg;
};

/* A command of a store function: carries the caller's callback to the function that reads the
 * reply. */
struct cress_call {
    struct cress_redis_request request;
    struct cress_store *store;
    union {
        cress_store_done_cb done;
        cress_store_create_cb create;
        cress_store_get_cb get;
        cress_store_log_cb log;
        cress_store_cancel_cb cancel;
        cress_store_requeue_cb requeue;
        cress_store_text_cb text;
        cress_store_mend_cb mend;
        cress_store_scan_jobs_cb scan_jobs;
        cress_store_scan_batches_cb scan_batches;
        cress_store_scan_awaited_cb scan_awaited;
        cress_store_pause_cb pause;
        cress_store_paused_cb paused;
        cress_store_close_cb close;
        cress_store_batch_cb batch;
        cress_store_results_cb results;
        cress_store_registered_cb registered;
        cress_store_claim_cb claim;
        cress_store_schedules_cb schedules;
        cress_store_follow_up_cb follow_up;
        cress_store_batch_cancel_cb batch_cancel;
    } then;
    void *arg;
    char *id;               /* owned: what the reply does not repeat; or NULL */
    enum cress_state state; /* create: that was asked for */
    bool may_lag; /* it is only for showing: the replica may answer, once */
    void (*read)(struct cress_call *call); /* while the replica is asked: asks again */
};

/* `reply` calls call->then and frees the call. */
struct cress_call *cress_call_new(struct cress_store *store, cress_redis_reply_cb reply, void *arg);
void cress_call_free(struct cress_call *call);

/* Sends a plain command, or one begun with cress_call_script(). */
void cress_call_send(struct cress_call *call, struct cress_redis_args *args);

/* Sends a command that only reads `key`: to the replica, if there is one and the call may lag; else
 * to the primary. `read` sends it once more. */
void cress_call_send_read(struct cress_call *call, const char *key, struct cress_redis_args *args,
                          void (*read)(struct cress_call *call));

/* First thing in the reply callback of a read: true when the replica had no answer, for an error or
 * because it lags, and the primary is asked now. */
bool cress_call_asks_primary(struct cress_call *call, const redisReply *reply,
                             const struct cress_error *err);

/* Begins EVALSHA: the keys follow, `key_count` of them, then the arguments. */
void cress_call_script(struct cress_call *call, enum cress_script script, int key_count,
                       struct cress_redis_args *args);

/* What a record is made from. */
enum cress_maker {
    CRESS_MAKER_SUBMITTER, /* it is counted in its batch and waits for others */
    CRESS_MAKER_MESSAGE, /* whoever submitted it has counted it, and what it waited for has ended */
    CRESS_MAKER_GUARD,   /* of a job that waited for others when its record was lost */
};

/* Sends create.lua. */
void cress_call_create(struct cress_call *call, const struct cress_job *job,
                       const struct cress_record *record, enum cress_maker maker);

/* Reads the answer to HGETALL of a batch, which borrows from it. */
void cress_batch_read(const redisReply *reply, struct cress_batch *batch);

/* For commands of which only success counts. */
void cress_call_on_done(struct cress_redis_request *request, const redisReply *reply,
                        const struct cress_error *err);

/* For scripts that answer FOLLOW or 0, or a negative number when there is no batch call->id. */
void cress_call_on_follow(struct cress_redis_request *request, const redisReply *reply,
                          const struct cress_error *err);

/* For commands that answer an array of texts. */
void cress_call_on_texts(struct cress_redis_request *request, const redisReply *reply,
                         const struct cress_error *err);

/* Begins to ask for the server's time now and then, by a timer that whoever closes the store closes. */
void cress_store_time_start(struct cress_store *store);

/* The transitions that are collected during a loop turn. Closing sends them. */
struct cress_transitions *cress_transitions_open(struct cress_store *store);
void cress_transitions_close(struct cress_transitions *transitions, void (*closed)(void *arg),
                             void *arg);

/* Tells what the scripts say about other jobs' turns: "call ID" or "start ID", see places.lua. */
void cress_turn_tell(const struct cress_store *store, const char *what);

/* Whether someone waits for `key` to change. */
bool cress_watch_exists(const struct cress_store *store, const char *key);

/* Messages of the subscribing connection, and its state. */
void cress_watch_on_message(const redisReply *reply, void *arg);
void cress_watch_on_state(bool ready, const struct cress_error *err, void *arg);

#endif
