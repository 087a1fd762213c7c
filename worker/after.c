// SPDX-License-Identifier: Apache-2.0
// The results of the jobs that a job waited for; see after.h.
//
// They are asked for in groups, one after the other: a store that serves a thousand large results
// at once serves nobody else meanwhile.
#include "worker/after.h"

#include "common/base/mem.h"
#include "common/job/after.h"

#include <stdlib.h>

struct cress_after {
    const struct cress_effects *effects;
    struct cress_store *store;
    const char *rest; /* of the ids: what has not been answered yet */
    struct cress_buf results;
    void (*done)(const struct cress_error *err, void *arg);
    void *arg;
};

struct cress_after *cress_after_new(const struct cress_effects *effects, struct cress_store *store,
                                    const char *ids)
{
    struct cress_after *after = CRESS_NEW(struct cress_after);
    *after = (struct cress_after){
        .effects = effects,
        .store = store,
        .rest = ids,
        .results = cress_buf_make(CRESS_AFTER_RESULTS_MAX),
    };
    cress_buf_add_char(&after->results, '[');
    return after;
}

void cress_after_free(struct cress_after *after)
{
    if (after) {
        cress_buf_free(&after->results);
        free(after);
    }
}

const struct cress_buf *cress_after_results(const struct cress_after *after)
{
    return &after->results;
}

static void read_group(struct cress_after *after);

static void finish_results(struct cress_after *after)
{
    struct cress_error err;
    cress_buf_add_char(&after->results, ']');
    if (after->results.overflowed) {
        cress_error_set(&err, CRESS_TOO_LARGE, "after_too_large",
                        "the results of the jobs that it waited for have more than %d bytes "
                        "together; larger data belongs into an object store",
                        CRESS_AFTER_RESULTS_MAX);
    }
    after->done(after->results.overflowed ? &err : NULL, after->arg);
}

/* Moves `*rest` over the next group and keeps its ids. */
static size_t take_group(const char **rest, char ids[CRESS_OUTCOMES_MAX][CRESS_ID_MAX + 1])
{
    size_t count = 0;
    while (count < CRESS_OUTCOMES_MAX && cress_after_next(rest, ids[count])) {
        count++;
    }
    return count;
}

static void group_cb(const char *const *results, size_t count, const struct cress_error *err,
                     void *arg)
{
    struct cress_after *after = arg;
    if (err) {
        after->done(err, after->arg);
        return;
    }
    char ids[CRESS_OUTCOMES_MAX][CRESS_ID_MAX + 1];
    take_group(&after->rest, ids);
    for (size_t i = 0; i < count; i++) {
        cress_buf_add_text(&after->results, after->results.size > 1 ? "," : "");
        cress_buf_add_text(&after->results, results[i]);
    }
    if (*after->rest && !after->results.overflowed) {
        read_group(after);
    } else {
        finish_results(after);
    }
}

static void read_group(struct cress_after *after)
{
    char ids[CRESS_OUTCOMES_MAX][CRESS_ID_MAX + 1];
    const char *names[CRESS_OUTCOMES_MAX];
    const char *rest = after->rest;
    const size_t count = take_group(&rest, ids);
    for (size_t i = 0; i < count; i++) {
        names[i] = ids[i];
    }
    after->effects->outcomes(after->store, names, count, group_cb, after);
}

void cress_after_read(struct cress_after *after,
                      void (*done)(const struct cress_error *err, void *arg), void *arg)
{
    after->done = done;
    after->arg = arg;
    read_group(after);
}
