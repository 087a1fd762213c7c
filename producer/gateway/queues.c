// SPDX-License-Identifier: Apache-2.0
// Queues over HTTP: GET /v1/queues.
#include "producer/queues.h"
#include "producer/gateway/gateway.h"

static void on_queues(const struct cress_queue_summary *queues, size_t count,
                      const struct cress_error *err, void *arg)
{
    struct cress_request *request = arg;
    if (err != NULL) {
        cress_gateway_error(request, err);
        return;
    }
    cress_queues_write_json(queues, count, cress_gateway_page(cress_gateway_of(request)));
    struct cress_response response = {.status = 200};
    cress_response_add(&response, "Cache-Control", "no-store");
    cress_gateway_respond_page(request, &response);
}

void cress_gateway_get_queues(struct cress_request *request, const char *param)
{
    (void)param;
    const struct cress_gateway *gateway = cress_gateway_of(request);
    const struct cress_queues_options options = {
        .broker = gateway->broker,
        .store = gateway->store,
        .config = gateway->config,
        .timeout_ms = gateway->config->gateway_backend_timeout_ms,
    };
    cress_queues_survey(&options, on_queues, request);
}
