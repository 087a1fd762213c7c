// SPDX-License-Identifier: Apache-2.0
// What the gateway's files share: the process's state, the handlers, and how they answer.
//
// The gateway keeps nothing of its own: every answer is read from store and broker, so any number
// of gateways may stand side by side. Loop thread only; nothing blocks.
#ifndef CRESS_GATEWAY_GATEWAY_H
#define CRESS_GATEWAY_GATEWAY_H

#include "common/base/json.h"
#include "common/submit/submit.h"
#include "producer/gateway/http.h"

#include <stdbool.h>
#include <uv.h>

struct cress_gateway {
    uv_loop_t *loop;
    const struct cress_config *config;
    struct cress_broker *broker;
    struct cress_store *store;
    struct cress_server *server;
    struct cress_list waiters; /* long polls: waiters.c */
    bool draining;             /* SIGTERM has come: not ready, and nobody waits any more */
    struct cress_error canary; /* what the last one said: health.c */
    int64_t canary_ms;         /* monotonic: when it was sent */
    bool canary_is_out;
    struct cress_buf page; /* room to write a body in; used within one callback only */
};

/* --- handlers: each answers `request` once, `param` being what stands for {} in the route --- */

typedef void (*cress_gateway_handler)(struct cress_server_request *request, const char *param);

void cress_gateway_post_job(struct cress_server_request *request, const char *param);   /* jobs.c */
void cress_gateway_get_job(struct cress_server_request *request, const char *param);    /* jobs.c */
void cress_gateway_get_result(struct cress_server_request *request, const char *param); /* jobs.c */
void cress_gateway_get_logs(struct cress_server_request *request, const char *param);   /* logs.c */
void cress_gateway_get_explanation(struct cress_server_request *request,
                                   const char *param); /* explain.c */
void cress_gateway_cancel_job(struct cress_server_request *request, const char *param); /* jobs.c */
void cress_gateway_get_batch(struct cress_server_request *request,
                             const char *param); /* batches.c */
void cress_gateway_get_batch_results(struct cress_server_request *request,
                                     const char *param); /* batches.c */
void cress_gateway_close_batch(struct cress_server_request *request,
                               const char *param); /* batches.c */
void cress_gateway_cancel_batch(struct cress_server_request *request,
                                const char *param); /* batches.c */
void cress_gateway_post_batch(struct cress_server_request *request,
                              const char *param); /* batch_jobs.c */
void cress_gateway_post_batch_jobs(struct cress_server_request *request,
                                   const char *param); /* batch_jobs.c */
void cress_gateway_get_queues(struct cress_server_request *request,
                              const char *param); /* queues.c */
void cress_gateway_pause_queue(struct cress_server_request *request,
                               const char *param); /* queues.c */
void cress_gateway_resume_queue(struct cress_server_request *request,
                                const char *param); /* queues.c */
void cress_gateway_get_schedules(struct cress_server_request *request,
                                 const char *param); /* schedules.c */
void cress_gateway_get_schedule(struct cress_server_request *request, const char *param);
void cress_gateway_pause_schedule(struct cress_server_request *request, const char *param);
void cress_gateway_resume_schedule(struct cress_server_request *request, const char *param);
void cress_gateway_run_schedule(struct cress_server_request *request, const char *param);
void cress_gateway_get_limits(struct cress_server_request *request,
                              const char *param); /* limits.c */
void cress_gateway_get_limit(struct cress_server_request *request,
                             const char *param); /* limits.c */
void cress_gateway_get_alive(struct cress_server_request *request,
                             const char *param); /* health.c */
void cress_gateway_get_ready(struct cress_server_request *request,
                             const char *param); /* health.c */
void cress_gateway_get_metrics(struct cress_server_request *request, const char *param);

/* Finds the handler and calls it; or answers 404, 405, or a preflight. */
void cress_gateway_route(struct cress_server_request *request, void *gateway); /* routes.c */

/* --- bodies: body.c --- */

/* The body as JSON, as it came. CRESS_MALFORMED says why not, and of an empty body what was
 * expected. */
CRESS_MUST_CHECK enum cress_status cress_gateway_body(const struct cress_server_request *request,
                                                      const char *expected, struct cress_json *body,
                                                      struct cress_error *err);

/* The text of {"reason": …}, or NULL when there is no body. The caller frees `*texts`, from which
 * it borrows, in any case. CRESS_MALFORMED, CRESS_INVALID. */
CRESS_MUST_CHECK enum cress_status cress_gateway_reason(const struct cress_server_request *request,
                                                        char **texts, const char **reason,
                                                        struct cress_error *err);

/* --- answering: reply.c --- */

static inline struct cress_gateway *cress_gateway_of(const struct cress_server_request *request)
{
    return request->owner;
}

/* To what `request` asks of store and broker, within gateway.backend_timeout. */
static inline struct cress_door cress_gateway_door(const struct cress_server_request *request)
{
    const struct cress_gateway *gateway = cress_gateway_of(request);
    return (struct cress_door){
        .broker = gateway->broker,
        .store = gateway->store,
        .config = gateway->config,
        .timeout_ms = gateway->config->gateway_backend_timeout_ms,
    };
}

/* The gateway's page, emptied. */
struct cress_buf *cress_gateway_page(struct cress_gateway *gateway);

/* Answers with `response`, adding what every answer has: the CORS fields. */
void cress_gateway_respond(struct cress_server_request *request, struct cress_response *response);

/* Answers with the page as JSON. */
void cress_gateway_respond_page(struct cress_server_request *request,
                                struct cress_response *response);

/* Answers 200 with the page, which is true of this moment only. */
void cress_gateway_respond_fresh(struct cress_server_request *request);

/* Answers with a problem document; 503 has a Retry-After. `members` as in cress_problem_write(). */
void cress_gateway_problem(struct cress_server_request *request, int status, const char *code,
                           const char *detail, const char *members);
/* The same with `response`, which has the status and perhaps some fields. */
void cress_gateway_problem_with(struct cress_server_request *request,
                                struct cress_response *response, const char *code,
                                const char *detail, const char *members);
void cress_gateway_error(struct cress_server_request *request, const struct cress_error *err);

#endif
