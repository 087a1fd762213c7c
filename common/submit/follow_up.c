// SPDX-License-Identifier: Apache-2.0
// What follows the end of a job; see follow_up.h.
//
// DESIGN
//
//   store: what is there to do? -> entries -> all at once: publish | submit completion -> confirmed
//      ^                                                                                    |
//      +------------ these are done; what else? <------------------------------------------+
//
// One round has at most CRESS_FOLLOW_UP_MAX entries, so memory is constant however many jobs wait.
// An error ends it after its round; what was confirmed in that round is done again next time.
#include "common/submit/follow_up.h"

#include "common/base/clock.h"
#include "common/base/error_json.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/job/promise.h"
#include "common/submit/completion.h"
#include "common/submit/republish.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct follow_up {
    struct cress_door door;
    char *id;
    struct step *steps; /* of this round */
    size_t count, open; /* `open`: of `count`, those under way */
    struct cress_error err;
    cress_store_done_cb done;
    void *arg;
};

/* One entry. */
struct step {
    struct follow_up *follow_up;
    char *entry;                      /* as the store gave it */
    char *id;                         /* of the job or batch that it is about */
    char promise[CRESS_PROMISE_SIZE]; /* of the job */
    bool is_undone;                   /* it is to be asked for again */
};

static void ask(struct follow_up *follow_up);

static void free_steps(struct follow_up *follow_up)
{
    for (size_t i = 0; i < follow_up->count; i++) {
        free(follow_up->steps[i].entry);
        free(follow_up->steps[i].id);
    }
    free(follow_up->steps);
    follow_up->steps = NULL;
    follow_up->count = 0;
}

static void end(struct follow_up *follow_up)
{
    const bool good = follow_up->err.status == CRESS_OK;
    follow_up->done(good ? NULL : &follow_up->err, follow_up->arg);
    free_steps(follow_up);
    free(follow_up->id);
    free(follow_up);
}

static void finish_step(struct step *step, const struct cress_error *err)
{
    struct follow_up *follow_up = step->follow_up;
    if (err && follow_up->err.status == CRESS_OK) {
        follow_up->err = *err;
    }
    if (--follow_up->open > 0) {
        return;
    }
    if (follow_up->err.status != CRESS_OK) {
        end(follow_up);
    } else {
        ask(follow_up);
    }
}

/* --- a job that need not wait any more --- */

static void failed_cb(enum cress_verdict verdict, bool follow, const struct cress_error *err,
                      void *arg)
{
    struct step *step = arg;
    (void)verdict;
    (void)follow; /* the entry, which is not done, leads to what waits for this one */
    step->is_undone = true;
    finish_step(step, err);
}

/* Its queue does not exist: nobody is there to be told so but its record. */
static void fail(struct step *step, const struct cress_error *why)
{
    struct cress_buf error = cress_buf_make(8 * CRESS_ERROR_MESSAGE_MAX);
    cress_error_json(&error, "unknown_queue", why->message);
    const struct cress_change change = {
        .id = step->id,
        .to = CRESS_STATE_FAILED,
        .promise = step->promise,
        .error = cress_buf_text(&error),
        .now_ms = cress_clock_wall_ms(),
    };
    cress_log(CRESS_LOG_ERROR, "job need not wait any more, but cannot be queued",
              CRESS_KV("job", step->id), CRESS_KV_ERROR(why));
    cress_store_change(step->follow_up->door.store, &change, failed_cb, step);
    cress_buf_free(&error);
}

static void published_cb(const struct cress_error *err, void *arg)
{
    struct step *step = arg;
    if (err && strcmp(err->code, "unroutable") == 0) {
        fail(step, err);
    } else {
        finish_step(step, err);
    }
}

static void record_cb(const struct cress_record *record, const struct cress_error *err, void *arg)
{
    struct step *step = arg;
    if (err || !record) {
        finish_step(step, err);
        return;
    }
    snprintf(step->promise, sizeof step->promise, "%s", record->promise ? record->promise : "");
    cress_republish(step->follow_up->door, record, published_cb, step);
}

/* --- rounds --- */

static void completed_cb(const struct cress_error *err, void *arg)
{
    finish_step(arg, err);
}

static void begin(struct step *step)
{
    const struct cress_door door = step->follow_up->door;
    if (strncmp(step->entry, "batch ", 6) == 0) {
        cress_completion_submit(door, step->id, completed_cb, step);
    } else {
        cress_store_get(door.store, step->id, record_cb, step);
    }
}

/* "job ID OTHER" or "batch ID". */
static void keep_step(struct follow_up *follow_up, const char *entry)
{
    const char *id = strchr(entry, ' ') + 1;
    follow_up->steps[follow_up->count++] = (struct step){
        .follow_up = follow_up,
        .entry = cress_strdup(entry),
        .id = cress_strndup(id, strcspn(id, " ")),
    };
}

static void answer_cb(const char *const *entries, size_t count, bool more,
                      const struct cress_error *err, void *arg)
{
    struct follow_up *follow_up = arg;
    free_steps(follow_up);
    if (err) {
        follow_up->err = *err;
    }
    if (err || (count == 0 && !more)) {
        end(follow_up);
        return;
    }
    if (count == 0) {
        ask(follow_up);
        return;
    }
    follow_up->steps = cress_alloc(count * sizeof *follow_up->steps);
    for (size_t i = 0; i < count; i++) {
        keep_step(follow_up, entries[i]);
    }
    follow_up->open = count;
    for (size_t i = 0; i < count; i++) {
        begin(&follow_up->steps[i]);
    }
}

static void ask(struct follow_up *follow_up)
{
    char *entries[CRESS_FOLLOW_UP_MAX];
    size_t count = 0;
    for (size_t i = 0; i < follow_up->count; i++) {
        if (!follow_up->steps[i].is_undone) {
            entries[count++] = follow_up->steps[i].entry;
        }
    }
    cress_store_follow_up(follow_up->door.store, follow_up->id, entries, count, answer_cb,
                          follow_up);
}

void cress_follow_up(struct cress_door door, const char *id, cress_store_done_cb done, void *arg)
{
    struct follow_up *follow_up = CRESS_NEW(struct follow_up);
    follow_up->door = door;
    follow_up->id = cress_strdup(id);
    follow_up->done = done;
    follow_up->arg = arg;
    ask(follow_up);
}
