// SPDX-License-Identifier: Apache-2.0
// When a queue that is published to counts as sick, and what it may be given.
#include "common/base/mem.h"
#include "common/broker/health.h"
#include "tests/unit/unit.h"

static void test_a_new_queue_gets_few_until_it_confirms(void **state)
{
    (void)state;
    struct cress_health health = {0};
    assert_int_equal(cress_health_room(&health, 0), 16);
    for (int i = 0; i < 16; i++) {
        cress_health_sent(&health, 100);
    }
    assert_int_equal(cress_health_room(&health, 100), 0);
    cress_health_landed(&health);
    cress_health_confirmed(&health, 101);
    assert_int_equal(health.state, CRESS_HEALTH_GOOD);
    assert_true(cress_health_room(&health, 101) > 1000000);
}

static void test_silence_is_measured_from_the_last_confirm(void **state)
{
    (void)state;
    struct cress_health health = {0};
    assert_int_equal(cress_health_patience_ms(&health, false, 0), -1);
    cress_health_sent(&health, 1000);
    cress_health_sent(&health, 1500);
    assert_int_equal(cress_health_patience_ms(&health, false, 1500), 4500);
    assert_int_equal(cress_health_patience_ms(&health, true, 1300), 100);
    cress_health_landed(&health);
    cress_health_confirmed(&health, 2000);
    assert_int_equal(cress_health_patience_ms(&health, true, 2000), 5000);
    assert_int_equal(cress_health_patience_ms(&health, false, 7000), 0);
}

static void test_patience_grows_with_silence(void **state)
{
    (void)state;
    struct cress_health health = {0};
    static const int64_t patiences_ms[] = {5000, 10000, 20000, 40000, 60000, 60000};
    for (size_t i = 0; i < CRESS_COUNT(patiences_ms); i++) {
        cress_health_sent(&health, 0);
        assert_int_equal(cress_health_patience_ms(&health, false, 0), patiences_ms[i]);
        cress_health_silent(&health, 0);
        assert_int_equal(health.in_flight, 0);
        assert_int_equal(cress_health_room(&health, 0), 16);
    }
    cress_health_reset(&health); /* another connection does not make it well */
    assert_int_equal(health.state, CRESS_HEALTH_SILENT);
    cress_health_sent(&health, 0);
    cress_health_confirmed(&health, 1);
    assert_int_equal(health.state, CRESS_HEALTH_GOOD);
    assert_int_equal(health.failures, 0);
}

static void test_a_refusing_queue_is_tried_one_by_one(void **state)
{
    (void)state;
    struct cress_health health = {0};
    static const int64_t pauses_ms[] = {50, 100, 200, 400, 800, 1000, 1000};
    int64_t now_ms = 5000;
    for (size_t i = 0; i < CRESS_COUNT(pauses_ms); i++) {
        cress_health_sent(&health, now_ms);
        cress_health_landed(&health);
        cress_health_refused(&health, now_ms);
        assert_int_equal(cress_health_room(&health, now_ms + pauses_ms[i] - 1), 0);
        now_ms += pauses_ms[i];
        assert_int_equal(cress_health_room(&health, now_ms), 1);
        assert_int_equal(cress_health_fails_fast(&health, now_ms), now_ms >= 8000);
    }
    cress_health_sent(&health, now_ms);
    assert_int_equal(cress_health_room(&health, now_ms), 0);
    cress_health_landed(&health);
    cress_health_confirmed(&health, now_ms);
    assert_false(cress_health_fails_fast(&health, now_ms));
}

/* A probe is not in flight: its answer says how the queue is, and nothing of what else is open. */
static void test_the_answer_of_a_probe_counts_nothing(void **state)
{
    (void)state;
    struct cress_health health = {0};
    cress_health_sent(&health, 0);
    cress_health_refused(&health, 1);
    assert_int_equal(health.in_flight, 1);
    cress_health_landed(&health);
    cress_health_landed(&health);
    assert_int_equal(health.in_flight, 0);
}

static void test_refusing_and_silent_by_turns_is_sick_all_the_time(void **state)
{
    (void)state;
    struct cress_health health = {0};
    cress_health_sent(&health, 0);
    cress_health_refused(&health, 100);
    cress_health_silent(&health, 5000);
    cress_health_refused(&health, 9000);
    assert_int_equal(health.sick_ms, 100);
}

static void test_a_queue_that_was_well_is_new_on_another_connection(void **state)
{
    (void)state;
    struct cress_health health = {0};
    cress_health_sent(&health, 0);
    cress_health_confirmed(&health, 0);
    cress_health_sent(&health, 0);
    cress_health_reset(&health);
    assert_int_equal(health.state, CRESS_HEALTH_NEW);
    assert_int_equal(cress_health_room(&health, 0), 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_new_queue_gets_few_until_it_confirms),
        cmocka_unit_test(test_silence_is_measured_from_the_last_confirm),
        cmocka_unit_test(test_patience_grows_with_silence),
        cmocka_unit_test(test_a_refusing_queue_is_tried_one_by_one),
        cmocka_unit_test(test_the_answer_of_a_probe_counts_nothing),
        cmocka_unit_test(test_refusing_and_silent_by_turns_is_sick_all_the_time),
        cmocka_unit_test(test_a_queue_that_was_well_is_new_on_another_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
