// SPDX-License-Identifier: Apache-2.0
// Schedules shown and run; see schedules.h.
#include "producer/schedules.h"

#include "common/base/clock.h"
#include "common/job/worker_id.h"
#include "common/schedule/plan.h"

#include <stdlib.h>
#include <string.h>

enum cress_schedule_status cress_schedules_status(const struct cress_schedule_record *schedule,
                                                  int64_t now_ms)
{
    if (schedule->paused_ms > 0) {
        return CRESS_SCHEDULE_PAUSED;
    }
    return schedule->seen_ms + CRESS_SCHEDULE_GONE_MS < now_ms ? CRESS_SCHEDULE_GONE
                                                               : CRESS_SCHEDULE_ACTIVE;
}

const char *cress_schedule_status_word(enum cress_schedule_status status)
{
    static const char *const words[] = {"active", "paused", "gone"};
    return words[status];
}

int64_t cress_schedules_next(const struct cress_schedule_record *schedule,
                             const struct cress_schedule_definition *definition, int64_t now_ms)
{
    struct cress_schedule made;
    if (cress_schedules_status(schedule, now_ms) != CRESS_SCHEDULE_ACTIVE || !definition->cron ||
        !definition->timezone ||
        cress_schedule_make(definition->cron, definition->timezone, &made, NULL) != CRESS_OK) {
        return 0;
    }
    const int64_t from_ms = schedule->done_ms > now_ms ? schedule->done_ms : now_ms;
    const int64_t next_ms = cress_schedule_next(&made, from_ms);
    cress_schedule_free(&made);
    return next_ms == INT64_MAX ? 0 : next_ms;
}

/* --- JSON --- */

static void add_definition(struct cress_buf *out, const struct cress_schedule_record *schedule,
                           const struct cress_schedule_definition *definition, int64_t now_ms)
{
    cress_buf_add_member(out, "\"cron\":", definition->cron);
    cress_buf_add_member(out, ",\"timezone\":", definition->timezone);
    cress_buf_add_member(out, ",\"missed\":", definition->missed);
    cress_buf_add_member(out, ",\"overlap\":", definition->overlap);
    cress_buf_printf(out, ",\"job\":%s", definition->request ? definition->request : "null");
    cress_time_add_member(out,
                          ",\"next_tick_at\":", cress_schedules_next(schedule, definition, now_ms));
}

static void add_workers(struct cress_buf *out, const struct cress_schedule_fleet *fleet)
{
    char shown[CRESS_WORKER_ID_MAX];
    cress_buf_add_text(out, ",\"workers\":[");
    for (size_t i = 0; i < fleet->worker_count; i++) {
        cress_buf_add_member(out, i > 0 ? "," : "",
                             cress_worker_id_shown(fleet->workers[i], shown));
    }
    cress_buf_add_char(out, ']');
}

void cress_schedules_write_json(const struct cress_schedule_record *schedule, int64_t now_ms,
                                struct cress_buf *out)
{
    cress_buf_add_text(out, "{\"name\":");
    cress_buf_add_json(out, schedule->name, strlen(schedule->name));
    cress_buf_add_member(
        out, ",\"status\":", cress_schedule_status_word(cress_schedules_status(schedule, now_ms)));
    cress_buf_add_text(out, ",");
    add_definition(out, schedule, &schedule->definition, now_ms);
    cress_buf_add_text(out, ",\"definitions\":[");
    for (size_t i = 0; i < schedule->fleet_count; i++) {
        cress_buf_add_text(out, i > 0 ? ",{" : "{");
        add_definition(out, schedule, &schedule->fleets[i].definition, now_ms);
        add_workers(out, &schedule->fleets[i]);
        cress_buf_add_char(out, '}');
    }
    cress_buf_add_char(out, ']');
    cress_time_add_member(out, ",\"last_tick_at\":", schedule->last_ms);
    cress_buf_add_member(out, ",\"last_job_id\":", schedule->last_id);
    cress_buf_add_member(out, ",\"last_job_state\":", schedule->last_state);
    cress_time_add_member(out, ",\"paused_at\":", schedule->paused_ms);
    cress_time_add_member(out, ",\"seen_at\":", schedule->seen_ms);
    cress_buf_add_char(out, '}');
}

/* --- running --- */

void cress_schedules_run(struct cress_door door, const struct cress_schedule_record *schedule,
                         cress_submit_cb done, void *arg)
{
    char id[CRESS_ID_MAX + 1], *texts = NULL;
    const char *request = schedule->definition.request ? schedule->definition.request : "";
    struct cress_job job;
    struct cress_error err;
    if (cress_job_from_request(request, strlen(request), cress_clock_wall_ms(), &job, &texts,
                               &err) != CRESS_OK) {
        job = (struct cress_job){.task = "", .queue = "", .payload = ""}; /* is refused there */
    }
    job.id = cress_plan_run_id(schedule->name, id);
    cress_submit(door, &job, done, arg);
    free(texts);
}

void cress_schedules_missing(const char *name, struct cress_error *err)
{
    cress_error_set(err, CRESS_NOT_FOUND, "unknown_schedule",
                    "no schedule \"%.64s\": no worker has a [schedule] section of that name", name);
}
