// SPDX-License-Identifier: Apache-2.0
// All schedules, for people; see schedules.h.
#include "common/store/call.h"

#include "common/base/mem.h"
#include "common/base/text.h"

#include <stdlib.h>
#include <string.h>

/* False when `name` is no part of a definition. */
static bool read_definition(const char *name, const char *value,
                            struct cress_schedule_definition *definition)
{
    const struct {
        const char *name;
        const char **text;
    } fields[] = {
        {"cron", &definition->cron},       {"timezone", &definition->timezone},
        {"missed", &definition->missed},   {"overlap", &definition->overlap},
        {"request", &definition->request},
    };
    for (size_t i = 0; i < CRESS_COUNT(fields); i++) {
        if (strcmp(fields[i].name, name) == 0) {
            *fields[i].text = value;
            return true;
        }
    }
    return false;
}

static void read_field(const char *name, const char *value, struct cress_schedule_record *schedule)
{
    if (read_definition(name, value, &schedule->definition)) {
        return;
    }
    if (strcmp(name, "last_id") == 0) {
        schedule->last_id = value;
    } else if (strcmp(name, "done_ms") == 0) {
        cress_text_to_int(value, &schedule->done_ms);
    } else if (strcmp(name, "last_ms") == 0) {
        cress_text_to_int(value, &schedule->last_ms);
    } else if (strcmp(name, "paused_ms") == 0) {
        cress_text_to_int(value, &schedule->paused_ms);
    }
}

/* `row`: the workers, then fields and values. */
static struct cress_schedule_fleet read_fleet(const redisReply *row)
{
    const redisReply *names = row->element[0];
    const char **workers = cress_realloc_array(NULL, names->elements + 1, sizeof *workers);
    struct cress_schedule_fleet fleet = {.workers = workers, .worker_count = names->elements};
    for (size_t i = 0; i < names->elements; i++) {
        workers[i] = names->element[i]->str;
    }
    for (size_t i = 1; i + 1 < row->elements; i += 2) {
        read_definition(row->element[i]->str, row->element[i + 1]->str, &fleet.definition);
    }
    return fleet;
}

/* `row`: name, seen, state of the last job, fleets, then fields and values. */
static void read_schedule(const redisReply *row, struct cress_schedule_record *schedule)
{
    const redisReply *rows = row->element[3];
    struct cress_schedule_fleet *fleets =
        cress_realloc_array(NULL, rows->elements + 1, sizeof *fleets);
    for (size_t i = 0; i < rows->elements; i++) {
        fleets[i] = read_fleet(rows->element[i]);
    }
    *schedule = (struct cress_schedule_record){
        .name = row->element[0]->str, .fleets = fleets, .fleet_count = rows->elements};
    cress_text_to_int(row->element[1]->str, &schedule->seen_ms);
    schedule->last_state = *row->element[2]->str ? row->element[2]->str : NULL;
    for (size_t i = 4; i + 1 < row->elements; i += 2) {
        read_field(row->element[i]->str, row->element[i + 1]->str, schedule);
    }
}

static void free_schedules(struct cress_schedule_record *schedules, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < schedules[i].fleet_count; j++) {
            free((void *)schedules[i].fleets[j].workers);
        }
        free((void *)schedules[i].fleets);
    }
    free(schedules);
}

static void on_schedules(struct cress_redis_request *request, const redisReply *reply,
                         const struct cress_error *err)
{
    struct cress_call *call = CRESS_CONTAINER(request, struct cress_call, request);

    if (err) {
        call->then.schedules(NULL, 0, err, call->arg);
    } else {
        struct cress_schedule_record *schedules =
            cress_realloc_array(NULL, reply->elements + 1, sizeof(*schedules));
        for (size_t i = 0; i < reply->elements; i++) {
            read_schedule(reply->element[i], &schedules[i]);
        }
        call->then.schedules(schedules, reply->elements, NULL, call->arg);
        free_schedules(schedules, reply->elements);
    }
    cress_call_free(call);
}

void cress_store_schedules(struct cress_store *store, const char *name,
                           cress_store_schedules_cb done, void *arg)
{
    struct cress_call *call = cress_call_new(store, on_schedules, arg);
    struct cress_redis_args args;

    cress_redis_args_init(&args);
    call->then.schedules = done;
    cress_call_script(call, CRESS_SCRIPT_SCHEDULES, 1, &args);
    cress_redis_add(&args, CRESS_KEY_SCHEDULES);
    cress_redis_add(&args, name ? name : "");
    cress_call_send(call, &args);
}
