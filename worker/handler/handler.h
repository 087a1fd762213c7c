// SPDX-License-Identifier: Apache-2.0
// The contract between whoever has a job and whatever runs it: start(run), and some time later
// cress_run_done(). The room knows nothing of the worker: what a run says and how it ends goes to
// the run's sink.
//
//   worker --start(run)--> handler --cress_run_progress(), _log(), _done()--> sink: the worker
//
// Loop thread only. A handler never blocks: it starts something and returns.
//
// A handler is either one built-in task, or a kind (`exec`, `stream`, …) that runs the tasks whose
// [task NAME] section names it; run->task is then that task. To add a kind: a file here that
// defines its struct cress_handler, its word in task_options.def, and a line in kinds.c.
#ifndef CRESS_WORKER_HANDLER_HANDLER_H
#define CRESS_WORKER_HANDLER_HANDLER_H

#include "common/base/list.h"
#include "common/broker/broker.h"
#include "common/http/guard.h"
#include "common/http/http.h"
#include "common/job/job.h"
#include "common/store/store.h"
#include "common/submit/door.h"

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

/* To what is asked of store and broker. */
static inline struct cress_door cress_services_door(const struct cress_services *services,
                                                    int64_t timeout_ms)
{
    return (struct cress_door){.broker = services->broker,
                               .store = services->store,
                               .config = services->config,
                               .timeout_ms = timeout_ms};
}

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
    char *result; /* SUCCEEDED: JSON text, NUL-terminated, owned; NULL is null. Who makes it answers
                     for its being JSON: from here on nobody parses it */
    size_t result_size;       /* without the NUL */
    struct cress_error error; /* the others: code (the verdict) and message for the record */
    int64_t retry_after_ms;   /* RETRY: wait at least this long; 0: the job's backoff alone */
};

enum cress_stop_reason {
    CRESS_STOP_TIMED_OUT,
    CRESS_STOP_SHUTDOWN,  /* the job is handed back and will run again elsewhere */
    CRESS_STOP_CANCELLED, /* somebody waits for that: it should end within a second */
};

/* How long what runs a job may take to end when it is asked to, before it is killed. */
enum { CRESS_STOP_GRACE_MS = 500 };

/* A task that the configuration describes. It lives until its last run has ended and the
 * configuration has no such section any more, or the worker ends. */
struct cress_task {
    const struct cress_services *services;
    const struct cress_task_config *config;
    const struct cress_handler *handler;
    void *state; /* the handler's own: what outlives a run, such as processes */
    void (*on_closed)(struct cress_task *task); /* see cress_task_closed() */

    uint64_t tried_ms; /* when a job was begun to find out, by the loop's clock; see begin.c */

    struct cress_list node; /* from here on: tasks.c */
    struct cress_tasks *tasks;
    size_t runs;
    bool retired, closing;
};

struct cress_run;

/* Who hears of a run. */
struct cress_run_sink {
    /* The attempt is over, and `run` its owner's again, who must not free it before this has
     * returned. To keep the result: take it and set it to NULL. */
    void (*done)(struct cress_run *run, struct cress_outcome *outcome);
    /* See cress_run_progress() and cress_run_log(). */
    void (*progress)(struct cress_run *run, int percent, const char *message);
    void (*log)(struct cress_run *run, const char *text, size_t size);
};

/* What is kept of a log for verdicts. */
enum { CRESS_RUN_LOG_MAX = 8192 };

/* One attempt of one job. */
struct cress_run {
    const struct cress_services *services;
    const struct cress_run_sink *sink;
    struct cress_job job; /* its payload is JSON text, byte for byte as it was submitted */
    const char *after; /* how the jobs ended that it waited for, in the order of job.after: a JSON
                          array of {"id", "state", "result" | "error"}. NULL: it waited for none */
    size_t after_size; /* without the NUL */
    const struct cress_handler *handler;
    struct cress_task *task; /* NULL: a built-in task without a section */
    void *state;             /* the handler's own, freed by it before cress_run_done() */

    json_t *payload; /* from here on: run.c. Parsed, for those that ask */
    struct cress_run_tail {
        size_t size;
        char text[CRESS_RUN_LOG_MAX];
    } * tail; /* of the log; NULL: nothing was logged */
};

/* How soon what runs a task would see another job. */
enum cress_readiness {
    CRESS_READY,         /* at once */
    CRESS_READY_FOR_ONE, /* nothing runs: a job is needed to start it */
    CRESS_NOT_READY,     /* it is starting, and has a job */
};

struct cress_handler {
    const char *task; /* of a kind: its word in the configuration */
    /* Begins. The handler then calls cress_run_done() exactly once, in this call or later. */
    void (*start)(struct cress_run *run);
    /* Asks it to end soon; the handler still calls cress_run_done(). NULL: it cannot be stopped and
     * its end is awaited. */
    void (*stop)(struct cress_run *run, enum cress_stop_reason reason);

    /* Only kinds have these; each may be NULL. */

    /* Whether a section can work; CRESS_CONFIG says what is missing. Starts nothing. */
    enum cress_status (*check)(const struct cress_task_config *config, struct cress_error *err);
    /* Makes task->state, before the first run. What fails here later fails runs. */
    void (*open)(struct cress_task *task);
    /* A rate counts starts as they are seen: no more jobs of a task that has one are begun than
     * this says. NULL: always ready. */
    enum cress_readiness (*readiness)(const struct cress_task *task);
    /* No run is left and none follows: ends what open() and the runs have made, frees task->state,
     * and calls cress_task_closed(), in this call or later. */
    void (*close)(struct cress_task *task);
};

/* The task has ended what it kept; it may be freed in this call. */
void cress_task_closed(struct cress_task *task);

/* The payload for a handler that wants a value rather than text; borrowed, until the run is done.
 * NULL and an error for what is JSON, and yet no jansson value that a text can be taken from:
 * numbers beyond int64 and double, and texts with \u0000. */
json_t *cress_run_payload(struct cress_run *run, struct cress_error *err);

/* The attempt is over. `run` is its owner's again, and may be gone. */
void cress_run_done(struct cress_run *run, struct cress_outcome outcome);

/* Shorthands for cress_run_done(). The result is taken over; NULL is null. An error's class
 * decides: temporary errors are retried. */
void cress_run_succeed(struct cress_run *run, json_t *result);
void cress_run_succeed_text(struct cress_run *run, char *result, size_t size);
void cress_run_fail(struct cress_run *run, const struct cress_error *err);

/* What a handler that cannot be asked to end is told beforehand: when the run, which begins now,
 * should have ended, by the wall clock. That is the soft timeout of its task, if it has one, and the
 * job's timeout otherwise. */
int64_t cress_run_deadline_ms(const struct cress_run *run);

/* Says how far a run is: `percent` from 0 to 100, or negative when it is not known, and a short
 * text (may be NULL). Any number of calls; the record is written at most each 200 ms, the last one
 * always. */
void cress_run_progress(struct cress_run *run, int percent, const char *message);

/* Appends to the job's log; lines end with a newline. The first job.max_log bytes and the last
 * CRESS_RUN_LOG_MAX are kept, see job_log.h; the latter are in the record too once the attempt has
 * ended. Bytes that are no UTF-8 are replaced. */
void cress_run_log(struct cress_run *run, const char *text, size_t size);

/* The last CRESS_RUN_LOG_MAX bytes of the log so far, not terminated; for verdicts that depend on
 * them. Until cress_run_clear(). */
const char *cress_run_log_tail(const struct cress_run *run, size_t *size);

/* Frees what the functions above have kept in `run`: for its owner, when it is over. */
void cress_run_clear(struct cress_run *run);

/* The handler of the built-in task `task`, or NULL. */
const struct cress_handler *cress_handler_find(const char *task);

/* The handler of kind `word`, or NULL. */
const struct cress_handler *cress_handler_kind(const char *word);

/* Appends the names of all built-in tasks, separated by ", ". */
void cress_handler_list(struct cress_buf *out);

/* The built-in tasks: arrays that end with a NULL task, in a list that ends with NULL. Defined by
 * the program that links the room (worker/registry.c), not here. */
extern const struct cress_handler *const cress_handler_groups[];

extern const struct cress_handler cress_builtin_handlers[]; /* handler/builtin.c */
extern const struct cress_handler cress_render_handlers[];  /* render/page.c: page.render */
extern const struct cress_handler
    cress_site_handlers[]; /* render/site.c: site.prerender; publish/publish.c is called from it */

/* Kinds; each has a file of its name. */
extern const struct cress_handler cress_exec_handler;
extern const struct cress_handler cress_stream_handler;
extern const struct cress_handler cress_http_handler;
extern const struct cress_handler cress_plugin_handler;

#endif
