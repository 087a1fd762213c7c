// SPDX-License-Identifier: Apache-2.0
// Cross-origin requests (the Fetch standard): pages of the listed origins may call the API, without
// credentials.
#ifndef CRESS_GATEWAY_CORS_H
#define CRESS_GATEWAY_CORS_H

#include "producer/gateway/http.h"

#include <stdbool.h>

/* Adds the CORS fields if the request's origin is in `origins` (ends with NULL). */
void cress_cors_add(struct cress_server_request *request, char **origins,
                    struct cress_response *response);

/* Adds the fields of a preflight's answer: `methods` is what the path takes. */
void cress_cors_add_preflight(const char *methods, struct cress_response *response);

/* Whether a page of some other origin may have sent this without its visitor or us being asked: a
 * POST that is no JSON needs no preflight. Clients that are no browsers send no Origin. */
bool cress_cors_is_forged(struct cress_server_request *request, char **origins);

#endif
