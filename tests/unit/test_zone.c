// SPDX-License-Identifier: Apache-2.0
// Tests of common/schedule/zone.h and zone_rule.h: against libc, which reads the same files, and
// with files that are wrong.
#define _DEFAULT_SOURCE /* tm_gmtoff */
#include "common/base/mem.h"
#include "common/schedule/zone.h"
#include "common/schedule/zone_rule.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <time.h>

static int64_t libc_offset(int64_t at_s)
{
    const time_t at = (time_t)at_s;
    struct tm tm;
    localtime_r(&at, &tm);
    return tm.tm_gmtoff;
}

/* From 1900 to 2200 in steps of some days, and at each change that is met, the second before it. */
static void compare(const char *name)
{
    struct cress_zone *zone;
    assert_int_equal(cress_zone_load(name, &zone, NULL), CRESS_OK);
    setenv("TZ", name, 1);
    tzset();
    for (int64_t at_s = INT64_C(-2208988800); at_s < INT64_C(7258118400); at_s += 5 * 86400 + 7) {
        struct cress_zone_span span, before;
        cress_zone_span_at(zone, at_s, &span);
        assert_true(span.begin_s <= at_s && at_s < span.end_s);
        if (span.offset_s != libc_offset(at_s)) {
            fail_msg("%s at %lld: %lld and not %lld", name, (long long)at_s,
                     (long long)span.offset_s, (long long)libc_offset(at_s));
        }
        if (span.begin_s != INT64_MIN) {
            cress_zone_span_at(zone, span.begin_s - 1, &before);
            assert_int_equal(before.end_s, span.begin_s);
            assert_int_equal(before.offset_s, span.before_s);
            assert_int_equal(span.before_s, libc_offset(span.begin_s - 1));
            assert_int_equal(span.offset_s, libc_offset(span.begin_s));
        }
    }
    cress_zone_free(zone);
}

static void test_as_libc(void **state)
{
    (void)state;
    static const char *const names[] = {
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "Australia/Lord_Howe",
        "Europe/Dublin",
        "America/Nuuk",
        "Asia/Gaza",
        "Africa/Casablanca",
        "Pacific/Apia",
        "America/Sao_Paulo",
        "Antarctica/Troll",
        "Asia/Kolkata",
        "Etc/GMT+12",
        "America/Argentina/San_Juan",
        "Pacific/Kiritimati",
    };
    for (size_t i = 0; i < CRESS_COUNT(names); i++) {
        compare(names[i]);
    }
}

static void test_names(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum cress_status status;
        const char *word; /* in the message */
    } rows[] = {
        {"", CRESS_INVALID, "not the name"},
        {"../../../etc/passwd", CRESS_INVALID, "not the name"},
        {"/etc/localtime", CRESS_INVALID, "not the name"},
        {"Europe//Berlin", CRESS_INVALID, "not the name"},
        {"Europe/", CRESS_INVALID, "not the name"},
        {"Europe/Berlim", CRESS_NOT_FOUND, "no time zone \"Europe/Berlim\""},
        {"Europe", CRESS_NOT_FOUND, "time zone Europe"},
    };
    for (size_t i = 0; i < CRESS_COUNT(rows); i++) {
        struct cress_zone *zone;
        struct cress_error err = {0};
        assert_int_equal(cress_zone_load(rows[i].name, &zone, &err), rows[i].status);
        assert_non_null(strstr(err.message, rows[i].word));
    }
}

static void test_without_database(void **state)
{
    (void)state;
    struct cress_zone *zone;
    struct cress_error err = {0};
    setenv("TZDIR", "/nonexistent", 1);
    assert_int_equal(cress_zone_load("Europe/Berlin", &zone, &err), CRESS_NOT_FOUND);
    assert_string_equal(err.code, "no_time_zones");
    assert_int_equal(cress_zone_load("UTC", &zone, &err), CRESS_OK);
    cress_zone_free(zone);
    unsetenv("TZDIR");
}

/* --- files made up --- */

enum {
    HEADER_BYTES = 44,
    SECOND_AT = HEADER_BYTES,
    DATA_AT = 2 * HEADER_BYTES,
    RULE_AT = DATA_AT + 8 + 1 + 2 * 6 + 2,
    FILE_MAX = 256
};

/* One change, at 0x10000000 (1978), from +1 h to +2 h, and a rule. Returns the size. */
static size_t make_file(unsigned char file[FILE_MAX], const char *rule)
{
    static const unsigned char data[RULE_AT - DATA_AT] = {0,  0, 0,    0,    0x10, 0,
                                                          0,  0, /* the change */
                                                          1,     /* its kind */
                                                          0,  0, 0x0E, 0x10, 0,    0, /* 3600 */
                                                          0,  0, 0x1C, 0x20, 1,    0, /* 7200 */
                                                          'X'};
    static const unsigned char magic[] = {'T', 'Z', 'i', 'f', '2'};
    memset(file, 0, FILE_MAX);
    memcpy(file, magic, sizeof magic);
    memcpy(file + SECOND_AT, magic, sizeof magic);
    file[SECOND_AT + 35] = 1; /* changes */
    file[SECOND_AT + 39] = 2; /* kinds */
    file[SECOND_AT + 43] = 2; /* bytes of names */
    memcpy(file + DATA_AT, data, sizeof data);
    return RULE_AT + (size_t)snprintf((char *)file + RULE_AT, FILE_MAX - RULE_AT, "%s", rule);
}

static void assert_offset(const struct cress_zone *zone, int64_t at_s, int64_t offset_s,
                          int64_t begin_s, int64_t end_s)
{
    struct cress_zone_span span;
    cress_zone_span_at(zone, at_s, &span);
    assert_int_equal(span.offset_s, offset_s);
    assert_int_equal(span.begin_s, begin_s);
    assert_int_equal(span.end_s, end_s);
}

static void test_table_and_rule(void **state)
{
    (void)state;
    unsigned char file[FILE_MAX];
    struct cress_zone *zone;
    size_t size = make_file(file, "\nABC-2\n");
    assert_int_equal(cress_zone_parse(file, size, &zone, NULL), CRESS_OK);
    assert_offset(zone, 0, 3600, INT64_MIN, 0x10000000);
    assert_offset(zone, 0x10000000, 7200, 0x10000000, INT64_MAX);
    cress_zone_free(zone);

    size = make_file(file, "\n\n"); /* what holds goes on to hold */
    assert_int_equal(cress_zone_parse(file, size, &zone, NULL), CRESS_OK);
    assert_offset(zone, INT64_C(1) << 40, 7200, 0x10000000, INT64_MAX);
    cress_zone_free(zone);
}

static void test_wrong_files(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        unsigned char byte;
        const char *word;
    } rows[] = {
        {0, 'X', "its header"},
        {4, 0, "version 1"},
        {SECOND_AT, 'X', "second header"},
        {36, 0xFF, "its header"},            /* more changes than there can be */
        {35, 9, "second header"},            /* … than the file has room for */
        {SECOND_AT + 31, 1, "cut short"},    /* a leap second that is not there */
        {SECOND_AT + 34, 0x10, "cut short"}, /* 4096 changes */
        {SECOND_AT + 39, 0, "no offsets"},
        {DATA_AT, 0x40, "disorder"},  /* 2^62 */
        {DATA_AT + 8, 2, "disorder"}, /* a third kind */
        {DATA_AT + 9, 1, "26 hours"},
        {RULE_AT, 'x', "rule at its end is missing"},
        {RULE_AT + 1, '1', "rule at its end cannot be read"},
    };
    for (size_t i = 0; i < CRESS_COUNT(rows); i++) {
        unsigned char file[FILE_MAX];
        struct cress_zone *zone;
        struct cress_error err = {0};
        const size_t size = make_file(file, "\nABC-2\n");
        file[rows[i].at] = rows[i].byte;
        assert_int_equal(cress_zone_parse(file, size, &zone, &err), CRESS_MALFORMED);
        if (!strstr(err.message, rows[i].word)) {
            fail_msg("byte %zu: \"%s\" without \"%s\"", rows[i].at, err.message, rows[i].word);
        }
    }
}

static void test_every_length(void **state)
{
    (void)state;
    unsigned char file[FILE_MAX];
    struct cress_zone *zone;
    const size_t size = make_file(file, "\nABC-2\n");
    for (size_t cut = 0; cut < size; cut++) {
        unsigned char *part = malloc(cut + 1); /* of its own, so that a sanitizer sees its end */
        memcpy(part, file, cut);
        assert_int_equal(cress_zone_parse(part, cut, &zone, NULL), CRESS_MALFORMED);
        free(part);
    }
}

/* --- rules --- */

static void test_rules(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool good;
    } rows[] = {
        {"UTC0", true},
        {"CET-1CEST,M3.5.0,M10.5.0/3", true},
        {"<+0330>-3:30", true},
        {"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", true},
        {"EST5EDT4:30,J60,J300/-167:59:59", true},
        {"EST5EDT,0,365/24", true},
        {"", false},
        {"CE-1", false},
        {"CET", false},
        {"CET-25", false},
        {"CET-1CEST", false},
        {"CET-1CEST,M3.5.0", false},
        {"CET-1CEST,M13.5.0,M10.5.0", false},
        {"CET-1CEST,M3.6.0,M10.5.0", false},
        {"CET-1CEST,M3.5.7,M10.5.0", false},
        {"CET-1CEST,M3.5.0/168,M10.5.0", false},
        {"CET-1CEST,J0,J366", false},
        {"CET-1CEST,366,1", false},
        {"CET-1:60", false},
        {"<CET-1", false},
        {"CET-1 ", false},
        {"CET-1CEST,M3.5.0,M10.5.0x", false},
    };
    for (size_t i = 0; i < CRESS_COUNT(rows); i++) {
        struct cress_zone_rule rule;
        if (cress_zone_rule_parse(rows[i].text, strlen(rows[i].text), &rule) != rows[i].good) {
            fail_msg("\"%s\" should be %s", rows[i].text, rows[i].good ? "good" : "refused");
        }
    }
}

/* Day 60 is 1 March in every year, day 59 from 0 only in ordinary ones. */
static void test_days_of_the_year(void **state)
{
    (void)state;
    static const char text[] = "EST5EDT,J60/0,59/0";
    struct cress_zone_rule rule;
    struct cress_zone_span span;
    assert_true(cress_zone_rule_parse(text, strlen(text), &rule));
    cress_zone_rule_span_at(&rule, INT64_C(1835413200), &span); /* 2028-02-29T05:00Z: from 0, the
                                                                   59th */
    assert_int_equal(span.begin_s, INT64_C(1835409600));        /* 04:00Z: midnight of EDT */
    assert_int_equal(span.offset_s, -5 * 3600);
    assert_int_equal(span.end_s, INT64_C(1835499600)); /* 2028-03-01T05:00Z */
}

/* RFC 8536, 3.3.1: how daylight saving all the year is written. */
static void test_always_daylight(void **state)
{
    (void)state;
    static const char text[] = "XXX3EDT4,0/0,J365/23";
    struct cress_zone_rule rule;
    struct cress_zone_span span;
    assert_true(cress_zone_rule_parse(text, strlen(text), &rule));
    for (int64_t at_s = INT64_C(1767225600); at_s < INT64_C(1830297600); at_s += 3600) {
        cress_zone_rule_span_at(&rule, at_s, &span);
        assert_true(span.begin_s <= at_s && at_s < span.end_s);
        assert_int_equal(span.offset_s, -4 * 3600);
        assert_int_equal(span.before_s, -4 * 3600);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_libc),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_without_database),
        cmocka_unit_test(test_table_and_rule),
        cmocka_unit_test(test_wrong_files),
        cmocka_unit_test(test_every_length),
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_days_of_the_year),
        cmocka_unit_test(test_always_daylight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
