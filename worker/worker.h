// SPDX-License-Identifier: Apache-2.0
// One worker: a loop, its connections, and the jobs in hand.
//
// DESIGN
//
//   broker --deliveries--> dispatch.c --a place is free--> handler --outcome--> settle.c --ack-->
//   broker
//                          accept, delay,                  builtin,             store, publish,
//                          lanes, record running           render, ...          batch, reply
//
// Each delivery becomes a struct cress_attempt (attempt.h) that lives until the delivery is
// settled. What an attempt does to the store and the broker is a chain of steps; a step that fails
// because a server is away is done again with backoff, for ever, so that nothing is acknowledged
// whose outcome is not recorded. The end of a worker goes through the phases below, in this order;
// only cress_worker_stop() and worker.c change them.
//
// Everything is on the loop's thread.
#ifndef CRESS_WORKER_WORKER_H
#define CRESS_WORKER_WORKER_H

#include "common/base/log.h"
#include "common/job/worker_id.h"
#include "worker/handler/tasks.h"
#include "common/base/ids.h"
#include "worker/lanes.h"
#include "worker/ticker.h"

#include <stdint.h>

enum cress_worker_phase {
    CRESS_WORKER_RUNNING,
    CRESS_WORKER_DRAINING,     /* takes no more; running jobs go on until worker.drain */
    CRESS_WORKER_HANDING_BACK, /* running jobs are stopped and go back; steps are not tried again */
    CRESS_WORKER_CLOSING,      /* connections close */
};

struct cress_worker_queue {
    const char *name;
    const char *default_task; /* NULL: none */
    int64_t unacked;          /* deliveries in hand */
    bool was_consumed;        /* the broker has begun to deliver from it */
    bool paused;
    uint64_t epochs[CRESS_PRIORITY_COUNT]; /* of the newest delivery: each has a channel */
};

struct cress_worker {
    struct cress_services services;
    const struct cress_config *config;
    struct cress_tasks *tasks;
    struct cress_ticker *ticker;    /* NULL while it closes */
    char id[CRESS_WORKER_ID_MAX];   /* what the store and other workers know it by */
    char name[CRESS_WORKER_ID_MAX]; /* what people are shown of it */
    char host[256];
    enum cress_worker_phase phase;
    void (*on_closed)(void *arg);
    void *arg;

    struct cress_worker_queue *queues;
    size_t queue_count;

    struct cress_lanes lanes;
    struct cress_list active; /* attempts in hand that are not in a lane and not held by another */
    struct cress_ids ids;     /* of those that have begun */
    struct cress_attempt *suspect; /* that runs, or is about to; NULL: none. See suspect.h */
    size_t in_hand;                /* all attempts, wherever they are */
    int64_t running;               /* attempts that occupy a place */

    struct cress_watch *control; /* control.c */

    int64_t processed; /* deliveries settled after an attempt was made */
    int64_t failed;    /* jobs that failed for good */
    int64_t started_ms;

    bool consuming;
    bool following_up; /* what nobody's message leads to */
    bool store_was_ready, announced;
    uv_timer_t beat;  /* presence */
    uv_timer_t limit; /* of the current phase of stopping */
    size_t closing_step;
    struct cress_log_limit waiting_log; /* steps that are tried again */
    struct cress_log_limit failed_log;
    struct cress_log_limit broker_log; /* attempts to connect */
    struct cress_log_limit store_log;
};

/* Starts connecting and consuming; returns at once. A server that cannot be reached is tried for
 * ever; only a configuration that cannot work is an error (the loop must then still be run until
 * nothing is left on it). `on_closed` is called after cress_worker_stop(), when everything is
 * closed and given back; the caller then frees. `config` must outlive the worker, and its tasks
 * have been checked. */
CRESS_MUST_CHECK enum cress_status
cress_worker_start(uv_loop_t *loop, const struct cress_config *config, void (*on_closed)(void *arg),
                   void *arg, struct cress_worker **out, struct cress_error *err);

/* Goes over to `config`, which must outlive the worker too, for what can change while jobs run:
 * tasks, limits and
 * schedules. Running jobs end as they began. What changed is logged, and what needs a
 * restart. */
void cress_worker_reload(struct cress_worker *worker, const struct cress_config *config);

/* Whether cress_worker_reload() takes over a change of this option. */
bool cress_worker_is_live(const char *section, const char *key);

/* First call: takes no more jobs, returns the waiting ones, lets the running ones finish until
 * worker.drain, then hands back the rest. Second call: hands back at once. */
void cress_worker_stop(struct cress_worker *worker);

void cress_worker_free(struct cress_worker *worker);

/* It is known which queues are paused: begins to consume, unless it has. */
void cress_worker_consume(struct cress_worker *worker);

/* An attempt has ended: a worker that is stopping may now be done. */
void cress_worker_attempt_ended(struct cress_worker *worker);

#endif
