// SPDX-License-Identifier: Apache-2.0
// When a schedule is due: a cron expression (cron.h) in a time zone (zone.h). Such a moment is
// called a tick; ticks are whole seconds.
//
// What happens when the clocks change depends on the hour field:
//
//   `0 3 * * *`     names hours: each local time that it names comes once a day. One that the
//                   clocks jump over comes as much later as they jump (02:30 as 03:30); one that
//                   they show twice comes the first time.
//   `*/15 * * * *`  begins with *: it follows the clock as it is. Times that are jumped over do not
//                   come, times shown twice come twice, and so every quarter of an hour stays one.
//
// @every counts seconds from 1970-01-01T00:00:00Z and knows no zone.
//
// All but cress_schedule_make() are pure functions; any thread. Times are milliseconds since 1970
// UTC, from then to the end of the year 9999.
#ifndef CRESS_SCHEDULE_SCHEDULE_H
#define CRESS_SCHEDULE_SCHEDULE_H

#include "common/base/clock.h"
#include "common/schedule/cron.h"
#include "common/schedule/zone.h"

struct cress_schedule {
    struct cress_cron cron;
    struct cress_zone *zone; /* owned */
};

/* Errors: see cress_cron_parse() and cress_zone_load(). */
CRESS_MUST_CHECK enum cress_status cress_schedule_make(const char *cron, const char *timezone,
                                                       struct cress_schedule *out,
                                                       struct cress_error *err);
void cress_schedule_free(struct cress_schedule *schedule);

/* The first tick after `after_ms`; INT64_MAX: none, which only a zone of nonsense brings about. */
int64_t cress_schedule_next(const struct cress_schedule *schedule, int64_t after_ms);

/* Writes `at_ms` as the schedule's zone shows it: 2026-11-26T03:00:00+01:00. Returns `text`. */
const char *cress_schedule_format(const struct cress_schedule *schedule, int64_t at_ms,
                                  char text[CRESS_TIME_TEXT_MAX]);

/* The last tick after `after_ms` and not after `until_ms`; 0: none. */
int64_t cress_schedule_latest(const struct cress_schedule *schedule, int64_t after_ms,
                              int64_t until_ms);

/* The tick that is to be run now, when all up to `done_ms` have been: the first that is at most
 * `grace_ms` late. Those that are later are missed; if there are no others and `runs_missed`, it is
 * the last of them. 0: none. */
int64_t cress_schedule_due(const struct cress_schedule *schedule, int64_t done_ms, int64_t now_ms,
                           int64_t grace_ms, bool runs_missed);

#endif
