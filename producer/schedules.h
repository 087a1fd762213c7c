// SPDX-License-Identifier: Apache-2.0
// Schedules as `cress cron` and /v1/schedules show and run them.
#ifndef CRESS_PRODUCER_SCHEDULES_H
#define CRESS_PRODUCER_SCHEDULES_H

#include "common/store/schedules.h"
#include "common/submit/submit.h"

enum cress_schedule_status {
    CRESS_SCHEDULE_ACTIVE,
    CRESS_SCHEDULE_PAUSED,
    CRESS_SCHEDULE_GONE, /* no worker has had it for a while: it does not run */
};

enum cress_schedule_status cress_schedules_status(const struct cress_schedule_record *schedule,
                                                  int64_t now_ms);
const char *cress_schedule_status_word(enum cress_schedule_status status);

/* Its next tick as `definition`, one of its own, has it; 0 when there is none, as for one that is
 * paused or gone, or whose time zone this machine does not know. Reads the zone's file. */
int64_t cress_schedules_next(const struct cress_schedule_record *schedule,
                             const struct cress_schedule_definition *definition, int64_t now_ms);

/* As the JSON object of docs/http-api.md. */
void cress_schedules_write_json(const struct cress_schedule_record *schedule, int64_t now_ms,
                                struct cress_buf *out);

/* Submits the job of the schedule's own definition now, whatever its times, under a new id. `done` as for
 * cress_submit(). */
void cress_schedules_run(struct cress_door door, const struct cress_schedule_record *schedule,
                         cress_submit_cb done, void *arg);

/* The CRESS_NOT_FOUND error of a schedule that is not there. */
void cress_schedules_missing(const char *name, struct cress_error *err);

#endif
