// SPDX-License-Identifier: Apache-2.0
// The facts about a job gathered; see explain.h. What follows from them is in explain_decide.c.
//
// record -> workers' reports -> the jobs that it waits for                            -> explanation
//                            -> paused queues -> what waits in its queue -> its line  -> explanation

#include "producer/explain.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/broker/topology.h"
#include "common/job/after.h"
#include "common/store/limits.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* Their results come along, which may be large. */
enum { AWAITED_MAX = 16 };

struct inquiry {
    struct cress_door door;
    cress_explain_cb done;
    void *arg;
    char *id;
    struct cress_record *record; /* owned */
    json_t *workers;
    json_t *awaited;
    json_t *line;
    int64_t paused_ms;
    struct cress_queue_stats *queues; /* owned */
};

static void finish_inquiry(struct inquiry *inquiry, const struct cress_error *err)
{
    if (err) {
        inquiry->done(NULL, err, inquiry->arg);
    } else {
        const struct cress_explain_facts facts = {
            .record = inquiry->record,
            .workers = inquiry->workers,
            .queues = inquiry->queues,
            .paused_ms = inquiry->paused_ms,
            .awaited = inquiry->awaited,
            .line = json_array_get(inquiry->line, 0),
            .now_ms = cress_clock_wall_ms(),
        };
        struct cress_explanation explanation;
        cress_explain_decide(&facts, &explanation);
        inquiry->done(&explanation, NULL, inquiry->arg);
    }
    json_decref(inquiry->workers);
    json_decref(inquiry->awaited);
    json_decref(inquiry->line);
    free(inquiry->queues);
    free(inquiry->record);
    free(inquiry->id);
    free(inquiry);
}

static json_t *parse_all(const char *const *texts, size_t count)
{
    json_t *all = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(all, json_loads(texts[i], 0, NULL));
    }
    return all;
}

/* --- the jobs that it waits for --- */

static void on_outcomes(const char *const *outcomes, size_t count, const struct cress_error *err,
                        void *arg)
{
    struct inquiry *inquiry = arg;
    inquiry->awaited = parse_all(outcomes, count);
    finish_inquiry(inquiry, err);
}

static void ask_for_awaited(struct inquiry *inquiry)
{
    char ids[AWAITED_MAX][CRESS_ID_MAX + 1];
    const char *list[AWAITED_MAX];
    const char *rest = inquiry->record->after ? inquiry->record->after : "";
    size_t count = 0;
    while (count < AWAITED_MAX && cress_after_next(&rest, ids[count])) {
        list[count] = ids[count];
        count++;
    }
    cress_store_outcomes(inquiry->door.store, list, count, on_outcomes, inquiry);
}

/* --- its queue --- */

/* A limit of the task forbids the job to start: how far is its turn? */
static void on_explain_line(const char *const *lines, size_t count, const struct cress_error *err,
                            void *arg)
{
    struct inquiry *inquiry = arg;
    inquiry->line = parse_all(lines, count);
    finish_inquiry(inquiry, err);
}

static void on_explain_stats(const struct cress_queue_stats *stats, size_t count,
                             const struct cress_error *err, void *arg)
{
    struct inquiry *inquiry = arg;
    const struct cress_record *record = inquiry->record;
    if (err) {
        finish_inquiry(inquiry, err);
        return;
    }
    inquiry->queues = cress_alloc(count * sizeof *stats);
    memcpy(inquiry->queues, stats, count * sizeof *stats);
    if (record->blocked) {
        cress_store_line(inquiry->door.store, record->task, record->key, record->id,
                         on_explain_line, inquiry);
    } else {
        finish_inquiry(inquiry, NULL);
    }
}

static void on_explain_paused(const struct cress_paused_queue *paused, size_t count,
                              const struct cress_error *err, void *arg)
{
    struct inquiry *inquiry = arg;
    char names[CRESS_PRIORITY_COUNT][CRESS_ROUTE_NAME_MAX];
    const char *list[CRESS_PRIORITY_COUNT + 2] = {NULL};
    if (err) {
        finish_inquiry(inquiry, err);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (strcmp(paused[i].name, inquiry->record->queue) == 0) {
            inquiry->paused_ms = paused[i].since_ms;
        }
    }
    for (int i = 0; i < CRESS_PRIORITY_COUNT; i++) {
        cress_route_queue_name(inquiry->record->queue, (enum cress_priority)i, names[i]);
        list[i] = names[i];
    }
    list[CRESS_PRIORITY_COUNT] = CRESS_DUE_QUEUE;
    cress_broker_inspect(inquiry->door.broker, list, inquiry->door.timeout_ms, on_explain_stats,
                         inquiry);
}

static void on_explain_workers(const char *const *reports, size_t count,
                               const struct cress_error *err, void *arg)
{
    struct inquiry *inquiry = arg;
    if (err) {
        finish_inquiry(inquiry, err);
        return;
    }
    inquiry->workers = parse_all(reports, count);
    if (inquiry->record->state == CRESS_STATE_WAITING) {
        ask_for_awaited(inquiry);
    } else if (cress_explain_needs_queues(inquiry->record, cress_clock_wall_ms())) {
        cress_store_paused(inquiry->door.store, on_explain_paused, inquiry);
    } else {
        finish_inquiry(inquiry, NULL);
    }
}

static void on_explain_record(const struct cress_record *record, const struct cress_error *err,
                              void *arg)
{
    struct inquiry *inquiry = arg;
    struct cress_error missing;
    if (!err && !record) {
        cress_error_set(&missing, CRESS_NOT_FOUND, "unknown_job",
                        "no job %s: it never existed, or its record has expired", inquiry->id);
        err = &missing;
    }
    if (err) {
        finish_inquiry(inquiry, err);
        return;
    }
    inquiry->record = cress_record_clone(record);
    if (cress_state_is_terminal(record->state)) {
        finish_inquiry(inquiry, NULL);
    } else {
        cress_store_workers(inquiry->door.store, on_explain_workers, inquiry);
    }
}

void cress_explain(struct cress_door door, const char *id, cress_explain_cb done, void *arg)
{
    struct inquiry *inquiry = CRESS_NEW(struct inquiry);
    *inquiry = (struct inquiry){.door = door, .done = done, .arg = arg, .id = cress_strdup(id)};
    cress_store_get(door.store, id, on_explain_record, inquiry);
}
