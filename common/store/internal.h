// SPDX-License-Identifier: Apache-2.0
// What the files of the store share and nobody else sees.
#ifndef CRESS_STORE_INTERNAL_H
#define CRESS_STORE_INTERNAL_H

#include "common/store/keys.h"
#include "common/store/redis.h"
#include "common/store/replica.h"
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
    void (*on_turn)(const char *id, bool at_hand, void *arg); /* see limits.h; NULL: nobody cares */
    void *on_turn_arg;
    uv_timer_t time_timer; /* this and the next three: time.c */
    struct cress_redis_request time_request;
    bool is_asking_time;
    int64_t asked_time_ms; /* by the monotonic clock */
    int open_parts;        /* while closing: connections, transitions, the timer */
    void (*closed)(void *arg);
    void *closed_arg;
};

struct cress_call;

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
