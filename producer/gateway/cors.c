// SPDX-License-Identifier: Apache-2.0
// Cross-origin requests: see cors.h.
#include "producer/gateway/cors.h"

#include "producer/gateway/params.h"

#include <string.h>
#include <strings.h>

static bool is_listed(const char *origin, char **origins)
{
    for (char **allowed = origins; allowed != NULL && *allowed != NULL; allowed++) {
        if (strcasecmp(*allowed, origin) == 0) {
            return true;
        }
    }
    return false;
}

void cress_cors_add(struct cress_server_request *request, char **origins,
                    struct cress_response *response)
{
    if (origins == NULL || origins[0] == NULL) {
        return;
    }
    cress_response_add(response, "Vary", "Origin");
    const char *origin = cress_server_request_header(request, "origin");
    if (origin != NULL && is_listed(origin, origins)) {
        cress_response_add(response, "Access-Control-Allow-Origin", origin);
        cress_response_add(response, "Access-Control-Expose-Headers",
                           "Location, Retry-After, ETag, Preference-Applied");
    }
}

void cress_cors_add_preflight(const char *methods, struct cress_response *response)
{
    cress_response_add(response, "Access-Control-Allow-Methods", methods);
    cress_response_add(response, "Access-Control-Allow-Headers",
                       "Content-Type, If-None-Match, Prefer, Traceparent");
    cress_response_add(response, "Access-Control-Max-Age", "600");
}

/* Behind a proxy that speaks TLS the scheme says nothing. */
static bool is_own(const char *origin, const char *host)
{
    const char *authority = strstr(origin, "://");
    return authority != NULL && strcasecmp(authority + 3, host) == 0;
}

bool cress_cors_is_forged(struct cress_server_request *request, char **origins)
{
    const char *origin = cress_server_request_header(request, "origin");
    return origin != NULL && strcmp(request->method, "POST") == 0 &&
           !cress_params_is_json(cress_server_request_header(request, "content-type")) &&
           !is_listed(origin, origins) && !is_own(origin, request->host);
}
