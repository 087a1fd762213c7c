// SPDX-License-Identifier: Apache-2.0
// The messages that a worker sends on: a job's next hop or next attempt, the copy of a message for
// the dead-letter queue.
//
// What a foreign publisher put into a message's headers travels along. The broker's own headers do
// not: RabbitMQ before 4.0 takes a republished x-death for a cycle and drops the message. Pure; any
// thread.
#ifndef CRESS_WORKER_OUTGOING_H
#define CRESS_WORKER_OUTGOING_H

#include "common/base/status.h"
#include "common/broker/topology.h"
#include "common/job/job.h"
#include "worker/codec.h"

/* Headers that say something about a message and not about its job: what it is a copy of had been
 * delivered before (pass_on.h); the worker that runs the job without a delivery (lease.h); that
 * another message of the same attempt may exist, published when its turn came (turns.h). They are
 * not carried over. */
#define CRESS_HEADER_REDELIVERED "redelivered"
#define CRESS_HEADER_LEASE       "lease"
#define CRESS_HEADER_GUARD       "guard"
/* Of a later attempt: the worker that ran the one before. It may have lost that to another, and learns
 * so from the store, after this was published. Carried over, for it is about the attempt. */
#define CRESS_HEADER_FOLLOWS "follows"
/* How long, in ms, its job has waited for a worker that has its task (no_task.h). */
#define CRESS_HEADER_NO_TASK_MS "no_task_ms"

/* Whether `message` is such a guard. */
bool cress_outgoing_is_guard(const struct cress_message *message);

/* Headers beyond this are not carried over. */
enum { CRESS_OUTGOING_HEADER_MAX = 64 };

/* Borrows from what it was made of; `message` points into the rest. */
struct cress_outgoing {
    struct cress_message message;
    struct cress_header headers[CRESS_OUTGOING_HEADER_MAX];
    bool carried[CRESS_OUTGOING_HEADER_MAX]; /* which of them the original's publisher wrote */
    char routing_key[CRESS_ROUTE_NAME_MAX];
    char origin[CRESS_ROUTE_NAME_MAX];
};

/* `job`, which came as `original` and was read by `codec`, on its way to its queue, where it is to
 * arrive when it is due. */
void cress_outgoing_job(struct cress_outgoing *out, const struct cress_codec *codec,
                        const struct cress_job *job, const struct cress_message *original);

/* The same, for the attempt after the one that `worker` has run. */
void cress_outgoing_next(struct cress_outgoing *out, const struct cress_codec *codec,
                         const struct cress_job *job, const struct cress_message *original,
                         const char *worker);

/* As cress_outgoing_job(), on its way back to its queue after about `wait_ms`. `was_delivered` is kept in its
 * headers; with `is_guard` it may not be the only message of its attempt, as when the original was
 * that. */
struct cress_later {
    int64_t wait_ms;
    bool was_delivered, is_guard;
};
void cress_outgoing_later(struct cress_outgoing *out, const struct cress_codec *codec,
                          const struct cress_job *job, const struct cress_message *original,
                          const struct cress_later *later, int64_t now_ms);

/* As cress_outgoing_job(), as the guard of worker `lease`, which runs the job. */
void cress_outgoing_guard(struct cress_outgoing *out, const struct cress_codec *codec,
                          const struct cress_job *job, const struct cress_message *original,
                          const char *lease);

/* A copy of `original`, a message of `queue` with `priority`, for the same queue. As the original
 * would be, it is redelivered. With `lease` it is the guard of that worker. */
void cress_outgoing_again(struct cress_outgoing *out, const struct cress_message *original,
                          const char *queue, enum cress_priority priority, const char *lease);

/* A copy of `original`, a message of queue `queue` with `priority`, for its dead-letter queue, with
 * the reason in its headers: see common/broker/letter.h. */
void cress_outgoing_dead(struct cress_outgoing *out, const struct cress_message *original,
                         const char *queue, enum cress_priority priority,
                         const struct cress_error *reason, int64_t now_ms);

/* Takes away what a foreign publisher has put into the headers: for a message that the broker
 * refuses as too large. */
void cress_outgoing_cut(struct cress_outgoing *out);

/* The worker that a guard names; NULL when the message is no guard. */
const char *cress_lease_of(const struct cress_message *message);

/* The worker that ran the attempt before; NULL when the message does not say. */
const char *cress_outgoing_follows(const struct cress_message *message);

/* How long its job has waited for a worker that has its task. */
int64_t cress_no_task_ms(const struct cress_message *message);

/* To an outgoing message, another header. */
void cress_outgoing_add_int(struct cress_outgoing *out, const char *name, int64_t number);

/* Whether it is a copy of a message that had been delivered before. */
bool cress_is_copy_of_delivered(const struct cress_message *message);

#endif
