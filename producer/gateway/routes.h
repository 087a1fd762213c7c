// SPDX-License-Identifier: Apache-2.0
// Which handler a request goes to: one table, so that 404, 405 with Allow, and preflights follow
// from it. Pure functions; any thread.
#ifndef CRESS_GATEWAY_ROUTES_H
#define CRESS_GATEWAY_ROUTES_H

#include "common/base/id.h"
#include "producer/gateway/gateway.h"

/* The longest is the name of a queue. */
enum { CRESS_ROUTE_PARAM_MAX = CRESS_QUEUE_NAME_MAX };

struct cress_route_match {
    cress_gateway_handler handler; /* NULL: no such path, or not with this method */
    bool path_known;
    char allow[64]; /* the methods that the path takes: "GET, HEAD, OPTIONS" */
    char param[CRESS_ROUTE_PARAM_MAX + 1];
};

/* HEAD goes where GET goes. */
void cress_routes_match(const char *method, const char *path, struct cress_route_match *match);

/* Appends the API's routes: "POST /v1/jobs", "GET /v1/jobs/{id}", … */
void cress_routes_list(const char *separator, struct cress_buf *out);

#endif
