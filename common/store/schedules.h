// SPDX-License-Identifier: Apache-2.0
// What workers share about schedules: which there are, up to which tick each is done, and who is at
// the next one.
//
//   register -> done_ms ... tick -> claim -> (the job is submitted) -> done
//
// Every worker does this for every tick. A claim keeps the others from submitting the same job at
// the same moment; it is no lock that anything depends on, for the job's id is the tick's, and
// whoever claims and dies is followed by another when the claim ends.
//
// A schedule that no worker has had for 30 days is forgotten. As for all of the store: loop thread
// only, nothing blocks, no callback from within the call.
#ifndef CRESS_STORE_SCHEDULES_H
#define CRESS_STORE_SCHEDULES_H

#include "common/store/store.h"

/* What a worker's configuration says of a schedule. */
struct cress_schedule_definition {
    const char *cron, *timezone, *missed, *overlap; /* as in the configuration */
    const char *request;                            /* of the job, JSON */
};

/* A definition, and the live workers that have it. */
struct cress_schedule_fleet {
    struct cress_schedule_definition definition;
    const char *const *workers; /* see worker_id.h */
    size_t worker_count;
};

/* Workers that have not said for so long that they have a schedule are thought not to. */
enum { CRESS_SCHEDULE_GONE_MS = 90000 };

/* A schedule, and what has become of it. Texts are NULL and times 0 when unknown. */
struct cress_schedule_record {
    const char *name;
    struct cress_schedule_definition
        definition; /* of the worker that began or changed last, as long
                                                    as one has it */
    /* Workers that do not agree each run their own. 0: no live worker has it, or only ones that are
     * too old to say. */
    const struct cress_schedule_fleet *fleets;
    size_t fleet_count;
    int64_t done_ms;        /* all ticks up to this have been dealt with */
    int64_t last_ms;        /* the last tick that made a job … */
    const char *last_id;    /* … its id … */
    const char *last_state; /* … and its state; NULL: no record any more */
    int64_t paused_ms;      /* since when it is paused; 0: it is not */
    int64_t seen_ms;        /* when a worker last said that it has it */
};

/* Says that worker `worker` has the schedule `name`. Its definition replaces what is there if
 * `replaces`; `known_ms` is the last tick that it knows to be done. `done_ms` is the last one that
 * is: for a new schedule, or one that is due at other times than before, now. */
typedef void (*cress_store_registered_cb)(int64_t done_ms, const struct cress_error *err,
                                          void *arg);
void cress_store_schedule_register(struct cress_store *store, const char *name, const char *worker,
                                   const struct cress_schedule_definition *definition,
                                   int64_t known_ms, bool replaces, cress_store_registered_cb done,
                                   void *arg);

enum cress_claim {
    CRESS_CLAIM_CLAIMED, /* submit the job */
    CRESS_CLAIM_DONE,    /* another worker has */
    CRESS_CLAIM_BUSY,    /* another worker is at it: ask again */
    CRESS_CLAIM_PAUSED,  /* there will be no job, for the schedule is paused */
    CRESS_CLAIM_OVERLAP, /* … for the one before has not ended */
    CRESS_CLAIM_EARLY,   /* by the store's clock it is not yet due, by more than a minute */
    CRESS_CLAIM_UNKNOWN, /* the store has lost the schedule: register it */
};

/* `number` is for BUSY after how many milliseconds to ask again, else the last tick that is
 * done. */
typedef void (*cress_store_claim_cb)(enum cress_claim claim, int64_t number,
                                     const struct cress_error *err, void *arg);
void cress_store_schedule_claim(struct cress_store *store, const char *name, int64_t tick_ms,
                                int64_t hold_ms, bool skips_overlap, cress_store_claim_cb done,
                                void *arg);

/* The tick's job `id` is safe; NULL: there will be none. */
void cress_store_schedule_done(struct cress_store *store, const char *name, int64_t tick_ms,
                               const char *id, cress_store_done_cb done, void *arg);

/* Pauses the schedule, or lets it go on. CRESS_NOT_FOUND "unknown_schedule": no worker has
 * registered it. */
void cress_store_schedule_pause(struct cress_store *store, const char *name, bool paused,
                                cress_store_done_cb done, void *arg);

/* All schedules, sorted by name; or only `name`, and then none or one. */
typedef void (*cress_store_schedules_cb)(const struct cress_schedule_record *schedules,
                                         size_t count, const struct cress_error *err, void *arg);
void cress_store_schedules(struct cress_store *store, const char *name,
                           cress_store_schedules_cb done, void *arg);

#endif
