// SPDX-License-Identifier: Apache-2.0
// Batches over HTTP: how far one is, its results, closing and cancelling it. They are made in
// batch_jobs.c. See docs/http-api.md.
#include "producer/batches.h"
#include "common/base/id.h"
#include "common/base/mem.h"
#include "common/base/text.h"
#include "common/submit/cancel_batch.h"
#include "common/submit/completion.h"
#include "producer/gateway/gateway.h"
#include "producer/gateway/params.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RESULTS_DEFAULT = 100, RESULTS_MAX = 1000, NUMBER_MAX = 32 };

/* A request about one batch, in the request's memory. */
struct inquiry {
    struct cress_server_request *request;
    char id[CRESS_ID_MAX + 1];
    int64_t offset, limit; /* results */
    bool exists;
};

static struct inquiry *begin_batch_inquiry(struct cress_server_request *request, const char *id)
{
    if (!cress_id_is_valid(id)) {
        cress_gateway_problem(request, 404, "unknown_batch", "this is no batch id", NULL);
        return NULL;
    }
    struct inquiry *inquiry = cress_server_request_alloc(request, sizeof *inquiry);
    inquiry->request = request;
    snprintf(inquiry->id, sizeof inquiry->id, "%s", id);
    return inquiry;
}

/* --- the batch --- */

static void on_batch_read(const struct cress_batch *batch, const struct cress_error *err, void *arg)
{
    struct cress_server_request *request = arg;
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
    struct cress_buf *page = cress_gateway_page(cress_gateway_of(request));
    cress_batch_begin_json(batch, page);
    cress_buf_add_char(page, '}');
    struct cress_response response = {.status = 200};
    cress_response_add(&response, "Cache-Control", "private, no-cache");
    if (!cress_batch_is_done(batch)) {
        cress_response_add(&response, "Retry-After", "1");
    }
    cress_gateway_respond_page(request, &response);
}

void cress_gateway_get_batch(struct cress_server_request *request, const char *param)
{
    const struct inquiry *inquiry = begin_batch_inquiry(request, param);
    if (inquiry != NULL) {
        cress_store_peek_batch(cress_gateway_of(request)->store, inquiry->id, on_batch_read,
                               request);
    }
}

/* --- results --- */

static void on_batch_results(const char *const *results, size_t count,
                             const struct cress_error *err, void *arg)
{
    const struct inquiry *inquiry = arg;
    if (err != NULL) {
        cress_gateway_error(inquiry->request, err);
        return;
    }
    struct cress_buf *page = cress_gateway_page(cress_gateway_of(inquiry->request));
    cress_buf_printf(page, "{\"offset\":%" PRId64 ",\"next\":%" PRId64 ",\"results\":[",
                     inquiry->offset, inquiry->offset + (int64_t)count);
    for (size_t i = 0; i < count; i++) {
        cress_buf_add_text(page, i > 0 ? "," : "");
        cress_buf_add_text(page, results[i]);
    }
    cress_buf_add_text(page, "]}");
    struct cress_response response = {.status = 200};
    cress_response_add(&response, "Cache-Control", "private, no-cache");
    cress_gateway_respond_page(inquiry->request, &response);
}

static void on_results_batch(const struct cress_batch *batch, const struct cress_error *err,
                             void *arg)
{
    struct inquiry *inquiry = arg;
    if (err != NULL || batch == NULL) {
        on_batch_read(batch, err, inquiry->request);
        return;
    }
    cress_store_batch_results(cress_gateway_of(inquiry->request)->store, inquiry->id,
                              inquiry->offset, inquiry->limit, on_batch_results, inquiry);
}

/* A number of the query, from `min` to `max`; `*number` stays when it is not there. */
static bool read_page_number(const struct cress_server_request *request, const char *name,
                             int64_t min, int64_t max, int64_t *number)
{
    char text[NUMBER_MAX];
    return !cress_params_query(request->query, name, text, sizeof text) ||
           (cress_text_to_int(text, number) && *number >= min && *number <= max);
}

void cress_gateway_get_batch_results(struct cress_server_request *request, const char *param)
{
    struct inquiry *inquiry = begin_batch_inquiry(request, param);
    if (inquiry == NULL) {
        return;
    }
    inquiry->limit = RESULTS_DEFAULT;
    if (!read_page_number(request, "offset", 0, INT32_MAX, &inquiry->offset) ||
        !read_page_number(request, "limit", 1, RESULTS_MAX, &inquiry->limit)) {
        cress_gateway_problem(request, 400, "bad_range",
                              "offset is a number from 0, limit one from 1 to 1000", NULL);
        return;
    }
    cress_store_peek_batch(cress_gateway_of(request)->store, inquiry->id, on_results_batch,
                           inquiry);
}

/* --- closing --- */

static void on_batch_completed(const struct cress_error *err, void *arg)
{
    const struct inquiry *inquiry = arg;
    (void)err; /* what could not be done the workers do */
    cress_store_batch_get(cress_gateway_of(inquiry->request)->store, inquiry->id, on_batch_read,
                          inquiry->request);
}

static void on_batch_closed(bool follow, const struct cress_error *err, void *arg)
{
    struct inquiry *inquiry = arg;
    if (err != NULL) {
        cress_gateway_error(inquiry->request, err);
    } else if (follow) {
        cress_completion_submit(cress_gateway_door(inquiry->request), inquiry->id,
                                on_batch_completed, inquiry);
    } else {
        on_batch_completed(NULL, inquiry);
    }
}

void cress_gateway_close_batch(struct cress_server_request *request, const char *param)
{
    struct inquiry *inquiry = begin_batch_inquiry(request, param);
    if (inquiry != NULL) {
        cress_store_batch_close(cress_gateway_of(request)->store, inquiry->id, on_batch_closed,
                                inquiry);
    }
}

/* --- cancelling --- */

static void on_batch_cancelled(const struct cress_batch_cancel *counts,
                               const struct cress_error *err, void *arg)
{
    (void)counts; /* the batch says more */
    const struct inquiry *inquiry = arg;
    if (err != NULL) {
        cress_gateway_error(inquiry->request, err);
        return;
    }
    cress_store_batch_get(cress_gateway_of(inquiry->request)->store, inquiry->id, on_batch_read,
                          inquiry->request);
}

void cress_gateway_cancel_batch(struct cress_server_request *request, const char *param)
{
    struct inquiry *inquiry = begin_batch_inquiry(request, param);
    if (inquiry == NULL) {
        return;
    }
    char *texts;
    const char *reason;
    struct cress_error err;
    if (cress_gateway_reason(request, &texts, &reason, &err) != CRESS_OK) {
        cress_gateway_error(request, &err);
    } else {
        cress_cancel_batch(cress_gateway_door(request), inquiry->id, reason, on_batch_cancelled,
                           inquiry);
    }
    free(texts);
}
