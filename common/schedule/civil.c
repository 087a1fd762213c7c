// SPDX-License-Identifier: Apache-2.0
// The Gregorian calendar; see civil.h.
#include "common/schedule/civil.h"

/* Years are counted from March here, so that the leap day is the last of its year: days of the year
 * are then linear in the month. An era is 400 years, after which the calendar repeats. */
enum { DAYS_OF_ERA = 146097, DAYS_TO_1970 = 719468 };

int64_t cress_civil_days(int64_t year, int month, int day)
{
    year -= month <= 2;
    const int64_t era = cress_floor_div(year, 400);
    const int64_t year_of_era = year - era * 400;
    const int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    const int64_t day_of_era =
        year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * DAYS_OF_ERA + day_of_era - DAYS_TO_1970;
}

struct cress_civil cress_civil_date(int64_t days)
{
    const int64_t shifted = days + DAYS_TO_1970;
    const int64_t era = cress_floor_div(shifted, DAYS_OF_ERA);
    const int64_t day_of_era = shifted - era * DAYS_OF_ERA;
    const int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    const int64_t day_of_year =
        day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const int from_march = (int)((5 * day_of_year + 2) / 153);
    const int month = from_march < 10 ? from_march + 3 : from_march - 9;
    return (struct cress_civil){
        .year = year_of_era + era * 400 + (month <= 2),
        .month = month,
        .day = (int)(day_of_year - (153 * from_march + 2) / 5 + 1),
        .weekday = (int)((days % 7 + 11) % 7), /* 1970-01-01 was a Thursday */
    };
}

int cress_civil_month_days(int64_t year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const int is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && is_leap);
}
