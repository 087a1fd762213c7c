// SPDX-License-Identifier: Apache-2.0
// The store against a real Redis: limits: places, rates, and the lines of those that wait.
#include "tests/integration/store/stand.h"

#include "common/store/limits.h"

static enum cress_verdict start_job_limited(const struct cress_job *job, const char *limits,
                                            int64_t now_ms)
{
    const struct cress_start begin = {
        .job = job, .worker = "w", .max_crashes = 2, .limits = limits, .now_ms = now_ms};

    expect_call();
    cress_store_start(store, &begin, started_cb, NULL);
    wait_for_success();
    return last.verdict;
}

static enum cress_verdict start_limited(const char *id, const char *limits, int64_t now_ms)
{
    struct cress_job job = make_job(id);

    return start_job_limited(&job, limits, now_ms);
}

/* Whatever it waited for has been forgotten together with its record: its message says that it may
 * run. */
static void test_start_of_a_limited_job_without_record(void **state)
{
    (void)state;
    struct cress_job job = make_job("a");

    job.after = "long-gone";
    assert_int_equal(start_job_limited(&job, "0 0 1 0 0 0 60000 cress.echo ", 1),
                     CRESS_VERDICT_APPLIED);
    assert_int_equal(get("a")->state, CRESS_STATE_RUNNING);
}

/* It ran under a limit, so the record has its start by another clock than its worker, which tells it
 * once more after the job was sent again by hand. */
static void test_what_was_told_does_not_undo_a_requeue(void **state)
{
    (void)state;
    const int64_t ahead_ms = cress_clock_wall_ms() + 60000;
    const struct cress_job job = make_job("a");
    create("a");
    speaker = "w";
    assert_int_equal(start_limited("a", "0 0 1 0 0 0 60000 cress.echo ", ahead_ms),
                     CRESS_VERDICT_APPLIED);
    assert_int_equal(change("a", CRESS_STATE_FAILED, 1), CRESS_VERDICT_APPLIED);
    requeue("a");
    const struct cress_start told = {
        .job = &job, .worker = "w", .max_crashes = 2, .now_ms = ahead_ms, .is_recalled = true};
    expect_call();
    cress_store_start(store, &told, started_cb, NULL);
    wait_for_success();
    assert_int_equal(last.verdict, CRESS_VERDICT_STALE);
    assert_int_equal(get("a")->state, CRESS_STATE_QUEUED);
}

/* The first turn that was told; further ones are called up ahead. */
static char turn[CRESS_KEY_MAX];

static void turn_cb(const char *id, bool at_hand, void *arg)
{
    (void)arg;
    if (turn[0] == '\0') {
        snprintf(turn, sizeof turn, "%s %s", at_hand ? "start" : "call", id);
    }
}

/* A place that is left goes to the first of the line, in the order of coming. */
static void test_limited_concurrency(void **state)
{
    static const char one[] = "0 0 1 0 0 0 60000 cress.echo ";

    (void)state;
    cress_store_on_turn(store, turn_cb, NULL);
    create("a");
    assert_int_equal(start_limited("a", one, 1), CRESS_VERDICT_APPLIED);
    assert_int_equal(start_limited("a", one, 1), CRESS_VERDICT_APPLIED); /* the answer was lost */
    assert_int_equal(command("ZCARD", "cress:limit:cress.echo:running", NULL, NULL), 1);
    assert_int_equal(start_limited("b", one, 2), CRESS_VERDICT_LIMITED); /* it had no record */
    assert_in_range(last.wait_ms, 10000, 300000); /* its guard is far ahead */
    assert_int_equal(get("b")->state, CRESS_STATE_QUEUED);
    assert_string_equal(get("b")->blocked,
                        "{\"limit\":\"concurrency\",\"task\":\"cress.echo\",\"key\":null}");
    for (int i = 0; i < 20; i++) {
        char id[8];
        snprintf(id, sizeof id, "c%d", i);
        assert_int_equal(start_limited(id, one, 3), CRESS_VERDICT_LIMITED);
    }
    assert_string_equal(turn, "");
    assert_int_equal(change("a", CRESS_STATE_SUCCEEDED, 1), CRESS_VERDICT_APPLIED);
    assert_string_equal(turn, "call b");
    assert_int_equal(start_limited("c0", one, 4), CRESS_VERDICT_APPLIED); /* b has not come yet */
    assert_int_equal(start_limited("b", one, 5), CRESS_VERDICT_NEXT);
    assert_int_equal(start_limited("new", one, 5), CRESS_VERDICT_LIMITED); /* others were before */
    turn[0] = '\0';
    assert_int_equal(change("c0", CRESS_STATE_SUCCEEDED, 1), CRESS_VERDICT_APPLIED);
    assert_string_equal(turn, "start b");
    assert_int_not_equal(start_limited("c1", one, 6), CRESS_VERDICT_APPLIED); /* it is b's place */
    assert_int_equal(start_limited("b", one, 6), CRESS_VERDICT_APPLIED);
    assert_null(get("b")->blocked);
    assert_int_equal(command("ZCARD", "cress:limit:cress.echo:line:", NULL, NULL), 20);
    /* the jobs may never come back, nor their keys */
    assert_true(command("PTTL", "cress:limit:cress.echo:line:", NULL, NULL) > 0);
    assert_true(command("PTTL", "cress:limit:cress.echo:keys", NULL, NULL) > 0);
}

/* Only some of them are looked at: Redis serves nobody else meanwhile. */
static void test_limits_of_many_keys(void **state)
{
    static const char fill[] = "for i = 1, 2000 do "
                               "redis.call('ZADD', 'cress:limit:cress.echo:keys', 9e15 + i, i) "
                               "for j = 1, i > 1000 and 3 or 1 do redis.call('ZADD', "
                               "'cress:limit:cress.echo:line:' .. i, j, j) end "
                               "end return 1";

    (void)state;
    assert_int_equal(start_limited("a", "0 0 1 0 0 0 60000 cress.echo ", 1), CRESS_VERDICT_APPLIED);
    assert_int_equal(command("EVAL", fill, "0", NULL), 1);
    expect_call();
    cress_store_limits(store, NULL, texts_cb, NULL);
    wait_for_success();
    assert_non_null(strstr(last.texts[0], "\"waiting\":2000,\"waiting_keys\":2000"));
}

static void test_limited_rate(void **state)
{
    static const char two[] = "2 3600000 0 0 0 0 60000 cress.echo k";

    (void)state;
    assert_int_equal(start_limited("a", two, 1), CRESS_VERDICT_APPLIED);
    assert_int_equal(change("a", CRESS_STATE_SUCCEEDED, 1), CRESS_VERDICT_APPLIED);
    assert_int_equal(start_limited("b", two, 2), CRESS_VERDICT_APPLIED);
    assert_int_equal(start_limited("c", two, 3), CRESS_VERDICT_LIMITED);
    assert_in_range(last.wait_ms, 1000, 30000); /* an hour to go, but a limit may be raised */
    /* a raised limit counts at once, and what started before counts as well */
    assert_int_equal(start_limited("c", "3 3600000 0 0 0 0 60000 cress.echo k", 4),
                     CRESS_VERDICT_APPLIED);
    assert_int_equal(start_limited("d", "3 3600000 0 0 0 0 60000 cress.echo k", 5),
                     CRESS_VERDICT_LIMITED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAND_TEST(test_what_was_told_does_not_undo_a_requeue),
        STAND_TEST(test_limited_concurrency),
        STAND_TEST(test_limits_of_many_keys),
        STAND_TEST(test_limited_rate),
        STAND_TEST(test_start_of_a_limited_job_without_record),
    };
    return cmocka_run_group_tests_name("store_limits", tests, set_up_group, tear_down_group);
}
