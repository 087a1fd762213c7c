// SPDX-License-Identifier: Apache-2.0
// The completion job of a batch; see completion.h.
//
// read the batch -> submit its completion job -> note that it was submitted
#include "common/submit/completion.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"

#include <stdlib.h>
#include <string.h>

/* One completion on its way. */
struct completion {
    struct cress_door door;
    char *batch;
    cress_store_done_cb done;
    void *arg;
};

static void end_completion(struct completion *completion, const struct cress_error *err)
{
    const cress_store_done_cb done = completion->done;
    void *arg = completion->arg;
    free(completion->batch);
    free(completion);
    done(err, arg);
}

static void completion_noted_cb(const struct cress_error *err, void *arg)
{
    end_completion(arg, err);
}

static void note_completion(struct completion *completion, bool skipped)
{
    cress_store_batch_complete(completion->door.store, completion->batch, skipped,
                               completion_noted_cb, completion);
}

/* Whether submitting the same request again is pointless. */
static bool is_hopeless(const struct cress_error *err)
{
    return err->status == CRESS_INVALID || err->status == CRESS_MALFORMED ||
           err->status == CRESS_TOO_LARGE || err->status == CRESS_NOT_FOUND;
}

static void give_up_completion(struct completion *completion, const struct cress_error *err)
{
    cress_log(CRESS_LOG_ERROR, "batch ended, but its completion job cannot be submitted",
              CRESS_KV("batch", completion->batch), CRESS_KV_ERROR(err));
    note_completion(completion, true);
}

static void completion_submitted_cb(const struct cress_record *record,
                                    const struct cress_error *err, void *arg)
{
    (void)record;
    struct completion *completion = arg;
    if (!err ||
        err->status == CRESS_CONFLICT) { /* in conflict with itself: it was submitted before */
        note_completion(completion, false);
    } else if (is_hopeless(err)) {
        give_up_completion(completion, err);
    } else {
        end_completion(completion, err);
    }
}

static void submit_completion(struct completion *completion, const char *request_text)
{
    struct cress_job job;
    struct cress_error err;
    char *texts = NULL;
    if (cress_job_from_request(request_text, strlen(request_text), cress_clock_wall_ms(), &job,
                               &texts, &err) != CRESS_OK) {
        give_up_completion(completion, &err);
    } else {
        cress_submit(completion->door, &job, completion_submitted_cb, completion);
    }
    free(texts);
}

static bool is_wanted(const struct cress_batch *batch)
{
    return !batch->cancel_requested && (!batch->if_succeeded || batch->succeeded == batch->total);
}

static void completing_batch_cb(const struct cress_batch *batch, const struct cress_error *err,
                                void *arg)
{
    struct completion *completion = arg;
    if (err) {
        end_completion(completion, err);
    } else if (!batch || batch->completed) { /* no batch: its records have expired since */
        end_completion(completion, NULL);
    } else if (batch->completion && is_wanted(batch)) {
        submit_completion(completion, batch->completion);
    } else {
        note_completion(completion, batch->completion != NULL);
    }
}

void cress_completion_submit(struct cress_door door, const char *batch, cress_store_done_cb done,
                             void *arg)
{
    struct completion *completion = CRESS_NEW(struct completion);
    completion->door = door;
    completion->batch = cress_strdup(batch);
    completion->done = done;
    completion->arg = arg;
    cress_store_batch_get(door.store, batch, completing_batch_cb, completion);
}
