// SPDX-License-Identifier: Apache-2.0
// The store against a real Redis: unique keys and idempotency keys.
#include "tests/integration/store/stand.h"

static void create_unique(const char *id, const char *unique, int64_t for_ms)
{
    struct cress_job job = make_job(id);

    job.unique = unique;
    job.unique_for_ms = for_ms;
    job.created_ms = cress_clock_wall_ms();
    create_job(&job, CRESS_STATE_QUEUED);
    assert_int_equal(last.err.status, CRESS_OK);
}

static void expect_holder(const char *id)
{
    if (!id) {
        assert_null(last.record);
        return;
    }
    assert_non_null(last.record);
    assert_int_equal(last.why, CRESS_SAME_UNIQUE);
    assert_string_equal(last.record->id, id);
}

static void test_unique_until_the_end(void **state)
{
    (void)state;
    create_unique("a", "u", 0);
    expect_holder(NULL);
    create_unique("b", "u", 0);
    expect_holder("a");
    assert_null(get("b"));
    assert_int_equal(start("a", 1), CRESS_VERDICT_APPLIED);
    create_unique("b", "u", 0);
    expect_holder("a");
    assert_int_equal(change("a", CRESS_STATE_FAILED, 1), CRESS_VERDICT_APPLIED);
    create_unique("b", "u", 0);
    expect_holder(NULL);
    /* a retry by hand finds the key taken, and must not free it when it ends */
    requeue("a");
    assert_int_equal(start("a", 1), CRESS_VERDICT_APPLIED);
    assert_int_equal(change("a", CRESS_STATE_SUCCEEDED, 1), CRESS_VERDICT_APPLIED);
    create_unique("c", "u", 0);
    expect_holder("b");
    assert_int_equal(change("b", CRESS_STATE_CANCELLED, 1), CRESS_VERDICT_APPLIED);
    create_unique("c", "u", 0);
    expect_holder(NULL);
}

/* Its record is made before it runs, by a worker without its task. */
static void test_an_adopted_job_is_unique(void **state)
{
    struct cress_job job = make_job("a");

    (void)state;
    job.unique = "u";
    expect_call();
    cress_store_adopt(store, &job, done_cb, NULL);
    wait_for_success();
    create_unique("b", "u", 0);
    expect_holder("a");
    job.id = "c";
    expect_call();
    cress_store_adopt(store, &job, done_cb, NULL);
    wait_for_success();
    assert_null(get("c"));
}

static void test_unique_for_a_time(void **state)
{
    (void)state;
    config.store_ttl_ms = 1000;
    create_unique("a", "u", 600000);
    expect_holder(NULL);
    assert_int_equal(start("a", 1), CRESS_VERDICT_APPLIED);
    assert_int_equal(change("a", CRESS_STATE_SUCCEEDED, 1), CRESS_VERDICT_APPLIED);
    create_unique("b", "u", 600000);
    expect_holder("a"); /* whose record lives as long as the key, not as the TTL says */
    assert_int_equal(last.record->state, CRESS_STATE_SUCCEEDED);
    const int64_t left_ms = command("PTTL", "cress:unique:u", NULL, NULL);
    assert_in_range(left_ms, 500000, 600000);
    assert_in_range(command("PTTL", "cress:job:a", NULL, NULL), left_ms - 1000, left_ms);
    assert_int_equal(command("DEL", "cress:unique:u", NULL, NULL), 1); /* as its time does */
    create_unique("b", "u", 600000);
    expect_holder(NULL);
    config.store_ttl_ms = 60000;
}

static void test_discard_frees_the_unique_key(void **state)
{
    (void)state;
    create_unique("a", "u", 600000);
    expect_call();
    cress_store_discard(store, "a", done_cb, NULL);
    wait_for_success();
    create_unique("b", "u", 600000);
    expect_holder(NULL);
}

static void test_a_unique_key_without_its_record_is_free(void **state)
{
    (void)state;
    create_unique("a", "u", 0);
    assert_int_equal(command("DEL", "cress:job:a", NULL, NULL), 1);
    create_unique("b", "u", 0);
    expect_holder(NULL);
}

static void create_idempotent(const char *id, const char *fingerprint)
{
    struct cress_job job = make_job(id);

    job.idempotency_key = "k";
    job.fingerprint = fingerprint;
    create_job(&job, CRESS_STATE_QUEUED);
    assert_int_equal(last.err.status, CRESS_OK);
}

static void test_idempotency(void **state)
{
    (void)state;
    create_idempotent("a", "f1");
    assert_null(last.record);
    create_idempotent("b", "f1");
    assert_int_equal(last.why, CRESS_SAME_REQUEST);
    assert_string_equal(last.record->id, "a");
    assert_false(last.is_sent);
    expect_call();
    cress_store_sent(store, "a", done_cb, NULL);
    wait_for_success();
    create_idempotent("b", "f1");
    assert_true(last.is_sent);
    create_idempotent("b", "f2");
    assert_int_equal(last.why, CRESS_OTHER_REQUEST);
    assert_int_equal(start("a", 1), CRESS_VERDICT_APPLIED);
    assert_int_equal(change("a", CRESS_STATE_SUCCEEDED, 1), CRESS_VERDICT_APPLIED);
    create_idempotent("b", "f1");
    assert_string_equal(last.record->id, "a");
}

/* A foreign publisher's job has no record when a worker takes it. */
static void test_start_of_a_unique_job_without_record(void **state)
{
    (void)state;
    struct cress_job job = make_job("a");
    struct cress_start unique_start = {.job = &job, .worker = "w", .max_crashes = 2, .now_ms = 5};

    job.unique = "u";
    expect_call();
    cress_store_start(store, &unique_start, started_cb, NULL);
    wait_for_success();
    assert_int_equal(last.verdict, CRESS_VERDICT_APPLIED);
    job.id = "b";
    expect_call();
    cress_store_start(store, &unique_start, started_cb, NULL);
    wait_for_success();
    assert_int_equal(last.verdict, CRESS_VERDICT_DUPLICATE);
    assert_int_equal(get("b")->state, CRESS_STATE_QUEUED);
    assert_int_equal(change("b", CRESS_STATE_CANCELLED, 1), CRESS_VERDICT_APPLIED);
    create_unique("c", "u", 0);
    expect_holder("a");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAND_TEST(test_unique_until_the_end),
        STAND_TEST(test_an_adopted_job_is_unique),
        STAND_TEST(test_unique_for_a_time),
        STAND_TEST(test_discard_frees_the_unique_key),
        STAND_TEST(test_a_unique_key_without_its_record_is_free),
        STAND_TEST(test_idempotency),
        STAND_TEST(test_start_of_a_unique_job_without_record),
    };
    return cmocka_run_group_tests_name("claims", tests, set_up_group, tear_down_group);
}
