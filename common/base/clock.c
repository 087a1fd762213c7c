// SPDX-License-Identifier: Apache-2.0
// Time; see clock.h.
#define _DEFAULT_SOURCE /* timegm */
#include "common/base/clock.h"

#include "common/base/mem.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define YEAR_MS (INT64_C(365) * 86400000)

const char *cress_time_format(int64_t wall_ms, char text[CRESS_TIME_TEXT_MAX])
{
    const time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    const size_t n = strftime(text, CRESS_TIME_TEXT_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text + n, CRESS_TIME_TEXT_MAX - n, ".%03dZ", (int)(wall_ms % 1000));
    return text;
}

void cress_time_add_member(struct cress_buf *out, const char *name, int64_t wall_ms)
{
    char text[CRESS_TIME_TEXT_MAX];
    cress_buf_add_text(out, name);
    if (wall_ms <= 0) {
        cress_buf_add_text(out, "null");
        return;
    }
    cress_buf_add_char(out, '"');
    cress_buf_add_text(out, cress_time_format(wall_ms, text));
    cress_buf_add_char(out, '"');
}

/* Reads exactly `n` digits at `*text` and moves past them; -1 when they are not there. */
static int read_digits(const char **text, int n)
{
    int value = 0;
    for (int i = 0; i < n; i++, (*text)++) {
        if (**text < '0' || **text > '9') {
            return -1;
        }
        value = value * 10 + (**text - '0');
    }
    return value;
}

static bool read_char(const char **text, const char *any_of)
{
    if (!**text || !strchr(any_of, **text)) {
        return false;
    }
    (*text)++;
    return true;
}

static bool read_date_time(const char **p, struct tm *tm)
{
    const int year = read_digits(p, 4);
    if (year < 0 || !read_char(p, "-")) {
        return false;
    }
    const int month = read_digits(p, 2);
    if (month < 1 || month > 12 || !read_char(p, "-")) {
        return false;
    }
    const int day = read_digits(p, 2);
    if (day < 1 || day > 31 || !read_char(p, "Tt ")) {
        return false;
    }
    const int hour = read_digits(p, 2);
    if (hour < 0 || hour > 23 || !read_char(p, ":")) {
        return false;
    }
    const int minute = read_digits(p, 2);
    if (minute < 0 || minute > 59 || !read_char(p, ":")) {
        return false;
    }
    const int second = read_digits(p, 2);
    if (second < 0 || second > 60) {
        return false;
    }
    *tm = (struct tm){.tm_year = year - 1900,
                      .tm_mon = month - 1,
                      .tm_mday = day,
                      .tm_hour = hour,
                      .tm_min = minute,
                      .tm_sec = second};
    return true;
}

/* An optional fraction, in whole milliseconds; further digits are read and dropped. */
static bool read_fraction_ms(const char **p, int *ms)
{
    *ms = 0;
    if (!read_char(p, ".")) {
        return true;
    }
    int digits = 0;
    for (int unit = 100; **p >= '0' && **p <= '9'; (*p)++, unit /= 10, digits++) {
        *ms += (**p - '0') * unit;
    }
    return digits > 0;
}

static bool read_zone_ms(const char **p, int64_t *offset_ms)
{
    *offset_ms = 0;
    if (read_char(p, "Zz")) {
        return true;
    }
    const int sign = **p == '-' ? -1 : 1;
    if (!read_char(p, "+-")) {
        return false;
    }
    const int hours = read_digits(p, 2);
    if (hours < 0 || hours > 23 || !read_char(p, ":")) {
        return false;
    }
    const int minutes = read_digits(p, 2);
    if (minutes < 0 || minutes > 59) {
        return false;
    }
    *offset_ms = sign * (hours * INT64_C(3600000) + minutes * INT64_C(60000));
    return true;
}

enum cress_status cress_time_parse(const char *text, int64_t *wall_ms, struct cress_error *err)
{
    const char *p = text;
    struct tm tm;
    int ms;
    int64_t offset_ms;
    bool ok =
        read_date_time(&p, &tm) && read_fraction_ms(&p, &ms) && read_zone_ms(&p, &offset_ms) && !*p;
    if (ok) {
        const struct tm read = tm;
        const time_t seconds = timegm(&tm); /* makes 31 April into 1 May, which shows, and :60 into
                                               the next minute, which may */
        ok = tm.tm_mon == read.tm_mon || read.tm_sec == 60;
        if (ok) {
            *wall_ms = (int64_t)seconds * 1000 + ms - offset_ms;
        }
    }
    if (!ok) {
        return cress_error_set(
            err, CRESS_INVALID, NULL,
            "\"%.60s\" is not a time; expected RFC 3339 such as 2026-11-23T18:00:00Z or "
            "2026-11-23T19:00:00+01:00",
            text);
    }
    return CRESS_OK;
}

static const struct unit {
    const char *name;
    int64_t ms;
} units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};

/* Reads a unit at `*p`; its size, or 0 when there is none. */
static int64_t read_unit(const char **p)
{
    const size_t n = strspn(*p, "abcdefghijklmnopqrstuvwxyz");
    for (size_t i = 0; i < CRESS_COUNT(units); i++) {
        if (n == strlen(units[i].name) && strncmp(*p, units[i].name, n) == 0) {
            *p += n;
            return units[i].ms;
        }
    }
    return 0;
}

/* Reads one "number unit" and adds it to `*sum`; a bare number at the end is seconds. */
static bool read_duration_part(const char **p, double *sum)
{
    double value = 0;
    int digits = 0;
    for (; **p >= '0' && **p <= '9'; (*p)++, digits++) {
        value = value * 10 + (**p - '0');
    }
    if (**p == '.') {
        (*p)++;
        for (double place = 0.1; **p >= '0' && **p <= '9'; (*p)++, digits++, place /= 10) {
            value += (**p - '0') * place;
        }
    }
    const int64_t unit = **p ? read_unit(p) : 1000;
    *sum += value * (double)unit;
    return digits > 0 && unit > 0 && *sum <= 100.0 * YEAR_MS;
}

enum cress_status cress_duration_parse(const char *text, int64_t *ms, struct cress_error *err)
{
    const char *p = text;
    double sum = 0;
    bool ok = *p != '\0';
    while (ok && *p) {
        ok = read_duration_part(&p, &sum);
    }
    if (!ok) {
        return cress_error_set(
            err, CRESS_INVALID, NULL,
            "\"%.60s\" is not a duration; expected something like 250ms, 10s, 5m, 1h30m or 2d "
            "(at most 100 years)",
            text);
    }
    *ms = (int64_t)(sum + 0.5);
    return CRESS_OK;
}

const char *cress_duration_format(int64_t ms, char text[CRESS_TIME_TEXT_MAX])
{
    size_t used = 0;
    for (size_t i = 0; i < CRESS_COUNT(units); i++) {
        const int64_t n = ms / units[i].ms;
        if (n) {
            used += (size_t)snprintf(text + used, CRESS_TIME_TEXT_MAX - used, "%lld%s",
                                     (long long)n, units[i].name);
            ms %= units[i].ms;
        }
    }
    if (used == 0) {
        snprintf(text, CRESS_TIME_TEXT_MAX, "0s");
    }
    return text;
}
