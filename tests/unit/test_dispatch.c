// SPDX-License-Identifier: Apache-2.0
// Tests of worker/dispatch.h. From a delivery to its start, and what a worker that stops does with what it has in hand.
#include "tests/unit/attempt_rig.h"

static void not_yet_due(void **state)
{
    (void)state;
    const struct cress_header header = {.name = "not_before_ms",
                                        .kind = CRESS_HEADER_INT,
                                        .number = cress_clock_wall_ms() + 3600000};
    struct cress_message message = message_of("cress.noop", "{}");
    message.headers = &header;
    message.header_count = 1;
    deliver(&message);
    expect("publish:delay>q ack");
}

static void almost_due_waits_here(void **state)
{
    (void)state;
    const struct cress_header header = {
        .name = "not_before_ms", .kind = CRESS_HEADER_INT, .number = cress_clock_wall_ms() + 30};
    struct cress_message message = message_of("cress.noop", "{}");
    message.headers = &header;
    message.header_count = 1;
    arrive(&message);
    expect("");
    settle_down();
    expect("start record:succeeded ack");
    assert_true(cress_clock_wall_ms() >= header.number);
}

static void second_delivery_waits_for_the_first(void **state)
{
    (void)state;
    const struct cress_message message = message_of("cress.sleep", "{\"ms\": 20}");
    arrive(&message);
    arrive(&message);
    expect("start");
    settle_down();
    expect("start record:succeeded ack start record:succeeded ack");
}

static void no_more_than_concurrency_run(void **state)
{
    (void)state;
    static const char *const ids[] = {"x1", "x2", "x3"};
    struct cress_message message = message_of("cress.sleep", "{\"ms\": 10}");
    for (size_t i = 0; i < CRESS_COUNT(ids); i++) {
        message.message_id = ids[i];
        arrive(&message);
    }
    expect("start start");
    assert_int_equal(rig.worker.running, 2);
    settle_down();
    assert_int_equal(rig.worker.processed, 3);
}

static void shutdown_hands_back(void **state)
{
    (void)state;
    struct cress_message message = message_of("cress.sleep", "{\"ms\": 3600000}");
    arrive(&message);
    arrive(&message); /* held by the first */
    answer_one();
    rig.worker.phase = CRESS_WORKER_DRAINING;
    cress_dispatch_return_waiting(&rig.worker);
    expect("start requeue");
    rig.worker.phase = CRESS_WORKER_HANDING_BACK;
    cress_dispatch_hand_back(&rig.worker);
    settle_down();
    expect("start requeue record:queued requeue");
}

static void shutdown_does_not_wait_for_the_store(void **state)
{
    (void)state;
    const struct cress_message message = message_of("cress.noop", "{}");
    arrive(&message);
    rig.worker.phase = CRESS_WORKER_HANDING_BACK;
    rig.failing = 1;
    settle_down();
    expect("start requeue");
}

static void shutdown_comes_before_the_run(void **state)
{
    (void)state;
    const struct cress_message message = message_of("cress.sleep", "{\"ms\": 3600000}");
    arrive(&message);
    hand_back_all();
    expect("start record:queued requeue");
}

static void limited_job_that_waits_for_a_lease_is_returned(void **state)
{
    (void)state;
    const struct cress_message message = message_of("cress.noop", "{}");
    rig.start_verdict = CRESS_VERDICT_LIMITED;
    rig.wait_ms = 1;
    arrive(&message);
    answer_one();
    rig.config.worker_lease_ms = 0;
    cress_lease_check(&rig.worker);
    settle_down();
    expect("start requeue");
}

static void cancelled_while_it_reads_what_it_waited_for(void **state)
{
    (void)state;
    struct cress_message message = message_of("cress.sleep", "{\"ms\": 3600000}");
    const struct cress_header header = {.name = "after", .kind = CRESS_HEADER_TEXT, .text = "a,b"};
    message.headers = &header;
    message.header_count = 1;
    arrive(&message);
    answer_one();
    cress_dispatch_cancel(CRESS_CONTAINER(rig.worker.active.next, struct cress_attempt, node),
                          "{\"code\":\"cancelled\"}");
    settle_down();
    expect("start outcomes:a+1 record:cancelled ack");
}

static void arrive_sleeps(const char *const *ids, size_t count)
{
    struct cress_message message = message_of("cress.sleep", "{\"ms\": 10}");
    for (size_t i = 0; i < count; i++) {
        message.message_id = ids[i];
        arrive(&message);
    }
}

static void what_ends_at_once_needs_no_place_to_start(void **state)
{
    (void)state;
    static const char *const ids[] = {"x1", "x2", "x3", "x4"};
    struct cress_message message = message_of("cress.noop", "{}");
    rig.worker.ended_at_once = 64;
    for (size_t i = 0; i < CRESS_COUNT(ids); i++) {
        message.message_id = ids[i];
        arrive(&message);
    }
    expect("start start start start");
    assert_int_equal(rig.worker.running, 0);
    settle_down();
    assert_int_equal(rig.worker.processed, 4);
}

/* It was to be expected that they end at once, and they do not: no more run than there are places. */
static void what_was_started_without_a_place_steps_back(void **state)
{
    (void)state;
    static const char *const ids[] = {"x1", "x2", "x3", "x4"};
    rig.worker.ended_at_once = 64;
    arrive_sleeps(ids, CRESS_COUNT(ids));
    for (size_t i = 0; i < CRESS_COUNT(ids); i++) {
        answer_one();
    }
    expect("start start start start record:queued record:queued");
    assert_int_equal(rig.worker.running, 2);
    settle_down();
    assert_int_equal(rig.worker.processed, 4);
    assert_int_equal(rig.worker.starting, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(not_yet_due),
        RIG_TEST(almost_due_waits_here),
        RIG_TEST(second_delivery_waits_for_the_first),
        RIG_TEST(no_more_than_concurrency_run),
        RIG_TEST(shutdown_hands_back),
        RIG_TEST(shutdown_does_not_wait_for_the_store),
        RIG_TEST(shutdown_comes_before_the_run),
        RIG_TEST(limited_job_that_waits_for_a_lease_is_returned),
        RIG_TEST(cancelled_while_it_reads_what_it_waited_for),
        RIG_TEST(what_ends_at_once_needs_no_place_to_start),
        RIG_TEST(what_was_started_without_a_place_steps_back),
    };
    return cmocka_run_group_tests_name("dispatch", tests, NULL, NULL);
}
