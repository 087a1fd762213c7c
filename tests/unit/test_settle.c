// SPDX-License-Identifier: Apache-2.0
// Tests of worker/settle.h. The order of effects of an outcome, until its delivery is settled.
#include "tests/unit/attempt_rig.h"

static void success(void **state)
{
    (void)state;
    const struct cress_message message = message_of("cress.echo", "[1]");
    deliver(&message);
    expect("start record:succeeded ack");
    assert_int_equal(rig.worker.processed, 1);
}

static void success_with_reply(void **state)
{
    (void)state;
    struct cress_message message = message_of("cress.echo", "[1]");
    message.reply_to = "callers";
    deliver(&message);
    expect("start record:succeeded publish:callers ack");
    assert_string_equal(cress_buf_text(&rig.last_body), "[1]");
}

static void retry(void **state)
{
    (void)state;
    const struct cress_message message = message_of("cress.fail", "{}");
    deliver(&message);
    expect("start publish:delay>q#2 record:retrying ack");
}

static void failure_for_good(void **state)
{
    (void)state;
    const struct cress_message message = message_of("cress.fail", "{\"permanent\": true}");
    deliver(&message);
    expect("start publish:q.dead record:failed ack");
    assert_string_equal(rig.last_error_code, "asked_to_fail");
    assert_int_equal(rig.worker.failed, 1);
}

static void attempts_used_up(void **state)
{
    (void)state;
    struct cress_message message = message_of("cress.fail", "{}");
    const struct cress_header headers[] = {
        {.name = "attempt", .kind = CRESS_HEADER_INT, .number = 3},
        {.name = "max_attempts", .kind = CRESS_HEADER_INT, .number = 3},
    };
    message.headers = headers;
    message.header_count = 2;
    deliver(&message);
    assert_non_null(strstr(cress_buf_text(&rig.trace), "q.dead#2 record:failed ack"));
}

static void more_attempts_than_allowed(void **state)
{
    (void)state;
    struct cress_message message = message_of("cress.noop", "{}");
    const struct cress_header headers[] = {
        {.name = "attempt", .kind = CRESS_HEADER_INT, .number = 4},
    };
    message.headers = headers;
    message.header_count = 1;
    deliver(&message);
    assert_string_equal(rig.last_error_code, "attempts_exhausted");
}

static void what_cannot_run_is_buried_with_its_reason(void **state)
{
    (void)state;
    static const struct {
        const char *task, *body, *code;
    } table[] = {
        {"cress.sleep", "[]", "invalid_payload"},
        {"cress.echo",
         "\"12345678901234567890123456789012345678901234567890"
         "12345678901234567890123456789012345678901234567890\"",
         "result_too_large"},
    };
    for (size_t i = 0; i < CRESS_COUNT(table); i++) {
        cress_buf_clear(&rig.trace);
        const struct cress_message message = message_of(table[i].task, table[i].body);
        deliver(&message);
        expect("start publish:q.dead record:failed ack");
        assert_string_equal(rig.last_error_code, table[i].code);
        assert_string_equal(cress_buf_text(&rig.last_body), table[i].body);
    }
}

static void expect_refused(const struct cress_message *message, const char *code)
{
    cress_buf_clear(&rig.trace);
    rig.change_verdict = CRESS_VERDICT_MISSING;
    deliver(message);
    expect("publish:q.dead record:failed adopt:x record:failed ack");
    assert_string_equal(rig.last_error_code, code);
}

/* Nothing is stored before the body has been measured and read, and the record that tells of it is
 * made without the body. */
static void a_body_that_cannot_be_stored(void **state)
{
    (void)state;
    static const char *const bodies[] = {"{", "1,\"state\":\"succeeded\",\"done\":true,\"z\":2",
                                         "\"\xC3(\"", "01", "[1] 2"};
    char large[1001];
    for (size_t i = 0; i < CRESS_COUNT(bodies); i++) {
        const struct cress_message message = message_of("cress.noop", bodies[i]);
        expect_refused(&message, "payload_not_json");
        assert_string_equal(cress_buf_text(&rig.last_body), bodies[i]);
    }
    struct cress_message message = message_of("cress.noop", "[1");
    message.body = "[1\0]";
    message.body_size = 4;
    expect_refused(&message, "payload_not_json");
    memset(large, ' ', sizeof large);
    large[0] = '1';
    message.body = large;
    message.body_size = sizeof large;
    expect_refused(&message, "payload_too_large");
}

static void a_refused_body_is_told_to_the_caller(void **state)
{
    (void)state;
    struct cress_message message = message_of("cress.noop", "{");
    message.reply_to = "callers";
    deliver(&message);
    expect("publish:q.dead record:failed publish:callers ack");
    assert_non_null(strstr(cress_buf_text(&rig.last_body), "\"code\":\"payload_not_json\""));
}

static void no_job_at_all_is_told_to_the_caller(void **state)
{
    (void)state;
    struct cress_message message = message_of(NULL, "{}");
    message.message_id = NULL;
    message.reply_to = "callers";
    deliver(&message);
    expect("publish:q.dead publish:callers ack");
    assert_non_null(strstr(cress_buf_text(&rig.last_body), "\"message\":\"no task"));
}

static void no_job_at_all(void **state)
{
    (void)state;
    struct cress_message message = message_of(NULL, "{}");
    message.message_id = NULL;
    deliver(&message);
    expect("publish:q.dead ack");
    assert_true(rig.last_error_code[0]);
}

static void poison(void **state)
{
    (void)state;
    rig.start_verdict = CRESS_VERDICT_POISON;
    const struct cress_message message = message_of("cress.noop", "{}");
    deliver(&message);
    expect("start publish:q.dead record:failed ack");
    assert_string_equal(rig.last_error_code, "poison");
}

static void ended_before(void **state)
{
    (void)state;
    rig.start_verdict = CRESS_VERDICT_TERMINAL;
    const struct cress_message message = message_of("cress.noop", "{}");
    deliver(&message);
    expect("start ack");
}

static void stale_copy(void **state)
{
    (void)state;
    rig.start_verdict = CRESS_VERDICT_STALE;
    const struct cress_message message = message_of("cress.noop", "{}");
    deliver(&message);
    expect("start ack");
}

static struct cress_message expired_message(void)
{
    static const struct cress_header header = {
        .name = "expires_ms", .kind = CRESS_HEADER_INT, .number = 1000};
    struct cress_message message = message_of("cress.noop", "{}");
    message.headers = &header;
    message.header_count = 1;
    return message;
}

static void expired(void **state)
{
    (void)state;
    const struct cress_message message = expired_message();
    deliver(&message);
    expect("record:expired ack");
}

static void expired_is_told_to_the_caller(void **state)
{
    (void)state;
    struct cress_message message = expired_message();
    message.reply_to = "callers";
    deliver(&message);
    expect("record:expired publish:callers ack");
    assert_non_null(strstr(cress_buf_text(&rig.last_body), "\"expired\""));
}

static void expired_without_a_record_gets_one(void **state)
{
    (void)state;
    const struct cress_message message = expired_message();
    rig.change_verdict = CRESS_VERDICT_MISSING;
    deliver(&message);
    expect("record:expired adopt:x record:expired ack");
}

static void expired_after_it_had_begun_runs_on(void **state)
{
    (void)state;
    const struct cress_message message = expired_message();
    rig.change_verdict = CRESS_VERDICT_STALE;
    deliver(&message);
    expect("record:expired start record:succeeded start record:succeeded ack");
}

static void store_away_is_waited_for(void **state)
{
    (void)state;
    rig.failing = 2;
    const struct cress_message message = message_of("cress.noop", "{}");
    deliver(&message);
    expect("start start start record:succeeded ack");
}

static void dead_letter_is_confirmed_before_the_record_fails(void **state)
{
    (void)state;
    const struct cress_message message = message_of("cress.fail", "{\"permanent\": true}");
    arrive(&message);
    answer_one();
    rig.failing = 1; /* the publish */
    settle_down();
    expect("start publish:q.dead publish:q.dead record:failed ack");
}

static void lost_record_is_made_again(void **state)
{
    (void)state;
    rig.change_verdict = CRESS_VERDICT_MISSING;
    const struct cress_message message = message_of("cress.noop", "{}");
    arrive(&message);
    for (int i = 0; i < 2; i++) { /* start, and the change that finds nothing */
        answer_one();
    }
    rig.change_verdict = CRESS_VERDICT_APPLIED;
    settle_down();
    expect("start record:succeeded start record:succeeded ack");
}

static void something_follows(void **state)
{
    (void)state;
    const struct cress_message message = message_of("cress.noop", "{}");
    rig.follow = true;
    deliver(&message);
    expect("start record:succeeded follow_up:x ack");
}

static void something_follows_that_nobody_did(void **state)
{
    (void)state;
    const struct cress_message message = message_of("cress.noop", "{}");
    rig.follow = true;
    rig.start_verdict = CRESS_VERDICT_TERMINAL;
    deliver(&message);
    expect("start follow_up:x ack");
}

static void it_waited_for_others(void **state)
{
    (void)state;
    struct cress_message message = message_of("cress.noop", "{}");
    const struct cress_header header = {.name = "after", .kind = CRESS_HEADER_TEXT, .text = "a,b"};
    message.headers = &header;
    message.header_count = 1;
    deliver(&message);
    expect("start outcomes:a+1 record:succeeded ack");
}

static void cancelled_before_it_ran(void **state)
{
    (void)state;
    struct cress_message message = message_of("cress.noop", "{}");
    message.reply_to = "answers";
    rig.start_verdict = rig.change_verdict = CRESS_VERDICT_CANCELLED;
    deliver(&message);
    expect("start record:cancelled publish:answers ack");
    assert_non_null(strstr(cress_buf_text(&rig.last_body), "\"code\":\"cancelled\""));
}

static void cancelled_when_it_would_be_tried_again(void **state)
{
    (void)state;
    struct cress_message message = message_of("cress.fail", "{}");
    message.reply_to = "answers";
    rig.change_verdict = CRESS_VERDICT_CANCELLED;
    deliver(&message);
    expect("start publish:delay>q#2 record:retrying publish:answers ack");
}

static void timeout_is_retried(void **state)
{
    (void)state;
    rig.config.job_timeout_ms = 20;
    rig.config.job_backoff_base_ms = rig.config.job_backoff_cap_ms = 1;
    const struct cress_message message = message_of("cress.sleep", "{\"ms\": 3600000}");
    deliver(&message);
    expect("start publish:q#2 record:retrying ack");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(success),
        RIG_TEST(success_with_reply),
        RIG_TEST(retry),
        RIG_TEST(failure_for_good),
        RIG_TEST(attempts_used_up),
        RIG_TEST(more_attempts_than_allowed),
        RIG_TEST(what_cannot_run_is_buried_with_its_reason),
        RIG_TEST(a_body_that_cannot_be_stored),
        RIG_TEST(a_refused_body_is_told_to_the_caller),
        RIG_TEST(no_job_at_all_is_told_to_the_caller),
        RIG_TEST(no_job_at_all),
        RIG_TEST(poison),
        RIG_TEST(ended_before),
        RIG_TEST(stale_copy),
        RIG_TEST(expired),
        RIG_TEST(expired_is_told_to_the_caller),
        RIG_TEST(expired_without_a_record_gets_one),
        RIG_TEST(expired_after_it_had_begun_runs_on),
        RIG_TEST(store_away_is_waited_for),
        RIG_TEST(dead_letter_is_confirmed_before_the_record_fails),
        RIG_TEST(lost_record_is_made_again),
        RIG_TEST(something_follows),
        RIG_TEST(something_follows_that_nobody_did),
        RIG_TEST(it_waited_for_others),
        RIG_TEST(cancelled_before_it_ran),
        RIG_TEST(cancelled_when_it_would_be_tried_again),
        RIG_TEST(timeout_is_retried),
    };
    return cmocka_run_group_tests_name("settle", tests, NULL, NULL);
}
