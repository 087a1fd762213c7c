// SPDX-License-Identifier: Apache-2.0
// Every queue of Cress: names, delays, routes. Nothing else in the tree knows them. All but the last
// are durable quorum queues, and all messages go through the default exchange, which knows every
// queue and which nobody can delete. Only while RabbitMQ starts it is missing for a moment: what
// falls due before the exchanges are recovered is tried again by the broker after 180 s.
//
//   work queue q    q.high, q, q.low   dead letters to q.dead, at least once
//   dead letters    q.dead
//   delay           cress.wait.<ms>    has that TTL; when it has passed, the broker gives the message
//                                      to cress.due, at least once. cress.wait.<ms>.<n> stands in for
//                                      one that has lost its leader
//   due             cress.due          whose messages workers publish to where they are due: to the
//                                      queue that the header due_queue names, or once more to a delay
//   undeliverable   cress.undeliverable  what names no queue
//   canary          cress.canary       holds one message: whether it is confirmed says how the broker is
//   claim           cress.dead.claim   exclusive queue of the one `cress dead` that looks at them
//
// So whatever is wrong with a work queue is met by a publish of ours, which costs that queue's own
// jobs a further delay, and nobody else anything. Were the broker itself to give them to it, it would
// hold up a delay queue, with the jobs of all other queues, as soon as 32 could not be delivered.
//
// Delays are the multiples of 64 ms up to a second, and from there so many to each doubling as
// broker.delay_steps says: with 2 of them 1536, 2048, 3072, …. A job that is due within a second is
// sent to the next longer one: late by 64 ms at most. Any other is sent to the longest one that ends
// about half a second before it is due, and sent on when it comes out; so what a busy broker was late with
// is made up for, and nothing is held in a program's memory. The delays of fewer steps are among
// those of more: programs that disagree work together.
//
// Pure functions; any thread. Declaring is the connection thread's: see declare.h.
#ifndef CRESS_BROKER_TOPOLOGY_H
#define CRESS_BROKER_TOPOLOGY_H

#include "common/job/job.h"

#include <stdbool.h>
#include <stdint.h>

enum { CRESS_ROUTE_NAME_MAX = 256, CRESS_DELAY_NAME_MAX = 32 };

#define CRESS_DUE_QUEUE     "cress.due"
#define CRESS_UNDELIVERABLE "cress.undeliverable"
#define CRESS_DEAD_CLAIM    "cress.dead.claim"
#define CRESS_CANARY_QUEUE  "cress.canary"

/* The `type` of a message that only shows that its queue works: whoever gets it drops it. */
#define CRESS_CANARY_TYPE "cress.canary"

/* Headers of a message in the delay queues: the AMQP queue that it is for; and of one that has come
 * out, until a worker takes it: the delay queue. */
#define CRESS_HEADER_DUE_QUEUE "due_queue"
#define CRESS_HEADER_DUE_FROM  "due_from"

/* Deliveries after which the broker itself dead-letters a message: a net below the worker's own
 * count of crashes, and high, because RabbitMQ before 4.0 counts tidy hand-backs too. Part of the
 * queue's arguments: never change it. */
enum { CRESS_DELIVERY_LIMIT = 50 };

/* For queues whose messages may be looked at any number of times: from 4.0 on RabbitMQ drops a
 * message after twenty deliveries where there is no limit. As above. */
enum { CRESS_DEAD_DELIVERY_LIMIT = 1000000000 };

/* How long RabbitMQ lets a delivery stay unacknowledged, unless it is configured otherwise. */
#define CRESS_CONSUMER_TIMEOUT_MS ((int64_t)30 * 60 * 1000)

/* The shortest and the longest delay: 64 ms and 2^31 ms (24.8 days). What is due sooner than the
 * shortest waits on a timer. */
#define CRESS_DELAY_MIN_MS ((int64_t)1 << 6)
#define CRESS_DELAY_MAX_MS ((int64_t)1 << 31)
enum { CRESS_DELAY_COUNT_MAX = 184 };

/* Of the delay queues cress.later.<ms>. */
enum { CRESS_OLD_DELAY_STEPS = 8 };

/* --- work queues --- */

/* The AMQP name of a work queue, and of its dead letters. */
void cress_route_queue_name(const char *queue, enum cress_priority priority,
                            char name[CRESS_ROUTE_NAME_MAX]);
void cress_route_dead_name(const char *queue, char name[CRESS_ROUTE_NAME_MAX]);

/* The message of `job`, addressed to its queue, where it is to arrive when it is due. It borrows
 * from the job, from `headers` and from `routing_key`. */
void cress_route_message(const struct cress_job *job,
                         struct cress_header headers[CRESS_JOB_HEADER_MAX],
                         char routing_key[CRESS_ROUTE_NAME_MAX], struct cress_message *message);

/* --- delays --- */

/* The number that broker.delay_steps says. Below, `steps` is that. */
int cress_delay_steps(const char *word);

/* The delay for what is due in `due_in_ms`; 0: it is due. */
int64_t cress_delay_for(int steps, int64_t due_in_ms);

/* How many there are, the delay at place `index` of them, and the place of a delay. */
unsigned cress_delay_count(int steps);
int64_t cress_delay_at(int steps, unsigned index);
unsigned cress_delay_index(int steps, int64_t delay_ms);

/* The queue of a delay. `generation` counts from 1. */
void cress_delay_queue_name(int64_t delay_ms, unsigned generation, char name[CRESS_DELAY_NAME_MAX]);

/* If `queue` is a delay queue, of any number of steps, its delay; else 0. Those of before
 * cress.due was a queue (cress.later.<ms>) are delay queues too. */
int64_t cress_delay_of(const char *queue);

/* What comes out of the delay queue `queue` has a known part of its way left at most. By how much
 * `due_in_ms` is more than that: the clock that says so, or the one that set the time, has been
 * stepped. 0: all is well, or the queue is none of ours. */
int64_t cress_delay_excess_ms(int steps, const char *queue, int64_t due_in_ms);

#endif
