// SPDX-License-Identifier: Apache-2.0
// One connection to Redis that is made again for ever, over hiredis on the loop.
//
// DESIGN
//
// hiredis writes commands and reads replies; what it lacks is here: name lookup off the loop,
// login, deadlines, reconnecting, and callbacks that never run from within a call.
//
//   DOWN --timer--> [ASKING] --host--> RESOLVING --addresses--> LOGIN --PONG--> READY
//    ^                 |                   |                      |               |
//    +-----------------+-------------------+----------------------+---------------+
//                any error: fail what is under way, wait, try again
//
// ASKING: only where somebody else knows the server's address, see struct cress_redis_finder. In
// LOGIN these go out in one write: AUTH, SELECT, ROLE, SCRIPT LOAD of each script, PING. Redis
// answers in order, so the answer to PING says that all of it is done. A primary is wanted as a
// rule: a server that is a replica is given up at once, and one that becomes a replica with its
// first READONLY, so that the next try finds the new primary, be it through Sentinel, a name or a
// load balancer. A script that Redis has forgotten since (NOSCRIPT: SCRIPT FLUSH, a failover) is
// loaded again and its command repeated, unseen by the caller.
//
// Requests stand in one list in the order they were sent, which is the order of the answers; so one
// timer, set for the oldest, is the deadline of all. A connection that misses it is dropped: what
// its late answers would belong to can no longer be told.
//
// Loop thread only.
#ifndef CRESS_STORE_REDIS_H
#define CRESS_STORE_REDIS_H

#include "common/base/list.h"
#include "common/base/status.h"
#include "common/store/address.h"

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct cress_redis;
struct cress_redis_request;

/* A Lua script; `sha` is filled in by the first login. */
struct cress_redis_script {
    char *text;
    char sha[41];
};

enum cress_redis_role {
    CRESS_REDIS_PRIMARY,
    CRESS_REDIS_REPLICA, /* what Sentinels are asked for; a primary will do, too */
    CRESS_REDIS_SENTINEL,
};

/* Whoever knows where a server is that has no fixed address; sentinel.h makes one. The connection
 * that has it closes it. */
typedef void (*cress_redis_found_cb)(const char *host, int port, const struct cress_error *err,
                                     void *arg);
struct cress_redis_finder {
    /* `found` gets host and port, or an error when nobody knows, never from within this call. One
     * question at a time. */
    void (*ask)(struct cress_redis_finder *finder, cress_redis_found_cb found, void *arg);
    /* A question under way is not answered any more. */
    void (*close)(struct cress_redis_finder *finder, void (*closed)(void *arg), void *arg);
};

struct cress_redis_options {
    const struct cress_redis_address *address; /* outlives the connection, as do the scripts */
    struct cress_redis_finder *finder;         /* NULL: `address` is the server's own */
    enum cress_redis_role role;
    int64_t timeout_ms;
    struct cress_redis_script *scripts;
    size_t script_count;
    void (*on_state)(bool ready, const struct cress_error *err, void *arg);
    /* Answers to (UN)SUBSCRIBE and published messages, as Redis sends them: arrays of three. May be
     * NULL. */
    void (*on_message)(const redisReply *reply, void *arg);
    void *arg;
};

/* Starts connecting; `on_state` tells how it goes, on later turns. */
struct cress_redis *cress_redis_open(uv_loop_t *loop, const struct cress_redis_options *options);

/* Fails what is under way with CRESS_CANCELLED and frees the connection, then calls `closed`. */
void cress_redis_close(struct cress_redis *redis, void (*closed)(void *arg), void *arg);

/* Whether requests can be sent now; if not, `*why` says why. */
bool cress_redis_is_ready(const struct cress_redis *redis, struct cress_error *why);

/* Gives the connection up as if it had been lost, and makes it again. */
void cress_redis_drop(struct cress_redis *redis, const struct cress_error *why);

/* --- requests --- */

/* Room for the largest command: a bulk of transitions, see transitions.c. */
enum { CRESS_REDIS_ARGS_MAX = 840, CRESS_REDIS_NUMBERS_MAX = 4096 };

/* The words of a command. Texts are borrowed until the command is sent; numbers are written into
 * `numbers`. Begin with cress_redis_args_init(): zeroing all of it would cost more than most
 * commands. */
struct cress_redis_args {
    int count;
    const char *words[CRESS_REDIS_ARGS_MAX];
    size_t sizes[CRESS_REDIS_ARGS_MAX];
    size_t numbers_size;
    char numbers[CRESS_REDIS_NUMBERS_MAX];
};

static inline void cress_redis_args_init(struct cress_redis_args *args)
{
    args->count = 0;
    args->numbers_size = 0;
}

void cress_redis_add(struct cress_redis_args *args, const char *text);
void cress_redis_add_bytes(struct cress_redis_args *args, const void *data, size_t size);
void cress_redis_add_int(struct cress_redis_args *args, int64_t number);

/* `reply` is NULL when there is an error, which also covers error replies of Redis. */
typedef void (*cress_redis_reply_cb)(struct cress_redis_request *request, const redisReply *reply,
                                     const struct cress_error *err);

/* A command under way: the first member of the caller's own struct, who frees it in `done`. */
struct cress_redis_request {
    struct cress_list node;
    cress_redis_reply_cb done;
    struct cress_redis_script *script; /* NULL: a plain command */
    bool optional;                     /* of a login: Redis may answer with an error */
    int64_t sent_ms;                   /* by uv_now() */
    struct cress_redis *redis;
    char *text; /* the command as sent, for repeating it */
    int size;
};

/* Begins EVALSHA of `script` for `request`: `key_count` keys follow, then the arguments. */
void cress_redis_add_script(struct cress_redis_args *args, struct cress_redis_request *request,
                            struct cress_redis_script *script, int key_count);

/* Sends; `request->done` is called exactly once, never from within this call. */
void cress_redis_send(struct cress_redis *redis, struct cress_redis_request *request,
                      struct cress_redis_args *args);

/* Takes the answer to TIME, which was asked at `asked_mono_ms`, for the servers' clock. */
void cress_redis_learn_time(const redisReply *reply, int64_t asked_mono_ms);

/* Sends SUBSCRIBE or UNSUBSCRIBE of one channel. While not ready, nothing happens. */
void cress_redis_subscribe(struct cress_redis *redis, const char *channel);
void cress_redis_unsubscribe(struct cress_redis *redis, const char *channel);

#endif
