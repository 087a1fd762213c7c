// SPDX-License-Identifier: Apache-2.0
// The rule at the end of a TZif file, which holds for all time after its table: a TZ string of
// POSIX.1-2017, section 8.3, with the extensions of RFC 8536, section 3.3.1.
//
//   CET-1CEST,M3.5.0,M10.5.0/3      <-02>2<-01>,M3.5.0/-1,M10.5.0/0      IST-1GMT0,M10.5.0,M3.5.0/1
//
// Pure functions; any thread.
#ifndef CRESS_SCHEDULE_ZONE_RULE_H
#define CRESS_SCHEDULE_ZONE_RULE_H

#include "common/schedule/zone_span.h"

#include <stdbool.h>
#include <stddef.h>

/* A day of the year, and a time of that day as the clocks show it before they change. */
struct cress_zone_change {
    enum {
        CRESS_CHANGE_WEEKDAY,  /* Mm.w.d: the w-th weekday d of month m, the last if w is 5 */
        CRESS_CHANGE_LEAPLESS, /* Jn: day 1 to 365, 29 February never counts */
        CRESS_CHANGE_DAY,      /* n: day 0 to 365 */
    } kind;
    int month, week, day;
    int64_t time_s;
};

/* Offsets are what is added to UTC. Without daylight saving both are the same. */
struct cress_zone_rule {
    int64_t standard_s, daylight_s;
    bool has_daylight;
    struct cress_zone_change begin, end; /* of daylight saving */
};

/* False when `text` is no such rule. Daylight saving without its dates is refused: what to assume
 * then differs between systems. */
bool cress_zone_rule_parse(const char *text, size_t size, struct cress_zone_rule *out);

void cress_zone_rule_span_at(const struct cress_zone_rule *rule, int64_t at_s,
                             struct cress_zone_span *out);

#endif
