// SPDX-License-Identifier: Apache-2.0
// Cron expressions: reading and matching; see cron.h.
#include "common/schedule/cron.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/text.h"
#include "common/schedule/civil.h"

#include <string.h>
#include <strings.h>

enum { FIELDS_MAX = 6, WORD_MAX = 128 };

/* A 29 February that must be a certain weekday too may be 40 years ahead, for 2100 has none. */
#define SEARCH_DAYS (41 * INT64_C(366))

static const char *const month_names[] = {"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL",
                                          "AUG", "SEP", "OCT", "NOV", "DEC", NULL};
static const char *const weekday_names[] = {"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT", NULL};

static const struct field {
    const char *name;
    int min, max;
    const char *const *names; /* of min, min + 1, …; NULL: none */
    const char *allowed;
} fields[FIELDS_MAX] = {
    {"second", 0, 59, NULL, "0 to 59"},
    {"minute", 0, 59, NULL, "0 to 59"},
    {"hour", 0, 23, NULL, "0 to 23"},
    {"day of month", 1, 31, NULL, "1 to 31 and L"},
    {"month", 1, 12, month_names, "1 to 12 and JAN to DEC"},
    {"day of week", 0, 7, weekday_names, "0 to 7 and SUN to SAT"},
};

enum { DAY_OF_MONTH = 3, DAY_OF_WEEK = 5 };

static const struct macro {
    const char *name, *expression;
} macros[] = {
    {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}, {"@monthly", "0 0 1 * *"},
    {"@weekly", "0 0 * * 0"}, {"@daily", "0 0 * * *"},    {"@midnight", "0 0 * * *"},
    {"@hourly", "0 * * * *"},
};

/* --- reading a field --- */

struct reading {
    const struct field *field;
    const char *at; /* what is left of the field */
    uint64_t set;
    bool last_day;
    struct cress_error *err;
};

static bool fail_field(const struct reading *reading, const char *what)
{
    cress_error_set(reading->err, CRESS_INVALID, NULL, "%s: %s; allowed: %s", reading->field->name,
                    what, reading->field->allowed);
    return false;
}

static bool take(struct reading *reading, char c)
{
    const bool is_there = *reading->at == c;
    reading->at += is_there;
    return is_there;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* At most three digits, which no field exceeds. */
static bool take_number(struct reading *reading, int *value)
{
    int digits = 0;
    for (*value = 0; is_digit(*reading->at) && digits < 4; digits++) {
        *value = *value * 10 + (*reading->at++ - '0');
    }
    return digits > 0 && digits < 4;
}

static bool take_name(struct reading *reading, int *value)
{
    const char *const *names = reading->field->names;
    for (int i = 0; names && names[i]; i++) {
        if (strncasecmp(reading->at, names[i], 3) == 0) {
            reading->at += 3;
            *value = reading->field->min + i;
            return true;
        }
    }
    return false;
}

static bool take_value(struct reading *reading, int *value)
{
    if (!is_digit(*reading->at)) {
        return take_name(reading, value) ||
               fail_field(reading, "not a value, a range, a list or *");
    }
    if (!take_number(reading, value) || *value < reading->field->min ||
        *value > reading->field->max) {
        return fail_field(reading, "out of range");
    }
    return true;
}

/* Behind a range or value: every `*step`-th of it. */
static bool take_step(struct reading *reading, int *step)
{
    if (!take_number(reading, step) || *step == 0 || *step > reading->field->max) {
        return fail_field(reading, "the step after / is no number that fits");
    }
    return true;
}

/* "*", "5", "1-5"; `*is_value` when it is one value. */
static bool take_range(struct reading *reading, int *low, int *high, bool *is_value)
{
    const bool is_week = reading->field == &fields[DAY_OF_WEEK];
    *is_value = false;
    if (take(reading, '*')) {
        *low = reading->field->min;
        *high = is_week ? 6 : reading->field->max;
        return true;
    }
    if (!take_value(reading, low)) {
        return false;
    }
    *high = *low;
    *is_value = !take(reading, '-');
    if (!*is_value && !take_value(reading, high)) {
        return false;
    }
    if (is_week && *high == 0 && *low > 0) {
        *high = 7; /* FRI-SUN */
    }
    return *low <= *high || fail_field(reading, "the range ends before it begins");
}

static bool read_part(struct reading *reading)
{
    if (reading->field == &fields[DAY_OF_MONTH] && (take(reading, 'L') || take(reading, 'l'))) {
        reading->last_day = true;
        return true;
    }
    int low, high, step = 1;
    bool is_value;
    if (!take_range(reading, &low, &high, &is_value)) {
        return false;
    }
    if (take(reading, '/')) {
        if (!take_step(reading, &step)) {
            return false;
        }
        high = is_value ? reading->field->max : high;
    }
    for (int value = low; value <= high; value += step) {
        reading->set |= UINT64_C(1) << value;
    }
    return true;
}

static bool read_field(struct reading *reading)
{
    do {
        if (!read_part(reading)) {
            return false;
        }
    } while (take(reading, ','));
    return !*reading->at || fail_field(reading, "not a value, a range, a list or *");
}

/* --- reading an expression --- */

/* Splits `text` at blanks into `words`, which borrow from `room`; how many there are, or -1 when
 * there are too many. */
static int split(const char *text, char room[WORD_MAX], const char *words[FIELDS_MAX])
{
    int count = 0;
    char *at = room;
    while (*(text += strspn(text, " \t"))) {
        const size_t size = strcspn(text, " \t");
        if (count == FIELDS_MAX || size >= WORD_MAX - (size_t)(at - room)) {
            return -1;
        }
        words[count++] = at;
        memcpy(at, text, size);
        at[size] = '\0';
        at += size + 1;
        text += size;
    }
    return count;
}

static void put(struct cress_cron *cron, int field, uint64_t set)
{
    switch (field) {
    case 0:
        cron->seconds = set;
        break;
    case 1:
        cron->minutes = set;
        break;
    case 2:
        cron->hours = (uint32_t)set;
        break;
    case DAY_OF_MONTH:
        cron->days = (uint32_t)set;
        break;
    case 4:
        cron->months = (uint32_t)set;
        break;
    default:
        cron->weekdays = (uint32_t)((set | set >> 7) & 0x7F); /* 7 is Sunday too */
    }
}

/* Whether one of the days comes in one of the months. */
static bool can_come(const struct cress_cron *cron)
{
    if (cron->either_day || cron->last_day) {
        return true;
    }
    for (int month = 1; month <= 12; month++) {
        const uint32_t days = (UINT32_C(2) << cress_civil_month_days(2000, month)) - 1;
        if (cron->months >> month & 1 && cron->days & days) {
            return true;
        }
    }
    return false;
}

static enum cress_status read_fields(const char *const words[FIELDS_MAX], int count,
                                     struct cress_cron *cron, struct cress_error *err)
{
    const int first = FIELDS_MAX - count; /* 1 without seconds */
    cron->seconds = 1;
    for (int i = first; i < FIELDS_MAX; i++) {
        struct reading reading = {.field = &fields[i], .at = words[i - first], .err = err};
        if (!read_field(&reading)) {
            return CRESS_INVALID;
        }
        put(cron, i, reading.set);
        cron->last_day = cron->last_day || reading.last_day;
    }
    cron->follows_clock = words[2 - first][0] == '*';
    cron->either_day =
        words[DAY_OF_MONTH - first][0] != '*' && words[DAY_OF_WEEK - first][0] != '*';
    if (!can_come(cron)) {
        return cress_error_set(err, CRESS_INVALID, NULL,
                               "this date never comes: none of these months has such a day");
    }
    return CRESS_OK;
}

static enum cress_status read_every(const char *duration, struct cress_cron *cron,
                                    struct cress_error *err)
{
    int64_t ms;
    duration += strspn(duration, " \t");
    const enum cress_status status = cress_duration_parse(duration, &ms, err);
    if (status != CRESS_OK) {
        cress_error_prefix(err, "@every");
        return status;
    }
    if (ms < 1000 || ms % 1000 != 0) {
        return cress_error_set(err, CRESS_INVALID, NULL,
                               "@every: whole seconds, and at least one: @every 90s");
    }
    cron->every_s = ms / 1000;
    return CRESS_OK;
}

static const char *expand(const char *text)
{
    for (size_t i = 0; i < CRESS_COUNT(macros); i++) {
        if (strcasecmp(macros[i].name, text) == 0) {
            return macros[i].expression;
        }
    }
    return text;
}

enum cress_status cress_cron_parse(const char *text, struct cress_cron *out,
                                   struct cress_error *err)
{
    static const char every[] = "@every ";
    struct cress_cron cron = {0};
    char room[WORD_MAX];
    const char *words[FIELDS_MAX];
    enum cress_status status;

    text = expand(text);
    if (strncasecmp(text, every, sizeof every - 1) == 0) {
        status = read_every(text + sizeof every - 1, &cron, err);
    } else if (text[0] == '@') {
        return cress_error_set(err, CRESS_INVALID, NULL,
                               "\"%.40s\" is none of @hourly, @daily, @midnight, @weekly, "
                               "@monthly, @yearly, @annually and @every TIME",
                               text);
    } else {
        const int count = split(text, room, words);
        if (count != FIELDS_MAX && count != FIELDS_MAX - 1) {
            return cress_error_set(err, CRESS_INVALID, NULL,
                                   "expected five fields, \"minute hour day-of-month month "
                                   "day-of-week\", or six with a second in front");
        }
        status = read_fields(words, count, &cron, err);
    }
    if (status == CRESS_OK) {
        *out = cron;
    }
    return status;
}

/* --- matching --- */

/* The least value of `set` from `from` on; -1: none. */
static int next_of(uint64_t set, int from)
{
    const uint64_t left = from < 64 ? set >> from : 0;
    return left ? from + __builtin_ctzll(left) : -1;
}

static int clock_s(int hour, int minute, int second)
{
    return (hour * 60 + minute) * 60 + second;
}

/* The first matching time of day from `from_s` on, in seconds since midnight; -1: none. */
static int next_clock_s(const struct cress_cron *cron, int from_s)
{
    const int hour = from_s / 3600, minute = from_s / 60 % 60;
    const int first_minute = next_of(cron->minutes, 0), first_second = next_of(cron->seconds, 0);
    if (cron->hours >> hour & 1) {
        const int second = next_of(cron->seconds, from_s % 60);
        if (cron->minutes >> minute & 1 && second >= 0) {
            return clock_s(hour, minute, second);
        }
        const int later = next_of(cron->minutes, minute + 1);
        if (later >= 0) {
            return clock_s(hour, later, first_second);
        }
    }
    const int later = next_of(cron->hours, hour + 1);
    return later >= 0 ? clock_s(later, first_minute, first_second) : -1;
}

static bool day_matches(const struct cress_cron *cron, const struct cress_civil *date)
{
    const bool is_last = date->day == cress_civil_month_days(date->year, date->month);
    const bool day = cron->days >> date->day & 1 || (cron->last_day && is_last);
    const bool weekday = cron->weekdays >> date->weekday & 1;
    return cron->either_day ? day || weekday : day && weekday;
}

bool cress_cron_find(const struct cress_cron *cron, int64_t from_s, int64_t until_s,
                     int64_t *found_s)
{
    const int64_t first_day = cress_floor_div(from_s, CRESS_DAY_S);
    int64_t day = first_day;
    while (day * CRESS_DAY_S < until_s && day - first_day < SEARCH_DAYS) {
        const struct cress_civil date = cress_civil_date(day);
        if (!(cron->months >> date.month & 1)) {
            day += cress_civil_month_days(date.year, date.month) - date.day + 1;
            continue;
        }
        if (day_matches(cron, &date)) {
            const int from = day == first_day ? (int)(from_s - day * CRESS_DAY_S) : 0;
            const int clock = next_clock_s(cron, from);
            if (clock >= 0) {
                *found_s = day * CRESS_DAY_S + clock;
                return *found_s < until_s;
            }
        }
        day++;
    }
    return false;
}
