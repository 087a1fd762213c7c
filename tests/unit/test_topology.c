// SPDX-License-Identifier: Apache-2.0
// Queue names and routes, as tables.
#include "common/base/mem.h"
#include "common/broker/topology.h"
#include "tests/unit/unit.h"

static void test_what_delay(void **state)
{
    (void)state;
    static const struct {
        int64_t due_in_ms, delay_ms[4]; /* with 1, 2, 4, 8 steps */
    } cases[] = {
        {0, {0, 0, 0, 0}},
        {-5, {0, 0, 0, 0}},
        {63, {0, 0, 0, 0}},
        {64, {64, 64, 64, 64}},
        {65, {128, 128, 128, 128}},
        {1000, {1024, 1024, 1024, 1024}},
        {1024, {1024, 1024, 1024, 1024}},
        {1025, {576, 576, 576, 576}},
        {1921, {1024, 1024, 1280, 1408}},
        {2049, {1024, 1536, 1536, 1536}},
        {30000, {16384, 24576, 28672, 28672}},
        {INT64_C(1) << 31, {1 << 30, 3 << 29, INT64_C(7) << 28, INT64_C(15) << 27}},
        {(INT64_C(1) << 31) + 448,
         {INT64_C(1) << 31, INT64_C(1) << 31, INT64_C(1) << 31, INT64_C(1) << 31}},
        {INT64_MAX, {INT64_C(1) << 31, INT64_C(1) << 31, INT64_C(1) << 31, INT64_C(1) << 31}},
    };
    for (size_t i = 0; i < CRESS_COUNT(cases); i++) {
        for (int j = 0; j < 4; j++) {
            assert_int_equal(cress_delay_for(1 << j, cases[i].due_in_ms), cases[i].delay_ms[j]);
        }
    }
}

/* Hops until a job that is due in `left` ms runs, when each takes as long as it should. It is never
 * early by more than a timer can wait, nor late by more than 64 ms. */
static int hops_of(int steps, int64_t left)
{
    int hops = 0;
    for (int64_t delay_ms; (delay_ms = cress_delay_for(steps, left)) > 0; hops++) {
        left -= delay_ms;
    }
    assert_true(left > -64 && left < CRESS_DELAY_MIN_MS);
    return hops;
}

static void test_hops_are_few(void **state)
{
    (void)state;
    static const int64_t second = 1000, day = 86400 * INT64_C(1000);
    static const struct {
        int64_t due_in_ms;
        int most[4];
    } cases[] = {
        {second, {1, 1, 1, 1}},
        {60 * second, {8, 6, 5, 4}},
        {day, {18, 13, 10, 8}},
        {365 * day, {40, 34, 30, 28}}, /* the longest delay alone takes 14 of them */
    };
    for (size_t i = 0; i < CRESS_COUNT(cases); i++) {
        for (int j = 0; j < 4; j++) {
            assert_in_range(hops_of(1 << j, cases[i].due_in_ms), 1, cases[i].most[j]);
        }
    }
    for (int64_t ms = 64; ms < 40 * day; ms += ms / 50 + 1) {
        for (int steps = 1; steps <= 8; steps *= 2) {
            hops_of(steps, ms);
        }
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

static void test_a_message_is_addressed_to_its_queue(void **state)
{
    (void)state;
    const struct cress_job job = {.id = "j",
                                  .task = "t",
                                  .queue = "mail",
                                  .priority = CRESS_PRIORITY_HIGH,
                                  .payload = "1",
                                  .payload_size = 1,
                                  .not_before_ms = 5};
    struct cress_header headers[CRESS_JOB_HEADER_MAX];
    char routing_key[CRESS_ROUTE_NAME_MAX];
    struct cress_message message;
    cress_route_message(&job, headers, routing_key, &message);
    assert_string_equal(message.exchange, "");
    assert_string_equal(message.routing_key, "mail.high");
    assert_int_equal(message.due_ms, 5);
}

static void test_delay_of(void **state)
{
    (void)state;
    static const struct {
        const char *queue;
        int64_t delay_ms;
    } cases[] = {
        {"cress.wait.64", 64},
        {"cress.wait.2147483648", INT64_C(1) << 31},
        {"cress.wait.1024.2", 1024},
        {"cress.wait.1024.x", 0},
        {"cress.wait.1024.", 0},
        {"cress.wait.1024.0", 0},
        {"cress.wait.32", 0},
        {"cress.wait.4294967296", 0},
        {"cress.wait.65", 0},
        {"cress.wait.1088", 0},
        {"cress.wait.1152", 1152},
        {"cress.wait.", 0},
        {"cress.wait.64x", 0},
        {"cress.wait.-64", 0},
        {"", 0},
        {"mail", 0},
        {"cress.wait.99999999999999999999", 0},
        {"cress.wait.9999999999999999999999999999999999999999999999", 0},
        {"cress.later.1152", 1152},
    };
    for (size_t i = 0; i < CRESS_COUNT(cases); i++) {
        assert_int_equal(cress_delay_of(cases[i].queue), cases[i].delay_ms);
    }
}

static void test_delays_have_places(void **state)
{
    (void)state;
    static const unsigned counts[] = {37, 58, 100, 184};
    for (int i = 0; i < 4; i++) {
        const int steps = cress_delay_steps((const char *[]){"1", "2", "4", "8"}[i]);
        assert_int_equal(steps, 1 << i);
        assert_int_equal(cress_delay_count(steps), counts[i]);
        int64_t before_ms = 0;
        for (unsigned place = 0; place < counts[i]; place++) {
            const int64_t delay_ms = cress_delay_at(steps, place);
            char name[CRESS_DELAY_NAME_MAX];
            assert_true(delay_ms > before_ms);
            assert_int_equal(cress_delay_index(steps, delay_ms), place);
            cress_delay_queue_name(delay_ms, place % 3 + 1, name);
            assert_int_equal(cress_delay_of(name), delay_ms);
            before_ms = delay_ms;
        }
        assert_int_equal(before_ms, CRESS_DELAY_MAX_MS);
    }
    assert_int_equal(cress_delay_count(8), CRESS_DELAY_COUNT_MAX);
}

static void test_excess(void **state)
{
    (void)state;
    static const struct {
        int steps;
        const char *queue;
        int64_t due_in_ms, excess_ms;
    } cases[] = {
        {8, "cress.wait.1024", 0, 0},
        {8, "cress.wait.1024", -5, 0},
        {8, "cress.wait.1024", 575, 0},
        {8, "cress.wait.1024", 576, 1},
        {8, "cress.later.2048", 3600000, 3600000 - 703},
        {1, "cress.wait.2048", 3600000, 3600000 - 2495},
        {2, "cress.wait.512", 64, 64},
        {2, "cress.wait.2147483648", INT64_MAX, 0},
        {2, "default", 3600000, 0},
    };
    for (size_t i = 0; i < CRESS_COUNT(cases); i++) {
        assert_int_equal(cress_delay_excess_ms(cases[i].steps, cases[i].queue, cases[i].due_in_ms),
                         cases[i].excess_ms);
    }
}

/* What every clock says is wrong is not believed, so that each hop is shorter than the one before. */
static void test_a_clock_that_stands_still_holds_nothing_up(void **state)
{
    (void)state;
    for (int steps = 1; steps <= 8; steps *= 2) {
        const int64_t hour_ms = 3600000;
        int64_t delay_ms = cress_delay_for(steps, 60000), waited_ms = 0;
        while (delay_ms) {
            char name[CRESS_DELAY_NAME_MAX];
            cress_delay_queue_name(delay_ms, 1, name);
            waited_ms += delay_ms;
            const int64_t excess_ms = cress_delay_excess_ms(steps, name, hour_ms);
            const int64_t next_ms = cress_delay_for(steps, hour_ms - excess_ms);
            assert_true(next_ms < delay_ms);
            delay_ms = next_ms;
        }
        assert_in_range(waited_ms, 0, 3 * 60000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_delay),
        cmocka_unit_test(test_hops_are_few),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_a_message_is_addressed_to_its_queue),
        cmocka_unit_test(test_delay_of),
        cmocka_unit_test(test_delays_have_places),
        cmocka_unit_test(test_excess),
        cmocka_unit_test(test_a_clock_that_stands_still_holds_nothing_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
