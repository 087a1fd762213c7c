// SPDX-License-Identifier: Apache-2.0
// Cancelling a job; see cancel.h.
#include "common/submit/cancel.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/submit/cancel_batch.h"
#include "common/submit/follow_up.h"

#include <stdlib.h>
#include <string.h>

struct cancellation {
    struct cress_door door;
    char *id, *reason; /* reason: NULL when none was given */
    struct cress_cancel_answer answer;
    cress_cancel_cb done;
    void *arg;
};

static void finish_cancellation(struct cancellation *cancellation, const struct cress_error *err)
{
    cancellation->done(cancellation->answer.state, err, cancellation->arg);
    free(cancellation->id);
    free(cancellation->reason);
    free(cancellation);
}

/* What could not be done the workers do: the store has noted it. */
static void on_cancel_followed_up(const struct cress_error *err, void *arg)
{
    (void)err;
    finish_cancellation(arg, NULL);
}

/* A job that is cancelled already is what the caller wanted, but an earlier one may have died before
 * it did what follows. */
static void conclude_cancellation(struct cancellation *cancellation)
{
    const struct cress_cancel_answer *answer = &cancellation->answer;
    struct cress_error why;

    if (answer->verdict == CRESS_VERDICT_TERMINAL && answer->state != CRESS_STATE_CANCELLED &&
        !answer->has_batch) {
        cress_error_set(&why, CRESS_CONFLICT, "job_ended", "job %s has ended already: it %s",
                        cancellation->id, cress_state_word(answer->state));
        finish_cancellation(cancellation, &why);
    } else if (answer->follow) {
        cress_follow_up(cancellation->door, cancellation->id, on_cancel_followed_up, cancellation);
    } else {
        finish_cancellation(cancellation, NULL);
    }
}

static void on_batch_cancelled(const struct cress_batch_cancel *counts,
                               const struct cress_error *err, void *arg)
{
    (void)counts;
    if (err && err->status != CRESS_CONFLICT) { /* that has ended meanwhile */
        finish_cancellation(arg, err);
    } else {
        conclude_cancellation(arg);
    }
}

static void on_cancel_answer(const struct cress_cancel_answer *answer,
                             const struct cress_error *err, void *arg)
{
    struct cancellation *cancellation = arg;
    struct cress_error why;

    cancellation->answer = *answer;
    if (!err && answer->verdict == CRESS_VERDICT_MISSING) {
        cress_error_set(&why, CRESS_NOT_FOUND, "unknown_job",
                        "there is no job %s: it never existed, or its record has expired",
                        cancellation->id);
        err = &why;
    }
    if (err) {
        finish_cancellation(cancellation, err);
    } else if (answer->has_batch) {
        cress_cancel_batch(cancellation->door, cancellation->id, cancellation->reason,
                           on_batch_cancelled, cancellation);
    } else {
        conclude_cancellation(cancellation);
    }
}

void cress_cancel_job(struct cress_door door, const char *id, const char *reason,
                      cress_cancel_cb done, void *arg)
{
    struct cancellation *cancellation = CRESS_NEW(struct cancellation);
    char *error = cress_cancel_error(reason ? reason : "cancelled by request");

    cancellation->door = door;
    cancellation->id = cress_strdup(id);
    cancellation->reason = cress_strdup(reason);
    cancellation->done = done;
    cancellation->arg = arg;
    cress_store_cancel(door.store, id, error, cress_clock_wall_ms(), on_cancel_answer,
                       cancellation);
    free(error);
}
