// SPDX-License-Identifier: Apache-2.0
// One delivery in hand: what is known about it, how far it is, and how it waits.
#ifndef CRESS_WORKER_ATTEMPT_H
#define CRESS_WORKER_ATTEMPT_H

#include "common/base/id.h"
#include "worker/after.h"
#include "worker/job_log.h"
#include "worker/notes.h"
#include "worker/outgoing.h"
#include "worker/state.h"

enum cress_attempt_phase {
    CRESS_ATTEMPT_WAITING,  /* for its time, for a free place, or for the first delivery of the same
                               job to end */
    CRESS_ATTEMPT_STARTING, /* being recorded as running */
    CRESS_ATTEMPT_RUNNING,  /* with its handler */
    CRESS_ATTEMPT_SETTLING, /* its outcome is being acted on */
};

/* A message on its way to the broker that may outlive its attempt. */
struct cress_guard_note {
    struct cress_attempt *attempt; /* NULL: it has ended meanwhile */
};

/* A message that is published until the broker has it; see pass_on.h. */
struct cress_pass {
    const char *what; /* for the log */
    void (*write)(const struct cress_attempt *attempt, struct cress_outgoing *out);
    void (*then)(struct cress_attempt *attempt);
    void (*refused)(struct cress_attempt *attempt, const struct cress_error *err);
    bool is_dead;
    bool is_cut; /* without what foreign publishers have put into its headers */
};

struct cress_attempt {
    struct cress_run run;   /* what the handler sees; its job borrows from the delivery */
    struct cress_list node; /* in a lane, in worker->active, or in `held` of another attempt */
    struct cress_worker *worker;
    struct cress_delivery *delivery;
    const struct cress_codec *codec; /* the protocol that it came in */
    struct cress_worker_queue *queue;
    enum cress_attempt_phase phase;
    int64_t behind_ms; /* so much the wall clock is known to be behind, as to when this is due */
    char id_room[CRESS_UUID_TEXT_SIZE]; /* the id of a job that came without one */

    struct cress_id_node by_id; /* in worker->ids */
    struct cress_list held;   /* further deliveries of the same job: they wait for this one's end */
    bool has_place;           /* counts in worker->running */
    bool is_starting;         /* counts in worker->starting */
    int64_t begun_us;         /* its run, by the monotonic clock */
    struct cress_start start; /* how it was recorded as running */
    bool recorded;            /* the store has confirmed that */
    bool is_told_again;       /* at its end the store did not know that, and was told once more */
    bool had_begun;           /* elsewhere, before: it does not expire any more */
    bool adopted;             /* its record was made here, because it ends without having started */
    char *limits;             /* of its task, see common/store/limits.h; NULL: none */
    bool is_next;             /* it waits here for its turn within a limit, see turns.h */
    bool turn_came;           /* which was told while it was being started */
    bool is_foreign;          /* it is not of the job that has its id: nothing is recorded */
    bool lacks_task;          /* it is asked who has its task; see no_task.h */
    int64_t no_task_ms;       /* so long it has waited for a worker that has it */
    bool is_suspect;          /* it may be what kills workers; see suspect.h */

    int64_t arrived_ms;             /* the delivery, by the monotonic clock */
    struct cress_guard_note *guard; /* on its way to the broker; see lease.h */
    bool is_leased;                 /* the delivery is acknowledged; only its message is left */
    bool is_unguardable;            /* the broker refuses its guard for good */

    struct cress_after *after; /* the results of earlier jobs, see after.h; NULL: none */
    struct cress_notes *notes; /* what it says while it runs; NULL: nothing so far */
    struct cress_job_log *log; /* likewise */

    bool stopping; /* the handler was asked to end, for this reason: */
    enum cress_stop_reason stop_reason;
    char *cancel_error; /* JSON text, owned: the error of a job that is to stop; NULL: it is not */

    enum cress_state end;      /* SETTLING: what the record becomes */
    char *text;                /* the result or the error as JSON; owned */
    struct cress_error *error; /* for the dead-letter queue and the log; owned, NULL: none, as of
                                  thousands that only wait */
    int64_t due_ms;            /* retrying: when, by the wall clock */
    struct cress_later later;  /* how it is sent back */
    enum cress_settlement settlement;
    struct cress_pass pass;
    void (*after_follow_up)(struct cress_attempt *attempt);
    void (*after_step_back)(struct cress_attempt *attempt);

    uv_timer_t timer; /* for whatever it waits for */
    bool timer_made;
    void (*step)(struct cress_attempt *attempt); /* what the timer does; NULL while none runs */
    unsigned failures;                           /* of the current step, in a row */
};

/* Takes over `delivery`; its run tells `sink`. The attempt is in worker->active. */
struct cress_attempt *cress_attempt_new(struct cress_worker *worker,
                                        struct cress_delivery *delivery,
                                        const struct cress_run_sink *sink);

/* Settles the delivery, puts those that were held by this one into their lanes, and frees. What may
 * follow from it comes with the pump's next turn. */
void cress_attempt_end(struct cress_attempt *attempt, enum cress_settlement how);

/* Calls `each` for all active attempts, which it may end. */
void cress_attempt_each_active(struct cress_worker *worker, void (*each)(struct cress_attempt *));

/* Into its lane, from wherever it is: it takes its turn. */
void cress_attempt_enqueue(struct cress_attempt *attempt);

/* Calls `step` after `ms`; an earlier wait is forgotten. */
void cress_attempt_wait(struct cress_attempt *attempt, int64_t ms,
                        void (*step)(struct cress_attempt *attempt));
void cress_attempt_stop_waiting(struct cress_attempt *attempt);

/* `step` failed with `err`: it is done again with backoff, or, when the worker hands back, the
 * delivery goes back to its queue with the pump's next turn. `what` names the step for the log. */
void cress_attempt_again(struct cress_attempt *attempt, void (*step)(struct cress_attempt *attempt),
                         const char *what, const struct cress_error *err);

/* Makes its place free. Twice is harmless. */
void cress_attempt_leave_place(struct cress_attempt *attempt);

/* It waits for something else now: if it was the suspect that runs, or was about to, the next one
 * gets its turn. */
void cress_attempt_leave_suspicion(struct cress_attempt *attempt);

/* Whether the worker takes no more, or not from this queue: what waits must go back. */
bool cress_must_go_back(const struct cress_attempt *attempt);

/* Whether the message was delivered before, itself or as what it is a copy of. */
bool cress_was_delivered(const struct cress_attempt *attempt);

#endif
