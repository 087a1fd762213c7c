// SPDX-License-Identifier: Apache-2.0
// The broker: publishing with confirms, consuming with acknowledgements, over two RabbitMQ
// connections.
//
// DESIGN
//
//   loop thread                                  publisher thread            consumer thread
//   cress_broker_publish() --- mailbox ------->  basic.publish, confirms
//   callbacks  <------------- uv_async --------- outcomes
//   on_deliveries() <-------- uv_async --------------------------------------- basic.deliver
//   cress_delivery_settle() -- mailbox --------------------------------------> basic.ack / nack
//
// rabbitmq-c blocks, so it never runs on the loop: each connection is owned by one thread that
// waits in poll() on {socket, eventfd}. Two connections, because RabbitMQ throttles a connection
// that publishes too fast and acks must not wait behind it. What crosses between threads are
// batches: a list under a lock and one wake-up for many.
//
// A lost connection is made again for ever, with full-jitter backoff. Publishes that were not
// confirmed are sent again on the new connection, until their own deadline: at least once.
// Deliveries carry the epoch of their channel, of which each priority of a queue has one; settling
// one of an earlier epoch is dropped, for the broker has already redelivered it.
//
// Every function is called on the loop's thread, every callback runs there, and nothing blocks,
// unless it says otherwise.
#ifndef CRESS_BROKER_BROKER_H
#define CRESS_BROKER_BROKER_H

#include "common/base/list.h"
#include "common/config/config.h"
#include "common/job/job.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct cress_broker;

enum cress_broker_state {
    CRESS_BROKER_CONNECTING, /* not connected; trying */
    CRESS_BROKER_READY,
    CRESS_BROKER_BLOCKED, /* connected, but RabbitMQ takes no publishes: memory or disk alarm */
};

enum cress_broker_role { CRESS_BROKER_PUBLISH = 1, CRESS_BROKER_CONSUME = 2 };

struct cress_broker_options {
    const struct cress_config *config; /* must outlive the broker */
    const char *name; /* shown as the connection's name in RabbitMQ: "cress-worker host:1234" */
    unsigned roles;   /* which connections to make: CRESS_BROKER_PUBLISH | CRESS_BROKER_CONSUME */
    bool declares_delays; /* all delay queues at once, before they are needed */
    /* Told about each change of the publishing connection's state (the consuming one's when it is
     * the only one); `err` says why it is CONNECTING. May be NULL: then losses are logged. */
    void (*on_state)(enum cress_broker_state state, const struct cress_error *err, void *arg);
    void *arg;
};

/* Starts the threads and returns at once; they connect by themselves. Fails only on a URL that
 * cannot be read. */
CRESS_MUST_CHECK enum cress_status cress_broker_open(uv_loop_t *loop,
                                                     const struct cress_broker_options *options,
                                                     struct cress_broker **out,
                                                     struct cress_error *err);

/* Stops the threads, closing the connections tidily (unsettled deliveries go back to their queues),
 * fails publishes that are still open with CRESS_CANCELLED, then calls `closed` when no handle is
 * left on the loop. */
void cress_broker_close(struct cress_broker *broker, void (*closed)(void *arg), void *arg);

/* The state of the connection that publishes, and why it is not ready (code and message; CRESS_OK
 * when it is). A login that the broker refuses is CRESS_DENIED; it is tried again all the same. */
enum cress_broker_state cress_broker_state(const struct cress_broker *broker,
                                           struct cress_error *why);

/* --- publishing --- */

/* `err` NULL: the broker has confirmed, the message is safe. Else: CRESS_NOT_FOUND "unroutable" (no
 * such queue; the message is nowhere), CRESS_UNAVAILABLE "nacked" (refused, nowhere),
 * CRESS_UNAVAILABLE "unconfirmed" (the deadline passed: it may or may not have arrived), the reason
 * of cress_broker_state() (it passed while there was no connection to publish on: nowhere),
 * CRESS_CONFLICT "queue_mismatch" (the queue exists with other arguments), CRESS_TOO_LARGE
 * "too_large_for_broker" (over RabbitMQ's max_message_size; nowhere, and for good),
 * CRESS_CANCELLED. */
typedef void (*cress_publish_cb)(const struct cress_error *err, void *arg);

/* Publishes `message`, mandatory and persistent; it is copied before the call returns. What it is
 * routed to is declared on first use where the configuration allows: delay queues, `default` and
 * [queue] sections with declare = active, queues that this process consumes. `timeout_ms` 0 waits
 * for ever. `done` is called exactly once, never from within this call. */
void cress_broker_publish(struct cress_broker *broker, const struct cress_message *message,
                          int64_t timeout_ms, cress_publish_cb done, void *arg);

/* Whether the broker takes messages: publishes a canary, to a queue that is there for that. What else
 * cress_broker_publish() says, and CRESS_UNAVAILABLE "queues_sick": it does, but no queue that this
 * process has published to lately; the message names one. */
void cress_broker_probe(struct cress_broker *broker, int64_t timeout_ms, cress_publish_cb done,
                        void *arg);

/* Publishes that have no outcome yet: the producer's flow control. */
size_t cress_broker_in_flight(const struct cress_broker *broker);

/* --- consuming --- */

struct cress_delivery {
    struct cress_list node; /* for the consumer's own lists */
    struct cress_message *message;
    const char *queue; /* as subscribed; lives as long as the broker */
    enum cress_priority priority;
    bool redelivered;
    int64_t
        delivery_count; /* x-delivery-count: earlier deliveries of this message; 0 when absent */
    uint64_t tag;       /* 0: acknowledged already */
    uint64_t epoch;
    void *owner; /* the consumer's own */
};

enum cress_settlement {
    CRESS_ACK,
    CRESS_REQUEUE, /* back to its queue */
    CRESS_DEAD,    /* to the dead-letter queue */
};

struct cress_subscription {
    const char *queue; /* base name */
    bool raw; /* consume just this one queue, declared by someone else: no priorities, no declaring;
                 cress.due alone is declared all the same */
    bool paced;   /* raw ones only: nothing comes before cress_broker_more() */
    bool paused;  /* nothing comes before cress_broker_resume() */
    int prefetch; /* unsettled deliveries at most, over the priorities together; high gets the
                     largest share, unless: */
    bool each;    /* so many of each priority */
};

/* What a consumer is told. The queue's name is as subscribed and lives as long as the broker. */
struct cress_consumer {
    /* Gets a list of struct cress_delivery, which it empties: it owns them and settles each. */
    void (*on_deliveries)(struct cress_list *deliveries, void *arg);
    /* The queue is there and consumed, with all its priorities; told again after each interruption.
     * May be NULL. */
    void (*on_consuming)(const char *queue, void *arg);
    /* The queue cannot be consumed (absent, other arguments). It is tried again with backoff; the
     * others go on. May be NULL. */
    void (*on_problem)(const char *queue, const struct cress_error *err, void *arg);
    void *arg;
};

/* Starts consuming, now and after each reconnect. Twice for a broker at most; each consumer is told
 * of its own queues. What it is given is copied. */
void cress_broker_consume(struct cress_broker *broker,
                          const struct cress_subscription *subscriptions, size_t count,
                          const struct cress_consumer *consumer);

/* For paced subscriptions: lets up to `prefetch` more deliveries of `queue` come, beside those that
 * are unsettled. So a queue of any length can be looked through in bounded memory, and nothing in it
 * comes twice. */
void cress_broker_more(struct cress_broker *broker, const char *queue);

/* Pauses `queue` and lets it come again; twice is harmless. What is on its way when it is paused is
 * handed over all the same. */
void cress_broker_pause(struct cress_broker *broker, const char *queue);
void cress_broker_resume(struct cress_broker *broker, const char *queue);

/* From now on up to `prefetch` unsettled deliveries come of each priority of `queue`; those in hand do
 * not count. RabbitMQ has a consumer keep the number that it began with, so another consumer takes
 * the place of each: not for every few jobs. */
void cress_broker_set_prefetch(struct cress_broker *broker, const char *queue, int prefetch);

/* Frees the delivery without settling it: it goes back to its place in its queue when the
 * connection is closed. */
void cress_delivery_leave(struct cress_delivery *delivery);

/* Cancels the consumers; `stopped` is called after the last delivery has been handed over. Settling
 * goes on. */
void cress_broker_stop_consuming(struct cress_broker *broker, void (*stopped)(void *arg),
                                 void *arg);

/* Settles and frees the delivery, which is in no list any more. Runs of tags are acknowledged
 * together. */
void cress_delivery_settle(struct cress_broker *broker, struct cress_delivery *delivery,
                           enum cress_settlement how);

/* Acknowledges the delivery, and leaves it to the caller until cress_delivery_settle(), which then
 * only frees it. */
void cress_delivery_ack_now(struct cress_broker *broker, struct cress_delivery *delivery);

/* Calls `done` once everything settled so far has been written to the broker, or its connection is
 * lost. */
void cress_broker_flush(struct cress_broker *broker, void (*done)(void *arg), void *arg);

/* --- looking --- */

struct cress_queue_stats {
    char name[CRESS_QUEUE_NAME_MAX + 8]; /* the AMQP name: q, q.high, q.low, q.dead, … */
    bool exists;
    int64_t ready;
    int64_t consumers;
};

/* Asks for each of `names` (AMQP names, NULL at the end); `stats` has one element for each and
 * lives during the callback. */
void cress_broker_inspect(struct cress_broker *broker, const char *const *names, int64_t timeout_ms,
                          void (*done)(const struct cress_queue_stats *stats, size_t count,
                                       const struct cress_error *err, void *arg),
                          void *arg);

/* Declares a plain durable quorum queue unless it exists in any form: for `cress send` and `cress
 * receive`. */
void cress_broker_ensure_queue(struct cress_broker *broker, const char *name, int64_t timeout_ms,
                               cress_publish_cb done, void *arg);

/* Declares work queue `queue` as a worker would, with its priorities and dead letters: what is
 * missing is made. CRESS_CONFLICT "queue_mismatch" says which exists with other arguments. */
void cress_broker_declare(struct cress_broker *broker, const char *queue, int64_t timeout_ms,
                          cress_publish_cb done, void *arg);

/* Makes `name` this process's own, until its connection ends: what only one may do at a time is
 * claimed by a name that all agree on. CRESS_CONFLICT "resource_locked": another one has it. It is
 * an exclusive queue, so the user must be allowed to configure it. */
void cress_broker_claim(struct cress_broker *broker, const char *name, int64_t timeout_ms,
                        cress_publish_cb done, void *arg);

/* Whether the user may consume the AMQP queue `name`, without consuming anything: for `cress
 * doctor`. CRESS_DENIED "access_refused", CRESS_NOT_FOUND. */
void cress_broker_may_consume(struct cress_broker *broker, const char *name, int64_t timeout_ms,
                              cress_publish_cb done, void *arg);

/* Product and version of the server, "" before the first connection: for `cress doctor`. */
void cress_broker_server(const struct cress_broker *broker, char *text, size_t size);

#endif
