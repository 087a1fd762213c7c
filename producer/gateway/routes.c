// SPDX-License-Identifier: Apache-2.0
// Which handler a request goes to: see routes.h.
#include "producer/gateway/routes.h"

#include "common/base/mem.h"
#include "producer/gateway/cors.h"
#include "producer/gateway/pages.h"
#include "producer/gateway/params.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* {} stands for one segment, not empty. The pages for people come last. */
static const struct {
    const char *method;
    const char *pattern;
    cress_gateway_handler handler;
} routes[] = {
    {"POST", "/v1/jobs", cress_gateway_post_job},
    {"GET", "/v1/jobs/{}", cress_gateway_get_job},
    {"GET", "/v1/jobs/{}/result", cress_gateway_get_result},
    {"GET", "/v1/jobs/{}/explain", cress_gateway_get_explanation},
    {"POST", "/v1/jobs/{}/cancel", cress_gateway_cancel_job},
    {"GET", "/v1/jobs/{}/logs", cress_gateway_get_logs},
    {"POST", "/v1/batches", cress_gateway_post_batch},
    {"GET", "/v1/batches/{}", cress_gateway_get_batch},
    {"POST", "/v1/batches/{}/jobs", cress_gateway_post_batch_jobs},
    {"POST", "/v1/batches/{}/close", cress_gateway_close_batch},
    {"POST", "/v1/batches/{}/cancel", cress_gateway_cancel_batch},
    {"GET", "/v1/batches/{}/results", cress_gateway_get_batch_results},
    {"GET", "/v1/queues", cress_gateway_get_queues},
    {"GET", "/v1/limits", cress_gateway_get_limits},
    {"GET", "/v1/limits/{}", cress_gateway_get_limit},
    {"GET", "/v1/schedules", cress_gateway_get_schedules},
    {"GET", "/v1/schedules/{}", cress_gateway_get_schedule},
    {"POST", "/v1/schedules/{}/pause", cress_gateway_pause_schedule},
    {"POST", "/v1/schedules/{}/resume", cress_gateway_resume_schedule},
    {"POST", "/v1/schedules/{}/run", cress_gateway_run_schedule},
    {"POST", "/v1/queues/{}/pause", cress_gateway_pause_queue},
    {"POST", "/v1/queues/{}/resume", cress_gateway_resume_queue},
    {"GET", "/healthz", cress_gateway_get_alive},
    {"GET", "/readyz", cress_gateway_get_ready},
    {"GET", "/metrics", cress_gateway_get_metrics},
    {"GET", "/", cress_pages_index},
    {"GET", "/jobs/{}", cress_pages_progress},
    {"GET", "/batches/{}", cress_pages_progress},
    {"GET", "/app.js", cress_pages_script},
    {"GET", "/style.css", cress_pages_style},
};

static bool path_matches(const char *pattern, const char *path, char *param, size_t param_size)
{
    const char *hole = strstr(pattern, "{}");
    if (hole == NULL) {
        return strcmp(pattern, path) == 0;
    }
    const size_t before = (size_t)(hole - pattern);
    if (strncmp(pattern, path, before) != 0) {
        return false;
    }
    const char *segment = path + before;
    const size_t size = strcspn(segment, "/");
    return size > 0 && strcmp(hole + 2, segment + size) == 0 &&
           cress_params_decode(segment, size, param, param_size);
}

static void allow(struct cress_route_match *match, const char *method)
{
    const size_t used = strlen(match->allow);
    snprintf(match->allow + used, sizeof match->allow - used, "%s%s", used > 0 ? ", " : "", method);
}

void cress_routes_match(const char *method, const char *path, struct cress_route_match *match)
{
    match->handler = NULL;
    match->path_known = false;
    match->allow[0] = match->param[0] = '\0';
    const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;
    for (size_t i = 0; i < CRESS_COUNT(routes); i++) {
        if (!path_matches(routes[i].pattern, path, match->param, sizeof match->param)) {
            continue;
        }
        match->path_known = true;
        if (strcmp(routes[i].method, wanted) == 0) {
            match->handler = routes[i].handler;
            return;
        }
        allow(match, routes[i].method);
        if (strcmp(routes[i].method, "GET") == 0) {
            allow(match, "HEAD");
        }
    }
    if (match->path_known) {
        allow(match, "OPTIONS");
    }
}

void cress_routes_list(const char *separator, struct cress_buf *out)
{
    for (size_t i = 0; routes[i].handler != cress_pages_index; i++) {
        const char *pattern = routes[i].pattern;
        const char *hole = strstr(pattern, "{}");
        const size_t before = hole != NULL ? (size_t)(hole - pattern) : strlen(pattern);
        cress_buf_printf(out, "%s%s %.*s%s", i > 0 ? separator : "", routes[i].method, (int)before,
                         pattern, hole != NULL ? "{id}" : "");
        cress_buf_add_text(out, hole != NULL ? hole + 2 : "");
    }
}

static void respond_not_found(struct cress_server_request *request)
{
    enum { DETAIL_MAX = 8192 };
    struct cress_buf paths = cress_buf_make(DETAIL_MAX);
    cress_routes_list(", ", &paths);
    char *detail = cress_format("no such path; there are: %s", cress_buf_text(&paths));
    cress_gateway_problem(request, 404, "unknown_path", detail, NULL);
    free(detail);
    cress_buf_free(&paths);
}

/* OPTIONS, asked by people or by a browser as a preflight. */
static void respond_options(struct cress_server_request *request,
                            const struct cress_route_match *match)
{
    struct cress_response response = {.status = 204};
    cress_response_add(&response, "Allow", match->allow);
    if (cress_server_request_header(request, "access-control-request-method") != NULL) {
        cress_cors_add_preflight(match->allow, &response);
    }
    cress_gateway_respond(request, &response);
}

static void respond_not_allowed(struct cress_server_request *request,
                                const struct cress_route_match *match)
{
    struct cress_response response = {.status = 405};
    cress_response_add(&response, "Allow", match->allow);
    cress_gateway_problem_with(request, &response, "method_not_allowed",
                               "this path does not take that method; see Allow", NULL);
}

static void respond_forged(struct cress_server_request *request)
{
    cress_gateway_problem(request, 403, "foreign_origin",
                          "a page of another origin sent this; list that in gateway.cors_origins, "
                          "or send it with Content-Type: application/json",
                          NULL);
}

void cress_gateway_route(struct cress_server_request *request, void *gateway)
{
    (void)gateway;
    struct cress_route_match match;
    cress_routes_match(request->method, request->path, &match);
    if (match.handler != NULL &&
        cress_cors_is_forged(request, cress_gateway_of(request)->config->gateway_cors_origins)) {
        respond_forged(request);
    } else if (match.handler != NULL) {
        match.handler(request, match.param);
    } else if (!match.path_known) {
        respond_not_found(request);
    } else if (strcmp(request->method, "OPTIONS") == 0) {
        respond_options(request, &match);
    } else {
        respond_not_allowed(request, &match);
    }
}
