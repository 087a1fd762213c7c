// SPDX-License-Identifier: Apache-2.0
// Batches as clients see them; see batches.h.
#include "producer/batches.h"

#include "common/base/clock.h"
#include "common/base/id.h"
#include "common/base/mem.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { COMPLETION_ADDED_MAX = 512 }; /* an id, and a payload with the batch's */

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
    struct cress_json request, id;
    const bool has_id = completion &&
                        cress_json_find_fault(completion, strlen(completion), &request, NULL) &&
                        cress_json_member(request, "id", &id);
    cress_buf_add_text(out, ",\"completion_id\":");
    if (has_id) {
        cress_buf_add(out, id.text, id.size);
    } else {
        cress_buf_add_text(out, "null");
    }
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

/* `request` with the members that it lacks in front of its own. */
static char *complete_request(const char *batch, struct cress_json request)
{
    struct cress_json found;
    char id[CRESS_UUID_TEXT_SIZE];
    struct cress_buf out = cress_buf_make(request.size + COMPLETION_ADDED_MAX);
    cress_buf_add_char(&out, '{');
    if (!cress_json_member(request, "id", &found)) {
        cress_buf_printf(&out, "\"id\":\"%s\",", cress_id_derive(batch, "completion", id));
    }
    if (!cress_json_member(request, "payload", &found)) {
        cress_buf_printf(&out, "\"payload\":{\"batch_id\":\"%s\"},", batch); /* an id: no escapes */
    }
    cress_buf_add(&out, request.text + 1, request.size - 1);
    return cress_buf_take(&out);
}

enum cress_status cress_batch_completion(const char *batch, struct cress_json request,
                                         char **completion, struct cress_error *err)
{
    struct cress_json member;
    struct cress_json_walk walk = cress_json_walk(request);
    struct cress_job job;
    char *texts = NULL, *text = NULL;
    /* what is no object, or an empty one, is refused below for what it is */
    const bool has_members = walk.of_members && cress_json_next(&walk, NULL, &member);
    if (has_members) {
        text = complete_request(batch, request);
        request = (struct cress_json){.text = text, .size = strlen(text)};
    }
    const enum cress_status status = cress_job_from_request(
        request.text, request.size, cress_clock_wall_ms(), &job, &texts, err);
    free(texts);
    if (status != CRESS_OK) {
        cress_error_prefix(err, "completion");
        free(text);
        return status;
    }
    *completion = text;
    return CRESS_OK;
}
