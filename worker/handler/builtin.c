// SPDX-License-Identifier: Apache-2.0
// The tasks for trying things out: cress.echo, cress.noop, cress.sleep, cress.fail. What they take
// is in common/job/tasks.def.
#include "worker/handler/handler.h"

#include "common/base/mem.h"

#include <stdlib.h>

#define SLEEP_MAX_MS ((json_int_t)365 * 24 * 3600 * 1000)

static void fail_shape(struct cress_run *run, const char *expected, const char *problem)
{
    struct cress_error err;
    cress_error_set(&err, CRESS_INVALID, "invalid_payload", "%s takes %s: %s", run->job.task,
                    expected, problem);
    cress_run_fail(run, &err);
}

/* NULL: it cannot be read, and the run has failed. */
static json_t *builtin_payload(struct cress_run *run)
{
    struct cress_error err;
    json_t *payload = cress_run_payload(run, &err);
    if (!payload) {
        cress_run_fail(run, &err);
    }
    return payload;
}

static void echo_start(struct cress_run *run)
{
    const struct cress_job *job = &run->job;
    cress_run_succeed_text(run, cress_strndup(job->payload, job->payload_size), job->payload_size);
}

static void noop_start(struct cress_run *run)
{
    cress_run_succeed(run, NULL);
}

/* --- cress.sleep --- */

struct sleep {
    uv_timer_t timer;
    struct cress_run *run;
};

static void sleep_closed_cb(uv_handle_t *timer)
{
    free(timer->data);
}

static struct cress_run *sleep_end(struct sleep *sleep)
{
    struct cress_run *run = sleep->run;
    run->state = NULL;
    uv_close((uv_handle_t *)&sleep->timer, sleep_closed_cb);
    return run;
}

static void sleep_over_cb(uv_timer_t *timer)
{
    cress_run_succeed(sleep_end(timer->data), NULL);
}

static void sleep_start(struct cress_run *run)
{
    json_int_t ms = 0;
    json_error_t problem;
    json_t *payload = builtin_payload(run);
    if (!payload) {
        return;
    }
    if (json_unpack_ex(payload, &problem, JSON_STRICT, "{s:I}", "ms", &ms) != 0) {
        fail_shape(run, "{\"ms\": N}", problem.text);
        return;
    }
    if (ms < 0 || ms > SLEEP_MAX_MS) {
        fail_shape(run, "{\"ms\": N}", "N must be between 0 and a year");
        return;
    }
    struct sleep *sleep = CRESS_NEW(struct sleep);
    sleep->run = run;
    sleep->timer.data = sleep;
    run->state = sleep;
    uv_timer_init(run->services->loop, &sleep->timer);
    uv_update_time(run->services->loop);
    uv_timer_start(&sleep->timer, sleep_over_cb, (uint64_t)ms, 0);
}

static void sleep_stop(struct cress_run *run, enum cress_stop_reason reason)
{
    (void)reason;
    sleep_end(run->state);
    struct cress_outcome outcome = {.kind = CRESS_OUTCOME_CANCELLED};
    cress_error_set(&outcome.error, CRESS_CANCELLED, NULL, "woken early");
    cress_run_done(run, outcome);
}

/* --- cress.fail --- */

static void fail_start(struct cress_run *run)
{
    const char *message = "failed, as asked";
    int permanent = 0;
    json_int_t times = INT64_MAX;
    json_error_t problem;
    json_t *payload = builtin_payload(run);
    if (!payload) {
        return;
    }
    if (!json_is_null(payload) &&
        json_unpack_ex(payload, &problem, JSON_STRICT, "{s?s, s?b, s?I}", "message", &message,
                       "permanent", &permanent, "times", &times) != 0) {
        fail_shape(run, "{\"message\": text, \"permanent\": bool, \"times\": N}", problem.text);
        return;
    }
    if (run->job.attempt > times) {
        cress_run_succeed(run, NULL);
        return;
    }
    struct cress_error err;
    cress_error_set(&err, permanent ? CRESS_INVALID : CRESS_TEMPORARY, "asked_to_fail", "%s",
                    message);
    cress_run_fail(run, &err);
}

const struct cress_handler cress_builtin_handlers[] = {
    {.task = "cress.echo", .start = echo_start},
    {.task = "cress.noop", .start = noop_start},
    {.task = "cress.sleep", .start = sleep_start, .stop = sleep_stop},
    {.task = "cress.fail", .start = fail_start},
    {.task = NULL},
};
