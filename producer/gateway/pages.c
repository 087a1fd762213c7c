// SPDX-License-Identifier: Apache-2.0
// The status pages for people: see pages.h.
#include "producer/gateway/pages.h"

#include "producer/gateway/gateway.h"

#include "web.h"

#include <string.h>

static void respond(struct cress_server_request *request, const char *type, const char *text)
{
    struct cress_response response = {.status = 200, .body = text, .body_size = strlen(text)};
    cress_response_add(&response, "Content-Type", type);
    cress_response_add(&response, "Cache-Control", "no-cache");
    cress_response_add(&response, "X-Content-Type-Options", "nosniff");
    cress_response_add(
        &response, "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'none'");
    cress_gateway_respond(request, &response);
}

void cress_pages_index(struct cress_server_request *request, const char *param)
{
    (void)param;
    respond(request, "text/html; charset=utf-8", page_index);
}

void cress_pages_progress(struct cress_server_request *request, const char *param)
{
    (void)param;
    respond(request, "text/html; charset=utf-8", page_progress);
}

void cress_pages_script(struct cress_server_request *request, const char *param)
{
    (void)param;
    respond(request, "text/javascript; charset=utf-8", page_app);
}

void cress_pages_style(struct cress_server_request *request, const char *param)
{
    (void)param;
    respond(request, "text/css; charset=utf-8", page_style);
}
