// SPDX-License-Identifier: Apache-2.0
// Jobs that run longer than RabbitMQ lets a delivery stay unacknowledged.
//
// DESIGN
//
// RabbitMQ closes a channel that has held a delivery longer than its consumer_timeout (30 minutes
// unless set), and delivers everything on that channel again: jobs would run twice. AMQP does not
// tell a client what the timeout is. So no delivery is held longer than worker.lease, counted from
// its arrival:
//
//   one that waits   is given back, and mostly returns at once
//   one that runs    a copy of its message, the guard, goes to the delay queues, due in one lease;
//                    when the broker has confirmed that, the original is acknowledged, and the
//                    attempt goes on without a delivery
//
// The guard names the worker (header `lease`). Whoever takes it when it is due asks the store: has
// the job ended, or is it elsewhere? Then the guard is dropped. Does that worker still run it? Then
// the guard is sent on for another lease. Is that worker gone? Then this is what a redelivery would
// have been: the crash is counted, and the job runs. So a crash of a worker is noticed after a
// lease at most (or two, when it died just before the guard came); only for jobs that run longer
// than one.
#ifndef CRESS_WORKER_LEASE_H
#define CRESS_WORKER_LEASE_H

#include "worker/pass_on.h"

/* Looks for deliveries that have been held for a lease. Called on the worker's beat. */
void cress_lease_check(struct cress_worker *worker);

/* The attempt, a guard, has been answered that its job runs: sends it on for another lease. */
void cress_lease_renew(struct cress_attempt *attempt, cress_refused_fn refused);

/* Says in the log what RabbitMQ must be set to. */
void cress_lease_announce(const struct cress_config *config);

#endif
