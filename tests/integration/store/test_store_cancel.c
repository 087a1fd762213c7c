// SPDX-License-Identifier: Apache-2.0
// The store against a real Redis: cancelling what waits, what runs and what has ended.
#include "tests/integration/store/stand.h"

static void test_cancel_what_waits(void **state)
{
    static const enum cress_state waiting[] = {CRESS_STATE_SCHEDULED, CRESS_STATE_QUEUED,
                                               CRESS_STATE_RETRYING};

    (void)state;
    for (size_t i = 0; i < CRESS_COUNT(waiting); i++) {
        const char *id = cress_state_word(waiting[i]);
        bring_to(id, waiting[i]);
        assert_int_equal(cancel(id), CRESS_VERDICT_APPLIED);
        assert_int_equal(last.state, CRESS_STATE_CANCELLED);
        assert_int_equal(get(id)->state, CRESS_STATE_CANCELLED);
        assert_string_equal(last.record->error, "{\"code\":\"cancelled\"}");
        assert_int_equal(last.record->finished_ms, 7000);
        assert_string_equal(last.record->payload, "{\"a\":1}");
        assert_int_equal(cancel(id), CRESS_VERDICT_TERMINAL);
        assert_int_equal(last.state, CRESS_STATE_CANCELLED);
    }
    assert_int_equal(cancel("nobody"), CRESS_VERDICT_MISSING);
}

static void test_cancel_what_has_ended(void **state)
{
    static const enum cress_state ends[] = {CRESS_STATE_SUCCEEDED, CRESS_STATE_FAILED,
                                            CRESS_STATE_EXPIRED};

    (void)state;
    for (size_t i = 0; i < CRESS_COUNT(ends); i++) {
        const char *id = cress_state_word(ends[i]);
        bring_to(id, ends[i]);
        assert_int_equal(cancel(id), CRESS_VERDICT_TERMINAL);
        assert_int_equal(last.state, ends[i]);
        assert_int_equal(get(id)->state, ends[i]);
        assert_int_equal(note_ttl(id), -2);
    }
}

/* The worker of all that runs here lives. */
static void let_worker_live(void)
{
    expect_call();
    report_worker("w", "{}", 60000);
    wait_for_success();
}

/* Nobody else can end it, and its message comes when it may. */
static void test_cancel_what_runs_nowhere(void **state)
{
    (void)state;
    command("HSET", "cress:reports", "since_ms", "1"); /* those who live report */
    command("HSET", "cress:reports", "ttl_ms", "1000");
    bring_to("j", CRESS_STATE_RUNNING);
    assert_int_equal(cancel("j"), CRESS_VERDICT_APPLIED);
    assert_int_equal(last.state, CRESS_STATE_CANCELLED);
    assert_true(note_ttl("j") > 0);
    assert_int_equal(change("j", CRESS_STATE_SUCCEEDED, 1), CRESS_VERDICT_CANCELLED);
    assert_string_equal(get("j")->error, "{\"code\":\"cancelled\"}");
}

/* A store that was flushed, or was away, has no report of those who live, either. */
static void test_cancel_after_a_loss(void **state)
{
    (void)state;
    bring_to("j", CRESS_STATE_RUNNING);
    assert_int_equal(cancel("j"), CRESS_VERDICT_APPLIED);
    assert_int_equal(last.state, CRESS_STATE_RUNNING);
    expect_call();
    report_worker("another", "{}", 60000); /* w has a beat of its own */
    wait_for_success();
    assert_int_equal(cancel("j"), CRESS_VERDICT_APPLIED);
    assert_int_equal(last.state, CRESS_STATE_RUNNING);

    command("HSET", "cress:reports", "since_ms", "1");
    command("HSET", "cress:reports", "last_ms", "1000"); /* long before the next one */
    expect_call();
    report_worker("another", "{}", 60000);
    wait_for_success();
    assert_int_equal(cancel("j"), CRESS_VERDICT_APPLIED);
    assert_int_equal(last.state, CRESS_STATE_RUNNING);

    command("HSET", "cress:reports", "since_ms", "1");
    expect_call();
    report_worker("another", "{}", 60000); /* without a gap */
    wait_for_success();
    assert_int_equal(cancel("j"), CRESS_VERDICT_APPLIED);
    assert_int_equal(last.state, CRESS_STATE_CANCELLED);
}

static void test_cancel_what_runs(void **state)
{
    (void)state;
    let_worker_live();
    bring_to("j", CRESS_STATE_RUNNING);
    assert_int_equal(cancel("j"), CRESS_VERDICT_APPLIED);
    assert_int_equal(last.state, CRESS_STATE_RUNNING);
    assert_int_equal(get("j")->state, CRESS_STATE_RUNNING);
    assert_int_equal(cancel("j"), CRESS_VERDICT_APPLIED);
    assert_int_equal(change("j", CRESS_STATE_CANCELLED, 1), CRESS_VERDICT_APPLIED);
    assert_string_equal(get("j")->error, "{\"code\":\"cancelled\"}");
    assert_int_equal(note_ttl("j"), -2); /* its message is in the hands of who said so */

    bring_to("done", CRESS_STATE_RUNNING);
    assert_int_equal(cancel("done"), CRESS_VERDICT_APPLIED);
    assert_int_equal(change("done", CRESS_STATE_SUCCEEDED, 1), CRESS_VERDICT_APPLIED);
    assert_int_equal(get("done")->state, CRESS_STATE_SUCCEEDED);
}

/* Asked to stop, but the attempt ended for another reason, or its worker died: no other one. */
static void test_cancelled_is_not_tried_again(void **state)
{
    static const enum cress_state again[] = {CRESS_STATE_RETRYING, CRESS_STATE_QUEUED};

    (void)state;
    let_worker_live();
    for (size_t i = 0; i < CRESS_COUNT(again); i++) {
        const char *id = cress_state_word(again[i]);
        bring_to(id, CRESS_STATE_RUNNING);
        assert_int_equal(cancel(id), CRESS_VERDICT_APPLIED);
        assert_int_equal(change(id, again[i], 1), CRESS_VERDICT_CANCELLED);
        assert_int_equal(get(id)->state, CRESS_STATE_CANCELLED);
        assert_string_equal(last.record->error, "{\"code\":\"cancelled\"}");
        assert_true(note_ttl(id) > 0);
        const int next = again[i] == CRESS_STATE_RETRYING ? 2 : 1;
        assert_int_equal(start(id, next), CRESS_VERDICT_CANCELLED);
        assert_int_equal(change(id, CRESS_STATE_CANCELLED, next), CRESS_VERDICT_CANCELLED);
        assert_int_equal(note_ttl(id), -2);
    }
    bring_to("crashed", CRESS_STATE_RUNNING);
    assert_int_equal(cancel("crashed"), CRESS_VERDICT_APPLIED);
    assert_int_equal(start("crashed", 1), CRESS_VERDICT_STALE); /* a copy: its worker lives */
    assert_int_equal(start_as("crashed", "w2", 1, true, 9), CRESS_VERDICT_CANCELLED);
    assert_int_equal(change("crashed", CRESS_STATE_CANCELLED, 1), CRESS_VERDICT_APPLIED);
    assert_int_equal(get("crashed")->state, CRESS_STATE_CANCELLED);
}

/* The message of a cancelled job may come when its record is long gone. */
static void test_cancelled_outlives_its_record(void **state)
{
    struct cress_job job = make_job("later");

    (void)state;
    job.not_before_ms = 7000 + 1000000;
    expect_call();
    cress_store_create(store, &job, CRESS_STATE_SCHEDULED, created_cb, NULL);
    wait_for_success();
    assert_int_equal(cancel("later"), CRESS_VERDICT_APPLIED);
    assert_in_range(note_ttl("later"), 1500000, 1600000); /* when it is due, and ten minutes */
    assert_int_equal(command("DEL", "cress:job:later", NULL, NULL), 1);
    expect_call(); /* a worker without its task makes no record that would hide the note */
    cress_store_adopt(store, &job, done_cb, NULL);
    wait_for_success();
    assert_null(get("later"));
    assert_int_equal(start("later", 1), CRESS_VERDICT_CANCELLED);
    assert_int_equal(change("later", CRESS_STATE_EXPIRED, 1), CRESS_VERDICT_CANCELLED);
    assert_null(get("later"));
    assert_int_equal(note_ttl("later"), -2);
    assert_int_equal(start("later", 1), CRESS_VERDICT_APPLIED); /* the id may be used again */
}

/* The first attempt's message comes once more, but the one that waits is the second's. */
static void test_cancelled_note_waits_for_its_message(void **state)
{
    (void)state;
    bring_to("j", CRESS_STATE_RETRYING);
    assert_int_equal(cancel("j"), CRESS_VERDICT_APPLIED);
    assert_int_equal(start_as("j", "w", 1, true, 100), CRESS_VERDICT_CANCELLED);
    assert_int_equal(change("j", CRESS_STATE_CANCELLED, 1), CRESS_VERDICT_CANCELLED);
    assert_true(note_ttl("j") > 0);
    assert_int_equal(change("j", CRESS_STATE_CANCELLED, 2), CRESS_VERDICT_CANCELLED);
    assert_int_equal(note_ttl("j"), -2);
}

static void test_cancel_in_a_batch(void **state)
{
    (void)state;
    batch_open("c");
    create_in("c-1", CRESS_STATE_QUEUED, "c");
    create_in("c-2", CRESS_STATE_QUEUED, "c");
    batch_close("c");
    assert_int_equal(cancel("c-1"), CRESS_VERDICT_APPLIED);
    assert_false(last.follow);
    assert_int_equal(cancel("c-2"), CRESS_VERDICT_APPLIED);
    assert_true(last.follow);
    /* until what follows is done, whoever comes by hears of it */
    assert_int_equal(cancel("c-2"), CRESS_VERDICT_TERMINAL);
    assert_true(last.follow);
    assert_int_equal(change("c-2", CRESS_STATE_CANCELLED, 1), CRESS_VERDICT_CANCELLED);
    assert_true(last.follow);
    assert_int_equal(batch_get("c")->cancelled, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAND_TEST(test_cancel_what_waits),
        STAND_TEST(test_cancel_what_has_ended),
        STAND_TEST(test_cancel_what_runs),
        STAND_TEST(test_cancel_after_a_loss),
        STAND_TEST(test_cancel_what_runs_nowhere),
        STAND_TEST(test_cancelled_is_not_tried_again),
        STAND_TEST(test_cancelled_outlives_its_record),
        STAND_TEST(test_cancelled_note_waits_for_its_message),
        STAND_TEST(test_cancel_in_a_batch),
    };
    return cmocka_run_group_tests_name("store_cancel", tests, set_up_group, tear_down_group);
}
