// SPDX-License-Identifier: Apache-2.0
// A connection to Redis; see redis.h.
#include "common/store/redis.h"

#include "common/base/backoff.h"
#include "common/base/clock.h"
#include "common/base/decimal.h"
#include "common/base/mem.h"
#include "common/base/text.h"
#include "common/store/poll.h"
#include "common/store/reply_error.h"

#include <assert.h>
#include <hiredis/async.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Small, so that a restarted Redis is found again soon; the jitter keeps many programs apart. */
static const struct cress_backoff reconnect_backoff = {.base_ms = 50, .cap_ms = 2000};

/* After a stall of our own process answers may lie unread in the socket: time to read them before
 * the deadline is called missed. */
enum { GRACE_MS = 20 };

enum redis_state { DOWN, ASKING, RESOLVING, LOGIN, READY, CLOSED };

struct cress_redis {
    uv_loop_t *loop;
    struct cress_redis_options options;
    enum redis_state state;
    struct cress_error why; /* while not READY */
    unsigned failures;      /* in a row */

    char *host; /* the server; NULL: a socket, or not known yet */
    int port;
    char *label; /* the same for people */

    redisAsyncContext *context; /* NULL when there is none */
    uv_getaddrinfo_t lookup;
    uv_timer_t timer; /* DOWN: the next try; LOGIN, READY: the deadline of the oldest request */
    uv_idle_t idle;   /* active while `failed` is not empty */
    bool grace;       /* the deadline has passed; the answer may still be read */

    struct cress_list sent;   /* requests without answer, oldest first */
    struct cress_list failed; /* of struct failure: to be told on the next turn */

    int open_handles; /* timer, idle, lookup under way, sockets */
    void (*closed)(void *arg);
    void *closed_arg;
};

/* Requests that failed for one reason, which they keep: when they are told, the connection may be
 * up again. */
struct failure {
    struct cress_list node;
    struct cress_list requests;
    struct cress_error err;
};

static void start_connecting(struct cress_redis *redis);

/* --- words --- */

void cress_redis_add_bytes(struct cress_redis_args *args, const void *data, size_t size)
{
    assert(args->count < CRESS_REDIS_ARGS_MAX);
    args->words[args->count] = data;
    args->sizes[args->count] = size;
    args->count++;
}

void cress_redis_add(struct cress_redis_args *args, const char *text)
{
    cress_redis_add_bytes(args, text, strlen(text));
}

void cress_redis_add_int(struct cress_redis_args *args, int64_t number)
{
    char *out = args->numbers + args->numbers_size;
    const size_t room = sizeof(args->numbers) - args->numbers_size;

    assert(room >= CRESS_DECIMAL_MAX);
    const size_t size = cress_decimal(number, out);
    args->numbers_size += size;
    cress_redis_add_bytes(args, out, size);
}

void cress_redis_add_script(struct cress_redis_args *args, struct cress_redis_request *request,
                            struct cress_redis_script *script, int key_count)
{
    request->script = script;
    cress_redis_add(args, "EVALSHA");
    cress_redis_add(args, script->sha);
    cress_redis_add_int(args, key_count);
}

/* --- failing later --- */

static void maybe_finish(struct cress_redis *redis)
{
    if (redis->open_handles > 0) {
        return;
    }
    void (*closed)(void *arg) = redis->closed;
    void *arg = redis->closed_arg;
    free(redis->host);
    free(redis->label);
    free(redis);
    closed(arg);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct cress_redis *redis = handle->data;
    redis->open_handles--;
    maybe_finish(redis);
}

static void finish_request(struct cress_redis_request *request, const redisReply *reply,
                           const struct cress_error *err)
{
    redisFreeCommand(request->text);
    request->text = NULL;
    request->done(request, reply, err);
}

static void tell_failures(uv_idle_t *idle)
{
    struct cress_redis *redis = idle->data;
    struct cress_list failures;
    struct cress_list *node;

    cress_list_init(&failures);
    cress_list_splice(&failures, &redis->failed);
    while ((node = cress_list_shift(&failures))) {
        struct failure *failure = CRESS_CONTAINER(node, struct failure, node);
        while ((node = cress_list_shift(&failure->requests))) {
            finish_request(CRESS_CONTAINER(node, struct cress_redis_request, node), NULL,
                           &failure->err);
        }
        free(failure);
    }
    if (!cress_list_is_empty(&redis->failed)) {
        return; /* what was sent meanwhile has failed too: next turn */
    }
    uv_idle_stop(idle);
    if (redis->state == CLOSED) {
        uv_close((uv_handle_t *)idle, on_handle_closed);
    }
}

/* Empties `requests`. */
static void fail_later(struct cress_redis *redis, struct cress_list *requests,
                       const struct cress_error *err)
{
    struct failure *failure = CRESS_NEW(struct failure);

    failure->err = *err;
    cress_list_init(&failure->requests);
    cress_list_splice(&failure->requests, requests);
    cress_list_append(&redis->failed, &failure->node);
    uv_idle_start(&redis->idle, tell_failures);
}

/* --- losing the connection --- */

static void on_timer(uv_timer_t *timer);

/* The one way from any state to DOWN. The context has been freed or is about to be. */
static void go_down(struct cress_redis *redis, const struct cress_error *why)
{
    redis->state = DOWN;
    redis->why = *why;
    redis->context = NULL;
    redis->failures++;
    redis->grace = false;
    if (!cress_list_is_empty(&redis->sent)) {
        fail_later(redis, &redis->sent, why);
    }
    const int64_t delay_ms = cress_backoff_ms(&reconnect_backoff, redis->failures, cress_random());
    uv_timer_start(&redis->timer, on_timer, (uint64_t)delay_ms, 0);
    redis->options.on_state(false, why, redis->options.arg);
}

static void go_down_because(struct cress_redis *redis, const char *reason)
{
    struct cress_error why;

    cress_error_set(&why, CRESS_UNAVAILABLE, "store_unavailable",
                    "Redis at %s: %s; check store.url and that Redis runs", redis->label, reason);
    go_down(redis, &why);
}

static void on_disconnect(const redisAsyncContext *context, int status)
{
    struct cress_redis *redis = context->data;

    (void)status;
    if (context == redis->context) {
        go_down_because(redis, context->errstr);
    }
}

void cress_redis_drop(struct cress_redis *redis, const struct cress_error *why)
{
    redisAsyncContext *context = redis->context;

    if (context) {
        go_down(redis, why);
        redisAsyncFree(context);
    }
}

static void on_deadline(struct cress_redis *redis)
{
    if (cress_list_is_empty(&redis->sent)) {
        return;
    }
    const struct cress_redis_request *oldest =
        CRESS_CONTAINER(redis->sent.next, struct cress_redis_request, node);
    const int64_t left_ms =
        oldest->sent_ms + redis->options.timeout_ms - (int64_t)uv_now(redis->loop);

    if (left_ms > 0 || !redis->grace) {
        redis->grace = left_ms <= 0;
        uv_timer_start(&redis->timer, on_timer, left_ms > 0 ? (uint64_t)left_ms : GRACE_MS, 0);
        return;
    }
    struct cress_error why;
    cress_error_set(&why, CRESS_UNAVAILABLE, "store_unavailable",
                    "Redis at %s has not answered for %" PRId64 " ms", redis->label,
                    redis->options.timeout_ms);
    cress_redis_drop(redis, &why);
}

static void on_timer(uv_timer_t *timer)
{
    struct cress_redis *redis = timer->data;

    if (redis->state == DOWN) {
        start_connecting(redis);
    } else {
        on_deadline(redis);
    }
}

/* --- sending --- */

static void on_reply(redisAsyncContext *context, void *data, void *arg);

static void transmit(struct cress_redis *redis, struct cress_redis_request *request)
{
    if (cress_list_is_empty(&redis->sent) && !uv_is_active((uv_handle_t *)&redis->timer)) {
        uv_timer_start(&redis->timer, on_timer, (uint64_t)redis->options.timeout_ms, 0);
    }
    request->sent_ms = (int64_t)uv_now(redis->loop);
    cress_list_append(&redis->sent, &request->node);
    redisAsyncFormattedCommand(redis->context, on_reply, request, request->text,
                               (size_t)request->size);
}

static void format(struct cress_redis_request *request, struct cress_redis_args *args)
{
    request->size = redisFormatCommandArgv(&request->text, args->count, args->words, args->sizes);
    if (request->size < 0) {
        abort(); /* out of memory, as in common/base/mem.c */
    }
}

void cress_redis_send(struct cress_redis *redis, struct cress_redis_request *request,
                      struct cress_redis_args *args)
{
    request->redis = redis;
    if (redis->state == READY) {
        format(request, args);
        transmit(redis, request);
        return;
    }
    struct cress_list one;
    cress_list_init(&one);
    cress_list_append(&one, &request->node);
    fail_later(redis, &one, &redis->why);
}

static void load_script(struct cress_redis *redis, struct cress_redis_script *script);

static void on_error_reply(struct cress_redis *redis, struct cress_redis_request *request,
                           const char *text)
{
    if (request->script && strncmp(text, "NOSCRIPT", strlen("NOSCRIPT")) == 0) {
        struct cress_redis_script *script = request->script;
        request->script = NULL; /* a second time it is an error */
        load_script(redis, script);
        transmit(redis, request);
        return;
    }
    struct cress_error err;
    cress_reply_error(redis->label, text, &err);
    const bool fatal =
        (redis->state == LOGIN && !request->optional) ||
        (redis->options.role == CRESS_REDIS_PRIMARY && cress_reply_is_error(text, "READONLY"));
    finish_request(request, NULL, &err);
    if (fatal) {
        cress_redis_drop(redis, &err);
    }
}

static void on_reply(redisAsyncContext *context, void *data, void *arg)
{
    struct cress_redis *redis = context->data;
    const redisReply *reply = data;
    struct cress_redis_request *request = arg;

    if (!reply || context != redis->context) {
        return; /* the connection is lost: its requests have failed or are about to, all together */
    }
    cress_list_remove(&request->node);
    redis->grace = false;
    if (reply->type == REDIS_REPLY_ERROR) {
        on_error_reply(redis, request, reply->str);
    } else {
        finish_request(request, reply, NULL);
    }
}

/* --- login --- */

/* A request of our own; all that is asked of AUTH and SELECT is that they do not fail. */
struct login {
    struct cress_redis_request request;
    struct cress_redis_script *script; /* of SCRIPT LOAD */
    int64_t asked_mono_ms;             /* of TIME, the last one */
    bool last;
};

static bool is_replica(const redisReply *role)
{
    return role->type == REDIS_REPLY_ARRAY && role->elements > 0 && role->element[0]->str &&
           strcmp(role->element[0]->str, "slave") == 0;
}

void cress_redis_learn_time(const redisReply *reply, int64_t asked_mono_ms)
{
    int64_t seconds, micros;

    if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 && reply->element[0]->str &&
        reply->element[1]->str && cress_text_to_int(reply->element[0]->str, &seconds) &&
        cress_text_to_int(reply->element[1]->str, &micros)) {
        cress_clock_learn(seconds * 1000 + micros / 1000, asked_mono_ms, cress_clock_mono_ms());
    }
}

static void on_login_reply(struct cress_redis_request *request, const redisReply *reply,
                           const struct cress_error *err)
{
    struct login *login = CRESS_CONTAINER(request, struct login, request);
    struct cress_redis *redis = request->redis;

    if (!err && login->script) {
        snprintf(login->script->sha, sizeof(login->script->sha), "%s", reply->str);
    }
    if (!err && request->optional && is_replica(reply)) {
        struct cress_error why;
        cress_error_set(&why, CRESS_UNAVAILABLE, "store_readonly",
                        "Redis at %s is a replica, which takes no writes", redis->label);
        cress_redis_drop(redis, &why);
    }
    if (!err && login->last) {
        if (redis->options.role == CRESS_REDIS_PRIMARY) {
            cress_redis_learn_time(reply, login->asked_mono_ms);
        }
        redis->state = READY;
        redis->failures = 0;
        redis->options.on_state(true, NULL, redis->options.arg);
    }
    free(login);
}

static struct login *new_login(struct cress_redis *redis)
{
    struct login *login = CRESS_NEW(struct login);

    login->request.done = on_login_reply;
    login->request.redis = redis;
    return login;
}

static void send_login(struct login *login, struct cress_redis_args *args)
{
    format(&login->request, args);
    transmit(login->request.redis, &login->request);
}

static void load_script(struct cress_redis *redis, struct cress_redis_script *script)
{
    struct login *login = new_login(redis);
    struct cress_redis_args args;

    login->script = script;
    cress_redis_args_init(&args);
    cress_redis_add(&args, "SCRIPT");
    cress_redis_add(&args, "LOAD");
    cress_redis_add(&args, script->text);
    send_login(login, &args);
}

static void authenticate(struct cress_redis *redis)
{
    const struct cress_redis_address *address = redis->options.address;
    struct cress_redis_args args;

    cress_redis_args_init(&args);
    cress_redis_add(&args, "AUTH");
    if (address->user) {
        cress_redis_add(&args, address->user);
    }
    cress_redis_add(&args, address->password);
    send_login(new_login(redis), &args);
}

static void select_db(struct cress_redis *redis)
{
    struct cress_redis_args args;

    cress_redis_args_init(&args);
    cress_redis_add(&args, "SELECT");
    cress_redis_add_int(&args, redis->options.address->db);
    send_login(new_login(redis), &args);
}

/* A server that does not say what it is will be right. */
static void ask_role(struct cress_redis *redis)
{
    struct login *login = new_login(redis);
    struct cress_redis_args args;

    login->request.optional = true;
    cress_redis_args_init(&args);
    cress_redis_add(&args, "ROLE");
    send_login(login, &args);
}

/* What is asked last: whoever is ready knows the time. */
static void ask_time(struct cress_redis *redis)
{
    struct login *login = new_login(redis);
    struct cress_redis_args args;

    login->last = true;
    login->asked_mono_ms = cress_clock_mono_ms();
    cress_redis_args_init(&args);
    /* A Sentinel does not know TIME, and the time of a replica decides nothing. */
    cress_redis_add(&args, redis->options.role == CRESS_REDIS_PRIMARY ? "TIME" : "PING");
    send_login(login, &args);
}

static void log_in(struct cress_redis *redis)
{
    const struct cress_redis_address *address = redis->options.address;

    if (address->password) {
        authenticate(redis);
    }
    if (address->db != 0) {
        select_db(redis);
    }
    if (redis->options.role == CRESS_REDIS_PRIMARY) {
        ask_role(redis);
    }
    for (size_t i = 0; i < redis->options.script_count; i++) {
        load_script(redis, &redis->options.scripts[i]);
    }
    ask_time(redis);
}

/* --- connecting --- */

static void on_connect(const redisAsyncContext *context, int status)
{
    struct cress_redis *redis = context->data;

    if (status != REDIS_OK && context == redis->context) {
        go_down_because(redis, context->c.errstr);
    }
}

static void on_part_closed(void *arg)
{
    struct cress_redis *redis = arg;
    redis->open_handles--;
    maybe_finish(redis);
}

/* Takes `context` over. */
static void use_context(struct cress_redis *redis, redisAsyncContext *context)
{
    if (!context || context->err ||
        !cress_poll_attach(redis->loop, context, on_part_closed, redis)) {
        char reason[128];
        snprintf(reason, sizeof(reason), "%s",
                 context && context->err ? context->errstr : "no socket");
        if (context) {
            redisAsyncFree(context);
        }
        go_down_because(redis, reason);
        return;
    }
    redis->open_handles++;
    redis->state = LOGIN;
    redis->context = context;
    context->data = redis;
    if (!redis->options.address->path) {
        redisEnableKeepAlive(&context->c); /* finds a dead peer behind a silent subscription */
    }
    redisAsyncSetConnectCallback(context, on_connect);
    redisAsyncSetDisconnectCallback(context, on_disconnect);
    log_in(redis);
}

static void connect_to(struct cress_redis *redis, const struct addrinfo *addresses)
{
    unsigned count = 0;
    for (const struct addrinfo *a = addresses; a; a = a->ai_next) {
        count++;
    }
    /* One after the other: a name may have addresses on which nothing listens. */
    const struct addrinfo *chosen = addresses;
    for (unsigned i = redis->failures % count; i > 0; i--) {
        chosen = chosen->ai_next;
    }
    char numeric[64];
    const int status = getnameinfo(chosen->ai_addr, chosen->ai_addrlen, numeric, sizeof(numeric),
                                   NULL, 0, NI_NUMERICHOST);
    if (status != 0) {
        go_down_because(redis, gai_strerror(status));
        return;
    }
    use_context(redis, redisAsyncConnect(numeric, redis->port));
}

static void on_lookup(uv_getaddrinfo_t *lookup, int status, struct addrinfo *addresses)
{
    struct cress_redis *redis = lookup->data;

    redis->open_handles--;
    if (redis->state == CLOSED) {
        maybe_finish(redis);
    } else if (status < 0 || !addresses) {
        go_down_because(redis, status < 0 ? uv_strerror(status) : "the name has no address");
    } else {
        connect_to(redis, addresses);
    }
    uv_freeaddrinfo(addresses);
}

static void resolve(struct cress_redis *redis)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    const int status =
        uv_getaddrinfo(redis->loop, &redis->lookup, on_lookup, redis->host, NULL, &hints);
    if (status < 0) {
        go_down_because(redis, uv_strerror(status));
        return;
    }
    redis->state = RESOLVING;
    redis->open_handles++;
}

static void on_found(const char *host, int port, const struct cress_error *err, void *arg)
{
    struct cress_redis *redis = arg;
    const struct cress_redis_address *address = redis->options.address;

    if (err) {
        go_down(redis, err);
        return;
    }
    free(redis->host);
    free(redis->label);
    redis->host = cress_strdup(host);
    redis->port = port;
    redis->label = cress_format("%s:%d/%d (%s)", host, port, address->db, address->label);
    resolve(redis);
}

static void start_connecting(struct cress_redis *redis)
{
    struct cress_redis_finder *finder = redis->options.finder;
    if (finder) {
        redis->state = ASKING;
        finder->ask(finder, on_found, redis);
    } else if (redis->host) {
        resolve(redis);
    } else {
        use_context(redis, redisAsyncConnectUnix(redis->options.address->path));
    }
}

/* --- life --- */

struct cress_redis *cress_redis_open(uv_loop_t *loop, const struct cress_redis_options *options)
{
    struct cress_redis *redis = CRESS_NEW(struct cress_redis);
    const struct cress_redis_address *address = options->address;

    redis->loop = loop;
    redis->options = *options;
    redis->state = DOWN;
    redis->host = cress_strdup(address->host);
    redis->port = address->port;
    redis->label = cress_strdup(address->label);
    cress_error_set(&redis->why, CRESS_UNAVAILABLE, "store_unavailable",
                    "still connecting to Redis at %s", redis->label);
    cress_list_init(&redis->sent);
    cress_list_init(&redis->failed);
    redis->lookup.data = redis;
    uv_timer_init(loop, &redis->timer);
    redis->timer.data = redis;
    uv_idle_init(loop, &redis->idle);
    redis->idle.data = redis;
    redis->open_handles = 2;
    if (options->finder) {
        redis->open_handles++;
    }
    uv_timer_start(&redis->timer, on_timer, 0, 0);
    return redis;
}

void cress_redis_close(struct cress_redis *redis, void (*closed)(void *arg), void *arg)
{
    redisAsyncContext *context = redis->context;

    redis->context = NULL;
    redis->closed = closed;
    redis->closed_arg = arg;
    cress_error_set(&redis->why, CRESS_CANCELLED, "store_closed", "the store is being closed");
    if (!cress_list_is_empty(&redis->sent)) {
        fail_later(redis, &redis->sent, &redis->why);
    }
    if (redis->options.finder) {
        redis->options.finder->close(redis->options.finder, on_part_closed, redis);
    }
    if (redis->state == RESOLVING) {
        uv_cancel((uv_req_t *)&redis->lookup); /* on_lookup() runs in any case */
    }
    redis->state = CLOSED;
    if (context) {
        redisAsyncFree(context);
    }
    uv_close((uv_handle_t *)&redis->timer, on_handle_closed);
    uv_idle_start(&redis->idle, tell_failures); /* which closes it */
}

bool cress_redis_is_ready(const struct cress_redis *redis, struct cress_error *why)
{
    if (redis->state != READY && why) {
        *why = redis->why;
    }
    return redis->state == READY;
}

/* --- subscriptions --- */

static void on_published(redisAsyncContext *context, void *data, void *arg)
{
    struct cress_redis *redis = arg;

    if (data && context == redis->context) {
        redis->options.on_message(data, redis->options.arg);
    }
}

void cress_redis_subscribe(struct cress_redis *redis, const char *channel)
{
    if (redis->state == READY) {
        redisAsyncCommand(redis->context, on_published, redis, "SUBSCRIBE %s", channel);
    }
}

void cress_redis_unsubscribe(struct cress_redis *redis, const char *channel)
{
    if (redis->state == READY) {
        redisAsyncCommand(redis->context, NULL, NULL, "UNSUBSCRIBE %s", channel);
    }
}
