// SPDX-License-Identifier: Apache-2.0
// The store against a real Redis: who may speak for a job, see docs/decisions/0017-who-may-speak.md.
#include "tests/integration/store/stand.h"

#define OURS   "0123456789abcdef"
#define OTHERS "fedcba9876543210"

static struct cress_job promised_job(const char *id, const char *promise)
{
    struct cress_job job = make_job(id);
    job.promise = promise;
    return job;
}

static void create_promised(const char *id, enum cress_state state)
{
    const struct cress_job job = promised_job(id, OURS);
    create_job(&job, state);
    assert_int_equal(last.err.status, CRESS_OK);
    assert_null(last.record);
}

static enum cress_verdict start_after(const char *id, const char *worker, const char *promise,
                                      bool redelivered, int attempt, const char *follows)
{
    static int64_t now_ms = 5000;
    struct cress_job job = promised_job(id, promise);
    job.attempt = attempt;
    const struct cress_start start = {.job = &job,
                                      .worker = worker,
                                      .redelivered = redelivered,
                                      .patience_ms = 1000000,
                                      .follows = follows,
                                      .max_crashes = 1,
                                      .now_ms = now_ms++};
    expect_call();
    cress_store_start(store, &start, started_cb, NULL);
    wait_for_success();
    return last.verdict == CRESS_VERDICT_SUSPECT ? CRESS_VERDICT_APPLIED : last.verdict;
}

static enum cress_verdict start_with(const char *id, const char *worker, const char *promise,
                                     bool redelivered)
{
    return start_after(id, worker, promise, redelivered, 1, NULL);
}

static enum cress_verdict change_by(const char *worker, const char *id, enum cress_state to,
                                    const char *promise)
{
    const struct cress_change change = {.id = id,
                                        .to = to,
                                        .attempt = 1,
                                        .worker = worker,
                                        .promise = promise,
                                        .error = "{\"code\":\"x\"}",
                                        .now_ms = 7000};
    expect_call();
    cress_store_change(store, &change, verdict_cb, NULL);
    wait_for_success();
    return last.verdict;
}

/* The job is young, so a redelivery does not ask whether the first worker lives. */
static void test_who_lost_the_job_has_no_say(void **state)
{
    (void)state;
    create_promised("j", CRESS_STATE_QUEUED);
    assert_int_equal(start_with("j", "a", OURS, false), CRESS_VERDICT_APPLIED);
    assert_int_equal(start_with("j", "b", OURS, true), CRESS_VERDICT_APPLIED);
    for (enum cress_state to = 0; to < CRESS_STATE_COUNT; to++) {
        assert_int_equal(change_by("a", "j", to, OURS), CRESS_VERDICT_STALE);
    }
    assert_int_equal(get("j")->state, CRESS_STATE_RUNNING);
    assert_string_equal(last.record->worker, "b");
    assert_int_equal(change_by("b", "j", CRESS_STATE_SUCCEEDED, OURS), CRESS_VERDICT_APPLIED);
    assert_int_equal(change_by("b", "j", CRESS_STATE_SUCCEEDED, OURS), CRESS_VERDICT_APPLIED);
    assert_int_equal(change_by("a", "j", CRESS_STATE_SUCCEEDED, OURS), CRESS_VERDICT_TERMINAL);
}

static void test_who_lost_the_job_writes_no_more(void **state)
{
    (void)state;
    create_promised("j", CRESS_STATE_QUEUED);
    start_with("j", "a", OURS, false);
    start_with("j", "b", OURS, true);
    static const char *const workers[] = {"a", "b"};
    for (size_t i = 0; i < CRESS_COUNT(workers); i++) {
        const struct cress_log_piece piece = {.id = "j",
                                              .attempt = 1,
                                              .worker = workers[i],
                                              .text = workers[i],
                                              .size = 1,
                                              .full_bytes = 100};
        expect_call();
        cress_store_log_add(store, &piece, done_cb, NULL);
        wait_for_success();
        const struct cress_note said = {
            .id = "j", .attempt = 1, .worker = workers[i], .log = workers[i]};
        expect_call();
        cress_store_note(store, &said, done_cb, NULL);
        wait_for_success();
    }
    expect_call();
    cress_store_log_get(store, "j", 1, 0, log_cb, NULL);
    wait_for_success();
    assert_string_equal(last.texts[0], "b");
    assert_string_equal(get("j")->log, "b");
}

/* Another worker is told to end what it does not run: by that, and by nobody else. */
static void test_who_ends_it_in_the_place_of_the_dead(void **state)
{
    (void)state;
    create_promised("j", CRESS_STATE_QUEUED);
    start_with("j", "a", OURS, false);
    assert_int_equal(start_with("j", "b", OURS, true), CRESS_VERDICT_APPLIED);
    assert_int_equal(start_with("j", "c", OURS, true), CRESS_VERDICT_POISON);
    assert_int_equal(change_by("d", "j", CRESS_STATE_FAILED, OURS), CRESS_VERDICT_STALE);
    assert_int_equal(change_by("c", "j", CRESS_STATE_FAILED, OURS), CRESS_VERDICT_APPLIED);

    create_promised("k", CRESS_STATE_QUEUED);
    start_with("k", "a", OURS, false);
    expect_call();
    report_worker("a", "{}", 60000); /* it is asked to stop, and dies */
    wait_for_success();
    cancel("k");
    expect_call();
    cress_store_leave(store, "a", done_cb, NULL);
    wait_for_success();
    assert_int_equal(start_with("k", "b", OURS, true), CRESS_VERDICT_CANCELLED);
    assert_int_equal(change_by("d", "k", CRESS_STATE_CANCELLED, OURS), CRESS_VERDICT_STALE);
    assert_int_equal(change_by("b", "k", CRESS_STATE_CANCELLED, OURS), CRESS_VERDICT_APPLIED);
    assert_int_equal(get("k")->state, CRESS_STATE_CANCELLED);
}

/* "a" has lost it to "b", fails, and publishes the next attempt before it hears so. */
static void test_who_lost_the_job_begins_no_attempt(void **state)
{
    (void)state;
    create_promised("j", CRESS_STATE_QUEUED);
    start_with("j", "a", OURS, false);
    start_with("j", "b", OURS, true);
    assert_int_equal(start_after("j", "c", OURS, false, 2, "a"), CRESS_VERDICT_STALE);
    assert_int_equal(get("j")->attempt, 1);
    assert_string_equal(last.record->worker, "b");
    /* "b" died between publishing the next attempt and recording how this one has failed */
    assert_int_equal(start_after("j", "c", OURS, false, 2, "b"), CRESS_VERDICT_APPLIED);
    assert_int_equal(get("j")->attempt, 2);
}

static void test_only_the_promised_message_says_what_it_waits_for(void **state)
{
    (void)state;
    create_promised("j", CRESS_STATE_QUEUED);
    static const char *const promises[] = {NULL, OTHERS, OURS};
    for (size_t i = 0; i < CRESS_COUNT(promises); i++) {
        const struct cress_job job = promised_job("j", promises[i]);
        expect_call();
        cress_store_block(store, &job, "{\"no_task\":\"x\"}", done_cb, NULL);
        wait_for_success();
        assert_int_equal(command("HEXISTS", "cress:job:j", "blocked", NULL), i == 2);
    }
}

/* It was to end one run, and the job is sent again by hand. */
static void test_a_warrant_is_for_one_run(void **state)
{
    (void)state;
    create_promised("j", CRESS_STATE_QUEUED);
    start_with("j", "a", OURS, false);
    assert_int_equal(start_with("j", "b", OURS, true), CRESS_VERDICT_APPLIED);
    assert_int_equal(start_with("j", "c", OURS, true), CRESS_VERDICT_POISON);
    assert_int_equal(change_by("c", "j", CRESS_STATE_FAILED, OURS), CRESS_VERDICT_APPLIED);
    expect_call();
    cress_store_requeue(store, "j", OURS, requeue_cb, NULL);
    wait_for_call();
    assert_int_equal(start_with("j", "d", OURS, false), CRESS_VERDICT_APPLIED);
    assert_int_equal(change_by("c", "j", CRESS_STATE_FAILED, OURS), CRESS_VERDICT_STALE);
    assert_int_equal(change_by("d", "j", CRESS_STATE_SUCCEEDED, OURS), CRESS_VERDICT_APPLIED);
}

static void test_only_the_promised_message_starts_a_job(void **state)
{
    (void)state;
    static const enum cress_state states[] = {CRESS_STATE_QUEUED, CRESS_STATE_SCHEDULED};
    static const char *const foreign[] = {NULL, OTHERS};
    for (size_t i = 0; i < CRESS_COUNT(states); i++) {
        const char *id = cress_state_word(states[i]);
        create_promised(id, states[i]);
        const int64_t version = get(id)->version;
        for (size_t f = 0; f < CRESS_COUNT(foreign); f++) {
            assert_int_equal(start_with(id, "a", foreign[f], false), CRESS_VERDICT_FOREIGN);
            /* nor does it end the job, by an expiry of its own or as one that cannot be read */
            assert_int_equal(change_by("a", id, CRESS_STATE_EXPIRED, foreign[f]),
                             CRESS_VERDICT_STALE);
            assert_int_equal(change_by("a", id, CRESS_STATE_FAILED, foreign[f]),
                             CRESS_VERDICT_STALE);
        }
        assert_int_equal(get(id)->version, version);
        assert_int_equal(start_with(id, "a", OURS, false), CRESS_VERDICT_APPLIED);
    }
}

static void test_a_job_of_a_foreign_client_takes_any_message_of_its_id(void **state)
{
    (void)state;
    assert_int_equal(start_with("j", "a", NULL, false), CRESS_VERDICT_APPLIED);
    assert_int_equal(change_by("a", "j", CRESS_STATE_RETRYING, NULL), CRESS_VERDICT_APPLIED);
    assert_int_equal(change_by("b", "j", CRESS_STATE_EXPIRED, OTHERS), CRESS_VERDICT_APPLIED);
}

static void test_a_foreign_letter_opens_no_record(void **state)
{
    (void)state;
    create_promised("j", CRESS_STATE_QUEUED);
    start_with("j", "a", OURS, false);
    change_by("a", "j", CRESS_STATE_FAILED, OURS);
    expect_call();
    cress_store_requeue(store, "j", NULL, requeue_cb, NULL);
    wait_for_call();
    assert_int_equal(get("j")->state, CRESS_STATE_FAILED);
    expect_call();
    cress_store_requeue(store, "j", OURS, requeue_cb, NULL);
    wait_for_call();
    assert_int_equal(get("j")->state, CRESS_STATE_QUEUED);
}

static void test_the_note_of_a_cancelled_job_waits_for_the_promised_message(void **state)
{
    (void)state;
    create_promised("j", CRESS_STATE_QUEUED);
    cancel("j");
    command("DEL", "cress:job:j", NULL, NULL); /* as after store.ttl */
    assert_int_equal(change_by("a", "j", CRESS_STATE_CANCELLED, OTHERS), CRESS_VERDICT_MISSING);
    assert_int_equal(start_with("j", "a", OURS, false), CRESS_VERDICT_CANCELLED);
    assert_int_equal(change_by("a", "j", CRESS_STATE_CANCELLED, OURS), CRESS_VERDICT_CANCELLED);
    assert_int_equal(note_ttl("j"), -2);
}

static void test_only_members_count(void **state)
{
    (void)state;
    batch_open("b");
    create_in("m-1", CRESS_STATE_QUEUED, "b");
    create_in("m-2", CRESS_STATE_QUEUED, "b");
    batch_close("b");
    struct cress_job stranger = make_job("stranger");
    stranger.batch = "b";
    const struct cress_start begin = {
        .job = &stranger, .worker = "w", .max_crashes = 1, .now_ms = 1};
    expect_call();
    cress_store_start(store, &begin, started_cb, NULL);
    wait_for_success();
    assert_int_equal(change("stranger", CRESS_STATE_SUCCEEDED, 1), CRESS_VERDICT_APPLIED);
    assert_false(last.follow);
    assert_int_equal(batch_get("b")->succeeded, 0);

    start("m-1", 1);
    assert_int_equal(change("m-1", CRESS_STATE_SUCCEEDED, 1), CRESS_VERDICT_APPLIED);
    command("DEL", "cress:job:m-2", NULL, NULL); /* lost: it is a member still */
    struct cress_job member = make_job("m-2");
    member.batch = "b";
    const struct cress_start again = {.job = &member, .worker = "w", .max_crashes = 1, .now_ms = 2};
    expect_call();
    cress_store_start(store, &again, started_cb, NULL);
    wait_for_success();
    assert_int_equal(change("m-2", CRESS_STATE_SUCCEEDED, 1), CRESS_VERDICT_APPLIED);
    assert_true(last.follow);
    assert_int_equal(batch_get("b")->succeeded, 2);
}

/* Two submit the same job at once; the message of one is refused, that of the other is not. */
static void test_what_was_submitted_twice_is_not_discarded(void **state)
{
    (void)state;
    create("j");
    create_in("j", CRESS_STATE_QUEUED, NULL);
    assert_non_null(last.record);
    expect_call();
    cress_store_discard(store, "j", done_cb, NULL);
    wait_for_success();
    assert_non_null(get("j"));
}

/* Neither nonce nor promise, and a note that is a number. */
static void test_what_an_earlier_version_has_left(void **state)
{
    (void)state;
    create("j");
    command("HSET", "cress:job:j", "status", "running 2 1 0 0 5000 host:1");
    assert_string_equal(get("j")->worker, "host:1");
    assert_int_equal(change_by("host:2", "j", CRESS_STATE_QUEUED, NULL), CRESS_VERDICT_STALE);
    assert_int_equal(start_with("j", "host:1:00c0ffee", NULL, true), CRESS_VERDICT_APPLIED);
    assert_int_equal(change_by("host:1:00c0ffee", "j", CRESS_STATE_SUCCEEDED, NULL),
                     CRESS_VERDICT_APPLIED);
    command("SET", "cress:cancelled:k", "1", NULL);
    assert_int_equal(start_with("k", "a", OURS, false), CRESS_VERDICT_CANCELLED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAND_TEST(test_who_lost_the_job_has_no_say),
        STAND_TEST(test_who_lost_the_job_writes_no_more),
        STAND_TEST(test_who_ends_it_in_the_place_of_the_dead),
        STAND_TEST(test_who_lost_the_job_begins_no_attempt),
        STAND_TEST(test_only_the_promised_message_says_what_it_waits_for),
        STAND_TEST(test_a_warrant_is_for_one_run),
        STAND_TEST(test_only_the_promised_message_starts_a_job),
        STAND_TEST(test_a_job_of_a_foreign_client_takes_any_message_of_its_id),
        STAND_TEST(test_a_foreign_letter_opens_no_record),
        STAND_TEST(test_the_note_of_a_cancelled_job_waits_for_the_promised_message),
        STAND_TEST(test_only_members_count),
        STAND_TEST(test_what_was_submitted_twice_is_not_discarded),
        STAND_TEST(test_what_an_earlier_version_has_left),
    };
    return cmocka_run_group_tests_name("authority", tests, set_up_group, tear_down_group);
}
