// SPDX-License-Identifier: Apache-2.0
// Deliveries that are held for long; see lease.h.
#include "worker/lease.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/broker/topology.h"

#include <stdlib.h>

/* --- one that runs --- */

static void let_go(struct cress_attempt *attempt)
{
    struct cress_worker *worker = attempt->worker;
    cress_log(CRESS_LOG_INFO, "job runs for long: it goes on without its delivery",
              CRESS_KV("job", attempt->run.job.id), CRESS_KV("task", attempt->run.job.task),
              CRESS_KV("queue", attempt->queue->name),
              CRESS_KVI("lease_ms", worker->config->worker_lease_ms));
    worker->effects->ack_now(worker->services.broker, attempt->delivery);
    attempt->is_leased = true;
    attempt->queue->unacked--;
}

/* A guard that could not be published is tried again at the next check, unless the broker refuses it
 * for good: then the delivery is held until RabbitMQ takes it away. One whose attempt has an outcome
 * is not needed, and will find that. */
static void guarded_cb(const struct cress_error *err, void *arg)
{
    struct cress_guard_note *note = arg;
    struct cress_attempt *attempt = note->attempt;
    free(note);
    if (!attempt) {
        return;
    }
    attempt->guard = NULL;
    if (!err && attempt->phase == CRESS_ATTEMPT_RUNNING) {
        let_go(attempt);
    } else if (err && err->status == CRESS_TOO_LARGE) {
        attempt->is_unguardable = true;
        cress_log(CRESS_LOG_WARN,
                  "job runs for long, and the broker takes no copy of its message: it is run twice "
                  "when it exceeds RabbitMQ's consumer_timeout",
                  CRESS_KV("job", attempt->run.job.id), CRESS_KV("queue", attempt->queue->name),
                  CRESS_KV_ERROR(err));
    }
}

static void publish_guard(struct cress_attempt *attempt)
{
    const struct cress_worker *worker = attempt->worker;
    const int64_t lease_ms = worker->config->worker_lease_ms;
    struct cress_job job = attempt->run.job;
    struct cress_outgoing out;
    job.not_before_ms = cress_clock_wall_ms() + lease_ms;
    cress_outgoing_guard(&out, attempt->codec, &job, attempt->delivery->message, worker->id);
    attempt->guard = CRESS_NEW(struct cress_guard_note);
    attempt->guard->attempt = attempt;
    worker->effects->publish(worker->services.broker, &out.message, lease_ms, guarded_cb,
                             attempt->guard);
}

void cress_lease_renew(struct cress_attempt *attempt, cress_refused_fn refused)
{
    attempt->run.job.not_before_ms =
        cress_clock_wall_ms() + attempt->worker->config->worker_lease_ms;
    cress_attempt_leave_place(attempt);
    cress_pass_on_later(attempt, refused);
}

/* --- all of them --- */

static bool is_old(const struct cress_attempt *attempt)
{
    return cress_clock_mono_ms() - attempt->arrived_ms >= attempt->worker->config->worker_lease_ms;
}

/* Those of one priority came one after the other, so the first young one ends the search. */
static void return_old(struct cress_worker *worker, struct cress_list *lane)
{
    while (!cress_list_is_empty(lane)) {
        struct cress_attempt *attempt = CRESS_CONTAINER(lane->next, struct cress_attempt, node);
        if (!is_old(attempt)) {
            return;
        }
        cress_lanes_remove(&worker->lanes, &attempt->node);
        cress_give_back(attempt);
    }
}

/* Further deliveries of a job that runs here. */
static void return_old_held(struct cress_attempt *attempt)
{
    struct cress_list all;
    struct cress_list *node;
    cress_list_init(&all);
    cress_list_splice(&all, &attempt->held);
    while ((node = cress_list_shift(&all))) {
        struct cress_attempt *held = CRESS_CONTAINER(node, struct cress_attempt, node);
        if (is_old(held)) {
            cress_give_back(held);
        } else {
            cress_list_append(&attempt->held, node);
        }
    }
}

static void check_lease(struct cress_attempt *attempt)
{
    return_old_held(attempt);
    if (!is_old(attempt)) {
        return;
    }
    if (attempt->phase == CRESS_ATTEMPT_WAITING) {
        cress_give_back(attempt);
    } else if (attempt->phase == CRESS_ATTEMPT_RUNNING && !attempt->is_leased && !attempt->guard &&
               !attempt->is_unguardable) {
        publish_guard(attempt);
    }
}

void cress_lease_check(struct cress_worker *worker)
{
    for (int i = 0; i < CRESS_PRIORITY_COUNT; i++) {
        return_old(worker, &worker->lanes.lists[i]);
    }
    cress_attempt_each_active(worker, check_lease);
}

void cress_lease_announce(const struct cress_config *config)
{
    char lease[CRESS_TIME_TEXT_MAX];
    cress_duration_format(config->worker_lease_ms, lease);
    if (config->worker_lease_ms > CRESS_CONSUMER_TIMEOUT_MS / 2) {
        cress_log(CRESS_LOG_WARN,
                  "worker.lease is more than half of RabbitMQ's usual consumer_timeout (30m): "
                  "unless that is set higher, long jobs run twice",
                  CRESS_KV("lease", lease));
    } else {
        cress_log(CRESS_LOG_INFO,
                  "jobs may run longer than RabbitMQ's consumer_timeout if that is at least twice "
                  "worker.lease",
                  CRESS_KV("lease", lease));
    }
}
