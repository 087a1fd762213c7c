// SPDX-License-Identifier: Apache-2.0
// The Gregorian calendar without time zones: days and seconds since 1970-01-01 and what the
// calendar calls them. The algorithms are Howard Hinnant's, "chrono-Compatible Low-Level Date
// Algorithms". Pure functions; any thread.
#ifndef CRESS_SCHEDULE_CIVIL_H
#define CRESS_SCHEDULE_CIVIL_H

#include <stdint.h>

enum { CRESS_DAY_S = 86400 };

struct cress_civil {
    int64_t year;
    int month;   /* 1 to 12 */
    int day;     /* 1 to 31 */
    int weekday; /* 0 is Sunday */
};

/* Days from 1970-01-01 to the date; negative before it. */
int64_t cress_civil_days(int64_t year, int month, int day);

/* The date so many days after 1970-01-01. */
struct cress_civil cress_civil_date(int64_t days);

int cress_civil_month_days(int64_t year, int month);

/* Division that rounds down, for times before 1970 too. `b` > 0. */
static inline int64_t cress_floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

#endif
