// SPDX-License-Identifier: Apache-2.0
// Why a job is not running, over HTTP: GET /v1/jobs/{id}/explain.
#include "producer/explain.h"

#include "common/base/id.h"
#include "producer/gateway/gateway.h"

static void on_explained(const struct cress_explanation *explanation, const struct cress_error *err,
                         void *arg)
{
    struct cress_server_request *request = arg;
    if (err != NULL) {
        cress_gateway_error(request, err);
        return;
    }
    cress_explain_write_json(explanation, cress_gateway_page(cress_gateway_of(request)));
    cress_gateway_respond_fresh(request);
}

void cress_gateway_get_explanation(struct cress_server_request *request, const char *param)
{
    if (!cress_id_is_valid(param)) {
        cress_gateway_problem(request, 404, "unknown_job", "this is no job id", NULL);
        return;
    }
    cress_explain(cress_gateway_door(request), param, on_explained, request);
}
