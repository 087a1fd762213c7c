// SPDX-License-Identifier: Apache-2.0
// Tests of common/metrics/metrics.h. One set a process: the tests look at differences.
#include "common/metrics/metrics.h"
#include "tests/unit/unit.h"

#include <math.h>
#include <pthread.h>

static char *write_all(void)
{
    struct cress_buf buf = cress_buf_make(1 << 20);
    cress_metrics_write(&buf);
    assert_false(buf.overflowed);
    return cress_buf_take(&buf);
}

static void assert_has_line(const char *text, const char *line)
{
    const char *at = strstr(text, line);
    while (at && ((at > text && at[-1] != '\n') || at[strlen(line)] != '\n')) {
        at = strstr(at + 1, line);
    }
    if (!at) {
        fail_msg("no line \"%s\" in:\n%s", line, text);
    }
}

static void test_counters_and_gauges(void **state)
{
    (void)state;
    cress_metric_add(CRESS_METRIC_JOBS_SUBMITTED, 2);
    cress_metric_add(CRESS_METRIC_JOBS_SUBMITTED, 3);
    cress_metric_set(CRESS_METRIC_HTTP_CONNECTIONS, 7);
    cress_metric_add(CRESS_METRIC_HTTP_CONNECTIONS, -3);
    assert_int_equal(cress_metric_value(CRESS_METRIC_JOBS_SUBMITTED), 5);
    assert_int_equal(cress_metric_value(CRESS_METRIC_HTTP_CONNECTIONS), 4);
    char *text = write_all();
    assert_has_line(text, "# TYPE cress_jobs_submitted_total counter");
    assert_has_line(text, "cress_jobs_submitted_total 5");
    assert_has_line(text, "# TYPE cress_http_connections gauge");
    assert_has_line(text, "cress_http_connections 4");
    free(text);
}

static void test_histograms_are_cumulative(void **state)
{
    (void)state;
    static const double observed_ms[] = {1, 1.5, 60000, 60001, 1e300, INFINITY};
    for (size_t i = 0; i < sizeof observed_ms / sizeof *observed_ms; i++) {
        cress_metric_observe_ms(CRESS_METRIC_SUBMIT_SECONDS, observed_ms[i]);
    }
    assert_int_equal(cress_metric_value(CRESS_METRIC_SUBMIT_SECONDS), 6);
    char *text = write_all();
    assert_has_line(text, "# TYPE cress_submit_seconds histogram");
    assert_has_line(text, "cress_submit_seconds_bucket{le=\"0.001\"} 1");
    assert_has_line(text, "cress_submit_seconds_bucket{le=\"0.0025\"} 2");
    assert_has_line(text, "cress_submit_seconds_bucket{le=\"30\"} 2");
    assert_has_line(text, "cress_submit_seconds_bucket{le=\"60\"} 3");
    assert_has_line(text, "cress_submit_seconds_bucket{le=\"+Inf\"} 6");
    assert_has_line(text, "cress_submit_seconds_count 6");
    free(text);
}

static void test_the_sum_is_in_seconds(void **state)
{
    (void)state;
    cress_metric_observe_ms(CRESS_METRIC_HTTP_SECONDS, 1500.25);
    cress_metric_observe_ms(CRESS_METRIC_HTTP_SECONDS, -5);
    cress_metric_observe_ms(CRESS_METRIC_HTTP_SECONDS, NAN);
    char *text = write_all();
    assert_has_line(text, "cress_http_request_seconds_sum 1.500250");
    assert_has_line(text, "cress_http_request_seconds_bucket{le=\"0.001\"} 2");
    free(text);
}

/* Each line is a comment or "name value" or "name{labels} value", and HELP comes before TYPE. */
static void test_the_text_is_well_formed(void **state)
{
    (void)state;
    char *text = write_all();
    size_t helps = 0, types = 0;
    for (char *line = text; *line;) {
        char *end = strchr(line, '\n');
        assert_non_null(end);
        *end = '\0';
        if (strncmp(line, "# HELP cress_", 13) == 0) {
            helps++;
        } else if (strncmp(line, "# TYPE cress_", 13) == 0) {
            types++;
            assert_int_equal(helps, types);
        } else {
            assert_int_equal(strncmp(line, "cress_", 6), 0);
            char *rest;
            strtod(strrchr(line, ' '), &rest);
            assert_string_equal(rest, "");
        }
        line = end + 1;
    }
    assert_int_equal(types, CRESS_METRIC_COUNT + 1);
    free(text);
}

enum { ADDS = 20000 };

static void *add_many(void *arg)
{
    (void)arg;
    for (int i = 0; i < ADDS; i++) {
        cress_metric_add(CRESS_METRIC_HTTP_REQUESTS, 1);
        cress_metric_observe_ms(CRESS_METRIC_HTTP_SECONDS, i % 100);
    }
    return NULL;
}

static void test_no_addition_is_lost_between_threads(void **state)
{
    (void)state;
    const int64_t before = cress_metric_value(CRESS_METRIC_HTTP_SECONDS);
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, add_many, NULL), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(cress_metric_value(CRESS_METRIC_HTTP_REQUESTS), 4 * ADDS);
    assert_int_equal(cress_metric_value(CRESS_METRIC_HTTP_SECONDS) - before, 4 * ADDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counters_and_gauges),
        cmocka_unit_test(test_histograms_are_cumulative),
        cmocka_unit_test(test_the_sum_is_in_seconds),
        cmocka_unit_test(test_the_text_is_well_formed),
        cmocka_unit_test(test_no_addition_is_lost_between_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
