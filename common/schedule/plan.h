// SPDX-License-Identifier: Apache-2.0
// A [schedule NAME] section, checked and ready: when it is due, and the job that it then makes.
//
// The id of a tick's job is made of the schedule's name and the tick alone, so that however many
// workers submit it, there is one job: schedule:nightly:2026-11-25T03:00:00Z.
#ifndef CRESS_SCHEDULE_PLAN_H
#define CRESS_SCHEDULE_PLAN_H

#include "common/base/id.h"
#include "common/config/config.h"
#include "common/schedule/schedule.h"

struct cress_plan {
    const struct cress_schedule_config *config; /* must outlive the plan */
    struct cress_schedule schedule;
    char *request; /* of the job, without an id, as for cress_job_from_request() */
    bool runs_missed;
    bool skips_overlap;
};

/* Errors are CRESS_CONFIG, and name where the wrong value came from, and its key. Reads the time
 * zone's file. The caller frees with cress_plan_free(). */
CRESS_MUST_CHECK enum cress_status cress_plan_make(const struct cress_config *config,
                                                   const struct cress_schedule_config *section,
                                                   struct cress_plan **out,
                                                   struct cress_error *err);
void cress_plan_free(struct cress_plan *plan);

/* Whether all [schedule] sections can be made into plans: CRESS_CONFIG says which cannot. */
CRESS_MUST_CHECK enum cress_status cress_plans_check(const struct cress_config *config,
                                                     struct cress_error *err);

/* The id of the job that schedule `name` makes at `tick_ms`. Returns `id`. */
const char *cress_plan_tick_id(const char *name, int64_t tick_ms, char id[CRESS_ID_MAX + 1]);

/* An id for a job that schedule `name` makes out of turn: another with each call. Returns `id`. */
const char *cress_plan_run_id(const char *name, char id[CRESS_ID_MAX + 1]);

#endif
