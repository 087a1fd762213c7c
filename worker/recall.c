// SPDX-License-Identifier: Apache-2.0
// What this worker did lately; see recall.h.
#include "worker/recall.h"

#include "common/base/clock.h"
#include "common/base/mem.h"

#include <stdlib.h>
#include <string.h>

/* So many are told at a time: enough to keep the store busy, few enough for others to be served. */
enum { TELLING_MAX = 256 };

/* An outcome, or, with `to` RUNNING, a job that runs. */
struct recalled {
    struct cress_list node;
    struct cress_worker *worker;
    struct cress_job *job;    /* owned */
    struct cress_start start; /* its run */
    bool has_run;             /* it was recorded as running before */
    enum cress_state to;
    char *text; /* the result or the error, JSON; owned, or NULL */
    int64_t due_ms, ended_ms;
    int64_t kept_ms; /* by the monotonic clock */
    size_t size_bytes;
};

void cress_recall_init(struct cress_recall *recall)
{
    cress_list_init(&recall->kept);
    cress_list_init(&recall->waiting);
}

/* --- remembering --- */

static struct recalled *recalled_new(const struct cress_attempt *attempt, enum cress_state to)
{
    struct recalled *recalled = CRESS_NEW(struct recalled);
    size_t job_bytes;
    recalled->worker = attempt->worker;
    recalled->job = cress_job_clone(&attempt->run.job, &job_bytes);
    recalled->has_run = attempt->recorded;
    recalled->start = attempt->start;
    recalled->start.job = recalled->job;
    recalled->start.lease = recalled->start.limits = NULL;
    recalled->start.is_recalled = true;
    recalled->to = to;
    recalled->due_ms = attempt->due_ms;
    recalled->ended_ms = cress_clock_wall_ms();
    recalled->kept_ms = cress_clock_mono_ms();
    const size_t text_bytes = attempt->text ? strlen(attempt->text) + 1 : 0;
    recalled->text =
        attempt->text ? memcpy(cress_alloc(text_bytes), attempt->text, text_bytes) : NULL;
    recalled->size_bytes = sizeof(*recalled) + job_bytes + text_bytes;
    attempt->worker->recall.count++;
    attempt->worker->recall.bytes += recalled->size_bytes;
    return recalled;
}

static void forget(struct cress_recall *recall, struct recalled *recalled)
{
    cress_list_remove(&recalled->node);
    recall->count--;
    recall->bytes -= recalled->size_bytes;
    free(recalled->job);
    free(recalled->text);
    free(recalled);
}

static struct recalled *oldest_of(const struct cress_list *list)
{
    return cress_list_is_empty(list) ? NULL : CRESS_CONTAINER(list->next, struct recalled, node);
}

static void keep_bounds(struct cress_recall *recall)
{
    while (recall->count > CRESS_RECALL_MAX || recall->bytes > CRESS_RECALL_MAX_BYTES) {
        struct recalled *oldest = oldest_of(&recall->waiting);
        oldest = oldest ? oldest : oldest_of(&recall->kept);
        if (!oldest) {
            return; /* the rest is being told */
        }
        forget(recall, oldest);
    }
}

/* One that ends without having run is known to be lost by its message, which is told again by the
 * reconciler; but for one that has expired, of which there is none. */
void cress_recall_add(const struct cress_attempt *attempt)
{
    struct cress_recall *recall = &attempt->worker->recall;
    if (attempt->recorded || attempt->end == CRESS_STATE_EXPIRED) {
        struct recalled *recalled = recalled_new(attempt, attempt->end);
        cress_list_append(&recall->kept, &recalled->node);
        keep_bounds(recall);
    }
}

void cress_recall_free(struct cress_recall *recall)
{
    struct recalled *recalled;
    while ((recalled = oldest_of(&recall->kept)) || (recalled = oldest_of(&recall->waiting))) {
        forget(recall, recalled);
    }
}

/* --- telling --- */

static void tell_more(struct cress_worker *worker);

static void report_lost(struct cress_recall *recall)
{
    if (recall->lost > 0) {
        cress_log(CRESS_LOG_WARN,
                  "the store had lost what this worker had recorded: it was recorded again",
                  CRESS_KVI("changes", recall->lost));
        recall->lost = 0;
    }
}

/* With an error the connection is lost again, and all is told when it is back. */
static void end_telling(struct recalled *recalled, const struct cress_error *err)
{
    struct cress_worker *worker = recalled->worker;
    struct cress_recall *recall = &worker->recall;
    recall->telling--;
    cress_list_append(&recall->kept, &recalled->node);
    if (recalled->to == CRESS_STATE_RUNNING) {
        forget(recall, recalled);
    }
    if (!err) {
        tell_more(worker);
    }
    if (recall->telling == 0) {
        report_lost(recall);
    }
}

static void recalled_followed_up_cb(const struct cress_error *err, void *arg)
{
    end_telling(arg, err);
}

static void follow_up_recalled(struct recalled *recalled, bool follow)
{
    const struct cress_worker *worker = recalled->worker;
    if (follow) {
        worker->effects->follow_up(cress_services_door(&worker->services, 0), recalled->job->id,
                                   recalled_followed_up_cb, recalled);
    } else {
        end_telling(recalled, NULL);
    }
}

static void recalled_changed_cb(enum cress_verdict verdict, bool follow,
                                const struct cress_error *err, void *arg)
{
    struct recalled *recalled = arg;
    (void)verdict; /* applied, or somebody was faster */
    if (err) {
        end_telling(recalled, err);
    } else {
        follow_up_recalled(recalled, follow);
    }
}

static void change_recalled(struct recalled *recalled)
{
    const struct cress_worker *worker = recalled->worker;
    const bool succeeded = recalled->to == CRESS_STATE_SUCCEEDED;
    const struct cress_change change = {
        .id = recalled->job->id,
        .to = recalled->to,
        .attempt = recalled->job->attempt,
        .worker = worker->id,
        .promise = recalled->job->promise,
        .result = succeeded ? recalled->text : NULL,
        .result_size = succeeded && recalled->text ? strlen(recalled->text) : 0,
        .error = succeeded ? NULL : recalled->text,
        .run_at_ms = recalled->due_ms,
        .now_ms = recalled->ended_ms,
    };
    worker->effects->change(worker->services.store, &change, recalled_changed_cb, recalled);
}

static void restart_recalled(struct recalled *recalled);

static void recalled_started_cb(enum cress_verdict verdict, bool follow, int64_t wait_ms,
                                const struct cress_error *err, void *arg)
{
    struct recalled *recalled = arg;
    const bool is_behind = verdict == CRESS_VERDICT_APPLIED || verdict == CRESS_VERDICT_SUSPECT;
    (void)wait_ms;
    if (err) {
        end_telling(recalled, err);
    } else if (verdict ==
               CRESS_VERDICT_DUPLICATE) { /* it has a record now, without its unique key */
        restart_recalled(recalled);
    } else if (is_behind && recalled->to != CRESS_STATE_RUNNING) {
        recalled->worker->recall.lost++;
        change_recalled(recalled);
    } else {
        follow_up_recalled(recalled, verdict == CRESS_VERDICT_TERMINAL && follow);
    }
}

static void restart_recalled(struct recalled *recalled)
{
    const struct cress_worker *worker = recalled->worker;
    worker->effects->start(worker->services.store, &recalled->start, recalled_started_cb, recalled);
}

static void tell_more(struct cress_worker *worker)
{
    struct cress_recall *recall = &worker->recall;
    struct cress_list *node;
    while (recall->telling < TELLING_MAX && (node = cress_list_shift(&recall->waiting))) {
        struct recalled *recalled = CRESS_CONTAINER(node, struct recalled, node);
        recall->telling++;
        if (recalled->has_run) {
            restart_recalled(recalled);
        } else {
            change_recalled(recalled);
        }
    }
}

void cress_recall_check(struct cress_worker *worker)
{
    struct cress_recall *recall = &worker->recall;
    const int64_t now_ms = cress_clock_mono_ms();
    struct recalled *oldest;
    while ((oldest = oldest_of(&recall->kept)) && now_ms - oldest->kept_ms > CRESS_RECALL_MS) {
        forget(recall, oldest);
    }
    if (cress_store_is_ready(worker->services.store, NULL)) {
        tell_more(worker); /* what was left when something failed */
    }
}

/* Outcomes first: a job may run here for the second time. */
void cress_recall_tell(struct cress_worker *worker)
{
    struct cress_recall *recall = &worker->recall;
    cress_list_splice(&recall->waiting, &recall->kept);
    for (struct cress_list *at = worker->active.next; at != &worker->active; at = at->next) {
        const struct cress_attempt *attempt = CRESS_CONTAINER(at, struct cress_attempt, node);
        if (attempt->recorded && attempt->phase == CRESS_ATTEMPT_RUNNING) {
            struct recalled *runs = recalled_new(attempt, CRESS_STATE_RUNNING);
            cress_list_append(&recall->waiting, &runs->node);
        }
    }
    tell_more(worker);
}
