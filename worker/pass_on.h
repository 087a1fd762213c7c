// SPDX-License-Identifier: Apache-2.0
// How a message leaves this worker's hands: published first, and let go of when the broker has
// confirmed that - to the next delay, to the next attempt, to the dead-letter queue, or back to its
// queue.
//
// What the broker does not take now is published again, with backoff, for as long as the worker
// lives. What it refuses for good - a policy has made its messages smaller since this one was
// accepted, or foreign headers exceed a frame - is published once more without what foreign
// publishers put into the headers; then that has an end: the caller of these functions hears of it,
// and a dead letter that the broker does not take as a copy is the original, which the broker moves
// by itself.
#ifndef CRESS_WORKER_PASS_ON_H
#define CRESS_WORKER_PASS_ON_H

#include "worker/attempt.h"

/* The broker will never take the message. */
typedef void (*cress_refused_fn)(struct cress_attempt *attempt, const struct cress_error *err);

/* Not yet due: to the next delay queue, and acknowledged. A guard stays one. */
void cress_pass_on_later(struct cress_attempt *attempt, cress_refused_fn refused);

/* It has waited and shall be asked again after about `wait_ms`, at least CRESS_DELAY_MIN_MS: to a
 * delay queue, and acknowledged. `is_guard`: another message of the attempt may be published
 * meanwhile. */
void cress_pass_on_wait(struct cress_attempt *attempt, int64_t wait_ms, bool is_guard,
                        cress_refused_fn refused);

/* The next attempt, due at attempt->due_ms; then `then`. */
void cress_pass_on_next(struct cress_attempt *attempt, void (*then)(struct cress_attempt *attempt),
                        cress_refused_fn refused);

/* A dead letter that says attempt->error; then `then`. attempt->settlement is CRESS_DEAD when there
 * could be no copy. */
void cress_pass_on_dead(struct cress_attempt *attempt, void (*then)(struct cress_attempt *attempt));

/* Back to its queue, to be run later or elsewhere. Ends the attempt, at once or when a copy is
 * safe.
 *
 * RabbitMQ counts how often a message was returned, before 4.0 also when that was a tidy hand-back,
 * and dead-letters it at the queue's limit (CRESS_DELIVERY_LIMIT). So a message that has come back
 * often is not returned: a copy of it is published, which counts from nothing. An innocent job thus
 * survives any number of rolling restarts and pauses. The copy says that it was delivered before,
 * as AMQP would say of the original, for that is how a worker's crash is recognised. */
void cress_give_back(struct cress_attempt *attempt);

#endif
