// SPDX-License-Identifier: Apache-2.0
// Tests of common/schedule/schedule.h: tables of ticks, most of them around changes of the clocks.
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/schedule/schedule.h"
#include "tests/unit/unit.h"

enum { TICKS_MAX = 8 };

/* The ticks of `cron` in `zone` that follow `after`, all in UTC. */
struct row {
    const char *cron, *zone, *after;
    const char *ticks[TICKS_MAX];
};

static int64_t ms_of(const char *time)
{
    int64_t ms;
    assert_int_equal(cress_time_parse(time, &ms, NULL), CRESS_OK);
    return ms;
}

static struct cress_schedule make(const char *cron, const char *zone)
{
    struct cress_schedule schedule;
    struct cress_error err = {0};
    if (cress_schedule_make(cron, zone, &schedule, &err) != CRESS_OK) {
        fail_msg("%s in %s: %s", cron, zone, err.message);
    }
    return schedule;
}

static void check(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct cress_schedule schedule = make(rows[i].cron, rows[i].zone);
        int64_t at_ms = ms_of(rows[i].after);
        for (size_t k = 0; k < TICKS_MAX && rows[i].ticks[k]; k++) {
            const int64_t expected_ms = ms_of(rows[i].ticks[k]);
            const int64_t next_ms = cress_schedule_next(&schedule, at_ms);
            if (next_ms != expected_ms) {
                char text[CRESS_TIME_TEXT_MAX];
                fail_msg("%s in %s after %s: tick %zu is %s and not %s", rows[i].cron, rows[i].zone,
                         rows[i].after, k + 1, cress_time_format(next_ms, text), rows[i].ticks[k]);
            }
            at_ms = next_ms;
        }
        cress_schedule_free(&schedule);
    }
}

static void test_without_changes(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"* * * * *", "UTC", "2026-01-01T00:00:00Z", {"2026-01-01T00:01:00Z"}},
        {"* * * * *", "UTC", "2026-01-01T00:00:59.999Z", {"2026-01-01T00:01:00Z"}},
        {"*/15 9-10 * * *",
         "UTC",
         "2026-01-01T09:40:00Z",
         {"2026-01-01T09:45:00Z", "2026-01-01T10:00:00Z", "2026-01-01T10:15:00Z"}},
        {"*/20 * * * * *",
         "UTC",
         "2026-12-31T23:59:21Z",
         {"2026-12-31T23:59:40Z", "2027-01-01T00:00:00Z"}},
        {"30 59 23 31 12 *", "UTC", "2026-12-31T23:59:30Z", {"2027-12-31T23:59:30Z"}},
        {"0 9 * * MON-FRI",
         "UTC",
         "2026-01-02T09:00:00Z", /* a Friday */
         {"2026-01-05T09:00:00Z", "2026-01-06T09:00:00Z"}},
        {"0 0 * * 7", "UTC", "2026-01-01T00:00:00Z", {"2026-01-04T00:00:00Z"}},
        {"0 0 * * fri-sun",
         "UTC",
         "2026-01-01T00:00:00Z",
         {"2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z", "2026-01-04T00:00:00Z",
          "2026-01-09T00:00:00Z"}},
        {"5/20 0 1 * *",
         "UTC",
         "2026-01-01T00:00:00Z",
         {"2026-01-01T00:05:00Z", "2026-01-01T00:25:00Z", "2026-01-01T00:45:00Z",
          "2026-02-01T00:05:00Z"}},
        {"0 0 L * *",
         "UTC",
         "2026-01-31T00:00:00Z",
         {"2026-02-28T00:00:00Z", "2026-03-31T00:00:00Z", "2026-04-30T00:00:00Z"}},
        {"0 0 15,L 2 *", "UTC", "2028-02-15T00:00:00Z", {"2028-02-29T00:00:00Z"}},
        {"@hourly", "UTC", "2026-01-01T00:00:00Z", {"2026-01-01T01:00:00Z"}},
        {"@weekly", "UTC", "2026-01-01T00:00:00Z", {"2026-01-04T00:00:00Z"}},
        {"@yearly", "UTC", "2026-01-01T00:00:00Z", {"2027-01-01T00:00:00Z"}},
    };
    check(rows, CRESS_COUNT(rows));
}

static void test_leap_days(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"0 0 29 2 *",
         "UTC",
         "2026-01-01T00:00:00Z",
         {"2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"}},
        /* 2100 is no leap year */
        {"0 0 29 2 *", "UTC", "2096-02-29T00:00:00Z", {"2104-02-29T00:00:00Z"}},
        {"0 0 29 2 *", "Europe/Berlin", "2096-02-29T00:00:00Z", {"2104-02-28T23:00:00Z"}},
        /* a leap day that is a Sunday too */
        {"0 0 29 2 */7", "UTC", "2088-02-29T00:00:00Z", {"2128-02-29T00:00:00Z"}},
        {"0 12 31 * *",
         "UTC",
         "2026-01-31T12:00:00Z",
         {"2026-03-31T12:00:00Z", "2026-05-31T12:00:00Z", "2026-07-31T12:00:00Z"}},
    };
    check(rows, CRESS_COUNT(rows));
}

/* Both day fields restricted: one of them is enough. One that begins with *: both must match. */
static void test_either_day(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"0 0 13 * FRI",
         "UTC",
         "2026-01-01T00:00:00Z",
         {"2026-01-02T00:00:00Z", "2026-01-09T00:00:00Z", "2026-01-13T00:00:00Z",
          "2026-01-16T00:00:00Z"}},
        {"0 0 */10 * FRI",
         "UTC",
         "2026-01-01T00:00:00Z", /* the 1st, 11th, 21st or 31st, and a Friday */
         {"2026-05-01T00:00:00Z", "2026-07-31T00:00:00Z", "2026-08-21T00:00:00Z"}},
        {"0 0 30 2 MON", "UTC", "2026-01-28T00:00:00Z", {"2026-02-02T00:00:00Z"}},
    };
    check(rows, CRESS_COUNT(rows));
}

/* 2026-03-29 02:00 +01:00 becomes 03:00 +02:00 in Berlin, 2026-10-25 03:00 +02:00 becomes 02:00
 * +01:00. */
static void test_berlin(void **state)
{
    (void)state;
    static const struct row rows[] = {
        /* jumped over: an hour later, once */
        {"30 2 * * *",
         "Europe/Berlin",
         "2026-03-28T12:00:00Z",
         {"2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"}},
        /* … and together with what is due then anyway */
        {"30 2,3 * * *",
         "Europe/Berlin",
         "2026-03-28T12:00:00Z",
         {"2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z", "2026-03-30T01:30:00Z"}},
        {"45 2-3 29 3 *",
         "Europe/Berlin",
         "2026-03-28T12:00:00Z",
         {"2026-03-29T01:45:00Z", "2027-03-29T00:45:00Z"}},
        /* in the order of UTC, which is not that of the names */
        {"0,30 2,3 29 3 *",
         "Europe/Berlin",
         "2026-03-29T00:59:59Z",
         {"2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z", "2027-03-29T00:00:00Z"}},
        /* shown twice: the first time */
        {"30 2 * * *",
         "Europe/Berlin",
         "2026-10-24T12:00:00Z",
         {"2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"}},
        {"0 2,3 * * *",
         "Europe/Berlin",
         "2026-10-24T12:00:00Z",
         {"2026-10-25T00:00:00Z", "2026-10-25T02:00:00Z", "2026-10-26T01:00:00Z"}},
        /* an hour field that begins with * follows the clock */
        {"30 * * * *",
         "Europe/Berlin",
         "2026-03-29T00:00:00Z",
         {"2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z"}},
        {"0,30 * * * *",
         "Europe/Berlin",
         "2026-10-24T23:59:00Z",
         {"2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z",
          "2026-10-25T01:30:00Z", "2026-10-25T02:00:00Z"}},
        {"0 */2 * * *",
         "Europe/Berlin",
         "2026-03-28T23:00:00Z", /* midnight; there is no 02:00 */
         {"2026-03-29T02:00:00Z", "2026-03-29T04:00:00Z"}},
        /* far beyond the table of the file: its rule */
        {"30 2 * * *", "Europe/Berlin", "2121-03-29T12:00:00Z", {"2121-03-30T01:30:00Z"}},
    };
    check(rows, CRESS_COUNT(rows));
}

/* 2026-03-08 02:00 -05:00 becomes 03:00 -04:00, 2026-11-01 02:00 -04:00 becomes 01:00 -05:00. */
static void test_new_york(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"15 2 * * *",
         "America/New_York",
         "2026-03-07T12:00:00Z",
         {"2026-03-08T07:15:00Z", "2026-03-09T06:15:00Z"}},
        {"15 1 * * *",
         "America/New_York",
         "2026-10-31T12:00:00Z",
         {"2026-11-01T05:15:00Z", "2026-11-02T06:15:00Z"}},
        {"@hourly",
         "America/New_York",
         "2026-11-01T04:30:00Z",
         {"2026-11-01T05:00:00Z", "2026-11-01T06:00:00Z", "2026-11-01T07:00:00Z"}},
        {"@daily",
         "America/New_York",
         "2026-11-01T00:00:00Z",
         {"2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"}},
    };
    check(rows, CRESS_COUNT(rows));
}

/* Half an hour: 2026-10-04 02:00 +10:30 becomes 02:30 +11:00, 2026-04-05 02:00 +11:00 becomes 01:30
 * +10:30. */
static void test_lord_howe(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"15 2 * * *",
         "Australia/Lord_Howe",
         "2026-10-03T12:00:00Z", /* as 02:45 */
         {"2026-10-03T15:45:00Z", "2026-10-04T15:15:00Z"}},
        {"45 1 * * *",
         "Australia/Lord_Howe",
         "2026-04-04T12:00:00Z",
         {"2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z"}},
        {"*/30 * * * *",
         "Australia/Lord_Howe",
         "2026-04-04T14:15:00Z", /* 01:30, and 01:30 again */
         {"2026-04-04T14:30:00Z", "2026-04-04T15:00:00Z", "2026-04-04T15:30:00Z"}},
    };
    check(rows, CRESS_COUNT(rows));
}

static void test_odd_zones(void **state)
{
    (void)state;
    static const struct row rows[] = {
        /* winter time that is called daylight saving: the rule at the file's end counts backwards */
        {"30 1 * * *",
         "Europe/Dublin",
         "2040-03-24T12:00:00Z",
         {"2040-03-25T01:30:00Z", "2040-03-26T00:30:00Z"}},
        {"0 0 * * *", "Asia/Kathmandu", "2026-01-01T00:00:00Z", {"2026-01-01T18:15:00Z"}},
        /* no 30 December in Samoa in 2011: a day later */
        {"0 12 30 12 *",
         "Pacific/Apia",
         "2011-12-01T00:00:00Z",
         {"2011-12-30T22:00:00Z", "2012-12-29T22:00:00Z"}},
        /* midnight is what is jumped over */
        {"0 0 * * *",
         "Africa/Cairo",
         "2026-04-23T12:00:00Z",
         {"2026-04-23T22:00:00Z", "2026-04-24T21:00:00Z"}},
    };
    check(rows, CRESS_COUNT(rows));
}

static void test_every(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"@every 2s",
         "UTC",
         "2026-01-01T00:00:00Z",
         {"2026-01-01T00:00:02Z", "2026-01-01T00:00:04Z"}},
        {"@every 90m", "Europe/Berlin", "1970-01-01T00:00:00Z", {"1970-01-01T01:30:00Z"}},
        {"@EVERY  1d", "UTC", "2026-01-01T00:00:00.001Z", {"2026-01-02T00:00:00Z"}},
    };
    check(rows, CRESS_COUNT(rows));
}

static void test_latest(void **state)
{
    (void)state;
    static const struct {
        const char *cron, *after, *until, *expected;
    } rows[] = {
        {"0 3 * * *", "2026-01-01T00:00:00Z", "2026-01-09T02:00:00Z", "2026-01-08T03:00:00Z"},
        {"0 3 * * *", "2026-01-01T00:00:00Z", "2026-01-09T03:00:00Z", "2026-01-09T03:00:00Z"},
        {"0 3 * * *", "2026-01-01T03:00:00Z", "2026-01-02T02:59:59.999Z", NULL},
        {"0 3 * * *", "2026-01-01T03:00:00Z", "2026-01-01T03:00:00Z", NULL},
        {"* * 3 * * *", "1970-01-01T00:00:00Z", "2026-01-09T12:00:00Z", "2026-01-09T03:59:59Z"},
        {"@every 7s", "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z", NULL},
    };
    for (size_t i = 0; i < CRESS_COUNT(rows); i++) {
        struct cress_schedule schedule = make(rows[i].cron, "UTC");
        const int64_t latest =
            cress_schedule_latest(&schedule, ms_of(rows[i].after), ms_of(rows[i].until));
        assert_int_equal(latest, rows[i].expected ? ms_of(rows[i].expected) : 0);
        cress_schedule_free(&schedule);
    }
}

static void test_due(void **state)
{
    (void)state;
    static const struct {
        const char *done, *now, *due; /* of `* * * * *`, a minute of grace */
        bool runs_missed;
    } rows[] = {
        {"2026-01-01T00:00:00Z", "2026-01-01T00:00:30Z", NULL, true},
        {"2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z", "2026-01-01T00:01:00Z", false},
        /* the first of those that are not too late */
        {"2026-01-01T00:00:00Z", "2026-01-01T00:02:00Z", "2026-01-01T00:01:00Z", false},
        {"2026-01-01T00:00:00Z", "2026-01-01T00:02:01Z", "2026-01-01T00:02:00Z", false},
        {"2026-01-01T00:00:00Z", "2026-01-08T00:02:01Z", "2026-01-08T00:02:00Z", true},
        {"2026-01-08T00:02:00Z", "2026-01-08T00:02:01Z", NULL, true},
    };
    struct cress_schedule schedule = make("* * * * *", "UTC");
    for (size_t i = 0; i < CRESS_COUNT(rows); i++) {
        assert_int_equal(cress_schedule_due(&schedule, ms_of(rows[i].done), ms_of(rows[i].now),
                                            60000, rows[i].runs_missed),
                         rows[i].due ? ms_of(rows[i].due) : 0);
    }
    cress_schedule_free(&schedule);

    schedule = make("0 3 * * *", "UTC");
    const int64_t done_ms = ms_of("2026-01-01T03:00:00Z"), now_ms = ms_of("2026-01-08T12:00:00Z");
    assert_int_equal(cress_schedule_due(&schedule, done_ms, now_ms, 60000, false), 0);
    assert_int_equal(cress_schedule_due(&schedule, done_ms, now_ms, 60000, true),
                     ms_of("2026-01-08T03:00:00Z"));
    cress_schedule_free(&schedule);
}

static void test_format(void **state)
{
    (void)state;
    static const struct {
        const char *zone, *at, *text;
    } rows[] = {
        {"UTC", "2026-11-26T02:00:00Z", "2026-11-26T02:00:00+00:00"},
        {"Europe/Berlin", "2026-11-26T02:00:00Z", "2026-11-26T03:00:00+01:00"},
        {"America/St_Johns", "2026-01-01T00:00:00Z", "2025-12-31T20:30:00-03:30"},
    };
    for (size_t i = 0; i < CRESS_COUNT(rows); i++) {
        struct cress_schedule schedule = make("@daily", rows[i].zone);
        char text[CRESS_TIME_TEXT_MAX];
        assert_string_equal(cress_schedule_format(&schedule, ms_of(rows[i].at), text),
                            rows[i].text);
        cress_schedule_free(&schedule);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_changes), cmocka_unit_test(test_leap_days),
        cmocka_unit_test(test_either_day),      cmocka_unit_test(test_berlin),
        cmocka_unit_test(test_new_york),        cmocka_unit_test(test_lord_howe),
        cmocka_unit_test(test_odd_zones),       cmocka_unit_test(test_every),
        cmocka_unit_test(test_latest),          cmocka_unit_test(test_due),
        cmocka_unit_test(test_format),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
