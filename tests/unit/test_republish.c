// SPDX-License-Identifier: Apache-2.0
// The message that is made from a record alone, with the broker faked.
#include "common/base/clock.h"
#include "common/broker/topology.h"
#include "common/submit/republish.h"
#include "tests/unit/unit.h"

#include <stdlib.h>

static struct cress_message *sent;
static int64_t sent_timeout_ms;

void cress_broker_publish(struct cress_broker *broker, const struct cress_message *message,
                          int64_t timeout_ms, cress_publish_cb done, void *arg)
{
    (void)broker;
    (void)done;
    (void)arg;
    free(sent);
    sent = cress_message_clone(message);
    sent_timeout_ms = timeout_ms;
}

static void read_sent(const char *queue, enum cress_priority priority, struct cress_job *job)
{
    struct cress_error err;
    assert_int_equal(cress_job_from_message(sent, queue, priority, NULL, job, &err), CRESS_OK);
}

static const struct cress_record queued = {
    .id = "j",
    .task = "t",
    .queue = "q",
    .priority = "high",
    .state = CRESS_STATE_QUEUED,
    .max_attempts = 7,
    .timeout_ms = 9000,
    .payload = "{\"n\":18446744073709551615}",
    .reply_to = "callers",
    .traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    .unique = "u",
    .unique_for_ms = 60000,
};

static void republish(const struct cress_record *record)
{
    cress_republish((struct cress_door){.timeout_ms = 1234}, record, NULL, NULL);
    assert_int_equal(sent_timeout_ms, 1234);
}

static void test_due_now_goes_to_its_queue(void **state)
{
    (void)state;
    struct cress_job job;
    republish(&queued);
    assert_string_equal(sent->exchange, "");
    assert_string_equal(sent->routing_key, "q.high");
    read_sent("q", CRESS_PRIORITY_HIGH, &job);
    assert_string_equal(job.id, "j");
    assert_string_equal(job.task, "t");
    assert_int_equal(job.attempt, 1);
    assert_int_equal(job.max_attempts, 7);
    assert_int_equal(job.timeout_ms, 9000);
    assert_string_equal(job.reply_to, "callers");
    assert_string_equal(job.traceparent, queued.traceparent);
    assert_string_equal(job.unique, "u");
    assert_int_equal(job.unique_for_ms, 60000);
    assert_int_equal(job.payload_size, strlen(queued.payload));
    assert_memory_equal(job.payload, queued.payload, job.payload_size);
}

static void test_overdue_is_due_now(void **state)
{
    (void)state;
    struct cress_record overdue = queued;
    struct cress_job job;
    overdue.run_at_ms = cress_clock_wall_ms() - 5000;
    republish(&overdue);
    assert_string_equal(sent->routing_key, "q.high");
    read_sent("q", CRESS_PRIORITY_HIGH, &job);
    assert_int_equal(job.not_before_ms, 0);
}

static void test_due_later_waits_in_a_delay_queue(void **state)
{
    (void)state;
    struct cress_record scheduled = queued;
    struct cress_job job;
    scheduled.state = CRESS_STATE_SCHEDULED;
    scheduled.run_at_ms = cress_clock_wall_ms() + 3600 * 1000;
    republish(&scheduled);
    assert_string_equal(sent->routing_key, "q.high");
    assert_int_equal(sent->due_ms, scheduled.run_at_ms);
    read_sent("q", CRESS_PRIORITY_HIGH, &job);
    assert_int_equal(job.not_before_ms, scheduled.run_at_ms);
}

static void test_names_the_attempt_that_comes_next(void **state)
{
    (void)state;
    struct cress_record record = queued;
    struct cress_job job;
    record.attempt = 2;
    republish(&record); /* handed back: it begins again */
    read_sent("q", CRESS_PRIORITY_HIGH, &job);
    assert_int_equal(job.attempt, 2);
    record.state = CRESS_STATE_RETRYING;
    republish(&record);
    read_sent("q", CRESS_PRIORITY_HIGH, &job);
    assert_int_equal(job.attempt, 3);
}

static int tear_down(void **state)
{
    (void)state;
    free(sent);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_due_now_goes_to_its_queue),
        cmocka_unit_test(test_overdue_is_due_now),
        cmocka_unit_test(test_due_later_waits_in_a_delay_queue),
        cmocka_unit_test(test_names_the_attempt_that_comes_next),
    };
    return cmocka_run_group_tests(tests, NULL, tear_down);
}
