// SPDX-License-Identifier: Apache-2.0
// One repair: a job's message sent again, a queue declared; see repair.h.
//
//   read the record -> is it the version that was judged? -> record queued -> publish -> confirm
//   do all queues exist? -> declare them
#include "producer/cli/repair.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/broker/topology.h"
#include "common/submit/republish.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- a job --- */

struct job_repair {
    struct cress_cli *cli;
    enum cress_repair_kind kind;
    char *id;
    int64_t version;
    struct cress_record *record; /* owned */
    cress_repair_job_cb done;
    void *arg;
};

static void finish_job(struct job_repair *repair, bool fixed, const struct cress_error *err)
{
    repair->done(fixed, err, repair->arg);
    free(repair->id);
    free(repair->record);
    free(repair);
}

static void republish_published_cb(const struct cress_error *err, void *arg)
{
    finish_job(arg, err == NULL, err);
}

static void mended_cb(bool mended, const struct cress_error *err, void *arg)
{
    struct job_repair *repair = arg;
    if (mended) {
        cress_republish(cress_cli_door(repair->cli, CRESS_CLI_CONFIRM_MS), repair->record,
                        republish_published_cb, repair);
    } else {
        finish_job(repair, false, err);
    }
}

static void republish_read_cb(const struct cress_record *record, const struct cress_error *err,
                              void *arg)
{
    struct job_repair *repair = arg;
    if (!record || record->version != repair->version || !record->task || !record->queue) {
        finish_job(repair, false, err);
        return;
    }
    repair->record = cress_record_clone(record);
    if (repair->kind == CRESS_REPAIR_DELAYED) {
        cress_republish(cress_cli_door(repair->cli, CRESS_CLI_CONFIRM_MS), repair->record,
                        republish_published_cb, repair);
    } else {
        cress_store_mend(repair->cli->store, repair->id, repair->version, cress_clock_wall_ms(),
                         mended_cb, repair);
    }
}

void cress_repair_job(struct cress_cli *cli, enum cress_repair_kind kind, const char *id,
                      int64_t version, cress_repair_job_cb done, void *arg)
{
    struct job_repair *repair = CRESS_NEW(struct job_repair);
    *repair = (struct job_repair){.cli = cli,
                                  .kind = kind,
                                  .id = cress_strdup(id),
                                  .version = version,
                                  .done = done,
                                  .arg = arg};
    cress_store_get(cli->store, id, republish_read_cb, repair);
}

/* --- a queue --- */

enum { AMQP_QUEUES = CRESS_PRIORITY_COUNT + 1 };

struct queue_repair {
    struct cress_cli *cli;
    char *queue;
    bool dry_run;
    bool found;
    cress_repair_queue_cb done;
    void *arg;
};

static void finish_queue(struct queue_repair *repair, const struct cress_error *err)
{
    repair->done(repair->found || err, err, repair->arg);
    free(repair->queue);
    free(repair);
}

static void declared_cb(const struct cress_error *err, void *arg)
{
    finish_queue(arg, err);
}

/* A queue that does not exist is no fault: it was used once. To look at the arguments is to declare
 * it, which changes nothing when all that belongs to it exists. */
static void republish_inspected_cb(const struct cress_queue_stats *stats, size_t count,
                                   const struct cress_error *err, void *arg)
{
    struct queue_repair *repair = arg;
    size_t existing = 0;
    for (size_t i = 0; i < count; i++) {
        existing += stats[i].exists;
    }
    const bool is_used = !err && stats[CRESS_PRIORITY_NORMAL].exists;
    repair->found = is_used && existing < AMQP_QUEUES;
    if (!is_used || (repair->found && repair->dry_run)) {
        finish_queue(repair, err);
    } else {
        cress_broker_declare(repair->cli->broker, repair->queue, repair->cli->connect_timeout_ms,
                             declared_cb, repair);
    }
}

void cress_repair_queue_arguments(struct cress_cli *cli, const char *queue, bool dry_run,
                                  cress_repair_queue_cb done, void *arg)
{
    struct queue_repair *repair = CRESS_NEW(struct queue_repair);
    char names[AMQP_QUEUES][CRESS_ROUTE_NAME_MAX];
    const char *list[AMQP_QUEUES + 1] = {NULL};
    *repair = (struct queue_repair){
        .cli = cli, .queue = cress_strdup(queue), .dry_run = dry_run, .done = done, .arg = arg};
    for (int i = 0; i < CRESS_PRIORITY_COUNT; i++) {
        cress_route_queue_name(queue, (enum cress_priority)i, names[i]);
        list[i] = names[i];
    }
    cress_route_dead_name(queue, names[CRESS_PRIORITY_COUNT]);
    list[CRESS_PRIORITY_COUNT] = names[CRESS_PRIORITY_COUNT];
    cress_broker_inspect(cli->broker, list, cli->connect_timeout_ms, republish_inspected_cb,
                         repair);
}
