// SPDX-License-Identifier: Apache-2.0
// Cancelling a batch, a part of its jobs at a time; see cancel_batch.h.
#include "common/submit/cancel_batch.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/submit/follow_up.h"

#include <stdlib.h>

struct cancellation {
    struct cress_door door;
    char *id, *error;
    struct cress_batch_cancel counts;
    cress_cancel_batch_cb done;
    void *arg;
};

static void finish_batch_cancellation(struct cancellation *cancellation,
                                      const struct cress_error *err)
{
    cancellation->done(&cancellation->counts, err, cancellation->arg);
    free(cancellation->id);
    free(cancellation->error);
    free(cancellation);
}

/* An error is no reason to repeat: the workers do what is left. */
static void on_batch_followed_up(const struct cress_error *err, void *arg)
{
    (void)err;
    finish_batch_cancellation(arg, NULL);
}

static void cancel_part(struct cancellation *cancellation, const char *cursor);

static void on_part_cancelled(const struct cress_batch_cancel *answer,
                              const struct cress_error *err, void *arg)
{
    struct cancellation *cancellation = arg;

    if (err) {
        finish_batch_cancellation(cancellation, err);
        return;
    }
    cancellation->counts.cancelled += answer->cancelled;
    cancellation->counts.asked += answer->asked;
    cancellation->counts.ended += answer->ended;
    if (answer->next) {
        cancel_part(cancellation, answer->next);
    } else {
        cress_follow_up(cancellation->door, "", on_batch_followed_up, cancellation);
    }
}

static void cancel_part(struct cancellation *cancellation, const char *cursor)
{
    cress_store_batch_cancel(cancellation->door.store, cancellation->id, cursor,
                             cancellation->error, cress_clock_wall_ms(), on_part_cancelled,
                             cancellation);
}

void cress_cancel_batch(struct cress_door door, const char *id, const char *reason,
                        cress_cancel_batch_cb done, void *arg)
{
    struct cancellation *cancellation = CRESS_NEW(struct cancellation);

    cancellation->door = door;
    cancellation->id = cress_strdup(id);
    cancellation->error = cress_cancel_error(reason ? reason : "its batch was cancelled");
    cancellation->done = done;
    cancellation->arg = arg;
    cancel_part(cancellation, NULL);
}
