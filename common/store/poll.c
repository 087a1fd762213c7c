// SPDX-License-Identifier: Apache-2.0
// hiredis on a libuv loop; see poll.h.
#include "common/store/poll.h"

#include "common/base/mem.h"

#include <stdlib.h>

struct poll {
    uv_poll_t handle;
    redisAsyncContext *context; /* NULL once hiredis has freed it */
    int events;                 /* UV_READABLE | UV_WRITABLE that hiredis waits for */
    void (*gone)(void *arg);
    void *arg;
};

static void on_events(uv_poll_t *handle, int status, int events)
{
    struct poll *poll = handle->data;

    if (status < 0) {
        poll->events = 0;                   /* libuv has stopped polling */
        events = UV_READABLE | UV_WRITABLE; /* hiredis reads the socket's error and gives up */
    }
    if (poll->context && (events & UV_READABLE)) {
        redisAsyncHandleRead(poll->context);
    }
    if (poll->context && (events & UV_WRITABLE)) {
        redisAsyncHandleWrite(poll->context);
    }
}

/* hiredis asks again and again for what it has already. */
static void set_events(struct poll *poll, int events)
{
    if (events == poll->events) {
        return;
    }
    poll->events = events;
    if (events) {
        uv_poll_start(&poll->handle, events, on_events);
    } else {
        uv_poll_stop(&poll->handle);
    }
}

static void add_read(void *data)
{
    struct poll *poll = data;
    set_events(poll, poll->events | UV_READABLE);
}

static void del_read(void *data)
{
    struct poll *poll = data;
    set_events(poll, poll->events & ~UV_READABLE);
}

static void add_write(void *data)
{
    struct poll *poll = data;
    set_events(poll, poll->events | UV_WRITABLE);
}

static void del_write(void *data)
{
    struct poll *poll = data;
    set_events(poll, poll->events & ~UV_WRITABLE);
}

static void on_closed(uv_handle_t *handle)
{
    struct poll *poll = handle->data;

    poll->gone(poll->arg);
    free(poll);
}

static void clean_up(void *data)
{
    struct poll *poll = data;

    poll->context = NULL;
    uv_close((uv_handle_t *)&poll->handle, on_closed);
}

bool cress_poll_attach(uv_loop_t *loop, redisAsyncContext *context, void (*gone)(void *arg),
                       void *arg)
{
    struct poll *poll = CRESS_NEW(struct poll);

    if (uv_poll_init(loop, &poll->handle, context->c.fd) != 0) {
        free(poll);
        return false;
    }
    poll->context = context;
    poll->gone = gone;
    poll->arg = arg;
    poll->handle.data = poll;
    context->ev.data = poll;
    context->ev.addRead = add_read;
    context->ev.delRead = del_read;
    context->ev.addWrite = add_write;
    context->ev.delWrite = del_write;
    context->ev.cleanup = clean_up;
    return true;
}
