// SPDX-License-Identifier: Apache-2.0
// curl's multi interface on libuv.
//
// DESIGN
// curl does no waiting of its own: it says through on_socket() which sockets it waits for and
// through on_curl_timer() when it wants to be called, and is told of both by curl_multi_socket_action().
// Each socket has a `struct watch` with a poll handle. curl drops a watch before it closes the
// socket; the number may then be opened anew while the old handle is still closing, so a watch is
// never reused. Ended transfers are collected after each call into curl, outside of curl's own
// callbacks. Names are resolved by curl's threads; their socket pairs are watched like the other
// sockets.

#include "common/http/pool.h"

#include "common/base/mem.h"

#include <assert.h>
#include <stdlib.h>

struct cress_http_pool {
    CURLM *multi;
    uv_loop_t *loop;
    uv_timer_t timer;
    int handles; /* on the loop: the timer and one for each watch */
    void (*ended)(CURL *easy, CURLcode result);
    void (*closed)(void *arg); /* not NULL: closing */
    void *closed_arg;
};

struct watch {
    uv_poll_t poll;
    curl_socket_t socket;
    struct cress_http_pool *pool;
};

static void release_handle(struct cress_http_pool *pool)
{
    if (--pool->handles > 0) {
        return;
    }
    assert(pool->closed);
    pool->closed(pool->closed_arg);
    free(pool);
}

static void collect_ended(struct cress_http_pool *pool)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(pool->multi, &left))) {
        if (message->msg == CURLMSG_DONE) {
            pool->ended(message->easy_handle, message->data.result);
        }
    }
}

static void act(struct cress_http_pool *pool, curl_socket_t socket, int events)
{
    int running;
    curl_multi_socket_action(pool->multi, socket, events, &running);
    collect_ended(pool);
}

static void poll_cb(uv_poll_t *poll, int status, int events)
{
    const struct watch *watch = poll->data;
    int flags = status < 0 ? CURL_CSELECT_ERR : 0;
    flags |= (events & UV_READABLE) ? CURL_CSELECT_IN : 0;
    flags |= (events & UV_WRITABLE) ? CURL_CSELECT_OUT : 0;
    act(watch->pool, watch->socket, flags);
}

static void watch_closed_cb(uv_handle_t *handle)
{
    struct watch *watch = handle->data;
    struct cress_http_pool *pool = watch->pool;
    free(watch);
    release_handle(pool);
}

static struct watch *watch_open(struct cress_http_pool *pool, curl_socket_t socket)
{
    struct watch *watch = CRESS_NEW(struct watch);
    if (uv_poll_init_socket(pool->loop, &watch->poll, socket) != 0) {
        free(watch);
        return NULL;
    }
    watch->poll.data = watch;
    watch->socket = socket;
    watch->pool = pool;
    pool->handles++;
    curl_multi_assign(pool->multi, socket, watch);
    return watch;
}

static int on_socket(CURL *easy, curl_socket_t socket, int what, void *arg, void *socket_arg)
{
    (void)easy;
    struct cress_http_pool *pool = arg;
    struct watch *watch = socket_arg;
    if (what == CURL_POLL_REMOVE) {
        if (watch) {
            uv_close((uv_handle_t *)&watch->poll, watch_closed_cb);
            curl_multi_assign(pool->multi, socket, NULL);
        }
        return 0;
    }
    if (!watch && !(watch = watch_open(pool, socket))) {
        return -1;
    }
    int events =
        ((what & CURL_POLL_IN) ? UV_READABLE : 0) | ((what & CURL_POLL_OUT) ? UV_WRITABLE : 0);
    return uv_poll_start(&watch->poll, events, poll_cb) == 0 ? 0 : -1;
}

static void timer_cb(uv_timer_t *timer)
{
    act(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

static int on_curl_timer(CURLM *multi, long timeout_ms, void *arg)
{
    (void)multi;
    struct cress_http_pool *pool = arg;
    if (timeout_ms < 0) {
        uv_timer_stop(&pool->timer);
        return 0;
    }
    /* The loop's idea of now is as old as this turn: without this, a timer fires early and curl
     * asks for another one, again and again. */
    uv_update_time(pool->loop);
    return uv_timer_start(&pool->timer, timer_cb, (uint64_t)timeout_ms, 0) == 0 ? 0 : -1;
}

struct cress_http_pool *cress_http_pool_open(uv_loop_t *loop, int per_host,
                                             void (*ended)(CURL *easy, CURLcode result))
{
    struct cress_http_pool *pool = CRESS_NEW(struct cress_http_pool);
    pool->loop = loop;
    pool->ended = ended;
    pool->multi = curl_multi_init();
    if (!pool->multi) {
        abort(); /* out of memory, as in cress_alloc() */
    }
    curl_multi_setopt(pool->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(pool->multi, CURLMOPT_SOCKETDATA, pool);
    curl_multi_setopt(pool->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
    curl_multi_setopt(pool->multi, CURLMOPT_TIMERDATA, pool);
    curl_multi_setopt(pool->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)per_host);
    uv_timer_init(loop, &pool->timer);
    pool->timer.data = pool;
    pool->handles = 1;
    return pool;
}

static void timer_closed_cb(uv_handle_t *handle)
{
    release_handle(handle->data);
}

void cress_http_pool_close(struct cress_http_pool *pool, void (*closed)(void *arg), void *arg)
{
    pool->closed = closed;
    pool->closed_arg = arg;
    curl_multi_cleanup(pool->multi); /* drops the remaining watches */
    uv_close((uv_handle_t *)&pool->timer, timer_closed_cb);
}

bool cress_http_pool_add(struct cress_http_pool *pool, CURL *easy)
{
    return curl_multi_add_handle(pool->multi, easy) == CURLM_OK;
}

void cress_http_pool_remove(struct cress_http_pool *pool, CURL *easy)
{
    curl_multi_remove_handle(pool->multi, easy);
}
