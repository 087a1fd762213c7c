// SPDX-License-Identifier: Apache-2.0
// The store against a real Redis: starts: every verdict, crashes, guards, and jobs without a record.
#include "tests/integration/store/stand.h"

#include "common/store/limits.h"

/* --- verdicts --- */

static void test_start_verdicts(void **state)
{
    (void)state;
    create("j");
    assert_int_equal(start_as("j", "w1", 1, false, 100), CRESS_VERDICT_APPLIED);
    assert_int_equal(start_as("j", "w1", 1, false, 100),
                     CRESS_VERDICT_APPLIED); /* the answer was lost */
    assert_int_equal(get("j")->version, 2);
    assert_int_equal(start_as("j", "w1", 1, false, 101),
                     CRESS_VERDICT_STALE); /* a copy, same worker */
    assert_int_equal(start_as("j", "w2", 1, false, 100), CRESS_VERDICT_STALE); /* a copy, another */
    assert_int_equal(start_as("j", "w2", 2, false, 102), CRESS_VERDICT_APPLIED);
    assert_int_equal(start_as("j", "w1", 1, true, 103),
                     CRESS_VERDICT_STALE); /* of an earlier attempt */
    assert_int_equal(change("j", CRESS_STATE_RETRYING, 1), CRESS_VERDICT_STALE);
    assert_int_equal(get("j")->state, CRESS_STATE_RUNNING);
    speaker = "w2";
    assert_int_equal(change("j", CRESS_STATE_SUCCEEDED, 2), CRESS_VERDICT_APPLIED);
    assert_int_equal(start("j", 2), CRESS_VERDICT_TERMINAL);
    assert_int_equal(start_as("j", "w2", 3, true, 104), CRESS_VERDICT_TERMINAL);
    assert_int_equal(change("nobody", CRESS_STATE_FAILED, 1), CRESS_VERDICT_MISSING);
}

static void test_start_without_record(void **state)
{
    (void)state;
    assert_int_equal(start_as("new", "w", 3, false, 100), CRESS_VERDICT_APPLIED);
    const struct cress_record *record = get("new");
    assert_int_equal(record->state, CRESS_STATE_RUNNING);
    assert_int_equal(record->attempt, 3);
    assert_int_equal(record->version, 1);
    assert_int_equal(record->started_ms, 100);
    assert_string_equal(record->worker, "w");
    assert_string_equal(record->payload, "{\"a\":1}");
    assert_int_equal(start_as("new", "w", 3, false, 101), CRESS_VERDICT_STALE);
}

static void test_poison_and_hand_back(void **state)
{
    (void)state;
    create("j");
    assert_int_equal(start("j", 1), CRESS_VERDICT_APPLIED);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(change("j", CRESS_STATE_QUEUED, 1), CRESS_VERDICT_APPLIED);
        assert_int_equal(start_as("j", "w", 1, true, 200 + i), CRESS_VERDICT_APPLIED);
    }
    assert_int_equal(start_as("j", "w", 1, true, 300), CRESS_VERDICT_APPLIED); /* crash 1 */
    assert_int_equal(start_as("j", "w", 1, true, 300),
                     CRESS_VERDICT_APPLIED); /* the same call again */
    assert_int_equal(start_as("j", "w", 1, true, 301), CRESS_VERDICT_SUSPECT); /* crash 2 */
    assert_int_equal(start_as("j", "w", 1, true, 301), CRESS_VERDICT_SUSPECT);
    assert_int_equal(change("j", CRESS_STATE_QUEUED, 1), CRESS_VERDICT_APPLIED);
    assert_int_equal(start_as("j", "w", 1, true, 301), CRESS_VERDICT_SUSPECT);
    assert_int_equal(start_as("j", "w", 1, true, 302), CRESS_VERDICT_POISON);
    assert_int_equal(start_as("j", "w", 1, true, 303), CRESS_VERDICT_POISON);
    assert_int_equal(change("j", CRESS_STATE_FAILED, 1), CRESS_VERDICT_APPLIED);
}

static enum cress_verdict redeliver(const char *id, int64_t now_ms)
{
    const struct cress_job job = make_job(id);
    const struct cress_start start = {.job = &job,
                                      .worker = "w",
                                      .redelivered = true,
                                      .patience_ms = 500,
                                      .max_crashes = 2,
                                      .now_ms = now_ms};
    expect_call();
    cress_store_start(store, &start, started_cb, NULL);
    wait_for_success();
    return last.verdict;
}

/* What has run for long is not begun again while its worker lives: it may have lost the broker. */
static void test_redelivered_while_its_worker_lives(void **state)
{
    (void)state;
    create("long");
    create("short");
    assert_int_equal(start_as("long", "alive", 1, false, 1000), CRESS_VERDICT_APPLIED);
    assert_int_equal(start_as("short", "alive", 1, false, 1400), CRESS_VERDICT_APPLIED);
    expect_call();
    report_worker("alive", "{}", 60000);
    wait_for_success();
    assert_int_equal(redeliver("long", 1600), CRESS_VERDICT_LEASED);
    assert_int_equal(redeliver("short", 1600), CRESS_VERDICT_APPLIED);
    expect_call();
    cress_store_leave(store, "alive", done_cb, NULL);
    wait_for_success();
    assert_int_equal(redeliver("long", 1601), CRESS_VERDICT_APPLIED);
}

static int64_t guard_ms = 7000; /* when guards come */

static enum cress_verdict start_guard(const char *worker, const char *lease, bool redelivered)
{
    struct cress_job job = make_job("j");
    const struct cress_start start = {.job = &job,
                                      .worker = worker,
                                      .redelivered = redelivered,
                                      .lease = lease,
                                      .max_crashes = 9,
                                      .now_ms = guard_ms};
    expect_call();
    cress_store_start(store, &start, started_cb, NULL);
    wait_for_success();
    return last.verdict;
}

static void beat(const char *worker)
{
    expect_call();
    report_worker(worker, "{}", 60000);
    wait_for_success();
}

/* A guard names the worker that runs the job without a message; see worker/lease.h. */
static void test_guards(void **state)
{
    (void)state;
    create("j");
    beat("a:1");
    assert_int_equal(start_as("j", "a:1", 1, false, 5000), CRESS_VERDICT_APPLIED);
    assert_int_equal(start_guard("b:2", "a:1", false), CRESS_VERDICT_LEASED);
    assert_int_equal(start_guard("b:2", "a:1", true), CRESS_VERDICT_LEASED);
    assert_int_equal(start_guard("b:2", "c:3", false), CRESS_VERDICT_STALE);

    expect_call();
    cress_store_leave(store, "a:1", done_cb, NULL);
    wait_for_success();
    assert_int_equal(start_guard("b:2", "a:1", false), CRESS_VERDICT_APPLIED);
    assert_int_equal(start_guard("b:2", "a:1", false), CRESS_VERDICT_APPLIED); /* repeated */
    assert_string_equal(get("j")->attempts, "0\n1 a:1 5000 7000 crashed \n");

    /* b:2 runs it now: a second guard of a:1 is one too many, but the one that it took comes back
     * when it dies */
    assert_int_equal(start_guard("c:3", "a:1", false), CRESS_VERDICT_STALE);
    assert_int_equal(start_guard("c:3", "a:1", true), CRESS_VERDICT_SUSPECT); /* and runs */
}

/* It runs at b:2, which began it from the guard of a:1 and has lost the broker: the guard comes to
 * another. */
static void test_a_guard_comes_again_while_its_worker_lives(void **state)
{
    (void)state;
    create("j");
    assert_int_equal(start_as("j", "a:1", 1, false, 5000), CRESS_VERDICT_APPLIED);
    assert_int_equal(start_guard("b:2", "a:1", false), CRESS_VERDICT_APPLIED);
    beat("b:2");
    guard_ms = 9000;
    assert_int_equal(start_guard("c:3", "a:1", true), CRESS_VERDICT_LEASED);
    expect_call();
    cress_store_leave(store, "b:2", done_cb, NULL);
    wait_for_success();
    assert_int_equal(start_guard("c:3", "a:1", true), CRESS_VERDICT_SUSPECT);
    guard_ms = 7000;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAND_TEST(test_start_verdicts),
        STAND_TEST(test_start_without_record),
        STAND_TEST(test_poison_and_hand_back),
        STAND_TEST(test_redelivered_while_its_worker_lives),
        STAND_TEST(test_guards),
        STAND_TEST(test_a_guard_comes_again_while_its_worker_lives),
    };
    return cmocka_run_group_tests_name("starts", tests, set_up_group, tear_down_group);
}
