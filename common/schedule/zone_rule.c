// SPDX-License-Identifier: Apache-2.0
// TZ strings: reading them, and the changes of the clocks that they describe; see zone_rule.h.
#include "common/schedule/zone_rule.h"

#include "common/schedule/civil.h"

#include <assert.h>
#include <string.h>

enum { HOUR_S = 3600, DEFAULT_CHANGE_S = 2 * HOUR_S };

/* --- reading: each moves `*at` on, and fails at what it does not know --- */

struct text {
    const char *at, *end;
};

static bool take(struct text *text, char c)
{
    const bool is_there = text->at < text->end && *text->at == c;
    text->at += is_there;
    return is_there;
}

static bool take_number(struct text *text, int min, int max, int *value)
{
    int digits = 0;
    *value = 0;
    for (; text->at < text->end && *text->at >= '0' && *text->at <= '9' && digits < 4; digits++) {
        *value = *value * 10 + (*text->at++ - '0');
    }
    return digits > 0 && *value >= min && *value <= max;
}

/* CET, or <+0330>. */
static bool take_name(struct text *text)
{
    const char *begin = text->at;
    if (take(text, '<')) {
        while (text->at < text->end && *text->at != '>') {
            text->at++;
        }
        return take(text, '>');
    }
    while (text->at < text->end &&
           ((*text->at >= 'A' && *text->at <= 'Z') || (*text->at >= 'a' && *text->at <= 'z'))) {
        text->at++;
    }
    return text->at - begin >= 3;
}

/* [+-]hh[:mm[:ss]] */
static bool take_time(struct text *text, int max_hours, int64_t *seconds)
{
    int hours, minutes = 0, rest = 0;
    const bool is_negative = take(text, '-');
    if (!is_negative) {
        take(text, '+');
    }
    bool good = take_number(text, 0, max_hours, &hours);
    if (good && take(text, ':')) {
        good = take_number(text, 0, 59, &minutes);
        if (good && take(text, ':')) {
            good = take_number(text, 0, 59, &rest);
        }
    }
    if (good) {
        *seconds = (is_negative ? -1 : 1) * (int64_t)((hours * 60 + minutes) * 60 + rest);
    }
    return good;
}

static bool take_date(struct text *text, struct cress_zone_change *change)
{
    if (take(text, 'M')) {
        change->kind = CRESS_CHANGE_WEEKDAY;
        return take_number(text, 1, 12, &change->month) && take(text, '.') &&
               take_number(text, 1, 5, &change->week) && take(text, '.') &&
               take_number(text, 0, 6, &change->day);
    }
    if (take(text, 'J')) {
        change->kind = CRESS_CHANGE_LEAPLESS;
        return take_number(text, 1, 365, &change->day);
    }
    change->kind = CRESS_CHANGE_DAY;
    return take_number(text, 0, 365, &change->day);
}

static bool take_change(struct text *text, struct cress_zone_change *change)
{
    change->time_s = DEFAULT_CHANGE_S;
    return take(text, ',') && take_date(text, change) &&
           (!take(text, '/') || take_time(text, 167, &change->time_s));
}

/* POSIX counts offsets to the west. */
static bool take_offset(struct text *text, int64_t *offset_s)
{
    int64_t west_s;
    if (!take_time(text, 24, &west_s)) {
        return false;
    }
    *offset_s = -west_s;
    return true;
}

bool cress_zone_rule_parse(const char *string, size_t size, struct cress_zone_rule *out)
{
    struct text text = {string, string + size};
    struct cress_zone_rule rule = {0};
    if (!take_name(&text) || !take_offset(&text, &rule.standard_s)) {
        return false;
    }
    rule.daylight_s = rule.standard_s;
    rule.has_daylight = text.at < text.end;
    if (rule.has_daylight) {
        if (!take_name(&text)) {
            return false;
        }
        rule.daylight_s = rule.standard_s + HOUR_S;
        if (text.at < text.end && *text.at != ',' && !take_offset(&text, &rule.daylight_s)) {
            return false;
        }
        if (!take_change(&text, &rule.begin) || !take_change(&text, &rule.end)) {
            return false;
        }
    }
    if (text.at < text.end) {
        return false;
    }
    *out = rule;
    return true;
}

/* --- when the clocks change --- */

static int64_t nth_weekday(const struct cress_zone_change *change, int64_t year)
{
    const int64_t first = cress_civil_days(year, change->month, 1);
    const int shift = (change->day - cress_civil_date(first).weekday + 7) % 7;
    int64_t day = first + shift + 7 * (change->week - 1);
    if (day >= first + cress_civil_month_days(year, change->month)) {
        day -= 7; /* the fifth is the last */
    }
    return day;
}

/* The moment in `year` when the clocks, which run at `before_s`, change. */
static int64_t moment(const struct cress_zone_change *change, int64_t year, int64_t before_s)
{
    const int64_t new_year = cress_civil_days(year, 1, 1);
    int64_t day = new_year + change->day;
    if (change->kind == CRESS_CHANGE_WEEKDAY) {
        day = nth_weekday(change, year);
    } else if (change->kind == CRESS_CHANGE_LEAPLESS) {
        const bool is_leap = cress_civil_month_days(year, 2) == 29;
        day -= !(is_leap && change->day >= 60); /* day 60 is 1 March */
    }
    return day * CRESS_DAY_S + change->time_s - before_s;
}

struct event {
    int64_t at_s, offset_s;
};

/* Years around that of the moment asked for: a change may be up to a week and a day outside its
 * own. */
enum { YEARS = 5, EVENTS = 2 * YEARS };

/* Into the order of time; `end` is behind the last. */
static void insert(struct event *events, struct event *end, struct event event)
{
    while (end > events && end[-1].at_s > event.at_s) {
        end[0] = end[-1];
        end--;
    }
    *end = event;
}

void cress_zone_rule_span_at(const struct cress_zone_rule *rule, int64_t at_s,
                             struct cress_zone_span *out)
{
    if (!rule->has_daylight) {
        *out = (struct cress_zone_span){INT64_MIN, INT64_MAX, rule->standard_s, rule->standard_s};
        return;
    }
    struct event events[EVENTS];
    const int64_t year = cress_civil_date(cress_floor_div(at_s, CRESS_DAY_S)).year;
    for (size_t i = 0; i < YEARS; i++) {
        const int64_t y = year + (int64_t)i - YEARS / 2;
        const int64_t begin = moment(&rule->begin, y, rule->standard_s);
        const int64_t end = moment(&rule->end, y, rule->daylight_s);
        insert(events, events + 2 * i, (struct event){begin, rule->daylight_s});
        insert(events, events + 2 * i + 1, (struct event){end, rule->standard_s});
    }
    size_t i = 1;
    while (i + 1 < EVENTS && events[i + 1].at_s <= at_s) {
        i++;
    }
    assert(i + 1 < EVENTS);
    size_t before = i - 1;
    while (before > 0 && events[before].at_s == events[i].at_s) {
        before--; /* daylight saving all year round ends and begins at once */
    }
    *out = (struct cress_zone_span){events[i].at_s, events[i + 1].at_s, events[i].offset_s,
                                    events[before].offset_s};
}
