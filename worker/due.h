// SPDX-License-Identifier: Apache-2.0
// The router: takes what comes out of the delay queues from cress.due, and publishes it to where it
// is due.
//
// DESIGN
//
//   cress.wait.<ms> --(TTL)--> cress.due --> here --publish, confirm--> the work queue
//                                             |                          then ack
//                                             +-- not due yet ---------> cress.wait.<less>
//                                             +-- its queue takes none -> cress.wait.<further>
//
// Each worker is a router for all queues, whether it consumes them or not. A message stays in
// cress.due until the broker has confirmed its publish, so nothing is lost; what is published twice
// is told apart by its record.
//
// A work queue that refuses, is silent or is gone is *shut*: its messages go back to the delay queues
// for as long as that has lasted, a second at least and CRESS_DUE_DELAY_MAX_MS at most, and are tried
// again then. So it costs nobody else anything, and what was kept arrives when the queue is back.
//
// Depends on nothing of the worker's but the loop and the broker. Everything is on the loop's
// thread.
#ifndef CRESS_WORKER_DUE_H
#define CRESS_WORKER_DUE_H

#include "common/broker/broker.h"

struct cress_due;

enum {
    /* Messages in hand at most, unconfirmed ones included. */
    CRESS_DUE_PREFETCH = 2000,
    /* The longest wait for a queue that takes nothing. */
    CRESS_DUE_DELAY_MAX_MS = 256 * 1000,
};

/* Starts routing as soon as there is a connection. `broker` both publishes and consumes, and
 * outlives the router. */
struct cress_due *cress_due_open(uv_loop_t *loop, struct cress_broker *broker,
                                 const struct cress_config *config);

/* After the broker has stopped consuming: waits for what is in hand, for `limit_ms` at most; the
 * rest goes back to cress.due with the connection. Calls `closed` when it is gone. */
void cress_due_close(struct cress_due *due, int64_t limit_ms, void (*closed)(void *arg), void *arg);

/* A work queue that takes nothing. */
struct cress_due_shut {
    const char *queue; /* its AMQP name */
    const char *code;  /* why: nacked, unconfirmed, unroutable, … */
    int64_t since_ms;  /* wall clock */
    int64_t until_ms;  /* wall clock: when it is tried again */
    int64_t held;      /* messages that were sent back to wait, since then */
};

/* Calls `each` for each queue that is shut now. */
void cress_due_each_shut(const struct cress_due *due,
                         void (*each)(const struct cress_due_shut *shut, void *arg), void *arg);

#endif
