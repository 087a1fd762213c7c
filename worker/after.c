// SPDX-License-Identifier: Apache-2.0
// The results of the jobs that a job waited for; see after.h.
//
// They are asked for in groups, one after the other: a store that serves a thousand large results
// at once serves nobody else meanwhile.
#include "worker/after.h"

#include "common/base/mem.h"
#include "common/job/after.h"
#include "worker/settle.h"

#include <stdlib.h>

struct cress_after {
    const char *rest; /* of job.after: what has not been answered yet */
    struct cress_buf results;
    void (*next)(struct cress_attempt *attempt);
};

static void read_group(struct cress_attempt *attempt);

static void finish(struct cress_attempt *attempt)
{
    struct cress_after *after = attempt->after;
    cress_buf_add_char(&after->results, ']');
    if (after->results.overflowed) {
        struct cress_error err;
        cress_error_set(&err, CRESS_TOO_LARGE, "after_too_large",
                        "the results of the jobs that it waited for have more than %d bytes "
                        "together; larger data belongs into an object store",
                        CRESS_AFTER_RESULTS_MAX);
        cress_settle_fail(attempt, &err);
        return;
    }
    attempt->run.after = cress_buf_text(&after->results);
    attempt->run.after_size = after->results.size;
    after->next(attempt);
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
    struct cress_attempt *attempt = arg;
    struct cress_after *after = attempt->after;
    if (err) {
        cress_attempt_again(attempt, read_group, "read the results of earlier jobs", err);
        return;
    }
    attempt->failures = 0;
    char ids[CRESS_OUTCOMES_MAX][CRESS_ID_MAX + 1];
    take_group(&after->rest, ids);
    for (size_t i = 0; i < count; i++) {
        cress_buf_add_text(&after->results, after->results.size > 1 ? "," : "");
        cress_buf_add_text(&after->results, results[i]);
    }
    if (*after->rest && !after->results.overflowed) {
        read_group(attempt);
    } else {
        finish(attempt);
    }
}

static void read_group(struct cress_attempt *attempt)
{
    char ids[CRESS_OUTCOMES_MAX][CRESS_ID_MAX + 1];
    const char *names[CRESS_OUTCOMES_MAX];
    const char *rest = attempt->after->rest;
    const size_t count = take_group(&rest, ids);
    for (size_t i = 0; i < count; i++) {
        names[i] = ids[i];
    }
    cress_store_outcomes(attempt->worker->services.store, names, count, group_cb, attempt);
}

void cress_after_read(struct cress_attempt *attempt, void (*next)(struct cress_attempt *attempt))
{
    struct cress_after *after = CRESS_NEW(struct cress_after);
    *after = (struct cress_after){
        .rest = attempt->run.job.after,
        .results = cress_buf_make(CRESS_AFTER_RESULTS_MAX),
        .next = next,
    };
    cress_buf_add_char(&after->results, '[');
    attempt->after = after;
    read_group(attempt);
}

void cress_after_free(struct cress_after *after)
{
    if (after) {
        cress_buf_free(&after->results);
        free(after);
    }
}
