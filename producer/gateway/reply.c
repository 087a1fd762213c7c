// SPDX-License-Identifier: Apache-2.0
// How the gateway's handlers answer: JSON, problem documents, and the fields that every answer has.
#include "producer/gateway/cors.h"
#include "producer/gateway/gateway.h"
#include "producer/gateway/problem.h"

struct cress_buf *cress_gateway_page(struct cress_gateway *gateway)
{
    cress_buf_clear(&gateway->page);
    return &gateway->page;
}

void cress_gateway_respond(struct cress_server_request *request, struct cress_response *response)
{
    cress_cors_add(request, cress_gateway_of(request)->config->gateway_cors_origins, response);
    cress_server_request_respond(request, response);
}

/* A page that one large answer has stretched is not kept. */
static void release_page(struct cress_gateway *gateway)
{
    enum { KEEP_BYTES = 65536 };
    if (gateway->page.capacity > KEEP_BYTES) {
        cress_buf_free(&gateway->page);
    }
}

void cress_gateway_respond_page(struct cress_server_request *request,
                                struct cress_response *response)
{
    struct cress_gateway *gateway = cress_gateway_of(request);
    if (gateway->page.overflowed) {
        cress_gateway_problem(request, 500, "answer_too_large",
                              "the answer is too large to be sent", NULL);
        return;
    }
    cress_response_add(response, "Content-Type", "application/json");
    response->body = cress_buf_text(&gateway->page);
    response->body_size = gateway->page.size;
    cress_gateway_respond(request, response);
    release_page(gateway);
}

void cress_gateway_respond_fresh(struct cress_server_request *request)
{
    struct cress_response response = {.status = 200};
    cress_response_add(&response, "Cache-Control", "no-store");
    cress_gateway_respond_page(request, &response);
}

void cress_gateway_problem_with(struct cress_server_request *request,
                                struct cress_response *response, const char *code,
                                const char *detail, const char *members)
{
    struct cress_buf *page = cress_gateway_page(cress_gateway_of(request));
    cress_problem_write(page, response->status, code, detail, members);
    cress_response_add(response, "Content-Type", CRESS_PROBLEM_TYPE);
    cress_response_add(response, "Cache-Control", "no-store");
    if (response->status == 503) {
        cress_response_add(response, "Retry-After", "1");
    }
    response->body = cress_buf_text(page);
    response->body_size = page->size;
    cress_gateway_respond(request, response);
}

void cress_gateway_problem(struct cress_server_request *request, int status, const char *code,
                           const char *detail, const char *members)
{
    struct cress_response response = {.status = status};
    cress_gateway_problem_with(request, &response, code, detail, members);
}

void cress_gateway_error(struct cress_server_request *request, const struct cress_error *err)
{
    cress_gateway_problem(request, cress_problem_status(err->status), err->code, err->message,
                          NULL);
}
