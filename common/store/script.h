// SPDX-License-Identifier: Apache-2.0
// The Lua scripts of common/store/scripts/, put together as Redis gets them.
//
// To add one: write scripts/<name>.lua and add a line to CRESS_SCRIPTS. Each begins with constants
// that come from the tables of the C side (states, transitions, verdicts, keys), so that nothing is
// said twice, then what it uses of prelude.lua.
#ifndef CRESS_STORE_SCRIPT_H
#define CRESS_STORE_SCRIPT_H

#include "common/store/redis.h"

#define CRESS_SCRIPTS(X)                    \
    X(CREATE, create)                       \
    X(START, start)                         \
    X(CHANGE, change)                       \
    X(CANCEL, cancel)                       \
    X(LIMITS, limits)                       \
    X(LINE, line)                           \
    X(NOTE, note)                           \
    X(BLOCK, block)                         \
    X(LOG, log)                             \
    X(DISCARD, discard)                     \
    X(SENT, sent)                           \
    X(REQUEUE, requeue)                     \
    X(MEND, mend)                           \
    X(SCAN, scan)                           \
    X(SLOTS, slots)                         \
    X(FOLLOW_UP, follow_up)                 \
    X(OUTCOMES, outcomes)                   \
    X(BATCH_OPEN, batch_open)               \
    X(BATCH_CLOSE, batch_close)             \
    X(BATCH_COMPLETE, batch_complete)       \
    X(PAUSE, pause)                         \
    X(BATCH_CANCEL, batch_cancel)           \
    X(BEAT, beat)                           \
    X(LEAVE, leave)                         \
    X(WORKERS, workers)                     \
    X(SCHEDULE_REGISTER, schedule_register) \
    X(SCHEDULE_CLAIM, schedule_claim)       \
    X(SCHEDULE_DONE, schedule_done)         \
    X(SCHEDULE_PAUSE, schedule_pause)       \
    X(SCHEDULES, schedules)

enum cress_script {
#define X(name, file) CRESS_SCRIPT_##name,
    CRESS_SCRIPTS(X)
#undef X
        CRESS_SCRIPT_COUNT
};

/* Verdicts are answered as their number. FOLLOW is added when something follows from the job's end,
 * see store.h, and WAIT for each ms that a limited job is to stay away. */
enum { CRESS_SCRIPT_FOLLOW = 16, CRESS_SCRIPT_WAIT = 32 };

/* In the place of the patience with which a start is judged: it is none, but told once more. */
enum { CRESS_SCRIPT_RECALLED = -1 };

/* The caller frees with cress_scripts_free(). */
void cress_scripts_make(struct cress_redis_script scripts[CRESS_SCRIPT_COUNT]);
void cress_scripts_free(struct cress_redis_script scripts[CRESS_SCRIPT_COUNT]);

#endif
