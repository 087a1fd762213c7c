// SPDX-License-Identifier: Apache-2.0
// The facts about a job gathered; see explain.h. What follows from them is in explain_decide.c.
//
// record -> [reports of the workers -> paused queues -> what waits in its queue] -> explanation
#include "producer/explain.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/broker/topology.h"

#include <stdlib.h>
#include <string.h>

struct inquiry {
    struct cress_explain_options options;
    cress_explain_cb done;
    void *arg;
    char *id;
    struct cress_record *record; /* owned */
    json_t *workers;
    int64_t paused_ms;
};

static void finish(struct inquiry *inquiry, const struct cress_queue_stats *queues,
                   const struct cress_error *err)
{
    if (err) {
        inquiry->done(NULL, err, inquiry->arg);
    } else {
        const struct cress_explain_facts facts = {
            .record = inquiry->record,
            .workers = inquiry->workers,
            .queues = queues,
            .paused_ms = inquiry->paused_ms,
            .now_ms = cress_clock_wall_ms(),
        };
        struct cress_explanation explanation;
        cress_explain_decide(&facts, &explanation);
        inquiry->done(&explanation, NULL, inquiry->arg);
    }
    json_decref(inquiry->workers);
    free(inquiry->record);
    free(inquiry->id);
    free(inquiry);
}

static void on_stats(const struct cress_queue_stats *stats, size_t count,
                     const struct cress_error *err, void *arg)
{
    (void)count;
    finish(arg, stats, err);
}

static void on_paused(const struct cress_paused_queue *paused, size_t count,
                      const struct cress_error *err, void *arg)
{
    struct inquiry *inquiry = arg;
    char names[CRESS_PRIORITY_COUNT][CRESS_ROUTE_NAME_MAX];
    const char *list[CRESS_PRIORITY_COUNT + 1] = {NULL};
    if (err) {
        finish(inquiry, NULL, err);
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
    cress_broker_inspect(inquiry->options.broker, list, inquiry->options.timeout_ms, on_stats,
                         inquiry);
}

static void on_workers(const char *const *reports, size_t count, const struct cress_error *err,
                       void *arg)
{
    struct inquiry *inquiry = arg;
    if (err) {
        finish(inquiry, NULL, err);
        return;
    }
    inquiry->workers = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(inquiry->workers, json_loads(reports[i], 0, NULL));
    }
    cress_store_paused(inquiry->options.store, on_paused, inquiry);
}

static void on_record(const struct cress_record *record, const struct cress_error *err, void *arg)
{
    struct inquiry *inquiry = arg;
    struct cress_error missing;
    if (!err && !record) {
        cress_error_set(&missing, CRESS_NOT_FOUND, "unknown_job",
                        "no job %s: it never existed, or its record has expired", inquiry->id);
        err = &missing;
    }
    if (err) {
        finish(inquiry, NULL, err);
        return;
    }
    inquiry->record = cress_record_clone(record);
    if (cress_explain_needs_more(record, cress_clock_wall_ms())) {
        cress_store_workers(inquiry->options.store, on_workers, inquiry);
    } else {
        finish(inquiry, NULL, NULL);
    }
}

void cress_explain(const struct cress_explain_options *options, const char *id,
                   cress_explain_cb done, void *arg)
{
    struct inquiry *inquiry = CRESS_NEW(struct inquiry);
    *inquiry =
        (struct inquiry){.options = *options, .done = done, .arg = arg, .id = cress_strdup(id)};
    cress_store_get(options->store, id, on_record, inquiry);
}
