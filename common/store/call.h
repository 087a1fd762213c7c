// SPDX-License-Identifier: Apache-2.0
// A call of the store: one command, mostly one of the scripts, and the way of its reply to whoever
// asked. A function of the store makes a call, says in `then` who is to be told, adds what the
// script is to be given and sends it; the reply callback turns the reply into values, hands them to
// `then` and frees the call. Seen by the files of the store alone.
#ifndef CRESS_STORE_CALL_H
#define CRESS_STORE_CALL_H

#include "common/store/internal.h"
#include "common/store/schedules.h"

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
    bool may_lag;           /* it is only for showing: the replica may answer, once */
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

/* --- replies that several calls have --- */

/* For commands of which only success counts. */
void cress_call_on_done(struct cress_redis_request *request, const redisReply *reply,
                        const struct cress_error *err);

/* For commands that answer an array of texts. */
void cress_call_on_texts(struct cress_redis_request *request, const redisReply *reply,
                         const struct cress_error *err);

#endif
