// SPDX-License-Identifier: Apache-2.0
// Limits over HTTP: GET /v1/limits and GET /v1/limits/{task}.
#include "common/store/limits.h"
#include "producer/gateway/gateway.h"

static void on_limits(const char *const *usages, size_t count, const struct cress_error *err,
                      void *arg)
{
    struct cress_server_request *request = arg;
    if (err != NULL) {
        cress_gateway_error(request, err);
        return;
    }
    struct cress_buf *page = cress_gateway_page(cress_gateway_of(request));
    cress_buf_add_char(page, '[');
    for (size_t i = 0; i < count; i++) {
        cress_buf_add_text(page, i > 0 ? "," : "");
        cress_buf_add_text(page, usages[i]);
    }
    cress_buf_add_char(page, ']');
    cress_gateway_respond_fresh(request);
}

static void on_limit(const char *const *usages, size_t count, const struct cress_error *err,
                     void *arg)
{
    struct cress_server_request *request = arg;
    if (err != NULL) {
        cress_gateway_error(request, err);
    } else if (count == 0) {
        cress_gateway_problem(request, 404, "unknown_limit",
                              "no job of this task has been started within limits yet", NULL);
    } else {
        cress_buf_add_text(cress_gateway_page(cress_gateway_of(request)), usages[0]);
        cress_gateway_respond_fresh(request);
    }
}

void cress_gateway_get_limits(struct cress_server_request *request, const char *param)
{
    (void)param;
    cress_store_limits(cress_gateway_of(request)->store, NULL, on_limits, request);
}

void cress_gateway_get_limit(struct cress_server_request *request, const char *param)
{
    cress_store_limits(cress_gateway_of(request)->store, param, on_limit, request);
}
