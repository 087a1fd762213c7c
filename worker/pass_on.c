// SPDX-License-Identifier: Apache-2.0
// How a message leaves this worker's hands; see pass_on.h.
#include "worker/pass_on.h"

#include "common/base/clock.h"
#include "common/broker/topology.h"

#include <string.h>

enum {
    RETURNED_OFTEN = CRESS_DELIVERY_LIMIT / 2,
    /* Then it is returned after all: it may still do so RETURNED_OFTEN times. */
    COPY_CONFIRM_MS = 5000,
};

/* --- until the broker has it --- */

static void publish_step(struct cress_attempt *attempt);

/* A queue that someone else owns need not have a dead-letter queue of ours; then its owner's policy
 * decides. */
static bool has_no_dead_queue(const struct cress_attempt *attempt, const struct cress_error *err)
{
    return attempt->pass.is_dead &&
           cress_config_is_passive(attempt->worker->config, attempt->queue->name) &&
           (err->status == CRESS_NOT_FOUND || err->status == CRESS_CONFLICT);
}

static void passed_cb(const struct cress_error *err, void *arg)
{
    struct cress_attempt *attempt = arg;
    struct cress_pass *pass = &attempt->pass;
    if (!err) {
        attempt->failures = 0;
        pass->then(attempt);
    } else if (has_no_dead_queue(attempt, err)) {
        pass->refused(attempt, err);
    } else if (err->status != CRESS_TOO_LARGE) {
        cress_attempt_again(attempt, publish_step, pass->what, err);
    } else if (!pass->is_cut) {
        pass->is_cut = true;
        publish_step(attempt);
    } else {
        pass->refused(attempt, err);
    }
}

static void publish_step(struct cress_attempt *attempt)
{
    const struct cress_worker *worker = attempt->worker;
    struct cress_outgoing out;
    attempt->pass.write(attempt, &out);
    if (attempt->pass.is_cut) {
        cress_outgoing_cut(&out);
    }
    worker->effects->publish(worker->services.broker, &out.message, 0, passed_cb, attempt);
}

static void start_passing(struct cress_attempt *attempt, struct cress_pass pass)
{
    attempt->phase = CRESS_ATTEMPT_SETTLING;
    attempt->pass = pass;
    publish_step(attempt);
}

static void end_passed(struct cress_attempt *attempt)
{
    cress_attempt_end(attempt, CRESS_ACK);
}

/* --- later --- */

/* By the broker's clock, as far as the way that the message has come tells it. */
static void write_later(const struct cress_attempt *attempt, struct cress_outgoing *out)
{
    const struct cress_message *message = attempt->delivery->message;
    const struct cress_job *job = &attempt->run.job;
    const char *lease = cress_lease_of(message);
    if (lease) {
        cress_outgoing_guard(out, attempt->codec, job, message, lease);
    } else {
        cress_outgoing_job(out, attempt->codec, job, message);
    }
    out->message.due_ms -= out->message.due_ms ? attempt->behind_ms : 0;
}

void cress_pass_on_later(struct cress_attempt *attempt, cress_refused_fn refused)
{
    start_passing(attempt, (struct cress_pass){.what = "publish to delay",
                                               .write = write_later,
                                               .then = end_passed,
                                               .refused = refused});
}

static void write_waiting(const struct cress_attempt *attempt, struct cress_outgoing *out)
{
    cress_outgoing_later(out, attempt->codec, &attempt->run.job, attempt->delivery->message,
                         &attempt->later, cress_clock_wall_ms());
    if (attempt->no_task_ms > 0) {
        cress_outgoing_add_int(out, CRESS_HEADER_NO_TASK_MS, attempt->no_task_ms);
    }
}

void cress_pass_on_wait(struct cress_attempt *attempt, int64_t wait_ms, bool is_guard,
                        cress_refused_fn refused)
{
    attempt->later = (struct cress_later){
        .wait_ms = wait_ms,
        .was_delivered = cress_was_delivered(attempt),
        .is_guard = is_guard,
    };
    start_passing(attempt, (struct cress_pass){.what = "publish to delay",
                                               .write = write_waiting,
                                               .then = end_passed,
                                               .refused = refused});
}

/* --- the next attempt --- */

static void write_next(const struct cress_attempt *attempt, struct cress_outgoing *out)
{
    struct cress_job job = attempt->run.job;
    job.attempt++;
    job.not_before_ms = attempt->due_ms;
    cress_outgoing_next(out, attempt->codec, &job, attempt->delivery->message, attempt->worker->id);
}

void cress_pass_on_next(struct cress_attempt *attempt, void (*then)(struct cress_attempt *attempt),
                        cress_refused_fn refused)
{
    start_passing(attempt, (struct cress_pass){.what = "publish next attempt",
                                               .write = write_next,
                                               .then = then,
                                               .refused = refused});
}

/* --- dead letters --- */

static void write_dead(const struct cress_attempt *attempt, struct cress_outgoing *out)
{
    cress_outgoing_dead(out, attempt->delivery->message, attempt->queue->name,
                        attempt->delivery->priority, attempt->error, cress_clock_wall_ms());
}

/* The broker moves the original, as far as the queue has dead letters. What is leased has none any
 * more. */
static void leave_to_broker(struct cress_attempt *attempt, const struct cress_error *err)
{
    attempt->settlement = CRESS_DEAD;
    if (attempt->is_leased) {
        cress_log(CRESS_LOG_WARN,
                  "job failed after its delivery was let go, and the broker takes no dead letter "
                  "of it: only the record is left",
                  CRESS_KV("job", attempt->run.job.id), CRESS_KV("queue", attempt->queue->name),
                  CRESS_KV_ERROR(err));
    }
    attempt->failures = 0;
    attempt->pass.then(attempt);
}

void cress_pass_on_dead(struct cress_attempt *attempt, void (*then)(struct cress_attempt *attempt))
{
    start_passing(attempt, (struct cress_pass){.what = "publish dead letter",
                                               .write = write_dead,
                                               .then = then,
                                               .refused = leave_to_broker,
                                               .is_dead = true});
}

/* --- back to its queue --- */

static void copied_cb(const struct cress_error *err, void *arg)
{
    cress_attempt_end(arg, err ? CRESS_REQUEUE : CRESS_ACK);
}

static void publish_copy(struct cress_attempt *attempt)
{
    struct cress_worker *worker = attempt->worker;
    const struct cress_message *message = attempt->delivery->message;
    /* Once it has begun here it is no guard of another worker any more. */
    const char *lease = attempt->start.job ? NULL : cress_lease_of(message);
    struct cress_outgoing out;
    attempt->phase = CRESS_ATTEMPT_SETTLING;
    cress_attempt_stop_waiting(attempt);
    cress_list_remove(&attempt->node);
    cress_list_append(&worker->active, &attempt->node);
    cress_outgoing_again(&out, message, attempt->queue->name, attempt->delivery->priority, lease);
    worker->effects->publish(worker->services.broker, &out.message, COPY_CONFIRM_MS, copied_cb,
                             attempt);
}

void cress_give_back(struct cress_attempt *attempt)
{
    /* What was handed over to a guard has no original any more: without a copy the guard would run
     * the job, but not before its time. */
    if (attempt->is_leased || attempt->delivery->delivery_count >= RETURNED_OFTEN) {
        publish_copy(attempt);
    } else {
        cress_attempt_end(attempt, CRESS_REQUEUE);
    }
}
