// SPDX-License-Identifier: Apache-2.0
// Tests of worker/pass_on.h. What is published before a delivery is let go.
#include "tests/unit/attempt_rig.h"

static void what_was_returned_often_is_published_anew(void **state)
{
    (void)state;
    rig.delivery_count = CRESS_DELIVERY_LIMIT / 2;
    const struct cress_message message = message_of("cress.sleep", "{\"ms\": 3600000}");
    arrive(&message);
    answer_one();
    hand_back_all();
    expect("start record:queued publish:q ack");
    assert_true(rig.last_was_redelivered);
    assert_string_equal(cress_buf_text(&rig.last_body), "{\"ms\": 3600000}");
}

static void what_cannot_be_published_anew_is_returned(void **state)
{
    (void)state;
    rig.delivery_count = CRESS_DELIVERY_LIMIT / 2;
    const struct cress_message message = message_of("cress.sleep", "{\"ms\": 3600000}");
    arrive(&message);
    answer_one();
    rig.failing = 2; /* also the record, which does not matter */
    hand_back_all();
    expect("start record:queued publish:q requeue");
}

/* With a header of a foreign publisher. */
static void deliver_foreign(const char *task, const char *body)
{
    static const struct cress_header header = {.name = "mine", .text = "x"};
    struct cress_message message = message_of(task, body);
    message.headers = &header;
    message.header_count = 1;
    arrive(&message);
    answer_one(); /* the start */
}

static void next_attempt_that_is_too_large_is_cut(void **state)
{
    (void)state;
    rig.failure = CRESS_TOO_LARGE;
    deliver_foreign("cress.fail", "{}");
    assert_true(rig.last_has_foreign);
    rig.failing = 1;
    settle_down();
    assert_false(rig.last_has_foreign);
    expect("start publish:delay>q#2 publish:delay>q#2 record:retrying ack");
}

static void next_attempt_that_is_refused_for_good_fails(void **state)
{
    (void)state;
    rig.failure = CRESS_TOO_LARGE;
    deliver_foreign("cress.fail", "{}");
    rig.failing = 2;
    settle_down();
    expect("start publish:delay>q#2 publish:delay>q#2 publish:q.dead record:failed ack");
}

static void dead_letter_that_is_refused_for_good_is_the_original(void **state)
{
    (void)state;
    rig.failure = CRESS_TOO_LARGE;
    deliver_foreign("cress.fail", "{\"permanent\": true}");
    rig.failing = 2;
    settle_down();
    expect("start publish:q.dead publish:q.dead record:failed dead");
}

static void delayed_job_that_is_refused_for_good_fails(void **state)
{
    (void)state;
    const struct cress_header header = {.name = "not_before_ms",
                                        .kind = CRESS_HEADER_INT,
                                        .number = cress_clock_wall_ms() + 3600000};
    struct cress_message message = message_of("cress.noop", "{}");
    message.headers = &header;
    message.header_count = 1;
    rig.failure = CRESS_TOO_LARGE;
    rig.failing = 2;
    deliver(&message);
    expect("publish:delay>q publish:delay>q publish:q.dead record:failed ack");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(what_was_returned_often_is_published_anew),
        RIG_TEST(what_cannot_be_published_anew_is_returned),
        RIG_TEST(next_attempt_that_is_too_large_is_cut),
        RIG_TEST(next_attempt_that_is_refused_for_good_fails),
        RIG_TEST(dead_letter_that_is_refused_for_good_is_the_original),
        RIG_TEST(delayed_job_that_is_refused_for_good_fails),
    };
    return cmocka_run_group_tests_name("pass_on", tests, NULL, NULL);
}
