// SPDX-License-Identifier: Apache-2.0
// What a worker knows: its queues, the deliveries in its hands, how far it is in stopping.
//
// DESIGN
// The files of this room use each other one way only, from the top of this picture to its bottom;
// `make lint` refuses a circle.
//
//   supervisor  several workers under one parent
//   settings    what a worker runs with: the configuration, and a task from its arguments
//   worker      start, stop, connections; calls the rest on the loop's events and on its beat
//   due, ticker     what each worker does for all queues: routes what is due, submits schedules' jobs
//   control, presence, reload       what is heard from outside, and said
//   fetch, share       how much is taken from the broker, and what others can have of it
//   dispatch    deliveries -> lanes -> a free place; stopping, cancelling
//   begin       record running -> what it waited for -> handler
//   no_task     jobs whose task this worker does not have
//   suspect     those that may kill workers: one at a time
//   step_back   recorded as running, and to wait after all
//   turns       whose turn it is within a limit
//   settle      the outcome: store, dead letter, next attempt, batch, reply, ack
//   lease       deliveries that are held for long
//   recall      what this worker did lately, for a store that has lost it
//   pass_on     published, confirmed, then let go: the next delay, the next attempt, back
//   attempt     one delivery in hand: its fields, its timer, its tries
//   peers       what the other workers report
//   state       this
//   pump, lanes, pace, effects, codec, outgoing, retry, notes, job_log, after   what these are made of
//
// What lies below never calls what lies above. It changes the state and wants a turn of the pump;
// dispatch's turn then looks at everything that may follow, once for all that happened: whose turn
// it is among suspects, which jobs start, whether a worker that stops has
// ended. So no job starts within the end of another.
//
// Everything is on the loop's thread.
#ifndef CRESS_WORKER_STATE_H
#define CRESS_WORKER_STATE_H

#include "common/base/ids.h"
#include "common/base/log.h"
#include "common/job/worker_id.h"
#include "worker/effects.h"
#include "worker/handler/tasks.h"
#include "worker/lanes.h"
#include "worker/pace.h"
#include "worker/pump.h"

#include <stdint.h>

/* Only cress_worker_stop() and worker.c change it, in this order. */
enum cress_worker_phase {
    CRESS_WORKER_RUNNING,
    CRESS_WORKER_DRAINING,     /* takes no more; running jobs go on until worker.drain */
    CRESS_WORKER_HANDING_BACK, /* running jobs are stopped and go back; steps are not tried again */
    CRESS_WORKER_CLOSING,      /* connections close */
};

struct cress_worker;

struct cress_worker_queue {
    const char *name;
    const char *default_task;   /* NULL: none */
    int64_t unacked;            /* deliveries in hand */
    bool was_consumed;          /* the broker has begun to deliver from it */
    struct cress_error problem; /* why it is not consumed; CRESS_OK: nothing is known against it */
    bool paused;
    bool withdrawn; /* others have free places, and none is here: see share.h */
    struct cress_pace pace;
    int window; /* deliveries of a priority that the broker sends ahead; 0: as configured */
    uint64_t epochs[CRESS_PRIORITY_COUNT]; /* of the newest delivery: each has a channel */
};

enum { CRESS_PEERS_ASKERS = 2 }; /* no_task.c, share.c */

/* See peers.h. */
struct cress_peers {
    json_t *reports; /* an array; NULL: not asked for yet */
    int64_t read_ms; /* by the monotonic clock */
    bool asking;
    /* who waits for the answer: each once */
    void (*done[CRESS_PEERS_ASKERS])(struct cress_worker *worker, const struct cress_error *err);
};

/* See recall.h. */
struct cress_recall {
    struct cress_list kept, waiting; /* struct recalled: what is known; what is to be told */
    size_t count, bytes;             /* of both, and of those being told */
    int telling;                     /* so many are being told */
    int64_t lost;                    /* of those told since the last report, the store had lost */
};

struct cress_worker {
    struct cress_services services;
    const struct cress_config *config;
    const struct cress_effects *effects;
    struct cress_tasks *tasks;
    struct cress_ticker *ticker;    /* NULL while it closes */
    struct cress_due *due;          /* likewise */
    char id[CRESS_WORKER_ID_MAX];   /* what the store and other workers know it by */
    char name[CRESS_WORKER_ID_MAX]; /* what people are shown of it */
    char host[256];
    enum cress_worker_phase phase;
    void (*on_closed)(void *arg);
    void *arg;

    struct cress_worker_queue *queues;
    size_t queue_count;

    struct cress_lanes lanes; /* attempts that may start when there is a place */
    struct cress_list active; /* attempts in hand that are in no other list */
    struct cress_ids ids;     /* of those that have begun */
    size_t in_hand;           /* all attempts, wherever they are */
    int64_t running;          /* attempts that occupy a place */
    int64_t starting;         /* that are recorded as running before they have one; see begin.h */
    unsigned ended_at_once;   /* so many runs in a row ended before their start had returned */
    uint64_t adapted_ms;      /* when the paces were looked at, by the loop's clock */
    int64_t last_begun_ms;    /* the newest run, by the monotonic clock */

    struct cress_pump pump;
    struct cress_attempt *suspect; /* that runs, or is about to; NULL: none. See suspect.h */
    bool suspect_left;             /* for the pump: the next one gets its turn */
    struct cress_list going_back;  /* for the pump: attempts that are not tried again */

    struct cress_peers peers;
    struct cress_recall recall;
    size_t withdrawn;            /* queues */
    struct cress_watch *control; /* control.c */
    void (*on_pauses_known)(struct cress_worker *worker);

    int64_t processed;  /* deliveries settled after an attempt was made */
    int64_t failed;     /* jobs that failed for good */
    int64_t trimmed_at; /* `processed`, when free memory was given back last */
    int64_t started_ms;

    bool consuming;
    bool following_up; /* what nobody's message leads to */
    bool store_was_ready, announced;
    uv_timer_t beat;  /* presence, leases */
    uv_timer_t limit; /* of the current phase of stopping */
    size_t closing_step;
    struct cress_log_limit waiting_log; /* steps that are tried again */
    struct cress_log_limit failed_log;
    struct cress_log_limit broker_log; /* attempts to connect */
    struct cress_log_limit store_log;
};

enum { CRESS_BEATS_UNTIL_GONE = 5 };

/* After this a worker that reports no more counts as gone. */
static inline int64_t cress_worker_ttl_ms(const struct cress_config *config)
{
    return CRESS_BEATS_UNTIL_GONE * config->worker_heartbeat_ms;
}

#endif
