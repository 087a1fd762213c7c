// SPDX-License-Identifier: Apache-2.0
// The course of a repair; see repair.h.
//
//   queues and what they hold -> workers -> delay queues -> arguments of each queue
//   -> records, to learn -> records, to act -> batches -> what waits for jobs -> places in limits
//   -> done
#include "producer/cli/repair.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/broker/topology.h"
#include "common/submit/completion.h"
#include "common/submit/follow_up.h"
#include "producer/queues.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TICK_MS = 100,
    /* There are many delay queues, and a busy RabbitMQ takes up to a quarter of a second for each. */
    DELAYS_TIMEOUT_MS = 60000,
};

struct cress_repair {
    struct cress_cli *cli;
    bool dry_run;
    cress_repair_cb done;
    void *arg;
    struct cress_repair_finding findings[CRESS_REPAIR_COUNT];
    struct cress_repair_queue *queues;
    size_t queue_count, queue_at;
    bool surveyed;   /* once */
    json_t *workers; /* an object: their names are the keys */
    bool delays_are_empty;
    bool acts;                                 /* the second pass */
    int64_t looked_at;                         /* records, in both passes */
    char *cursor;                              /* of the next page; NULL: none */
    size_t open;                               /* repairs under way, and one for the page itself */
    void (*next)(struct cress_repair *repair); /* page or step, when `open` is 0 */
};

/* A repair under way. */
struct fixing {
    struct cress_repair *repair;
    enum cress_repair_kind kind;
    char *name;
    bool is_found; /* it counts as wrong */
};

/* --- findings --- */

static void end_repair(struct cress_repair *repair, const struct cress_error *err)
{
    if (!cress_cli_over(repair->cli)) {
        repair->done(repair->findings, err, repair->arg);
    }
}

static void add_found(struct cress_repair *repair, enum cress_repair_kind kind, const char *name)
{
    struct cress_repair_finding *finding = &repair->findings[kind];
    const size_t used = strlen(finding->examples);
    if (finding->found++ < 5) {
        snprintf(finding->examples + used, sizeof finding->examples - used, "%s%s",
                 used ? ", " : "", name);
    } else if (finding->found == 6) {
        snprintf(finding->examples + used, sizeof finding->examples - used, ", …");
    }
}

static void add_outcome(struct cress_repair *repair, enum cress_repair_kind kind, const char *name,
                        bool fixed, const struct cress_error *err)
{
    struct cress_repair_finding *finding = &repair->findings[kind];
    finding->fixed += fixed;
    if (err && !finding->why[0]) {
        snprintf(finding->why, sizeof finding->why, "%s: %s", name, err->message);
    }
}

/* --- one repair after the other, and page after page --- */

static void release_repair(struct cress_repair *repair)
{
    if (--repair->open == 0 && !cress_cli_over(repair->cli)) {
        repair->next(repair);
    }
}

static void finish_fixing(struct fixing *fixing, bool fixed, const struct cress_error *err)
{
    struct cress_repair *repair = fixing->repair;
    add_outcome(repair, fixing->kind, fixing->name, fixed, err);
    /* it has ended or gone on by itself meanwhile: there was nothing wrong */
    repair->findings[fixing->kind].found -= fixing->is_found && !fixed && !err;
    free(fixing->name);
    free(fixing);
    release_repair(repair);
}

static struct fixing *begin_fixing(struct cress_repair *repair, enum cress_repair_kind kind,
                                   const char *name)
{
    struct fixing *fixing = CRESS_NEW(struct fixing);
    *fixing = (struct fixing){.repair = repair, .kind = kind, .name = cress_strdup(name)};
    repair->open++;
    return fixing;
}

static void count_fixing(struct fixing *fixing)
{
    fixing->is_found = true;
    add_found(fixing->repair, fixing->kind, fixing->name);
}

/* A page has come, after whose repairs `then` goes on; `next` is the cursor of the next one. False:
 * it has not, and that was all. */
static bool begin_page(struct cress_repair *repair, const char *next,
                       void (*then)(struct cress_repair *repair), const struct cress_error *err)
{
    if (err) {
        end_repair(repair, err);
        return false;
    }
    free(repair->cursor);
    repair->cursor = cress_strdup(next);
    repair->next = then;
    repair->open = 1;
    return true;
}

/* --- places in limits --- */

static void slots_cb(const char *const *ids, size_t count, const struct cress_error *err, void *arg)
{
    struct cress_repair *repair = arg;
    for (size_t i = 0; i < count; i++) {
        add_found(repair, CRESS_REPAIR_LIMITS, ids[i]);
        add_outcome(repair, CRESS_REPAIR_LIMITS, ids[i], true, NULL);
    }
    end_repair(repair, err);
}

/* --- what waits for jobs --- */

static void scan_awaited(struct cress_repair *repair);

static void repair_followed_cb(const struct cress_error *err, void *arg)
{
    finish_fixing(arg, err == NULL, err);
}

static void awaited_read_cb(const struct cress_record *record, const struct cress_error *err,
                            void *arg)
{
    struct fixing *fixing = arg;
    const struct cress_repair *repair = fixing->repair;
    if (err || !cress_repair_is_overdue(record, cress_clock_wall_ms())) {
        finish_fixing(fixing, false, err);
        return;
    }
    count_fixing(fixing);
    if (repair->dry_run) {
        finish_fixing(fixing, true, NULL);
        return;
    }
    cress_follow_up(cress_cli_door(repair->cli, CRESS_CLI_CONFIRM_MS), fixing->name,
                    repair_followed_cb, fixing);
}

static void next_awaited(struct cress_repair *repair)
{
    if (repair->cursor) {
        scan_awaited(repair);
    } else {
        cress_store_slots(repair->cli->store, !repair->dry_run, slots_cb, repair);
    }
}

static void awaited_cb(const char *const *ids, size_t count, const char *next,
                       const struct cress_error *err, void *arg)
{
    struct cress_repair *repair = arg;
    if (!begin_page(repair, next, next_awaited, err)) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        cress_store_get(repair->cli->store, ids[i], awaited_read_cb,
                        begin_fixing(repair, CRESS_REPAIR_WAITING, ids[i]));
    }
    release_repair(repair);
}

static void scan_awaited(struct cress_repair *repair)
{
    cress_store_scan_awaited(repair->cli->store, repair->cursor, awaited_cb, repair);
}

/* --- batches --- */

static void scan_batches(struct cress_repair *repair);

static void fix_batch(struct cress_repair *repair, const struct cress_batch *batch)
{
    struct fixing *fixing = begin_fixing(repair, CRESS_REPAIR_BATCHES, batch->id);
    count_fixing(fixing);
    if (repair->dry_run) {
        finish_fixing(fixing, true, NULL);
    } else {
        cress_completion_submit(cress_cli_door(repair->cli, CRESS_CLI_CONFIRM_MS), batch->id,
                                repair_followed_cb, fixing);
    }
}

static void next_batches(struct cress_repair *repair)
{
    if (repair->cursor) {
        scan_batches(repair);
    } else {
        scan_awaited(repair);
    }
}

static void batches_cb(const struct cress_batch *batches, size_t count, const char *next,
                       const struct cress_error *err, void *arg)
{
    struct cress_repair *repair = arg;
    if (!begin_page(repair, next, next_batches, err)) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const struct cress_batch *batch = &batches[i];
        const int64_t ended = batch->succeeded + batch->failed + batch->cancelled + batch->expired;
        if (batch->closed && !batch->completed && ended >= batch->total) {
            fix_batch(repair, batch);
        }
    }
    release_repair(repair);
}

static void scan_batches(struct cress_repair *repair)
{
    cress_store_scan_batches(repair->cli->store, repair->cursor, batches_cb, repair);
}

/* --- jobs --- */

static void scan_jobs(struct cress_repair *repair);

static struct cress_repair_queue *find_queue(const struct cress_repair *repair, const char *name)
{
    for (size_t i = 0; name && i < repair->queue_count; i++) {
        if (strcmp(repair->queues[i].name, name) == 0) {
            return &repair->queues[i];
        }
    }
    return NULL;
}

static void job_fixed_cb(bool fixed, const struct cress_error *err, void *arg)
{
    finish_fixing(arg, fixed, err);
}

static void fix_job(struct cress_repair *repair, const struct cress_record *record,
                    enum cress_repair_kind kind)
{
    struct fixing *fixing = begin_fixing(repair, kind, record->id);
    count_fixing(fixing);
    if (repair->dry_run) {
        finish_fixing(fixing, true, NULL);
    } else {
        cress_repair_job(repair->cli, kind, record->id, record->version, job_fixed_cb, fixing);
    }
}

static void act_on(struct cress_repair *repair, const struct cress_record *record)
{
    const bool is_alive = record->worker && json_object_get(repair->workers, record->worker);
    const enum cress_repair_kind kind =
        cress_repair_judge(record, find_queue(repair, record->queue), is_alive,
                           repair->delays_are_empty, cress_clock_wall_ms());
    if (kind != CRESS_REPAIR_NONE) {
        fix_job(repair, record, kind);
    }
}

/* More jobs wait, and have long waited, than there are messages: some are gone, but which? */
static void find_shortfalls(struct cress_repair *repair)
{
    struct cress_repair_finding *finding = &repair->findings[CRESS_REPAIR_QUEUED];
    for (size_t i = 0; i < repair->queue_count; i++) {
        const struct cress_repair_queue *queue = &repair->queues[i];
        const int64_t missing = queue->unresolved - queue->messages;
        if (queue->messages >= 0 && missing > 0) {
            finding->found += missing;
            snprintf(finding->why, sizeof finding->why,
                     "%" PRId64 " jobs wait in queue %s, which has %" PRId64
                     " messages: which are gone can be told when it is empty; then repeat this",
                     queue->unresolved, queue->name, queue->messages);
        }
    }
}

static void next_jobs(struct cress_repair *repair)
{
    if (repair->cursor) {
        scan_jobs(repair);
    } else if (!repair->acts) {
        repair->acts = true;
        scan_jobs(repair);
    } else {
        find_shortfalls(repair);
        scan_batches(repair);
    }
}

static void jobs_cb(const struct cress_record *records, size_t count, const char *next,
                    const struct cress_error *err, void *arg)
{
    struct cress_repair *repair = arg;
    if (!begin_page(repair, next, next_jobs, err)) {
        return;
    }
    repair->looked_at += (int64_t)count;
    for (size_t i = 0; i < count; i++) {
        struct cress_repair_queue *queue = find_queue(repair, records[i].queue);
        if (repair->acts) {
            act_on(repair, &records[i]);
        } else if (queue) {
            cress_repair_learn(queue, &records[i]);
        }
    }
    release_repair(repair);
}

static void scan_jobs(struct cress_repair *repair)
{
    cress_store_scan_jobs(repair->cli->store, repair->cursor, jobs_cb, repair);
}

/* --- queues --- */

static void check_next_queue(struct cress_repair *repair);

static void checked_cb(bool found, const struct cress_error *err, void *arg)
{
    struct cress_repair *repair = arg;
    const char *name = repair->queues[repair->queue_at++].name;
    if (found) {
        add_found(repair, CRESS_REPAIR_QUEUES, name);
        add_outcome(repair, CRESS_REPAIR_QUEUES, name, !err, err);
    }
    check_next_queue(repair);
}

static void check_next_queue(struct cress_repair *repair)
{
    while (repair->queue_at < repair->queue_count &&
           cress_config_is_passive(repair->cli->config, repair->queues[repair->queue_at].name)) {
        repair->queue_at++;
    }
    if (cress_cli_over(repair->cli)) {
        return;
    }
    if (repair->queue_at < repair->queue_count) {
        cress_repair_queue_arguments(repair->cli, repair->queues[repair->queue_at].name,
                                     repair->dry_run, checked_cb, repair);
    } else {
        scan_jobs(repair);
    }
}

static void delays_cb(const struct cress_queue_stats *stats, size_t count,
                      const struct cress_error *err, void *arg)
{
    struct cress_repair *repair = arg;
    if (err) {
        end_repair(repair, err);
        return;
    }
    repair->delays_are_empty = true;
    for (size_t i = 0; i < count; i++) {
        repair->delays_are_empty = repair->delays_are_empty && stats[i].ready == 0;
    }
    check_next_queue(repair);
}

static void look_at_delays(struct cress_repair *repair)
{
    const int steps = cress_delay_steps(repair->cli->config->broker_delay_steps);
    const unsigned count = cress_delay_count(steps);
    char texts[CRESS_DELAY_COUNT_MAX][CRESS_DELAY_NAME_MAX];
    const char *names[CRESS_DELAY_COUNT_MAX + 2] = {NULL};
    for (unsigned i = 0; i < count; i++) {
        cress_delay_queue_name(cress_delay_at(steps, i), 1, texts[i]);
        names[i] = texts[i];
    }
    names[count] = CRESS_DUE_QUEUE;
    cress_broker_inspect(repair->cli->broker, names, DELAYS_TIMEOUT_MS, delays_cb, repair);
}

static void workers_cb(const char *const *reports, size_t count, const struct cress_error *err,
                       void *arg)
{
    struct cress_repair *repair = arg;
    if (err) {
        end_repair(repair, err);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        json_t *report = json_loads(reports[i], 0, NULL);
        const char *id = json_string_value(json_object_get(report, "id"));
        if (id) {
            json_object_set_new(repair->workers, id, json_true());
        }
        json_decref(report);
    }
    look_at_delays(repair);
}

static void survey(struct cress_repair *repair);

/* RabbitMQ answers 0 for a queue that is too busy to answer: two answers are asked for, and the
 * larger one is believed. */
static void add_second_survey(struct cress_repair *repair, const struct cress_queue_summary *queues,
                              size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct cress_repair_queue *queue = find_queue(repair, queues[i].name);
        const int64_t messages = queues[i].ready + queues[i].unacked;
        if (queue && queue->messages < messages) {
            queue->messages = messages;
        }
    }
    cress_store_workers(repair->cli->store, workers_cb, repair);
}

static void repair_surveyed_cb(const struct cress_queue_summary *queues, size_t count,
                               const struct cress_error *err, void *arg)
{
    struct cress_repair *repair = arg;
    if (err) {
        end_repair(repair, err);
        return;
    }
    if (repair->surveyed) {
        add_second_survey(repair, queues, count);
        return;
    }
    repair->surveyed = true;
    repair->queues = cress_alloc((count + 1) * sizeof *repair->queues);
    repair->queue_count = count;
    for (size_t i = 0; i < count; i++) {
        repair->queues[i].name = cress_strdup(queues[i].name);
        repair->queues[i].messages = queues[i].ready + queues[i].unacked;
    }
    survey(repair);
}

static void survey(struct cress_repair *repair)
{
    cress_queues_survey(cress_cli_door(repair->cli, repair->cli->connect_timeout_ms),
                        repair_surveyed_cb, repair);
}

/* --- life --- */

static void repair_tick_cb(void *arg)
{
    const struct cress_repair *repair = arg;
    char text[96];
    snprintf(text, sizeof text, "%s records: %" PRId64, repair->acts ? "repairing" : "reading",
             repair->looked_at);
    cress_output_progress(&repair->cli->output, 0, 0, text);
}

struct cress_repair *cress_repair_start(struct cress_cli *cli, bool dry_run, cress_repair_cb done,
                                        void *arg)
{
    struct cress_repair *repair = CRESS_NEW(struct cress_repair);
    repair->cli = cli;
    repair->dry_run = dry_run;
    repair->done = done;
    repair->arg = arg;
    repair->workers = json_object();
    survey(repair);
    cress_cli_every(cli, TICK_MS, repair_tick_cb, repair);
    return repair;
}

void cress_repair_free(struct cress_repair *repair)
{
    if (!repair) {
        return;
    }
    for (size_t i = 0; i < repair->queue_count; i++) {
        free(repair->queues[i].name);
    }
    free(repair->queues);
    free(repair->cursor);
    json_decref(repair->workers);
    free(repair);
}
