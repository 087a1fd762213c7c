// SPDX-License-Identifier: Apache-2.0
// Lets a libuv loop drive a hiredis connection.
//
// hiredis 0.14 ships such an adapter, which ignores the error that libuv reports for a refused or
// reset connection: the connection then hangs for ever. This one lets hiredis find the error by
// reading.
#ifndef CRESS_STORE_POLL_H
#define CRESS_STORE_POLL_H

#include <hiredis/async.h>
#include <stdbool.h>
#include <uv.h>

/* Attaches `context`, which must have its socket. `gone` is called once, on a later turn, when the
 * context has been freed and its handle closed. False when the socket cannot be polled; then
 * nothing was attached. Loop thread. */
bool cress_poll_attach(uv_loop_t *loop, redisAsyncContext *context, void (*gone)(void *arg),
                       void *arg);

#endif
