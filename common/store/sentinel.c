// SPDX-License-Identifier: Apache-2.0
// Questions to Sentinels; see sentinel.h.
//
// DESIGN
// Each question to each Sentinel is a connection of its own (struct cress_redis), which is closed
// with the answer: they are rare, and a Sentinel that hangs is not met twice.
#include "common/store/sentinel.h"

#include "common/base/backoff.h"
#include "common/base/mem.h"
#include "common/base/text.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Sentinels answer at once, and there are others. */
enum { PATIENCE_MS = 1000 };

struct sentinel {
    struct cress_redis_finder finder;
    uv_loop_t *loop;
    const struct cress_redis_address *address;
    enum cress_redis_role role;
    int64_t timeout_ms;

    size_t at;                         /* the Sentinel that is asked, or was last */
    size_t asked;                      /* so many have been, for this question */
    bool logged_in;                    /* with the server's password */
    struct cress_redis_address target; /* the Sentinel's, perhaps with that password; borrows */
    struct cress_redis *redis;         /* NULL: nobody is asked now */
    bool hanging_up;                   /* `redis` is being closed */
    struct cress_redis_request request;

    char *host; /* the answer; NULL: none yet */
    int port;
    struct cress_error why; /* the last reason for having none */
    cress_redis_found_cb done;
    void *arg;
    void (*closed)(void *arg);
    void *closed_arg;
};

static void ask_one(struct sentinel *sentinel);

/* --- the answer --- */

static void finish(struct sentinel *sentinel)
{
    char *host = sentinel->host;
    sentinel->host = NULL;
    sentinel->done(host, sentinel->port, host ? NULL : &sentinel->why, sentinel->arg);
    free(host);
}

static void free_sentinel(struct sentinel *sentinel)
{
    void (*closed)(void *arg) = sentinel->closed;
    void *arg = sentinel->closed_arg;
    free(sentinel->host);
    free(sentinel);
    closed(arg);
}

static void on_connection_closed(void *arg)
{
    struct sentinel *sentinel = arg;
    sentinel->redis = NULL;
    sentinel->hanging_up = false;
    if (sentinel->closed) {
        free_sentinel(sentinel);
    } else if (sentinel->host || sentinel->asked == sentinel->address->sentinel_count) {
        finish(sentinel);
    } else {
        ask_one(sentinel);
    }
}

static void hang_up(struct sentinel *sentinel)
{
    sentinel->hanging_up = true;
    cress_redis_close(sentinel->redis, on_connection_closed, sentinel);
}

/* This one does not know: on to the next, or, if it only wants a password, to the same again. */
static void give_up(struct sentinel *sentinel, const struct cress_error *why)
{
    const bool wants_login =
        why->status == CRESS_DENIED && !sentinel->logged_in && sentinel->address->password;
    sentinel->why = *why;
    sentinel->logged_in = wants_login;
    if (!wants_login) {
        sentinel->asked++;
        sentinel->at = (sentinel->at + 1) % sentinel->address->sentinel_count;
    }
    hang_up(sentinel);
}

static void take(struct sentinel *sentinel, const char *host, const char *port)
{
    int64_t number;
    struct cress_error why;
    if (!host || !port || !cress_text_to_int(port, &number) || number < 1 || number > 65535) {
        cress_error_set(&why, CRESS_UNAVAILABLE, "store_unavailable",
                        "Sentinel at %s gives no address for %s", sentinel->target.label,
                        sentinel->address->master);
        give_up(sentinel, &why);
        return;
    }
    sentinel->host = cress_strdup(host);
    sentinel->port = (int)number;
    hang_up(sentinel);
}

/* --- the primary --- */

static void send_question(struct sentinel *sentinel, const char *about, cress_redis_reply_cb done)
{
    struct cress_redis_args args;
    cress_redis_args_init(&args);
    cress_redis_add(&args, "SENTINEL");
    cress_redis_add(&args, about);
    cress_redis_add(&args, sentinel->address->master);
    sentinel->request = (struct cress_redis_request){.done = done};
    cress_redis_send(sentinel->redis, &sentinel->request, &args);
}

static struct sentinel *asker(struct cress_redis_request *request)
{
    return CRESS_CONTAINER(request, struct sentinel, request);
}

/* A lost connection is on_state()'s to act on, and a closed one nobody's. */
static bool is_lost(const struct sentinel *sentinel)
{
    return !cress_redis_is_ready(sentinel->redis, NULL);
}

static void on_primary(struct cress_redis_request *request, const redisReply *reply,
                       const struct cress_error *err)
{
    struct sentinel *sentinel = asker(request);
    if (is_lost(sentinel)) {
        return;
    }
    if (err) {
        give_up(sentinel, err);
    } else if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 2) {
        take(sentinel, reply->element[0]->str, reply->element[1]->str);
    } else {
        struct cress_error why;
        cress_error_set(&why, CRESS_UNAVAILABLE, "store_unavailable",
                        "Sentinel at %s knows no master %s; check store.url",
                        sentinel->target.label, sentinel->address->master);
        give_up(sentinel, &why);
    }
}

static void ask_for_primary(struct sentinel *sentinel)
{
    send_question(sentinel, "get-master-addr-by-name", on_primary);
}

/* --- a replica --- */

/* The value of `name` in a list of names and values, "" when it is not there. */
static const char *field(const redisReply *fields, const char *name)
{
    for (size_t i = 0; i + 1 < fields->elements; i += 2) {
        if (fields->element[i]->str && strcmp(fields->element[i]->str, name) == 0) {
            return fields->element[i + 1]->str ? fields->element[i + 1]->str : "";
        }
    }
    return "";
}

static bool is_good(const redisReply *replica)
{
    const char *flags = field(replica, "flags");
    return !strstr(flags, "down") && !strstr(flags, "disconnected") &&
           strcmp(field(replica, "master-link-status"), "ok") == 0;
}

static void on_replicas(struct cress_redis_request *request, const redisReply *reply,
                        const struct cress_error *err)
{
    struct sentinel *sentinel = asker(request);
    const redisReply *chosen = NULL;
    size_t good = 0;
    if (is_lost(sentinel)) {
        return;
    }
    if (err) {
        give_up(sentinel, err);
        return;
    }
    for (size_t i = 0; i < reply->elements; i++) {
        if (is_good(reply->element[i]) && cress_random() % ++good == 0) {
            chosen = reply->element[i];
        }
    }
    if (chosen) {
        take(sentinel, field(chosen, "ip"), field(chosen, "port"));
    } else {
        ask_for_primary(sentinel);
    }
}

/* --- asking --- */

static void on_state(bool ready, const struct cress_error *err, void *arg)
{
    struct sentinel *sentinel = arg;
    if (!ready) {
        give_up(sentinel, err);
    } else if (sentinel->role == CRESS_REDIS_REPLICA) {
        send_question(sentinel, "slaves", on_replicas); /* so called in every version */
    } else {
        ask_for_primary(sentinel);
    }
}

static void ask_one(struct sentinel *sentinel)
{
    sentinel->target = sentinel->address->sentinels[sentinel->at];
    if (sentinel->logged_in) {
        sentinel->target.user = sentinel->address->user;
        sentinel->target.password = sentinel->address->password;
    }
    sentinel->redis = cress_redis_open(sentinel->loop, &(struct cress_redis_options){
                                                           .address = &sentinel->target,
                                                           .role = CRESS_REDIS_SENTINEL,
                                                           .timeout_ms = sentinel->timeout_ms,
                                                           .on_state = on_state,
                                                           .arg = sentinel,
                                                       });
}

static struct sentinel *sentinel_of(struct cress_redis_finder *finder)
{
    return CRESS_CONTAINER(finder, struct sentinel, finder);
}

static void ask(struct cress_redis_finder *finder, cress_redis_found_cb done, void *arg)
{
    struct sentinel *sentinel = sentinel_of(finder);
    assert(!sentinel->redis);
    sentinel->done = done;
    sentinel->arg = arg;
    sentinel->asked = 0;
    sentinel->logged_in = false;
    ask_one(sentinel);
}

static void close_finder(struct cress_redis_finder *finder, void (*closed)(void *arg), void *arg)
{
    struct sentinel *sentinel = sentinel_of(finder);
    sentinel->closed = closed;
    sentinel->closed_arg = arg;
    if (!sentinel->redis) {
        free_sentinel(sentinel);
    } else if (!sentinel->hanging_up) {
        hang_up(sentinel);
    }
}

struct cress_redis_finder *cress_sentinel_finder(uv_loop_t *loop,
                                                 const struct cress_redis_address *address,
                                                 enum cress_redis_role role, int64_t timeout_ms)
{
    if (!address->master) {
        return NULL;
    }
    struct sentinel *sentinel = CRESS_NEW(struct sentinel);
    sentinel->finder = (struct cress_redis_finder){.ask = ask, .close = close_finder};
    sentinel->loop = loop;
    sentinel->address = address;
    sentinel->role = role;
    sentinel->timeout_ms = timeout_ms < PATIENCE_MS ? timeout_ms : PATIENCE_MS;
    return &sentinel->finder;
}
