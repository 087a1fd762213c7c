// SPDX-License-Identifier: Apache-2.0
// How a delivery goes back to its queue, to be run later or elsewhere.
//
// RabbitMQ counts how often a message was returned, before 4.0 also when that was a tidy hand-back,
// and dead-letters it at the queue's limit (CRESS_DELIVERY_LIMIT). So a message that has come back
// often is not returned: a copy of it is published, which counts from nothing, and once the broker
// has confirmed that the original is acknowledged. An innocent job thus survives any number of
// rolling restarts and pauses. The copy says that it was delivered before, as AMQP would say of the
// original, for that is how a worker's crash is recognised.
#ifndef CRESS_WORKER_GIVE_BACK_H
#define CRESS_WORKER_GIVE_BACK_H

#include "worker/attempt.h"

/* Ends the attempt, at once or when the copy is safe. */
void cress_give_back(struct cress_attempt *attempt);

/* Whether the worker takes no more, or not from this queue: what waits must go back. */
bool cress_must_go_back(const struct cress_attempt *attempt);

/* Whether the message was delivered before, itself or as what it is a copy of. */
bool cress_was_delivered(const struct cress_attempt *attempt);

#endif
