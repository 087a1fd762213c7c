// SPDX-License-Identifier: Apache-2.0
// Jobs whose task this worker does not have; see no_task.h.
#include "worker/no_task.h"

#include "common/base/backoff.h"
#include "common/broker/topology.h"
#include "worker/pass_on.h"
#include "worker/peers.h"
#include "worker/settle.h"

#include <string.h>

enum {
    /* The wait grows with the time waited already, up to these. */
    ELSEWHERE_MAX_MS = 1000, /* somebody has it */
    NOWHERE_MIN_MS = 250,
    NOWHERE_MAX_MS = 10000, /* a worker that has it may come: it is seen after so long */
};

static void fail_unknown(struct cress_attempt *attempt)
{
    struct cress_buf names = cress_buf_make(CRESS_ERROR_MESSAGE_MAX);
    struct cress_error err;
    cress_tasks_list(attempt->worker->tasks, &names);
    cress_error_set(&err, CRESS_NOT_FOUND, "unknown_task",
                    "no worker of queue %s has task %s; this one has %s", attempt->queue->name,
                    attempt->run.job.task, cress_buf_text(&names));
    cress_buf_free(&names);
    cress_settle_fail(attempt, &err);
}

static int64_t within(int64_t value, int64_t least, int64_t most)
{
    return value < least ? least : value > most ? most : value;
}

/* Somebody has it. The time counts only for how long the next wait is. RabbitMQ deals out in turn: two
 * jobs that came back at the same time, always in the same order, might each meet the wrong worker
 * for ever, so the wait is a part left to chance. */
static void leave_to_others(struct cress_attempt *attempt)
{
    const int64_t most_ms =
        within(2 * attempt->no_task_ms, 2 * CRESS_DELAY_MIN_MS, ELSEWHERE_MAX_MS);
    const int64_t wait_ms = most_ms - (int64_t)(cress_random() % (uint64_t)(most_ms / 2));
    attempt->no_task_ms = most_ms;
    cress_pass_on_wait(attempt, wait_ms, false, cress_settle_fail);
}

/* --- nobody has it --- */

static void wait_for_worker(struct cress_attempt *attempt)
{
    const int64_t left_ms =
        attempt->worker->config->worker_unknown_task_wait_ms - attempt->no_task_ms;
    const int64_t wait_ms =
        within(within(attempt->no_task_ms / 2, NOWHERE_MIN_MS, NOWHERE_MAX_MS), CRESS_DELAY_MIN_MS,
               left_ms > CRESS_DELAY_MIN_MS ? left_ms : CRESS_DELAY_MIN_MS);
    attempt->no_task_ms += wait_ms;
    cress_pass_on_wait(attempt, wait_ms, false, cress_settle_fail);
}

static void block_step(struct cress_attempt *attempt);

static void blocked_cb(const struct cress_error *err, void *arg)
{
    struct cress_attempt *attempt = arg;
    if (err) {
        cress_attempt_again(attempt, block_step, "record that no worker has its task", err);
        return;
    }
    attempt->failures = 0;
    wait_for_worker(attempt);
}

static void block_step(struct cress_attempt *attempt)
{
    const struct cress_worker *worker = attempt->worker;
    struct cress_buf blocked = cress_buf_make(2 * CRESS_TASK_NAME_MAX + 64);
    cress_buf_add_text(&blocked, "{\"no_task\":");
    cress_buf_add_json(&blocked, attempt->run.job.task, strlen(attempt->run.job.task));
    cress_buf_add_char(&blocked, '}');
    worker->effects->block(worker->services.store, &attempt->run.job, cress_buf_text(&blocked),
                           blocked_cb, attempt);
    cress_buf_free(&blocked);
}

static void adopt_step(struct cress_attempt *attempt);

static void no_task_adopted_cb(const struct cress_error *err, void *arg)
{
    struct cress_attempt *attempt = arg;
    if (err) {
        cress_attempt_again(attempt, adopt_step, "make the record", err);
        return;
    }
    attempt->failures = 0;
    block_step(attempt);
}

/* What a foreign client has sent has no record yet, and shall be seen to wait. */
static void adopt_step(struct cress_attempt *attempt)
{
    const struct cress_worker *worker = attempt->worker;
    worker->effects->adopt(worker->services.store, &attempt->run.job, no_task_adopted_cb, attempt);
}

static void wait_visibly(struct cress_attempt *attempt)
{
    if (attempt->no_task_ms >= attempt->worker->config->worker_unknown_task_wait_ms) {
        fail_unknown(attempt);
    } else {
        attempt->phase = CRESS_ATTEMPT_SETTLING;
        adopt_step(attempt);
    }
}

/* --- who has it? --- */

static void judge(struct cress_attempt *attempt)
{
    attempt->lacks_task = false;
    attempt->failures = 0;
    if (cress_must_go_back(attempt)) {
        cress_give_back(attempt);
    } else if (cress_peers_have_task(attempt->worker, attempt->queue->name,
                                     attempt->run.job.task)) {
        leave_to_others(attempt);
    } else {
        wait_visibly(attempt);
    }
}

static void judge_all(struct cress_worker *worker, const struct cress_error *err)
{
    struct cress_list all;
    struct cress_list *node;
    cress_list_init(&all);
    cress_list_splice(&all, &worker->active);
    while ((node = cress_list_shift(&all))) {
        struct cress_attempt *attempt = CRESS_CONTAINER(node, struct cress_attempt, node);
        cress_list_append(&worker->active, node);
        if (attempt->lacks_task && !attempt->step && err) {
            cress_attempt_again(attempt, cress_no_task_take, "ask who has its task", err);
        } else if (attempt->lacks_task && !attempt->step) {
            judge(attempt);
        }
    }
}

void cress_no_task_take(struct cress_attempt *attempt)
{
    attempt->lacks_task = true;
    cress_peers_ask(attempt->worker, judge_all);
}

/* --- it is here --- */

static void unblock_step(struct cress_attempt *attempt);

static void unblocked_cb(const struct cress_error *err, void *arg)
{
    struct cress_attempt *attempt = arg;
    if (err) {
        cress_attempt_again(attempt, unblock_step, "record that its task is here", err);
    } else if (cress_must_go_back(attempt)) {
        cress_give_back(attempt);
    } else {
        attempt->failures = 0;
        attempt->no_task_ms = 0;
        attempt->phase = CRESS_ATTEMPT_WAITING;
        cress_attempt_enqueue(attempt);
    }
}

static void unblock_step(struct cress_attempt *attempt)
{
    const struct cress_worker *worker = attempt->worker;
    worker->effects->block(worker->services.store, &attempt->run.job, NULL, unblocked_cb, attempt);
}

void cress_no_task_found(struct cress_attempt *attempt)
{
    attempt->phase = CRESS_ATTEMPT_SETTLING;
    unblock_step(attempt);
}
