// SPDX-License-Identifier: Apache-2.0
// A client of the library from within: its loop thread, and how calls get there and back.
//
// DESIGN
//
//   any thread                                     loop thread
//   cress_client_perform() -- calls, uv_async --> call->begin()
//        waits on `changed`                            … store, broker …
//        returns  <-------------------------------- cress_client_call_end()
//
// Everything of common/ lives on the loop thread; the other threads only hand calls over. `lock`
// guards the members above the line in struct cress_client and every call's `over`. Callbacks of
// the user run without it.
#ifndef CRESS_LIBRARY_CLIENT_H
#define CRESS_LIBRARY_CLIENT_H

#include "common/base/list.h"
#include "common/broker/broker.h"
#include "common/store/store.h"
#include "common/submit/door.h"
#include "include/cress/cress.h"

#include <sys/types.h>
#include <uv.h>

struct cress_client_call;

struct cress_client {
    uv_mutex_t lock;
    uv_cond_t changed;          /* a call is over, or in_flight has gone down */
    struct cress_list calls;    /* not yet begun */
    size_t in_flight;           /* asynchronous enqueues without an outcome */
    struct cress_error failure; /* of the first that failed since the last flush */
    /* --- read-only while connected, or of the loop thread --- */
    pid_t pid;
    uv_thread_t thread;
    struct cress_config *config;
    int64_t timeout_ms;
    size_t max_in_flight;
    uv_loop_t loop;
    uv_async_t wake;
    uv_timer_t patience;                  /* while connecting */
    struct cress_client_call *connecting; /* NULL: connected, or given up */
    struct cress_broker *broker;
    struct cress_store *store;
};

/* To what is asked of store and broker within the client's timeout. Loop thread. */
static inline struct cress_door cress_client_door(const struct cress_client *client)
{
    return (struct cress_door){.broker = client->broker,
                               .store = client->store,
                               .config = client->config,
                               .timeout_ms = client->timeout_ms};
}

/* Something asked of the loop thread. Embedded in what the asking function needs besides. */
struct cress_client_call {
    struct cress_list node;
    struct cress_client *client;
    void (*begin)(struct cress_client_call
                      *call); /* loop thread; cress_client_call_end() follows, there too */
    bool over;
    struct cress_error err; /* CRESS_OK: it went well */
};

/* CRESS_USAGE in a child of the process that connected. */
CRESS_MUST_CHECK enum cress_status cress_client_check(const struct cress_client *client,
                                                      struct cress_error *err);

bool cress_client_in_callback(const struct cress_client *client);

/* Hands `call` to the loop thread and returns. */
void cress_client_post(struct cress_client *client, struct cress_client_call *call,
                       void (*begin)(struct cress_client_call *call));

/* The same, and waits for its end. CRESS_USAGE in a callback or a forked child. */
CRESS_MUST_CHECK enum cress_status
cress_client_perform(struct cress_client *client, struct cress_client_call *call,
                     void (*begin)(struct cress_client_call *call), struct cress_error *err);

/* Loop thread: `call` is over and belongs to whoever waits for it. `err` NULL: well. */
void cress_client_call_end(struct cress_client_call *call, const struct cress_error *err);

#endif
