// SPDX-License-Identifier: Apache-2.0
// The store against a real Redis: records: made, taken back, changed, tried again, kept for a time.
#include "tests/integration/store/stand.h"

/* --- records --- */

static void test_create(void **state)
{
    (void)state;
    create("j");
    const struct cress_record *record = get("j");
    assert_string_equal(record->id, "j");
    assert_string_equal(record->task, "cress.echo");
    assert_string_equal(record->queue, "default");
    assert_string_equal(record->priority, "normal");
    assert_string_equal(record->payload, "{\"a\":1}");
    assert_int_equal(record->state, CRESS_STATE_QUEUED);
    assert_int_equal(record->version, 1);
    assert_int_equal(record->attempt, 0);
    assert_int_equal(record->max_attempts, 0); /* the worker's configuration decides */
    assert_int_equal(record->timeout_ms, 0);
    assert_int_equal(record->created_ms, 1000);
    assert_null(record->worker);
    assert_null(record->result);
    assert_int_equal(command("PTTL", "cress:job:j", NULL, NULL), -1);

    create_in("j", CRESS_STATE_SCHEDULED, NULL);
    assert_non_null(last.record);
    assert_int_equal(last.record->state, CRESS_STATE_QUEUED);
    assert_null(get("nobody"));
}

static void test_discard(void **state)
{
    (void)state;
    create("a");
    create("b");
    assert_int_equal(start("b", 1), CRESS_VERDICT_APPLIED);
    for (int i = 0; i < 3; i++) {
        expect_call();
        cress_store_discard(store, i == 0 ? "a" : i == 1 ? "b" : "none", done_cb, NULL);
        wait_for_success();
    }
    assert_null(get("a"));
    assert_non_null(get("b"));
}

static void test_every_pair(void **state)
{
    (void)state;
    for (enum cress_state from = 0; from < CRESS_STATE_COUNT; from++) {
        for (enum cress_state to = 0; to < CRESS_STATE_COUNT; to++) {
            char id[32];
            snprintf(id, sizeof(id), "pair-%d-%d", (int)from, (int)to);
            bring_to(id, from);
            const int64_t version = get(id)->version;
            const int attempt = last.record->attempt;
            const enum cress_verdict verdict = change(id, to, 1);
            const bool repeat = from == to && attempt == 1;
            const bool allowed =
                cress_state_may_become(from, to) && !cress_state_is_terminal(from) && !repeat;

            assert_int_equal(verdict, from == CRESS_STATE_CANCELLED   ? CRESS_VERDICT_CANCELLED
                                      : allowed || repeat             ? CRESS_VERDICT_APPLIED
                                      : cress_state_is_terminal(from) ? CRESS_VERDICT_TERMINAL
                                                                      : CRESS_VERDICT_STALE);
            assert_int_equal(get(id)->state, allowed ? to : from);
            assert_int_equal(last.record->version, allowed ? version + 1 : version);
            char key[64];
            snprintf(key, sizeof(key), "cress:job:%s", id);
            const long long ttl = command("PTTL", key, NULL, NULL);
            if (cress_state_is_terminal(allowed ? to : from)) {
                /* the guard of one that waits may be an hour away */
                const long long kept = from == CRESS_STATE_WAITING ? 3900000 : 60000;
                assert_in_range(ttl, kept - 10000, kept);
            } else {
                assert_int_equal(ttl, -1);
            }
        }
    }
}

static void test_outcomes(void **state)
{
    (void)state;
    create("j");
    assert_int_equal(start_as("j", "host:1", 1, false, 5000), CRESS_VERDICT_APPLIED);
    assert_string_equal(get("j")->worker, "host:1");
    assert_int_equal(last.record->started_ms, 5000);
    assert_int_equal(change("j", CRESS_STATE_RETRYING, 1), CRESS_VERDICT_APPLIED);
    assert_string_equal(get("j")->error, "{\"code\":\"x\"}");
    assert_int_equal(last.record->run_at_ms, 9000);
    assert_int_equal(last.record->attempt, 1);
    assert_int_equal(last.record->finished_ms, 0);
    /* redelivered: its worker died before it could acknowledge; the second attempt is on its way */
    assert_int_equal(start_as("j", "host:2", 1, true, 6000), CRESS_VERDICT_STALE);
    assert_int_equal(start("j", 2), CRESS_VERDICT_APPLIED);
    assert_int_equal(change("j", CRESS_STATE_SUCCEEDED, 2), CRESS_VERDICT_APPLIED);
    assert_string_equal(get("j")->result, "[1,2]");
    assert_int_equal(last.record->finished_ms, 7000);
    assert_int_equal(last.record->version, 5);
    assert_int_equal(last.record->attempt, 2);
    assert_string_equal(last.record->payload, "{\"a\":1}");
}

static void test_explicit_retry(void **state)
{
    (void)state;
    bring_to("j", CRESS_STATE_FAILED);
    /* a worker that hands back a copy of its message is no such request */
    assert_int_equal(change("j", CRESS_STATE_QUEUED, 1), CRESS_VERDICT_TERMINAL);
    requeue("j");
    assert_int_equal(last.state, CRESS_STATE_FAILED);
    assert_null(get("j")->error);
    assert_int_equal(last.record->attempt, 0);
    assert_int_equal(last.record->finished_ms, 0);
    assert_int_equal(start("j", 1), CRESS_VERDICT_APPLIED);
}

static void test_ttl_zero_keeps(void **state)
{
    (void)state;
    config.store_ttl_ms = 0;
    bring_to("j", CRESS_STATE_SUCCEEDED);
    config.store_ttl_ms = 60000;
    assert_int_equal(command("PTTL", "cress:job:j", NULL, NULL), -1);
}

static void many_cb(enum cress_verdict verdict, bool follow, const struct cress_error *err,
                    void *arg)
{
    (void)follow;
    assert_null(err);
    assert_int_equal(verdict, CRESS_VERDICT_APPLIED);
    if (--many_left == 0) {
        *(bool *)arg = true;
    }
}

static void many_started_cb(enum cress_verdict verdict, bool follow, int64_t wait_ms,
                            const struct cress_error *err, void *arg)
{
    (void)wait_ms;
    many_cb(verdict, follow, err, arg);
}

/* More than one bulk, records there and not, results of all sizes. */
static void test_many_at_once(void **state)
{
    enum { MANY = 1000 };
    static char ids[MANY][16];
    static struct cress_job jobs[MANY];
    static struct cress_start starts[MANY];
    static char result[5000];
    bool started = false;
    bool ended = false;

    (void)state;
    many_left = MANY;
    for (int i = 0; i < MANY; i++) {
        snprintf(ids[i], sizeof(ids[i]), "many-%d", i);
        jobs[i] = make_job(ids[i]);
        starts[i] =
            (struct cress_start){.job = &jobs[i], .worker = "w", .max_crashes = 2, .now_ms = i + 1};
        if (i % 100 == 0) {
            create(ids[i]);
        }
    }
    for (int i = 0; i < MANY; i++) {
        cress_store_start(store, &starts[i], many_started_cb, &started);
    }
    run_until(&started);
    many_left = MANY;
    memset(result, '7', sizeof(result));
    for (int i = 0; i < MANY; i++) {
        const struct cress_change one = {.id = ids[i],
                                         .to = CRESS_STATE_SUCCEEDED,
                                         .attempt = 1,
                                         .worker = starts[i].worker,
                                         .result = result,
                                         .result_size = (size_t)i * 5 + 1,
                                         .now_ms = 9};
        cress_store_change(store, &one, many_cb, &ended);
    }
    run_until(&ended);
    for (int i = 0; i < MANY; i += 77) {
        assert_int_equal(get(ids[i])->started_ms, i + 1);
        assert_int_equal(strlen(last.record->result), (size_t)i * 5 + 1);
    }
}

/* --- logs --- */

static void add_log(int attempt, const char *text, int64_t full_bytes, int64_t ttl_ms)
{
    const struct cress_log_piece piece = {.id = "j",
                                          .attempt = attempt,
                                          .worker = "w",
                                          .text = text,
                                          .size = strlen(text),
                                          .full_bytes = full_bytes,
                                          .ttl_ms = ttl_ms};
    expect_call();
    cress_store_log_add(store, &piece, done_cb, NULL);
    wait_for_success();
}

static const char *get_log(int attempt, int64_t offset)
{
    expect_call();
    cress_store_log_get(store, "j", attempt, offset, log_cb, NULL);
    wait_for_success();
    return last.texts[0];
}

static void test_logs_grow_until_they_are_full(void **state)
{
    (void)state;
    assert_string_equal(get_log(1, 0), "");
    add_log(1, "one\n", 6, 60000);
    add_log(2, "other\n", 6, 0);
    add_log(1, "two\n", 6, 60000);
    add_log(1, "three\n", 6, 60000);
    assert_string_equal(get_log(1, 0), "one\ntwo\n");
    assert_string_equal(get_log(1, 4), "two\n");
    assert_string_equal(get_log(1, 8), "");
    assert_string_equal(get_log(1, 1000), "");
    assert_string_equal(get_log(2, 0), "other\n");
    assert_in_range(command("PTTL", "cress:log:j/1", NULL, NULL), 50000, 60000);
    assert_int_equal(command("PTTL", "cress:log:j/2", NULL, NULL), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAND_TEST(test_create),         STAND_TEST(test_discard),
        STAND_TEST(test_every_pair),     STAND_TEST(test_outcomes),
        STAND_TEST(test_explicit_retry), STAND_TEST(test_ttl_zero_keeps),
        STAND_TEST(test_many_at_once),   STAND_TEST(test_logs_grow_until_they_are_full),
    };
    return cmocka_run_group_tests_name("records", tests, set_up_group, tear_down_group);
}
