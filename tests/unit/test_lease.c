// SPDX-License-Identifier: Apache-2.0
// Tests of worker/lease.h. Deliveries that are held for long.
#include "tests/unit/attempt_rig.h"

/* It runs, and has been held for a lease. */
static void arrive_and_stay(const struct cress_message *message)
{
    rig.config.worker_lease_ms = 0;
    arrive(message);
    answer_one();
    cress_lease_check(&rig.worker);
}

static void long_job_goes_on_without_its_delivery(void **state)
{
    (void)state;
    const struct cress_message message = message_of("cress.sleep", "{\"ms\": 50}");
    arrive_and_stay(&message);
    expect("start publish:q");
    assert_string_equal(rig.last_lease, "here:1");
    cress_lease_check(&rig.worker);
    expect("start publish:q"); /* one guard is enough */
    answer_one();
    cress_lease_check(&rig.worker);
    expect("start publish:q ack_now");
    assert_int_equal(rig.queue.unacked, 0);
    settle_down();
    expect("start publish:q ack_now record:succeeded ack");
}

static void long_job_that_ends_before_its_guard_is_safe(void **state)
{
    (void)state;
    const struct cress_message message = message_of("cress.sleep", "{\"ms\": 0}");
    arrive_and_stay(&message);
    while (!cress_list_is_empty(&rig.worker.active)) {
        uv_run(&rig.loop, UV_RUN_ONCE);
        struct cress_list *guard = cress_list_shift(&rig.calls);
        if (!cress_list_is_empty(&rig.calls)) {
            answer_one();
        }
        cress_list_append(&rig.calls, guard);
    }
    expect("start publish:q record:succeeded ack");
    settle_down(); /* the guard is confirmed, and finds nobody */
    expect("start publish:q record:succeeded ack");
}

static void long_job_that_is_handed_back_is_published(void **state)
{
    (void)state;
    const struct cress_message message = message_of("cress.sleep", "{\"ms\": 3600000}");
    arrive_and_stay(&message);
    answer_one();
    hand_back_all();
    expect("start publish:q ack_now record:queued publish:q ack");
    assert_string_equal(rig.last_lease, "");
}

static void guard_is_sent_on_while_its_worker_lives(void **state)
{
    (void)state;
    const struct cress_header header = {.name = "lease", .text = "there:2"};
    struct cress_message message = message_of("cress.noop", "{}");
    message.headers = &header;
    message.header_count = 1;
    rig.start_verdict = CRESS_VERDICT_LEASED;
    deliver(&message);
    expect("start publish:delay>q ack");
    assert_string_equal(rig.last_lease, "there:2");
}

/* Its worker has lost the broker only: asked again later, and known then as what was delivered
 * before. */
/* Who runs it may have begun it from this guard: from now on it is a message like any other. */
static void guard_that_comes_once_more_waits_like_a_redelivery(void **state)
{
    (void)state;
    struct cress_header lease = {.name = "lease", .text = "there:2"};
    struct cress_message message = message_of("cress.noop", "{}");
    message.headers = &lease;
    message.header_count = 1;
    rig.config.worker_heartbeat_ms = 2000;
    rig.start_verdict = CRESS_VERDICT_LEASED;
    rig.delivery_count = 1;
    deliver(&message);
    expect("start publish:delay>q ack");
    assert_string_equal(rig.last_lease, "");
    assert_true(rig.last_was_redelivered);
}

static void redelivery_waits_while_a_worker_lives(void **state)
{
    (void)state;
    const struct cress_message message = message_of("cress.noop", "{}");
    rig.start_verdict = CRESS_VERDICT_LEASED;
    deliver(&message);
    expect("start publish:delay>q ack");
    assert_string_equal(rig.last_lease, "");
}

static void guard_of_a_job_in_hand_is_sent_on(void **state)
{
    (void)state;
    const struct cress_header header = {.name = "lease", .text = "here:1"};
    struct cress_message message = message_of("cress.sleep", "{\"ms\": 20}");
    arrive(&message);
    answer_one();
    message.headers = &header;
    message.header_count = 1;
    arrive(&message);
    expect("start publish:delay>q");
    settle_down();
    expect("start publish:delay>q ack record:succeeded ack");
}

static void guard_that_runs_is_a_guard_no_more(void **state)
{
    (void)state;
    const struct cress_header header = {.name = "lease", .text = "there:2"};
    struct cress_message message = message_of("cress.fail", "{}");
    message.headers = &header;
    message.header_count = 1;
    deliver(&message);
    expect("start publish:delay>q#2 record:retrying ack");
    assert_string_equal(rig.last_lease, "");
}

static void what_waits_for_a_lease_is_returned(void **state)
{
    (void)state;
    rig.config.worker_concurrency = 1;
    struct cress_message message = message_of("cress.sleep", "{\"ms\": 20}");
    arrive(&message);
    message.message_id = "y";
    arrive(&message);
    cress_lease_check(&rig.worker);
    expect("start");
    rig.config.worker_lease_ms = 0;
    cress_lease_check(&rig.worker);
    expect("start requeue");
    rig.config.worker_lease_ms = 600000;
    settle_down();
    expect("start requeue record:succeeded ack");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(long_job_goes_on_without_its_delivery),
        RIG_TEST(long_job_that_ends_before_its_guard_is_safe),
        RIG_TEST(long_job_that_is_handed_back_is_published),
        RIG_TEST(guard_is_sent_on_while_its_worker_lives),
        RIG_TEST(guard_that_comes_once_more_waits_like_a_redelivery),
        RIG_TEST(redelivery_waits_while_a_worker_lives),
        RIG_TEST(guard_of_a_job_in_hand_is_sent_on),
        RIG_TEST(guard_that_runs_is_a_guard_no_more),
        RIG_TEST(what_waits_for_a_lease_is_returned),
    };
    return cmocka_run_group_tests_name("lease", tests, NULL, NULL);
}
