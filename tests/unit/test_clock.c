// SPDX-License-Identifier: Apache-2.0
// Tests of common/base/clock.h.
#include "common/base/clock.h"
#include "tests/unit/unit.h"

static void test_times_round_trip(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *utc; /* NULL: refused */
    } cases[] = {
        {"2026-11-23T18:00:00Z", "2026-11-23T18:00:00.000Z"},
        {"2026-11-23T18:00:00.123456Z", "2026-11-23T18:00:00.123Z"},
        {"2026-11-23T19:30:00+01:30", "2026-11-23T18:00:00.000Z"},
        {"2026-11-23t12:00:00.5-06:00", "2026-11-23T18:00:00.500Z"},
        {"2028-02-29T00:00:00Z", "2028-02-29T00:00:00.000Z"},
        {"2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000Z"},
        {"2026-02-29T00:00:00Z", NULL},
        {"2026-11-23T18:00:00", NULL},
        {"2026-11-23", NULL},
        {"2026-13-01T00:00:00Z", NULL},
        {"2026-11-23T24:00:00Z", NULL},
        {"2026-11-23T18:00:00Zjunk", NULL},
        {"tomorrow", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct cress_error err = {0};
        int64_t ms = 0;
        const enum cress_status status = cress_time_parse(cases[i].text, &ms, &err);
        if (cases[i].utc) {
            char text[CRESS_TIME_TEXT_MAX];
            assert_int_equal(status, CRESS_OK);
            assert_string_equal(cress_time_format(ms, text), cases[i].utc);
        } else {
            assert_int_equal(status, CRESS_INVALID);
            assert_non_null(strstr(err.message, "RFC 3339"));
        }
    }
}

static void test_durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms; /* -1: refused */
        const char *shown;
    } cases[] = {
        {"250ms", 250, "250ms"}, {"10s", 10000, "10s"},    {"1h30m", 5400000, "1h30m"},
        {"90", 90000, "1m30s"},  {"1.5", 1500, "1s500ms"}, {"2d", 172800000, "2d"},
        {"0", 0, "0s"},          {"0.1s", 100, "100ms"},   {"", -1, NULL},
        {"-1s", -1, NULL},       {"1x", -1, NULL},         {"s", -1, NULL},
        {"1h 2m", -1, NULL},     {"200000d", -1, NULL},    {"1e9", -1, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct cress_error err;
        int64_t ms = -1;
        const enum cress_status status = cress_duration_parse(cases[i].text, &ms, &err);
        assert_int_equal(status, cases[i].ms < 0 ? CRESS_INVALID : CRESS_OK);
        assert_int_equal(ms, cases[i].ms);
        if (cases[i].shown) {
            char text[CRESS_TIME_TEXT_MAX];
            assert_string_equal(cress_duration_format(ms, text), cases[i].shown);
        }
    }
}

static void test_a_time_as_a_member(void **state)
{
    (void)state;
    struct cress_buf out = cress_buf_make(256);
    cress_time_add_member(&out, "{\"a\":", 1764000000123);
    cress_time_add_member(&out, ",\"b\":", 0);
    assert_string_equal(cress_buf_text(&out), "{\"a\":\"2025-11-24T16:00:00.123Z\",\"b\":null");
    cress_buf_free(&out);
}

/* Whatever our own clock says. Answers come by the monotonic clock of the test. */
static void test_the_servers_clock(void **state)
{
    (void)state;
    const int64_t year = INT64_C(31536000000);
    assert_int_equal(cress_clock_servers_ms(1000), 0);
    cress_clock_learn(year, 1000, 1200); /* it was so at 1100, or 100 ms earlier or later */
    assert_int_equal(cress_clock_servers_ms(1100), year);
    assert_int_equal(cress_clock_servers_ms(5100), year + 4000);
    cress_clock_learn(year + 1090, 1800, 2600); /* less exact: 2200, give or take 400 */
    assert_int_equal(cress_clock_servers_ms(2100), year + 1000);
    cress_clock_learn(year + 1950, 3000, 3010); /* more exact */
    assert_int_equal(cress_clock_servers_ms(3005), year + 1950);
    cress_clock_learn(year + 900000, 4000, 4400); /* less exact, and the clock was set */
    assert_int_equal(cress_clock_servers_ms(4200), year + 900000);
    cress_clock_learn(year + 900000 + 3600000, 3604200, 3605200); /* what is old is not exact */
    assert_int_equal(cress_clock_servers_ms(3604700), year + 900000 + 3600000);
}

/* An answer that took long does not move a clock that it agrees with. */
static void test_a_clock_in_step_stays(void **state)
{
    (void)state;
    const int64_t mono_ms = cress_clock_mono_ms() + INT64_C(400) * 86400000; /* after the others */
    const int64_t own_ms = cress_clock_own_ms();
    cress_clock_learn(own_ms - 10, mono_ms - 410, mono_ms); /* the middle would be 195 ms ahead */
    assert_in_range(cress_clock_servers_ms(mono_ms), own_ms - 5, own_ms + 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_times_round_trip),
        cmocka_unit_test(test_a_time_as_a_member),
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_the_servers_clock),
        cmocka_unit_test(test_a_clock_in_step_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
