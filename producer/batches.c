// SPDX-License-Identifier: Apache-2.0
// Batches as clients see them; see batches.h.
#include "producer/batches.h"

#include "common/base/clock.h"
#include "common/base/id.h"
#include "common/base/mem.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

int64_t cress_batch_ended(const struct cress_batch *batch)
{
    return batch->succeeded + batch->failed + batch->cancelled + batch->expired;
}

bool cress_batch_is_done(const struct cress_batch *batch)
{
    return batch->closed && cress_batch_ended(batch) >= batch->total;
}

static void add_bool(struct cress_buf *out, const char *name, bool value)
{
    cress_buf_printf(out, ",\"%s\":%s", name, value ? "true" : "false");
}

/* The id in the stored request of the completion job. */
static void add_completion_id(struct cress_buf *out, const char *completion)
{
    json_t *request = completion ? json_loads(completion, 0, NULL) : NULL;
    const char *id = json_string_value(json_object_get(request, "id"));
    cress_buf_add_text(out, ",\"completion_id\":");
    if (id) {
        cress_buf_add_json(out, id, strlen(id));
    } else {
        cress_buf_add_text(out, "null");
    }
    json_decref(request);
}

void cress_batch_begin_json(const struct cress_batch *batch, struct cress_buf *out)
{
    char created[CRESS_TIME_TEXT_MAX];
    cress_buf_add_text(out, "{\"id\":");
    cress_buf_add_json(out, batch->id, strlen(batch->id));
    cress_buf_printf(out,
                     ",\"total\":%" PRId64 ",\"succeeded\":%" PRId64 ",\"failed\":%" PRId64
                     ",\"cancelled\":%" PRId64 ",\"expired\":%" PRId64,
                     batch->total, batch->succeeded, batch->failed, batch->cancelled,
                     batch->expired);
    add_bool(out, "done", cress_batch_is_done(batch));
    add_bool(out, "closed", batch->closed);
    add_bool(out, "cancel_requested", batch->cancel_requested);
    cress_buf_printf(out, ",\"complete_on\":\"%s\"", batch->if_succeeded ? "succeeded" : "ended");
    add_bool(out, "completed", batch->completed && !batch->skipped);
    add_completion_id(out, batch->completion);
    cress_buf_printf(out, ",\"created_at\":\"%s\"", cress_time_format(batch->created_ms, created));
}

enum cress_status cress_batch_completion(const char *batch, const json_t *request,
                                         char **completion, struct cress_error *err)
{
    json_t *copy = json_copy((json_t *)request);
    char id[CRESS_UUID_TEXT_SIZE];
    if (json_is_object(copy) && !json_object_get(copy, "id")) {
        json_object_set_new(copy, "id", json_string(cress_id_derive(batch, "completion", id)));
    }
    if (json_is_object(copy) && !json_object_get(copy, "payload")) {
        json_object_set_new(copy, "payload", json_pack("{s:s}", "batch_id", batch));
    }
    struct cress_job job;
    char *payload = NULL;
    const enum cress_status status =
        cress_job_from_request(copy, cress_clock_wall_ms(), &job, &payload, err);
    if (status == CRESS_OK) {
        *completion = json_dumps(copy, JSON_COMPACT);
    } else {
        cress_error_prefix(err, "completion");
    }
    free(payload);
    json_decref(copy);
    return status;
}
