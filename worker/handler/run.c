// SPDX-License-Identifier: Apache-2.0
// What a handler says about its run, on the way to the run's sink; see handler.h.
#include "worker/handler/handler.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/config/config.h"

#include <stdlib.h>
#include <string.h>

/* --- what it is given --- */

json_t *cress_run_payload(struct cress_run *run, struct cress_error *err)
{
    if (!run->payload) {
        json_error_t where;
        run->payload = json_loadb(run->job.payload, run->job.payload_size, JSON_DECODE_ANY, &where);
        if (!run->payload) {
            cress_error_set(err, CRESS_INVALID, "invalid_payload",
                            "%s cannot read the payload: %s at byte %d", run->job.task, where.text,
                            where.position);
        }
    }
    return run->payload;
}

int64_t cress_run_deadline_ms(const struct cress_run *run)
{
    const int64_t hard_ms = run->job.timeout_ms;
    const int64_t soft_ms = run->task ? run->task->config->soft_timeout_ms : 0;
    return cress_clock_own_ms() + (soft_ms > 0 && soft_ms < hard_ms ? soft_ms : hard_ms);
}

/* --- what it says meanwhile --- */

void cress_run_progress(struct cress_run *run, int percent, const char *message)
{
    run->sink->progress(run, percent, message);
}

static void keep_tail(struct cress_run_tail *tail, const char *text, size_t size)
{
    if (size > CRESS_RUN_LOG_MAX) {
        text += size - CRESS_RUN_LOG_MAX;
        size = CRESS_RUN_LOG_MAX;
    }
    const size_t kept =
        tail->size + size > CRESS_RUN_LOG_MAX ? CRESS_RUN_LOG_MAX - size : tail->size;
    memmove(tail->text, tail->text + tail->size - kept, kept);
    memcpy(tail->text + kept, text, size);
    tail->size = kept + size;
}

void cress_run_log(struct cress_run *run, const char *text, size_t size)
{
    if (!run->tail) {
        run->tail = CRESS_NEW(struct cress_run_tail);
    }
    keep_tail(run->tail, text, size);
    run->sink->log(run, text, size);
}

const char *cress_run_log_tail(const struct cress_run *run, size_t *size)
{
    *size = run->tail ? run->tail->size : 0;
    return run->tail ? run->tail->text : "";
}

/* --- how it ends --- */

void cress_run_done(struct cress_run *run, struct cress_outcome outcome)
{
    json_decref(run->payload);
    run->payload = NULL;
    run->sink->done(run, &outcome);
    free(outcome.result);
}

void cress_run_succeed_text(struct cress_run *run, char *result, size_t size)
{
    cress_run_done(run, (struct cress_outcome){.kind = CRESS_OUTCOME_SUCCEEDED,
                                               .result = result,
                                               .result_size = size});
}

void cress_run_succeed(struct cress_run *run, json_t *result)
{
    char *text = result ? json_dumps(result, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    json_decref(result);
    cress_run_succeed_text(run, text, text ? strlen(text) : 0);
}

void cress_run_fail(struct cress_run *run, const struct cress_error *err)
{
    const struct cress_outcome outcome = {
        .kind = cress_status_is_temporary(err->status) ? CRESS_OUTCOME_RETRY : CRESS_OUTCOME_FAILED,
        .error = *err,
    };
    cress_run_done(run, outcome);
}

void cress_run_clear(struct cress_run *run)
{
    json_decref(run->payload);
    free(run->tail);
    run->payload = NULL;
    run->tail = NULL;
}

void cress_task_closed(struct cress_task *task)
{
    task->on_closed(task);
}
