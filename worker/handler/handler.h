// SPDX-License-Identifier: Apache-2.0
// The contract between the worker and whatever runs a job: start(run), and some time later
// cress_run_done().
//
// Loop thread only. A handler never blocks: it starts something and returns.
#ifndef CRESS_WORKER_HANDLER_HANDLER_H
#define CRESS_WORKER_HANDLER_HANDLER_H

#include "common/broker/broker.h"
#include "common/http/guard.h"
#include "common/http/http.h"
#include "common/job/job.h"
#include "common/store/store.h"

#include <jansson.h>
#include <uv.h>

/* What a handler may use. Lives as long as the worker. */
struct cress_services {
    uv_loop_t *loop;
    const struct cress_config *config;
    struct cress_broker *broker;
    struct cress_store *store;
    struct cress_http *http;
    struct cress_guard *guard; /* for URLs that come from jobs */
};

enum cress_outcome_kind {
    CRESS_OUTCOME_SUCCEEDED,
    CRESS_OUTCOME_RETRY,     /* failed; another attempt may succeed */
    CRESS_OUTCOME_FAILED,    /* failed; retrying is useless */
    CRESS_OUTCOME_CANCELLED, /* stopped, because it was asked to */
    CRESS_OUTCOME_TIMED_OUT, /* stopped at its deadline; counts as RETRY */
    CRESS_OUTCOME_CRASHED,   /* what ran it died; counts as RETRY */
};

struct cress_outcome {
    enum cress_outcome_kind kind;
    json_t *result;           /* SUCCEEDED: taken over (NULL is null) */
    struct cress_error error; /* the others: code and message for the record */
    int64_t retry_after_ms;   /* RETRY: wait at least this long; 0: the job's backoff alone */
};

enum cress_stop_reason {
    CRESS_STOP_TIMED_OUT,
    CRESS_STOP_SHUTDOWN, /* the job is handed back and will run again elsewhere */
};

/* One attempt of one job. */
struct cress_run {
    const struct cress_services *services;
    struct cress_job job;
    json_t *payload; /* parsed; borrowed */
    const struct cress_handler *handler;
    void *state; /* the handler's own, freed by it before cress_run_done() */
};

struct cress_handler {
    const char *task;
    /* Begins. The handler then calls cress_run_done() exactly once, in this call or later. */
    void (*start)(struct cress_run *run);
    /* Asks it to end soon; the handler still calls cress_run_done(). NULL: it cannot be stopped and
     * its end is awaited. */
    void (*stop)(struct cress_run *run, enum cress_stop_reason reason);
};

/* The attempt is over. `run` is the worker's again. */
void cress_run_done(struct cress_run *run, struct cress_outcome outcome);

/* Shorthands for cress_run_done(). `result` is taken over. An error's class decides: temporary
 * errors are retried. */
void cress_run_succeed(struct cress_run *run, json_t *result);
void cress_run_fail(struct cress_run *run, const struct cress_error *err);

/* The handler of `task`, or NULL. */
const struct cress_handler *cress_handler_find(const char *task);

/* Appends the names of all tasks that this worker has, separated by ", ". */
void cress_handler_list(struct cress_buf *out);

/* Built-in handlers; each file of handlers exports one array that ends with a NULL task. */
extern const struct cress_handler cress_builtin_handlers[]; /* handler/builtin.c */
extern const struct cress_handler cress_render_handlers[];  /* render/page.c: page.render */
extern const struct cress_handler
    cress_site_handlers[]; /* render/site.c: site.prerender; publish/publish.c is called from it */

#endif
