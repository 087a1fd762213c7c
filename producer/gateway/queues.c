// SPDX-License-Identifier: Apache-2.0
// Queues over HTTP: GET /v1/queues, POST /v1/queues/{name}/pause and resume.
#include "producer/queues.h"

#include "common/base/clock.h"
#include "producer/gateway/gateway.h"

#include <stdio.h>
#include <string.h>

static void on_queues(const struct cress_queue_summary *queues, size_t count,
                      const struct cress_error *err, void *arg)
{
    struct cress_server_request *request = arg;
    if (err != NULL) {
        cress_gateway_error(request, err);
        return;
    }
    cress_queues_write_json(queues, count, cress_gateway_page(cress_gateway_of(request)));
    cress_gateway_respond_fresh(request);
}

void cress_gateway_get_queues(struct cress_server_request *request, const char *param)
{
    (void)param;
    cress_queues_survey(cress_gateway_door(request), on_queues, request);
}

/* --- pausing --- */

/* In the request's memory. */
struct change {
    struct cress_server_request *request;
    char queue[CRESS_QUEUE_NAME_MAX + 1];
};

static void on_queue_pausing(int64_t since_ms, bool changed, const struct cress_error *err,
                             void *arg)
{
    const struct change *change = arg;
    (void)changed;
    if (err != NULL) {
        cress_gateway_error(change->request, err);
        return;
    }
    struct cress_buf *page = cress_gateway_page(cress_gateway_of(change->request));
    cress_buf_add_text(page, "{\"name\":");
    cress_buf_add_json(page, change->queue, strlen(change->queue));
    cress_time_add_member(page, ",\"paused_at\":", since_ms);
    cress_buf_add_char(page, '}');
    cress_gateway_respond_fresh(change->request);
}

static struct change *begin_pausing(struct cress_server_request *request, const char *queue)
{
    struct change *change = cress_server_request_alloc(request, sizeof *change);
    change->request = request;
    snprintf(change->queue, sizeof change->queue, "%s", queue);
    return change;
}

void cress_gateway_pause_queue(struct cress_server_request *request, const char *param)
{
    struct change *change = begin_pausing(request, param);
    cress_store_pause(cress_gateway_of(request)->store, change->queue, cress_clock_wall_ms(),
                      on_queue_pausing, change);
}

void cress_gateway_resume_queue(struct cress_server_request *request, const char *param)
{
    struct change *change = begin_pausing(request, param);
    cress_store_resume(cress_gateway_of(request)->store, change->queue, on_queue_pausing, change);
}
