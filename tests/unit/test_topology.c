// SPDX-License-Identifier: Apache-2.0
// Queue names and routes, as tables.
#include "common/base/mem.h"
#include "common/broker/topology.h"
#include "tests/unit/unit.h"

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
        {"mail", CRESS_PRIORITY_NORMAL, 64, "cress.delay.64", "mail", 64},
        {"mail", CRESS_PRIORITY_HIGH, 127, "cress.delay.64", "mail.high", 64},
        {"mail", CRESS_PRIORITY_NORMAL, 128, "cress.delay.128", "mail", 128},
        {"mail", CRESS_PRIORITY_NORMAL, 1000, "cress.delay.512", "mail", 512},
        {"mail", CRESS_PRIORITY_NORMAL, (INT64_C(1) << 31) - 1, "cress.delay.1073741824", "mail",
         INT64_C(1) << 30},
        {"mail", CRESS_PRIORITY_NORMAL, INT64_C(1) << 31, "cress.delay.2147483648", "mail",
         INT64_C(1) << 31},
        {"mail", CRESS_PRIORITY_NORMAL, INT64_MAX, "cress.delay.2147483648", "mail",
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

/* However far away, a job is due after one hop for each bit. */
static void test_hops_end(void **state)
{
    (void)state;
    int64_t left = INT64_C(0x7FFFFFFF);
    int hops = 0;
    struct cress_route route;
    for (cress_route_job("q", CRESS_PRIORITY_NORMAL, left, &route); route.delay_ms;
         cress_route_job("q", CRESS_PRIORITY_NORMAL, left, &route)) {
        left -= route.delay_ms;
        hops++;
    }
    assert_int_equal(left, 63);
    assert_int_equal(hops, 25);
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
        {"cress.delay.64", 64},
        {"cress.delay.2147483648", INT64_C(1) << 31},
        {"cress.delay.32", 0},
        {"cress.delay.4294967296", 0},
        {"cress.delay.65", 0},
        {"cress.delay.", 0},
        {"cress.delay.64x", 0},
        {"cress.delay.-64", 0},
        {"", 0},
        {"amq.direct", 0},
        {"cress.delay.99999999999999999999", 0},
    };
    for (size_t i = 0; i < CRESS_COUNT(cases); i++) {
        assert_int_equal(cress_route_delay_of(cases[i].exchange), cases[i].delay_ms);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_routes),
        cmocka_unit_test(test_hops_end),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_delay_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
