// SPDX-License-Identifier: Apache-2.0
// Cron expressions, as crontab(5) has them, and the times of a wall clock that match them. What
// clocks do when they are put forward or back is in schedule.h.
//
//   * * * * *              minute 0-59, hour 0-23, day of month 1-31, month 1-12 or JAN-DEC,
//                          day of week 0-7 or SUN-SAT (0 and 7 are Sunday)
//   * * * * * *            the same with a second 0-59 in front
//   @hourly @daily @midnight @weekly @monthly @yearly @annually
//   @every 90s             every so often, counted from 1970-01-01T00:00:00Z
//
// A field is `*`, a value, a range `1-5`, or a list of those with commas; `/n` behind a range or
// `*` takes every n-th of it, behind a value every n-th from there on. `L` in the day of month is
// the last one. Names are read in any case. When both day fields are restricted, which means that
// neither begins with `*`, a day matches that matches one of them; else it must match both.
//
// Pure functions; any thread.
#ifndef CRESS_SCHEDULE_CRON_H
#define CRESS_SCHEDULE_CRON_H

#include "common/base/status.h"

#include <stdint.h>

/* Bit n of a set stands for the value n. */
struct cress_cron {
    int64_t every_s; /* @every: the rest then means nothing; else 0 */
    uint64_t seconds, minutes;
    uint32_t hours, days, months, weekdays; /* Sunday is 0 alone */
    bool last_day;                          /* L */
    bool either_day;                        /* both day fields are restricted: one must match */
    bool follows_clock;                     /* the hour field begins with *: see schedule.h */
};

/* CRESS_INVALID names the field and what is allowed. Dates that never come, such as 30 February,
 * are refused, so that every expression has a next time. */
CRESS_MUST_CHECK enum cress_status cress_cron_parse(const char *text, struct cress_cron *out,
                                                    struct cress_error *err);

/* The first time from `from_s` on and before `until_s` that matches; false when there is none, and
 * when it is more than 41 years ahead. Both are seconds since 1970-01-01T00:00 as a wall clock
 * shows it. Not for @every. */
bool cress_cron_find(const struct cress_cron *cron, int64_t from_s, int64_t until_s,
                     int64_t *found_s);

#endif
