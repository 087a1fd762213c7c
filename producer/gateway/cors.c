// SPDX-License-Identifier: Apache-2.0
// Cross-origin requests: see cors.h.
#include "producer/gateway/cors.h"

#include <strings.h>

void cress_cors_add(struct cress_request *request, char **origins, struct cress_response *response)
{
    if (origins == NULL || origins[0] == NULL) {
        return;
    }
    cress_response_add(response, "Vary", "Origin");
    const char *origin = cress_request_header(request, "origin");
    if (origin == NULL) {
        return;
    }
    for (char **allowed = origins; *allowed != NULL; allowed++) {
        if (strcasecmp(*allowed, origin) == 0) {
            cress_response_add(response, "Access-Control-Allow-Origin", origin);
            cress_response_add(response, "Access-Control-Expose-Headers",
                               "Location, Retry-After, ETag, Preference-Applied");
            return;
        }
    }
}

void cress_cors_add_preflight(const char *methods, struct cress_response *response)
{
    cress_response_add(response, "Access-Control-Allow-Methods", methods);
    cress_response_add(response, "Access-Control-Allow-Headers",
                       "Content-Type, If-None-Match, Prefer, Traceparent");
    cress_response_add(response, "Access-Control-Max-Age", "600");
}
