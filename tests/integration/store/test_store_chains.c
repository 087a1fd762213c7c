// SPDX-License-Identifier: Apache-2.0
// The store against a real Redis: jobs that wait for others.
#include "tests/integration/store/stand.h"

static void end_job(const char *id, enum cress_state state)
{
    assert_int_equal(start(id, 1), CRESS_VERDICT_APPLIED);
    assert_int_equal(change(id, state, 1), CRESS_VERDICT_APPLIED);
}

static void test_after_success(void **state)
{
    (void)state;
    create("a");
    create("b");
    assert_int_equal(create_after("w", "a,b", false), CRESS_STATE_WAITING);
    assert_int_equal(get("w")->version, 1);
    assert_string_equal(get("w")->after, "a,b");
    assert_int_equal(get("a")->version, 1); /* nobody who follows it need know */
    assert_int_equal(start("w", 1), CRESS_VERDICT_STALE);
    end_job("a", CRESS_STATE_SUCCEEDED);
    assert_true(last.follow);
    assert_string_equal(follow_up("a", NULL), "");
    assert_int_equal(get("w")->state, CRESS_STATE_WAITING);
    end_job("b", CRESS_STATE_SUCCEEDED);
    assert_true(last.follow);
    assert_int_equal(command("PTTL", "cress:job:b", NULL, NULL), -1);
    assert_string_equal(follow_up("b", NULL), "job w b");
    assert_int_equal(get("w")->state, CRESS_STATE_QUEUED);
    /* whoever was to publish it died: so it is found again */
    assert_int_equal(change("b", CRESS_STATE_SUCCEEDED, 1), CRESS_VERDICT_APPLIED);
    assert_true(last.follow);
    assert_string_equal(follow_up("b", NULL), "job w b");
    assert_string_equal(follow_up("b", (char[]){"job w b"}), "");
    assert_int_equal(change("b", CRESS_STATE_SUCCEEDED, 1), CRESS_VERDICT_APPLIED);
    assert_false(last.follow);
    end_job("w", CRESS_STATE_SUCCEEDED);
    assert_false(last.follow);
    assert_int_equal(command("EXISTS", "cress:pending:w", "cress:after:a", "cress:after:b"), 0);
}

static void test_after_failure(void **state)
{
    (void)state;
    create("a");
    assert_int_equal(create_after("w", "a", false), CRESS_STATE_WAITING);
    assert_int_equal(create_after("v", "w", false), CRESS_STATE_WAITING);
    assert_int_equal(create_after("any", "v", true), CRESS_STATE_WAITING);
    end_job("a", CRESS_STATE_FAILED);
    assert_true(last.follow);
    assert_string_equal(follow_up("a", NULL), "job any v");
    assert_int_equal(get("w")->state, CRESS_STATE_CANCELLED);
    assert_non_null(strstr(get("w")->error, "dependency_failed"));
    assert_non_null(strstr(get("w")->error, "job a, which failed"));
    assert_non_null(strstr(get("v")->error, "job w, which was cancelled"));
    assert_int_equal(get("any")->state, CRESS_STATE_QUEUED);
    assert_int_equal(command("EXISTS", "cress:pending:w", "cress:pending:v", "cress:after:w"), 0);
}

static void test_after_what_has_ended(void **state)
{
    (void)state;
    create("good");
    create("bad");
    end_job("good", CRESS_STATE_SUCCEEDED);
    end_job("bad", CRESS_STATE_FAILED);
    assert_int_equal(create_after("w1", "good", false), CRESS_STATE_QUEUED);
    assert_int_equal(create_after("w2", "good,bad", true), CRESS_STATE_QUEUED);
    assert_int_equal(create_after("w3", "good,bad", false), CRESS_STATE_CANCELLED);
    assert_non_null(strstr(get("w3")->error, "job bad, which failed"));
    assert_true(get("w3")->finished_ms > 0);
    assert_in_range(command("PTTL", "cress:job:w3", NULL, NULL), 50000, 60000);
}

static void test_after_what_does_not_exist(void **state)
{
    struct cress_job job = make_job("w");

    (void)state;
    create("a");
    job.after = "a,nothing";
    expect_call();
    cress_store_create(store, &job, CRESS_STATE_QUEUED, created_cb, NULL);
    wait_for_call();
    assert_int_equal(last.err.status, CRESS_NOT_FOUND);
    assert_string_equal(last.err.code, "unknown_job");
    assert_non_null(strstr(last.err.message, "no job nothing;"));
    assert_null(get("w"));
    assert_int_equal(command("EXISTS", "cress:after:a", NULL, NULL), 0);
}

static long long kept_ms(const char *id)
{
    char key[64];

    snprintf(key, sizeof key, "cress:job:%s", id);
    return command("PTTL", key, NULL, NULL);
}

/* It will be given their results, however long it takes until it runs. */
static void test_kept_while_needed(void **state)
{
    (void)state;
    create("a");
    create("b");
    create_after("w", "a,b", false);
    create_after("v", "b", false);
    end_job("a", CRESS_STATE_SUCCEEDED);
    follow_up("a", NULL);
    end_job("b", CRESS_STATE_SUCCEEDED);
    assert_string_equal(follow_up("b", NULL), "job w b");
    follow_up("b", (char[]){"job w b"});
    assert_string_equal(follow_up("b", (char[]){"job v b"}), "");
    assert_int_equal(change("b", CRESS_STATE_SUCCEEDED, 1), CRESS_VERDICT_APPLIED);
    assert_int_equal(kept_ms("a"), -1);
    assert_int_equal(kept_ms("b"), -1);
    end_job("w", CRESS_STATE_SUCCEEDED);
    assert_in_range(kept_ms("a"), 50000, 60000);
    assert_int_equal(kept_ms("b"), -1);
    assert_int_equal(cancel("v"), CRESS_VERDICT_APPLIED);
    assert_in_range(kept_ms("b"), 50000, 60000);
    assert_int_equal(command("EXISTS", "cress:needed:a", "cress:needed:b", "cress:kept"), 0);
}

/* One that had ended when others came is kept, too; and again when one that failed is retried. */
static void test_kept_for_who_comes_later(void **state)
{
    (void)state;
    create("a");
    end_job("a", CRESS_STATE_SUCCEEDED);
    assert_in_range(kept_ms("a"), 50000, 60000);
    assert_int_equal(create_after("w", "a", false), CRESS_STATE_QUEUED);
    assert_int_equal(kept_ms("a"), -1);
    end_job("w", CRESS_STATE_FAILED);
    assert_in_range(kept_ms("a"), 50000, 60000);
    requeue("w");
    assert_int_equal(kept_ms("a"), -1);
    assert_false(last.follow);
    end_job("w", CRESS_STATE_SUCCEEDED);
    assert_in_range(kept_ms("a"), 50000, 60000);
}

/* A record that needed it was lost: somebody notices. */
static void test_kept_for_nobody(void **state)
{
    (void)state;
    create("a");
    create("w");
    end_job("a", CRESS_STATE_SUCCEEDED);
    create_after("v", "a", false);
    create_after("u", "a", false);
    assert_int_equal(command("DEL", "cress:job:v", NULL, NULL), 1);
    command("ZADD", "cress:kept", "1", "a");
    expect_call();
    report_worker("w", "{}", 60000);
    wait_for_success();
    assert_int_equal(kept_ms("a"), -1);
    assert_int_equal(command("SCARD", "cress:needed:a", NULL, NULL), 1);
    assert_int_equal(command("DEL", "cress:job:u", NULL, NULL), 1);
    expect_call();
    report_worker("w", "{}", 60000);
    wait_for_success();
    assert_in_range(kept_ms("a"), 50000, 60000);
    assert_int_equal(command("EXISTS", "cress:needed:a", "cress:kept", NULL), 0);
}

/* One that waits is cancelled: what waits for it is dealt with by whoever cancels, and if they die,
 * when the job ends that it waited for. */
static void test_cancel_between_others(void **state)
{
    (void)state;
    create("a");
    create_after("w", "a", false);
    create_after("v", "w", false);
    assert_int_equal(cancel("w"), CRESS_VERDICT_APPLIED);
    assert_true(last.follow);
    assert_int_equal(note_ttl("w"), -2); /* it has no message to wait for */
    assert_int_equal(command("EXISTS", "cress:pending:w", NULL, NULL), 0);
    end_job("a", CRESS_STATE_SUCCEEDED);
    assert_true(last.follow);
    assert_string_equal(follow_up("a", NULL), "");
    assert_int_equal(get("v")->state, CRESS_STATE_CANCELLED);
}

/* Its message was refused, but others wait for it by now: its id may be submitted again. */
static void test_discard_what_others_wait_for(void **state)
{
    (void)state;
    create("a");
    create_after("w", "a", false);
    expect_call();
    cress_store_discard(store, "a", done_cb, NULL);
    wait_for_success();
    assert_int_equal(get("a")->state, CRESS_STATE_QUEUED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAND_TEST(test_after_success),
        STAND_TEST(test_after_failure),
        STAND_TEST(test_after_what_has_ended),
        STAND_TEST(test_after_what_does_not_exist),
        STAND_TEST(test_kept_while_needed),
        STAND_TEST(test_kept_for_who_comes_later),
        STAND_TEST(test_kept_for_nobody),
        STAND_TEST(test_cancel_between_others),
        STAND_TEST(test_discard_what_others_wait_for),
    };
    return cmocka_run_group_tests_name("store_chains", tests, set_up_group, tear_down_group);
}
