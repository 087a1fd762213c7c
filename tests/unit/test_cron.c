// SPDX-License-Identifier: Apache-2.0
// Tests of common/schedule/cron.h: what is refused, and with which words.
#include "common/base/mem.h"
#include "common/schedule/civil.h"
#include "common/schedule/cron.h"
#include "tests/unit/unit.h"

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } rows[] = {
        {"", "expected five fields"},
        {"* * * *", "expected five fields"},
        {"* * * * * * *", "expected five fields"},
        {"60 * * * *", "minute: out of range; allowed: 0 to 59"},
        {"* 24 * * *", "hour: out of range; allowed: 0 to 23"},
        {"* * 0 * *", "day of month: out of range; allowed: 1 to 31 and L"},
        {"* * 32 * *", "day of month: out of range"},
        {"* * * 13 *", "month: out of range; allowed: 1 to 12 and JAN to DEC"},
        {"* * * * 8", "day of week: out of range; allowed: 0 to 7 and SUN to SAT"},
        {"61 * * * * *", "second: out of range"},
        {"99999999999 * * * *", "minute: out of range"},
        {"-1 * * * *", "minute: not a value, a range, a list or *"},
        {"a * * * *", "minute: not a value"},
        {"1, * * * *", "minute: not a value"},
        {",1 * * * *", "minute: not a value"},
        {"1- * * * *", "minute: not a value"},
        {"1x * * * *", "minute: not a value"},
        {"** * * * *", "minute: not a value"},
        {"5-1 * * * *", "minute: the range ends before it begins"},
        {"* * * DEC-JAN *", "month: the range ends before it begins"},
        {"* * * * SAT-MON", "day of week: the range ends before it begins"},
        {"*/0 * * * *", "minute: the step after / is no number that fits"},
        {"*/60 * * * *", "minute: the step"},
        {"*/ * * * *", "minute: the step"},
        {"L * * * *", "minute: not a value"},
        {"* * L-2 * *", "day of month: not a value"},
        {"* * * * 5L", "day of week: not a value"},
        {"* * ? * *", "day of month: not a value"},
        {"0 0 30 2 *", "this date never comes"},
        {"0 0 31 2,4,6,9,11 *", "this date never comes"},
        {"0 0 31 APR *", "this date never comes"},
        {"@reboot", "\"@reboot\" is none of @hourly"},
        {"@every", "\"@every\" is none of"},
        {"@every x", "@every: \"x\" is not a duration"},
        {"@every 0s", "@every: whole seconds"},
        {"@every 1500ms", "@every: whole seconds"},
    };
    for (size_t i = 0; i < CRESS_COUNT(rows); i++) {
        struct cress_cron cron;
        struct cress_error err = {0};
        if (cress_cron_parse(rows[i].text, &cron, &err) != CRESS_INVALID ||
            strncmp(err.message, rows[i].message, strlen(rows[i].message)) != 0) {
            fail_msg("\"%s\": \"%s\" and not \"%s\"", rows[i].text, err.message, rows[i].message);
        }
    }
}

static void test_sets(void **state)
{
    (void)state;
    struct cress_cron cron;
    assert_int_equal(cress_cron_parse("1-9/4,30 22/1 \t 1,L jan-MAR,Dec 0,7", &cron, NULL),
                     CRESS_OK);
    assert_int_equal(cron.seconds, 1);
    assert_int_equal(cron.minutes, 1 << 1 | 1 << 5 | 1 << 9 | 1 << 30);
    assert_int_equal(cron.hours, 1 << 22 | 1 << 23);
    assert_int_equal(cron.days, 1 << 1);
    assert_true(cron.last_day);
    assert_int_equal(cron.months, 1 << 1 | 1 << 2 | 1 << 3 | 1 << 12);
    assert_int_equal(cron.weekdays, 1);
    assert_true(cron.either_day);
    assert_false(cron.follows_clock);
    assert_int_equal(cress_cron_parse("0 */2 29 2 *", &cron, NULL), CRESS_OK);
    assert_true(cron.follows_clock);
    assert_false(cron.either_day);
}

/* Every day of four centuries and some before. */
static void test_calendar(void **state)
{
    (void)state;
    int64_t day = cress_civil_days(1599, 12, 31);
    int weekday = cress_civil_date(day).weekday;
    assert_int_equal(weekday, 5);
    for (int64_t year = 1600; year <= 2005; year++) {
        for (int month = 1; month <= 12; month++) {
            for (int date = 1; date <= cress_civil_month_days(year, month); date++) {
                assert_int_equal(cress_civil_days(year, month, date), ++day);
                const struct cress_civil civil = cress_civil_date(day);
                weekday = (weekday + 1) % 7;
                assert_true(civil.year == year && civil.month == month && civil.day == date &&
                            civil.weekday == weekday);
            }
        }
    }
    assert_int_equal(cress_civil_days(1970, 1, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_sets),
        cmocka_unit_test(test_calendar),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
