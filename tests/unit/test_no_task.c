// SPDX-License-Identifier: Apache-2.0
// Tests of worker/no_task.h. Jobs whose task this worker does not have.
#include "tests/unit/attempt_rig.h"

static struct cress_message message_that_waited(const char *task, int64_t ms)
{
    static struct cress_header header = {.name = "no_task_ms", .kind = CRESS_HEADER_INT};
    struct cress_message message = message_of(task, "{}");
    header.number = ms;
    message.headers = &header;
    message.header_count = ms > 0;
    return message;
}

static void it_is_left_to_a_worker_that_has_it(void **state)
{
    (void)state;
    const struct cress_message message = message_that_waited("my.task", 0);
    rig.peer =
        "{\"id\": \"there:2\", \"draining\": false, \"queues\": [\"q\"], \"tasks\": [\"my.task\"]}";
    deliver(&message);
    expect("workers publish:delay>q ack");
    assert_int_equal(rig.worker.processed, 0);
}

static void it_waits_visibly_when_nobody_has_it(void **state)
{
    (void)state;
    static const char *const peers[] = {
        NULL,
        "{\"id\": \"there:2\", \"queues\": [\"q\"], \"tasks\": [\"other\"]}",
        "{\"id\": \"there:2\", \"queues\": [\"other\"], \"tasks\": [\"my.task\"]}",
        "{\"id\": \"there:2\", \"draining\": true, \"queues\": [\"q\"], \"tasks\": [\"my.task\"]}",
        "{\"id\": \"here:1\", \"queues\": [\"q\"], \"tasks\": [\"my.task\"]}",
        "no report",
    };
    const struct cress_message message = message_that_waited("my.task", 0);
    rig.config.worker_unknown_task_wait_ms = 300000;
    for (size_t i = 0; i < CRESS_COUNT(peers); i++) {
        rig.peer = peers[i];
        rig.worker.peers.read_ms = 0;
        cress_buf_clear(&rig.trace);
        deliver(&message);
        expect("workers adopt:x block:{\"no_task\":\"my.task\"} publish:delay>q ack");
    }
}

static void it_fails_when_it_has_waited_long_enough(void **state)
{
    (void)state;
    const struct cress_message message = message_that_waited("my.task", 300000);
    rig.config.worker_unknown_task_wait_ms = 300000;
    deliver(&message);
    expect("start record:queued workers publish:q.dead record:failed ack");
    assert_string_equal(rig.last_error_code, "unknown_task");
}

static void its_record_says_no_more_that_it_waits_when_it_begins(void **state)
{
    (void)state;
    const struct cress_message message = message_that_waited("cress.noop", 1000);
    deliver(&message);
    expect("block: start record:succeeded ack");
}

static void reports_are_asked_for_once(void **state)
{
    (void)state;
    struct cress_message message = message_that_waited("my.task", 1000);
    rig.config.worker_unknown_task_wait_ms = 300000;
    arrive(&message);
    message.message_id = "y";
    arrive(&message);
    expect("workers");
    settle_down();
    message.message_id = "z";
    cress_buf_clear(&rig.trace);
    deliver(&message);
    expect("adopt:z block:{\"no_task\":\"my.task\"} publish:delay>q ack");
}

static void a_store_that_is_away_is_waited_for(void **state)
{
    (void)state;
    const struct cress_message message = message_that_waited("my.task", 300000);
    arrive(&message);
    answer_one();
    answer_one();
    rig.failing = 1;
    settle_down();
    expect("start record:queued workers workers publish:q.dead record:failed ack");
}

static void a_worker_that_stops_gives_it_back(void **state)
{
    (void)state;
    const struct cress_message message = message_that_waited("my.task", 0);
    arrive(&message);
    rig.worker.phase = CRESS_WORKER_DRAINING;
    cress_dispatch_return_waiting(&rig.worker);
    settle_down();
    expect("workers requeue");
}

/* The record may say that it waits for other jobs: then nobody needs the task yet. */
static void the_guard_of_a_chain_asks_the_record_first(void **state)
{
    (void)state;
    struct cress_header headers[] = {{.name = "guard", .kind = CRESS_HEADER_BOOL, .number = 1},
                                     {.name = "after", .text = "a"}};
    struct cress_message message = message_of("my.task", "{}");
    message.headers = headers;
    message.header_count = CRESS_COUNT(headers);
    rig.config.worker_unknown_task_wait_ms = 300000;
    rig.start_verdict = CRESS_VERDICT_LIMITED;
    rig.wait_ms = 120000;
    deliver(&message);
    expect("start publish:delay>q ack");
    cress_buf_clear(&rig.trace);
    rig.start_verdict = CRESS_VERDICT_APPLIED;
    deliver(&message);
    expect("start outcomes:a+0 record:queued workers adopt:x block:{\"no_task\":\"my.task\"} "
           "publish:delay>q ack");
}

static void the_guard_of_a_lease_asks_the_record_first(void **state)
{
    (void)state;
    struct cress_header lease = {.name = "lease", .text = "there:2"};
    struct cress_message message = message_of("my.task", "{}");
    message.headers = &lease;
    message.header_count = 1;
    rig.start_verdict = CRESS_VERDICT_LEASED;
    deliver(&message);
    expect("start publish:delay>q ack");
    assert_string_equal(rig.last_lease, "there:2");
}

/* Another copy of it has run meanwhile: a dead letter would be a lie. */
static void what_the_record_refuses_is_no_dead_letter(void **state)
{
    (void)state;
    const struct cress_message message = message_that_waited("my.task", 300000);
    rig.config.worker_unknown_task_wait_ms = 300000;
    rig.start_verdict = CRESS_VERDICT_STALE;
    deliver(&message);
    expect("start ack");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(it_is_left_to_a_worker_that_has_it),
        RIG_TEST(it_waits_visibly_when_nobody_has_it),
        RIG_TEST(it_fails_when_it_has_waited_long_enough),
        RIG_TEST(the_guard_of_a_chain_asks_the_record_first),
        RIG_TEST(the_guard_of_a_lease_asks_the_record_first),
        RIG_TEST(what_the_record_refuses_is_no_dead_letter),
        RIG_TEST(its_record_says_no_more_that_it_waits_when_it_begins),
        RIG_TEST(reports_are_asked_for_once),
        RIG_TEST(a_store_that_is_away_is_waited_for),
        RIG_TEST(a_worker_that_stops_gives_it_back),
    };
    return cmocka_run_group_tests_name("no_task", tests, NULL, NULL);
}
