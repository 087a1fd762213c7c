// SPDX-License-Identifier: Apache-2.0
// Queue names and routes, as tables.
#include "common/base/mem.h"
#include "common/broker/topology.h"
#include "tests/unit/unit.h"

#include <stdio.h>

static void test_routes(void **state)
{
    (void)state;
    static const struct {
        const char *queue;
        enum cress_priority priority;
        int64_t due_in_ms;
        const char *exchange, *routing_key;
        int64_t delay_ms;
    } cases[] = {
        {"default", CRESS_PRIORITY_NORMAL, 0, "", "default", 0},
        {"default", CRESS_PRIORITY_NORMAL, -5, "", "default", 0},
        {"default", CRESS_PRIORITY_HIGH, 0, "", "default.high", 0},
        {"mail", CRESS_PRIORITY_LOW, 0, "", "mail.low", 0},
        {"mail", CRESS_PRIORITY_NORMAL, 63, "", "mail", 0},
        {"mail", CRESS_PRIORITY_NORMAL, 64, "cress.later.64", "mail", 64},
        {"mail", CRESS_PRIORITY_HIGH, 65, "cress.later.128", "mail.high", 128},
        {"mail", CRESS_PRIORITY_NORMAL, 128, "cress.later.128", "mail", 128},
        {"mail", CRESS_PRIORITY_NORMAL, 1000, "cress.later.1024", "mail", 1024},
        {"mail", CRESS_PRIORITY_NORMAL, 1025, "cress.later.1152", "mail", 1152},
        {"mail", CRESS_PRIORITY_NORMAL, 1921, "cress.later.2048", "mail", 2048},
        {"mail", CRESS_PRIORITY_NORMAL, 2048, "cress.later.2048", "mail", 2048},
        {"mail", CRESS_PRIORITY_NORMAL, 2049, "cress.later.1536", "mail", 1536},
        {"mail", CRESS_PRIORITY_NORMAL, 30000, "cress.later.28672", "mail", 28672},
        {"mail", CRESS_PRIORITY_NORMAL, INT64_C(1) << 31, "cress.later.2013265920", "mail",
         INT64_C(15) << 27},
        {"mail", CRESS_PRIORITY_NORMAL, (INT64_C(1) << 31) + 512, "cress.later.2147483648", "mail",
         INT64_C(1) << 31},
        {"mail", CRESS_PRIORITY_NORMAL, INT64_MAX, "cress.later.2147483648", "mail",
         INT64_C(1) << 31},
    };
    for (size_t i = 0; i < CRESS_COUNT(cases); i++) {
        struct cress_route route;
        memset(&route, 0xFF, sizeof route);
        cress_route_job(cases[i].queue, cases[i].priority, cases[i].due_in_ms, &route);
        assert_string_equal(route.exchange, cases[i].exchange);
        assert_string_equal(route.routing_key, cases[i].routing_key);
        assert_int_equal(route.delay_ms, cases[i].delay_ms);
    }
}

/* Hops until a job that is due in `left` ms runs, when each takes as long as it should. It is never
 * early by more than a timer can wait, nor late by more than 128 ms. */
static int hops_of(int64_t left)
{
    int hops = 0;
    struct cress_route route;
    for (cress_route_job("q", CRESS_PRIORITY_NORMAL, left, &route); route.delay_ms;
         cress_route_job("q", CRESS_PRIORITY_NORMAL, left, &route)) {
        left -= route.delay_ms;
        hops++;
    }
    assert_true(left > -128 && left < CRESS_DELAY_MIN_MS);
    return hops;
}

static void test_few_hops(void **state)
{
    (void)state;
    static const struct {
        int64_t from_ms, to_ms;
        int hops;
    } cases[] = {{1, 63, 0}, {64, 2048, 1}, {2049, 16384, 2}, {16385, 131072, 3}};
    for (size_t i = 0; i < CRESS_COUNT(cases); i++) {
        int most = 0;
        for (int64_t due_in_ms = cases[i].from_ms; due_in_ms <= cases[i].to_ms; due_in_ms++) {
            const int hops = hops_of(due_in_ms);
            most = hops > most ? hops : most;
        }
        assert_int_equal(most, cases[i].hops);
    }
    for (int64_t due_in_ms = 1; due_in_ms < INT64_C(1) << 31; due_in_ms = due_in_ms * 9 / 8 + 1) {
        assert_in_range(hops_of(due_in_ms), 0, 8);
    }
}

/* A hop that took half a second too long makes nothing late that was due later than that. */
static void test_lag_is_made_up_for(void **state)
{
    (void)state;
    for (int64_t due_in_ms = 2049; due_in_ms < 100000; due_in_ms++) {
        struct cress_route route;
        cress_route_job("q", CRESS_PRIORITY_NORMAL, due_in_ms, &route);
        assert_true(route.delay_ms + 512 <= due_in_ms);
    }
}

static void test_names(void **state)
{
    (void)state;
    char name[CRESS_ROUTE_NAME_MAX];
    cress_route_queue_name("a.b", CRESS_PRIORITY_NORMAL, name);
    assert_string_equal(name, "a.b");
    cress_route_queue_name("a.b", CRESS_PRIORITY_HIGH, name);
    assert_string_equal(name, "a.b.high");
    cress_route_dead_name("a.b", name);
    assert_string_equal(name, "a.b.dead");

    char longest[CRESS_QUEUE_NAME_MAX + 1];
    memset(longest, 'q', CRESS_QUEUE_NAME_MAX);
    longest[CRESS_QUEUE_NAME_MAX] = '\0';
    cress_route_queue_name(longest, CRESS_PRIORITY_HIGH, name);
    assert_int_equal(strlen(name), CRESS_QUEUE_NAME_MAX + 5);
}

static void test_delay_of(void **state)
{
    (void)state;
    static const struct {
        const char *exchange;
        int64_t delay_ms;
    } cases[] = {
        {"cress.later.64", 64},
        {"cress.later.2147483648", INT64_C(1) << 31},
        {"cress.later.32", 0},
        {"cress.later.4294967296", 0},
        {"cress.later.65", 0},
        {"cress.later.1088", 0},
        {"cress.later.1152", 1152},
        {"cress.later.", 0},
        {"cress.later.64x", 0},
        {"cress.later.-64", 0},
        {"", 0},
        {"amq.direct", 0},
        {"cress.later.99999999999999999999", 0},
    };
    for (size_t i = 0; i < CRESS_COUNT(cases); i++) {
        assert_int_equal(cress_route_delay_of(cases[i].exchange), cases[i].delay_ms);
    }
}

static void test_delays_have_places(void **state)
{
    (void)state;
    unsigned place = 0;
    int64_t step = 64;
    for (int64_t ms = 64; ms <= INT64_C(1) << 31; ms += step, place++) {
        step = ms == 16 * step ? 2 * step : step;
        char exchange[CRESS_ROUTE_NAME_MAX];
        snprintf(exchange, sizeof exchange, "cress.later.%lld", (long long)ms);
        assert_int_equal(cress_route_delay_of(exchange), ms);
        assert_int_equal(cress_route_delay_index(ms), place);
        char name[CRESS_DELAY_NAME_MAX];
        assert_int_equal(cress_route_delay(place, name), ms);
        assert_string_equal(name, exchange);
    }
    assert_int_equal(place, CRESS_DELAY_COUNT);
}

static void test_excess(void **state)
{
    (void)state;
    static const struct {
        const char *queue;
        int64_t due_in_ms, excess_ms;
    } cases[] = {
        {"cress.later.1024", 0, 0},
        {"cress.later.1024", -5, 0},
        {"cress.later.1024", 640, 0},
        {"cress.later.1024", 641, 1},
        {"cress.later.2048", 3600000, 3600000 - 768},
        {"cress.later.2147483648", INT64_MAX, 0},
        {"default", 3600000, 0},
    };
    for (size_t i = 0; i < CRESS_COUNT(cases); i++) {
        assert_int_equal(cress_route_excess_ms(cases[i].queue, cases[i].due_in_ms),
                         cases[i].excess_ms);
    }
    for (int64_t due_in_ms = 64; due_in_ms < INT64_C(1) << 31; due_in_ms += due_in_ms / 50 + 1) {
        struct cress_route route;
        cress_route_job("q", CRESS_PRIORITY_NORMAL, due_in_ms, &route);
        assert_int_equal(cress_route_excess_ms(route.exchange, due_in_ms - route.delay_ms), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_routes),
        cmocka_unit_test(test_few_hops),
        cmocka_unit_test(test_lag_is_made_up_for),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_delay_of),
        cmocka_unit_test(test_delays_have_places),
        cmocka_unit_test(test_excess),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
