// SPDX-License-Identifier: Apache-2.0
// Every exchange and queue of Cress: names, arguments, routes. Nothing else in the tree knows them.
//
//   work queue q    q.high, q, q.low   durable quorum queues; dead letters to q.dead, at least once
//   dead letters    q.dead             durable quorum queue
//   delay           cress.later.<ms>   fanout exchange and quorum queue with that TTL; when it has
//                                      passed, the broker gives the message to cress.due
//   due             cress.due          direct exchange, which routes by the message's first routing
//                                      key, the work queue's name. Each work queue is bound to it
//   claim           cress.dead.claim   exclusive queue of the one `cress dead` that looks at them
//   undeliverable   cress.undeliverable  fanout exchange and quorum queue: what became due for a queue
//                                      that is gone. Without it such messages would stay in their
//                                      delay queue, and RabbitMQ would hold up all the others there
//
// Delays are the multiples of 64 ms up to a second, and from there eight to each doubling: 1152,
// 1280, … 2048, 2304, …. A job that is due within two seconds is sent to the next longer one: late
// by 128 ms at most. Any other is sent to the longest one that ends half a second before it is due,
// and whoever consumes it sends it on; so what a busy broker was late with is made up for. An eighth
// of the way is left each time: two hops do for what is due within sixteen seconds, three for two
// minutes, eight for three weeks; and nothing is held in a worker's memory.
//
// Powers of two alone would be a seventh of the queues, for twice as many hops; and half of all jobs
// would come back at the same moments.
//
// Pure functions; any thread. Declaring is the connection thread's: see declare.h.
#ifndef CRESS_BROKER_TOPOLOGY_H
#define CRESS_BROKER_TOPOLOGY_H

#include "common/job/job.h"

#include <stdbool.h>
#include <stdint.h>

enum { CRESS_ROUTE_NAME_MAX = 256, CRESS_DELAY_NAME_MAX = 32 };

#define CRESS_DUE_EXCHANGE  "cress.due"
#define CRESS_UNDELIVERABLE "cress.undeliverable"
#define CRESS_DEAD_CLAIM    "cress.dead.claim"

/* Deliveries after which the broker itself dead-letters a message: a net below the worker's own
 * count of crashes, and high, because RabbitMQ before 4.0 counts tidy hand-backs too. Part of the
 * queue's arguments: never change it. */
enum { CRESS_DELIVERY_LIMIT = 50 };

/* The same for dead letters: looking at them delivers them, and RabbitMQ 4 drops what was delivered 20
 * times unless the queue says otherwise. */
enum { CRESS_DEAD_DELIVERY_LIMIT = 1000000000 };

/* How long RabbitMQ lets a delivery stay unacknowledged, unless it is configured otherwise. */
#define CRESS_CONSUMER_TIMEOUT_MS ((int64_t)30 * 60 * 1000)

/* The shortest and the longest delay queue: 64 ms and 2^31 ms (24.8 days). What is due sooner than
 * the shortest waits on a timer. */
#define CRESS_DELAY_MIN_MS ((int64_t)1 << 6)
#define CRESS_DELAY_MAX_MS ((int64_t)1 << 31)
enum { CRESS_DELAY_COUNT = 184 };

struct cress_route {
    char exchange[CRESS_DELAY_NAME_MAX]; /* "" or cress.later.<ms> */
    char routing_key[CRESS_ROUTE_NAME_MAX];
    int64_t delay_ms; /* of the delay queue; 0: none */
};

/* Where a job of `queue` with `priority` that is due in `due_in_ms` (0 or less: now) is
 * published. */
void cress_route_job(const char *queue, enum cress_priority priority, int64_t due_in_ms,
                     struct cress_route *route);

/* The message of `job`, addressed to where it waits until it is due: its queue when that is now. It
 * borrows from the job, from `headers` and from `route`. */
void cress_route_message(const struct cress_job *job, int64_t now_ms,
                         struct cress_header headers[CRESS_JOB_HEADER_MAX],
                         struct cress_route *route, struct cress_message *message);

/* The exchange for what is due in `due_in_ms`: that of a delay, or "". */
void cress_route_exchange(int64_t due_in_ms, char exchange[CRESS_DELAY_NAME_MAX]);

/* The AMQP name of a work queue, and of its dead letters. */
void cress_route_queue_name(const char *queue, enum cress_priority priority,
                            char name[CRESS_ROUTE_NAME_MAX]);
void cress_route_dead_name(const char *queue, char name[CRESS_ROUTE_NAME_MAX]);

/* What comes out of the delay queue `queue` has a known part of its way left at most. By how much
 * `due_in_ms` is more than that: the clock that says so, or the one that set the time, has been
 * stepped. 0: all is well, or the queue is none of ours. */
int64_t cress_route_excess_ms(const char *queue, int64_t due_in_ms);

/* If `exchange` is a delay exchange, its delay; else 0. */
int64_t cress_route_delay_of(const char *exchange);

/* The delay at place `index`, and the name of its exchange and its queue. */
int64_t cress_route_delay(unsigned index, char exchange[CRESS_DELAY_NAME_MAX]);

/* The place of a delay among all, from 0 to CRESS_DELAY_COUNT - 1. */
unsigned cress_route_delay_index(int64_t delay_ms);

#endif
