// SPDX-License-Identifier: Apache-2.0
// Batches over HTTP: GET /v1/batches/{id}.
#include "producer/gateway/gateway.h"

#include "common/base/clock.h"
#include "common/base/id.h"

#include <inttypes.h>
#include <string.h>

/* The id in the stored request of the completion job. */
static void add_completion_id(struct cress_buf *page, const char *completion)
{
    json_t *request = completion != NULL ? json_loads(completion, 0, NULL) : NULL;
    const char *id = json_string_value(json_object_get(request, "id"));
    if (id != NULL) {
        cress_buf_add_json(page, id, strlen(id));
    } else {
        cress_buf_add_text(page, "null");
    }
    json_decref(request);
}

static void write_batch(const struct cress_batch *batch, struct cress_buf *page)
{
    const int64_t ended = batch->succeeded + batch->failed + batch->cancelled + batch->expired;
    char created[CRESS_TIME_TEXT_MAX];
    cress_buf_add_text(page, "{\"id\":");
    cress_buf_add_json(page, batch->id, strlen(batch->id));
    cress_buf_printf(page,
                     ",\"total\":%" PRId64 ",\"succeeded\":%" PRId64 ",\"failed\":%" PRId64
                     ",\"cancelled\":%" PRId64 ",\"expired\":%" PRId64,
                     batch->total, batch->succeeded, batch->failed, batch->cancelled,
                     batch->expired);
    cress_buf_printf(page, ",\"done\":%s,\"closed\":%s,\"completed\":%s,\"completion_id\":",
                     batch->closed && ended >= batch->total ? "true" : "false",
                     batch->closed ? "true" : "false", batch->completed ? "true" : "false");
    add_completion_id(page, batch->completion);
    cress_buf_printf(page, ",\"created_at\":\"%s\"}",
                     cress_time_format(batch->created_ms, created));
}

static void on_batch(const struct cress_batch *batch, const struct cress_error *err, void *arg)
{
    struct cress_request *request = arg;
    if (err != NULL) {
        cress_gateway_error(request, err);
        return;
    }
    if (batch == NULL) {
        cress_gateway_problem(request, 404, "unknown_batch",
                              "there is no batch with this id: it never existed, or has expired",
                              NULL);
        return;
    }
    write_batch(batch, cress_gateway_page(cress_gateway_of(request)));
    struct cress_response response = {.status = 200};
    cress_response_add(&response, "Cache-Control", "private, no-cache");
    cress_gateway_respond_page(request, &response);
}

void cress_gateway_get_batch(struct cress_request *request, const char *param)
{
    if (!cress_id_is_valid(param)) {
        cress_gateway_problem(request, 404, "unknown_batch", "this is no batch id", NULL);
        return;
    }
    cress_store_batch_get(cress_gateway_of(request)->store, param, on_batch, request);
}
