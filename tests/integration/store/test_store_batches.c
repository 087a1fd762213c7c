// SPDX-License-Identifier: Apache-2.0
// The store against a real Redis: batches: counts, results, the one completion.
#include "tests/integration/store/stand.h"

static bool end_member(const char *id, enum cress_state to)
{
    assert_int_equal(start(id, 1), CRESS_VERDICT_APPLIED);
    assert_int_equal(change(id, to, 1), CRESS_VERDICT_APPLIED);
    return last.follow;
}

static void test_batch(void **state)
{
    (void)state;
    batch_open("b");
    create_in("b-1", CRESS_STATE_QUEUED, "b");
    create_in("b-2", CRESS_STATE_QUEUED, "b");
    create_in("b-3", CRESS_STATE_QUEUED, "b");
    create_in("b-3", CRESS_STATE_QUEUED, "b"); /* the fan-out ran twice */
    assert_non_null(last.record);
    batch_open("b"); /* changes nothing */
    create_in("b-4", CRESS_STATE_QUEUED, "b");
    expect_call();
    cress_store_discard(store, "b-4", done_cb, NULL);
    wait_for_success();

    assert_false(end_member("b-1", CRESS_STATE_SUCCEEDED));
    assert_false(end_member("b-2", CRESS_STATE_FAILED));
    assert_false(batch_close("b"));
    assert_true(end_member("b-3", CRESS_STATE_SUCCEEDED));
    /* Until the completion is published whoever asks again is told again. */
    assert_int_equal(change("b-3", CRESS_STATE_SUCCEEDED, 1), CRESS_VERDICT_APPLIED);
    assert_true(last.follow);
    assert_int_equal(start("b-1", 1), CRESS_VERDICT_TERMINAL);
    assert_true(last.follow);
    assert_true(batch_close("b"));

    const struct cress_batch *batch = batch_get("b");
    assert_int_equal(batch->total, 3);
    assert_int_equal(batch->succeeded, 2);
    assert_int_equal(batch->failed, 1);
    assert_int_equal(batch->created_ms, 1234);
    assert_true(batch->closed);
    assert_false(batch->completed);
    assert_int_equal(command("PTTL", "cress:batch:b", NULL, NULL), -1);
    assert_int_equal(command("PTTL", "cress:results:b", NULL, NULL), -1);

    expect_call();
    cress_store_batch_complete(store, "b", false, done_cb, NULL);
    wait_for_success();
    assert_true(batch_get("b")->completed);
    assert_in_range(command("PTTL", "cress:batch:b", NULL, NULL), 50000, 60000);
    assert_in_range(command("PTTL", "cress:results:b", NULL, NULL), 50000, 60000);
    assert_false(batch_close("b"));
    assert_int_equal(start("b-1", 1), CRESS_VERDICT_TERMINAL);
    assert_false(last.follow);
}

static void test_batch_results(void **state)
{
    (void)state;
    batch_open("r");
    create_in("r-1", CRESS_STATE_QUEUED, "r");
    create_in("r-2", CRESS_STATE_QUEUED, "r");
    create_in("r-3", CRESS_STATE_QUEUED, "r");
    end_member("r-2", CRESS_STATE_SUCCEEDED);
    end_member("r-1", CRESS_STATE_FAILED);
    assert_int_equal(change("r-3", CRESS_STATE_CANCELLED, 1), CRESS_VERDICT_APPLIED);
    expect_call();
    cress_store_batch_results(store, "r", 0, 10, texts_cb, NULL);
    wait_for_success();
    assert_int_equal(last.count, 3);
    assert_string_equal(last.texts[0], "{\"id\":\"r-2\",\"state\":\"succeeded\",\"result\":[1,2]}");
    assert_string_equal(last.texts[1],
                        "{\"id\":\"r-1\",\"state\":\"failed\",\"error\":{\"code\":\"x\"}}");
    assert_string_equal(last.texts[2], "{\"id\":\"r-3\",\"state\":\"cancelled\"}");
    expect_call();
    cress_store_batch_results(store, "r", 1, 1, texts_cb, NULL);
    wait_for_success();
    assert_int_equal(last.count, 1);
    assert_int_equal(batch_get("r")->cancelled, 1);
}

static void test_batch_refusals(void **state)
{
    (void)state;
    create_in("x", CRESS_STATE_QUEUED, "nowhere");
    assert_int_equal(last.err.status, CRESS_NOT_FOUND);
    assert_string_equal(last.err.code, "unknown_batch");
    assert_null(get("x"));
    batch_open("c");
    assert_true(batch_close("c")); /* empty */
    create_in("x", CRESS_STATE_QUEUED, "c");
    assert_int_equal(last.err.status, CRESS_CONFLICT);
    assert_string_equal(last.err.code, "batch_closed");
    assert_null(batch_get("nowhere"));
    expect_call();
    cress_store_batch_close(store, "nowhere", close_cb, NULL);
    wait_for_call();
    assert_int_equal(last.err.status, CRESS_NOT_FOUND);
}

/* A foreign message's correlation id must not make batches. */
static void test_foreign_correlation(void **state)
{
    struct cress_job job = make_job("foreign");
    const struct cress_start begin = {.job = &job, .worker = "w", .now_ms = 1};

    (void)state;
    job.batch = "rpc-42";
    expect_call();
    cress_store_start(store, &begin, started_cb, NULL);
    wait_for_success();
    assert_int_equal(change("foreign", CRESS_STATE_SUCCEEDED, 1), CRESS_VERDICT_APPLIED);
    assert_false(last.follow);
    assert_null(batch_get("rpc-42"));
    assert_string_equal(get("foreign")->batch, "rpc-42");
    assert_int_equal(command("EXISTS", "cress:results:rpc-42", NULL, NULL), 0);
}

/* The job whose message was refused was the last open one, and the batch is closed already. */
static void test_discard_the_last_of_a_batch(void **state)
{
    (void)state;
    batch_open("d");
    create_in("d-1", CRESS_STATE_QUEUED, "d");
    create_in("d-2", CRESS_STATE_QUEUED, "d");
    assert_false(end_member("d-1", CRESS_STATE_SUCCEEDED));
    assert_false(batch_close("d"));
    assert_string_equal(follow_up("", NULL), "");
    expect_call();
    cress_store_discard(store, "d-2", done_cb, NULL);
    wait_for_success();
    assert_string_equal(follow_up("", NULL), "batch d");
}

static int completions;

static void interleaved_cb(enum cress_verdict verdict, bool follow, const struct cress_error *err,
                           void *arg)
{
    assert_null(err);
    assert_int_equal(verdict, CRESS_VERDICT_APPLIED);
    completions += follow;
    if (--many_left == 0) {
        *(bool *)arg = true;
    }
}

static void interleaved_close_cb(bool follow, const struct cress_error *err, void *arg)
{
    (void)arg;
    assert_null(err);
    completions += follow;
}

/* Whenever the batch is closed while its jobs end, exactly one answer says that it is complete. */
static void test_batch_interleavings(void **state)
{
    enum { JOBS = 70 };
    static char ids[JOBS][48];

    (void)state;
    for (int close_at = 0; close_at <= JOBS; close_at += 7) {
        char batch[32];
        bool ended = false;
        snprintf(batch, sizeof(batch), "mix-%d", close_at);
        batch_open(batch);
        for (int i = 0; i < JOBS; i++) {
            snprintf(ids[i], sizeof(ids[i]), "%s-%d", batch, i);
            create_in(ids[i], CRESS_STATE_QUEUED, batch);
        }
        completions = 0;
        many_left = JOBS;
        for (int i = 0; i <= JOBS; i++) {
            if (i == close_at) {
                cress_store_batch_close(store, batch, interleaved_close_cb, NULL);
            }
            if (i < JOBS) {
                const struct cress_change one = {
                    .id = ids[i], .to = CRESS_STATE_CANCELLED, .attempt = 1, .now_ms = 1};
                cress_store_change(store, &one, interleaved_cb, &ended);
            }
            if (i % 5 == 0) {
                uv_run(&loop, UV_RUN_NOWAIT);
            }
        }
        run_until(&ended);
        assert_int_equal(batch_get(batch)->cancelled, JOBS);
        assert_int_equal(completions, 1);
    }
}

/* --- cancelling --- */

static struct cress_batch_cancel sums;
static char *next_cursor;

static void part_cancelled_cb(const struct cress_batch_cancel *answer,
                              const struct cress_error *err, void *arg)
{
    free(next_cursor);
    next_cursor = err || !answer->next ? NULL : cress_strdup(answer->next);
    sums.cancelled += answer->cancelled;
    sums.asked += answer->asked;
    sums.ended += answer->ended;
    done_cb(err, arg);
}

/* Returns whether there is more. */
static bool cancel_part(const char *batch)
{
    expect_call();
    cress_store_batch_cancel(store, batch, next_cursor, "{\"code\":\"cancelled\"}", 9000,
                             part_cancelled_cb, NULL);
    wait_for_success();
    return next_cursor != NULL;
}

enum { MEMBERS = 2 * CRESS_BATCH_CANCEL_MAX + 50 };

static const char *member(int i)
{
    static char id[32];
    snprintf(id, sizeof(id), "c-%03d", i);
    return id;
}

static void discard_again(int i)
{
    requeue(member(i));
    expect_call();
    cress_store_discard(store, member(i), done_cb, NULL);
    wait_for_success();
    assert_null(get(member(i)));
}

/* One that has failed is sent again, refused, and taken out of the batch: at either end, so one of them
 * has been dealt with and the other has not. */
static void test_batch_cancel_passes_none_over(void **state)
{
    (void)state;
    sums = (struct cress_batch_cancel){0};
    batch_open("c");
    for (int i = 0; i < MEMBERS; i++) {
        create_in(member(i), CRESS_STATE_QUEUED, "c");
    }
    end_member(member(0), CRESS_STATE_FAILED);
    end_member(member(MEMBERS - 1), CRESS_STATE_FAILED);
    expect_call();
    report_worker("w", "{}", 60000);
    wait_for_success();
    start(member(100), 1);
    start(member(150), 1);
    assert_true(cancel_part("c"));
    discard_again(0);
    discard_again(MEMBERS - 1);
    change(member(100), CRESS_STATE_SUCCEEDED, 1);
    while (cancel_part("c")) {
    }
    for (int i = 1; i < MEMBERS - 1; i++) {
        const struct cress_record *record = get(member(i));
        assert_int_equal(record->state, i == 100   ? CRESS_STATE_SUCCEEDED
                                        : i == 150 ? CRESS_STATE_RUNNING
                                                   : CRESS_STATE_CANCELLED);
    }
    /* each once, and the one that was gone before its turn not at all */
    assert_int_equal(sums.cancelled, MEMBERS - 4);
    assert_int_equal(sums.asked, 1);
    assert_int_equal(sums.ended, 2);
    assert_int_equal(batch_get("c")->cancelled, MEMBERS - 4);
    assert_int_equal(batch_get("c")->total, MEMBERS - 2);
    assert_int_equal(command("LLEN", "cress:results:c", NULL, NULL), MEMBERS - 4 + 1 + 2);
    assert_true(batch_get("c")->cancel_requested);
    change(member(150), CRESS_STATE_CANCELLED, 1);
    assert_true(last.follow);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAND_TEST(test_batch),
        STAND_TEST(test_batch_results),
        STAND_TEST(test_batch_refusals),
        STAND_TEST(test_foreign_correlation),
        STAND_TEST(test_discard_the_last_of_a_batch),
        STAND_TEST(test_batch_interleavings),
        STAND_TEST(test_batch_cancel_passes_none_over),
    };
    return cmocka_run_group_tests_name("store_batches", tests, set_up_group, tear_down_group);
}
