// SPDX-License-Identifier: Apache-2.0
// Deliveries that go back; see give_back.h.
#include "worker/give_back.h"

#include "common/broker/topology.h"
#include "worker/lease.h"
#include "worker/outgoing.h"

enum {
    OFTEN = CRESS_DELIVERY_LIMIT / 2,
    CONFIRM_MS = 5000, /* then it is returned after all: it may still do so OFTEN times */
};

bool cress_must_go_back(const struct cress_attempt *attempt)
{
    return attempt->worker->phase != CRESS_WORKER_RUNNING || attempt->queue->paused;
}

bool cress_was_delivered(const struct cress_attempt *attempt)
{
    const struct cress_header *header =
        cress_message_header(attempt->delivery->message, CRESS_HEADER_REDELIVERED);
    return attempt->delivery->redelivered || (header && header->number != 0);
}

static void published_cb(const struct cress_error *err, void *arg)
{
    cress_attempt_end(arg, err ? CRESS_REQUEUE : CRESS_ACK);
}

static void publish_again(struct cress_attempt *attempt)
{
    struct cress_worker *worker = attempt->worker;
    /* Once it has begun here it is no guard of another worker any more. */
    const char *lease = attempt->start.job ? NULL : cress_lease_of(attempt);
    struct cress_outgoing out;
    attempt->phase = CRESS_ATTEMPT_SETTLING;
    cress_attempt_stop_waiting(attempt);
    cress_list_remove(&attempt->node);
    cress_list_append(&worker->active, &attempt->node);
    cress_outgoing_again(&out, attempt->delivery->message, attempt->queue->name,
                         attempt->delivery->priority, lease);
    cress_broker_publish(worker->services.broker, &out.message, CONFIRM_MS, published_cb, attempt);
}

void cress_give_back(struct cress_attempt *attempt)
{
    /* What was handed over to a guard has no original any more: without a copy the guard would run
     * the job, but not before its time. */
    if (attempt->is_leased || attempt->delivery->delivery_count >= OFTEN) {
        publish_again(attempt);
    } else {
        cress_attempt_end(attempt, CRESS_REQUEUE);
    }
}
