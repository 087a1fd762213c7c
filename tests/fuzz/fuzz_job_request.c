// SPDX-License-Identifier: Apache-2.0
// Fuzz target: a job request as JSON. A job that is accepted must pass the producers' check and
// survive the wire.
#include "tests/fuzz/fuzz.h"

#include "common/base/json.h"
#include "common/job/job.h"

#include <string.h>

enum { NOW_MS = 1700000000 };

static void check_job(const struct cress_job *job)
{
    MUST_HOLD(cress_job_check(job, INT64_MAX, NULL) == CRESS_OK);
    MUST_HOLD(job->not_before_ms == 0 || job->not_before_ms > NOW_MS);
    struct cress_header headers[CRESS_JOB_HEADER_MAX];
    struct cress_message message;
    struct cress_job back;
    cress_job_to_message(job, headers, &message);
    MUST_HOLD(cress_job_from_message(&message, job->queue, job->priority, NULL, &back, NULL) ==
              CRESS_OK);
    MUST_HOLD(strcmp(back.task, job->task) == 0);
    MUST_HOLD(back.not_before_ms == job->not_before_ms && back.expires_ms == job->expires_ms);
    MUST_HOLD(!job->key == !back.key && (!job->key || strcmp(back.key, job->key) == 0));
    MUST_HOLD(!job->unique == !back.unique &&
              (!job->unique || strcmp(back.unique, job->unique) == 0));
    MUST_HOLD(back.unique_for_ms == job->unique_for_ms);
    MUST_HOLD(!job->after == !back.after && (!job->after || strcmp(back.after, job->after) == 0));
    MUST_HOLD(back.max_attempts == job->max_attempts && back.timeout_ms == job->timeout_ms);
    MUST_HOLD(!back.backoff == !job->backoff && back.backoff_base_ms == job->backoff_base_ms);
    struct cress_json payload;
    MUST_HOLD(cress_json_find_fault(job->payload, job->payload_size, &payload, NULL));
    MUST_HOLD(payload.text == job->payload && payload.size == job->payload_size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct cress_job job;
    char *texts;
    struct cress_error err = {0};
    if (cress_job_from_request(text, size, NOW_MS, &job, &texts, &err) == CRESS_OK) {
        check_job(&job);
        free(texts);
    } else {
        const bool is_json = cress_json_find_fault(text, size, NULL, NULL);
        MUST_HOLD(err.status == (is_json ? CRESS_INVALID : CRESS_MALFORMED));
        MUST_HOLD(err.message[0] != '\0');
    }
    return 0;
}
