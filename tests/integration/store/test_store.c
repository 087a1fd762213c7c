// SPDX-License-Identifier: Apache-2.0
// The store against a real Redis: every verdict and transition, batches, TTLs, waiting, and faults.
#include "tests/integration/store/loop.h"
#include "tests/integration/store/server.h"
#include "tests/unit/unit.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/store/internal.h"
#include "common/store/limits.h"

#include <signal.h>
#include <stdio.h>

enum { DEADLINE_MS = 10000 };

static struct server server;
static uv_loop_t loop;
static struct cress_config config;
static struct cress_store *store;
static bool store_ready;

/* --- running the loop until something is so --- */

static void run_until(const bool *flag)
{
    loop_run_until(&loop, flag, DEADLINE_MS);
}

/* What the last callback was given. */
static struct {
    bool called;
    struct cress_error err;
    enum cress_verdict verdict;
    bool follow;
    int64_t wait_ms;
    struct cress_record *record; /* owned */
    enum cress_state state;
    int64_t since_ms;
    int why; /* of struct cress_existing; -1: none */
    bool is_sent;
    struct cress_batch batch;
    bool has_batch;
    size_t count;
    char texts[8][512];
} last;

static void expect_call(void)
{
    free(last.record);
    memset(&last, 0, sizeof(last));
}

static void note(const struct cress_error *err)
{
    assert_false(last.called);
    last.called = true;
    if (err) {
        last.err = *err;
    }
}

static void done_cb(const struct cress_error *err, void *arg)
{
    (void)arg;
    note(err);
}

static void record_cb(const struct cress_record *record, const struct cress_error *err, void *arg)
{
    (void)arg;
    note(err);
    last.record = record ? cress_record_clone(record) : NULL;
}

static void created_cb(const struct cress_existing *existing, enum cress_state made,
                       const struct cress_error *err, void *arg)
{
    (void)arg;
    note(err);
    last.state = made;
    last.record = existing ? cress_record_clone(existing->record) : NULL;
    last.why = existing ? (int)existing->why : -1;
    last.is_sent = existing && existing->is_sent;
}

static void follow_up_cb(const char *const *entries, size_t count, bool more,
                         const struct cress_error *err, void *arg)
{
    (void)arg;
    note(err);
    last.count = count;
    last.follow = more;
    for (size_t i = 0; i < count && i < CRESS_COUNT(last.texts); i++) {
        snprintf(last.texts[i], sizeof(last.texts[i]), "%s", entries[i]);
    }
}

static void verdict_cb(enum cress_verdict verdict, bool follow, const struct cress_error *err,
                       void *arg)
{
    (void)arg;
    note(err);
    last.verdict = verdict;
    last.follow = follow;
}

static void cancel_cb(const struct cress_cancel_answer *answer, const struct cress_error *err,
                      void *arg)
{
    (void)arg;
    note(err);
    last.verdict = answer->verdict;
    last.state = answer->state;
    last.follow = answer->follow;
}

static void started_cb(enum cress_verdict verdict, bool follow, int64_t wait_ms,
                       const struct cress_error *err, void *arg)
{
    verdict_cb(verdict, follow, err, arg);
    last.wait_ms = wait_ms;
}

static void requeue_cb(bool exists, enum cress_state was, const struct cress_error *err, void *arg)
{
    (void)arg;
    assert_true(exists || err);
    note(err);
    last.state = was;
}

static void pause_cb(int64_t since_ms, bool changed, const struct cress_error *err, void *arg)
{
    (void)arg;
    note(err);
    last.since_ms = since_ms;
    last.follow = changed;
}

static void paused_cb(const struct cress_paused_queue *queues, size_t count,
                      const struct cress_error *err, void *arg)
{
    (void)arg;
    note(err);
    last.count = count;
    for (size_t i = 0; i < count && i < CRESS_COUNT(last.texts); i++) {
        snprintf(last.texts[i], sizeof(last.texts[i]), "%s %lld", queues[i].name,
                 (long long)queues[i].since_ms);
    }
}

static void close_cb(bool follow, const struct cress_error *err, void *arg)
{
    (void)arg;
    note(err);
    last.follow = follow;
}

static void batch_cb(const struct cress_batch *batch, const struct cress_error *err, void *arg)
{
    (void)arg;
    note(err);
    last.has_batch = batch != NULL;
    last.batch = batch ? *batch : last.batch;
}

static void texts_cb(const char *const *texts, size_t count, const struct cress_error *err,
                     void *arg)
{
    (void)arg;
    note(err);
    last.count = count;
    for (size_t i = 0; i < count && i < CRESS_COUNT(last.texts); i++) {
        snprintf(last.texts[i], sizeof(last.texts[i]), "%s", texts[i]);
    }
}

static void log_cb(const char *text, size_t size, const struct cress_error *err, void *arg)
{
    (void)arg;
    note(err);
    snprintf(last.texts[0], sizeof(last.texts[0]), "%.*s", (int)size, text ? text : "");
}

static void version_cb(const char *version, const struct cress_error *err, void *arg)
{
    (void)arg;
    note(err);
    snprintf(last.texts[0], sizeof(last.texts[0]), "%s", version ? version : "");
}

/* Never from within the call; then no error. */
static void wait_for_call(void)
{
    assert_false(last.called);
    run_until(&last.called);
}

static void wait_for_success(void)
{
    wait_for_call();
    if (last.err.status) {
        print_message("%s: %s\n", last.err.code, last.err.message);
    }
    assert_int_equal(last.err.status, CRESS_OK);
}

/* --- a command past the store --- */

static struct cress_redis_address side_address;
static struct cress_redis *side;
static bool side_ready;
static long long side_answer;

static void side_state_cb(bool ready, const struct cress_error *err, void *arg)
{
    (void)err;
    (void)arg;
    side_ready = ready;
}

static void side_reply_cb(struct cress_redis_request *request, const redisReply *reply,
                          const struct cress_error *err)
{
    (void)request;
    note(err);
    side_answer = reply ? reply->integer : -1;
}

static long long command(const char *a, const char *b, const char *c, const char *d)
{
    struct cress_redis_request request = {.done = side_reply_cb};
    struct cress_redis_args args;
    const char *words[] = {a, b, c, d};

    run_until(&side_ready);
    cress_redis_args_init(&args);
    for (size_t i = 0; i < CRESS_COUNT(words) && words[i]; i++) {
        cress_redis_add(&args, words[i]);
    }
    expect_call();
    cress_redis_send(side, &request, &args);
    wait_for_success();
    return side_answer;
}

/* --- short forms --- */

static struct cress_job make_job(const char *id)
{
    return (struct cress_job){
        .id = id,
        .task = "cress.echo",
        .queue = "default",
        .priority = CRESS_PRIORITY_NORMAL,
        .payload = "{\"a\":1}",
        .payload_size = 7,
        .attempt = 1,
        .created_ms = 1000,
    };
}

static void create_job(const struct cress_job *job, enum cress_state state)
{
    expect_call();
    cress_store_create(store, job, state, created_cb, NULL);
    wait_for_call();
}

static void create_in(const char *id, enum cress_state state, const char *batch)
{
    struct cress_job job = make_job(id);

    job.batch = batch;
    create_job(&job, state);
}

static void create(const char *id)
{
    create_in(id, CRESS_STATE_QUEUED, NULL);
    assert_int_equal(last.err.status, CRESS_OK);
    assert_null(last.record);
}

static const char *speaker = "w"; /* who started a job last, and says what becomes of it */

static enum cress_verdict start_as(const char *id, const char *worker, int attempt,
                                   bool redelivered, int64_t now_ms)
{
    speaker = worker;
    struct cress_job job = make_job(id);
    job.attempt = attempt;
    const struct cress_start start = {.job = &job,
                                      .worker = worker,
                                      .redelivered = redelivered,
                                      .max_crashes = 2,
                                      .now_ms = now_ms};

    expect_call();
    cress_store_start(store, &start, started_cb, NULL);
    wait_for_success();
    return last.verdict;
}

static enum cress_verdict start(const char *id, int attempt)
{
    static int64_t now_ms = 5000;
    return start_as(id, "w", attempt, false, now_ms++);
}

static void send_change(const char *id, enum cress_state to, int attempt)
{
    const struct cress_change change = {
        .id = id,
        .to = to,
        .attempt = attempt,
        .worker = speaker,
        .result = to == CRESS_STATE_SUCCEEDED ? "[1,2]garbage" : NULL,
        .result_size = 5,
        .error = to == CRESS_STATE_FAILED || to == CRESS_STATE_RETRYING ? "{\"code\":\"x\"}" : NULL,
        .run_at_ms = to == CRESS_STATE_RETRYING ? 9000 : 0,
        .now_ms = 7000,
    };
    cress_store_change(store, &change, verdict_cb, NULL);
}

static enum cress_verdict change(const char *id, enum cress_state to, int attempt)
{
    expect_call();
    send_change(id, to, attempt);
    wait_for_success();
    return last.verdict;
}

static const struct cress_record *get(const char *id)
{
    expect_call();
    cress_store_get(store, id, record_cb, NULL);
    wait_for_success();
    return last.record;
}

/* --- opening and closing --- */

static void state_cb(bool ready, const struct cress_error *err, void *arg)
{
    (void)arg;
    assert_true(ready == (err == NULL));
    store_ready = ready;
}

static void closed_cb(void *arg)
{
    *(bool *)arg = true;
}

static void open_store(int64_t timeout_ms)
{
    const struct cress_store_options options = {
        .config = &config, .timeout_ms = timeout_ms, .on_state = state_cb};

    assert_int_equal(cress_store_open(&loop, &options, &store, NULL), CRESS_OK);
    store_ready = false;
    run_until(&store_ready);
}

static void close_store(void)
{
    bool closed = false;
    cress_store_close(store, closed_cb, &closed);
    run_until(&closed);
}

static int set_up(void **state)
{
    (void)state;
    open_store(0);
    command("FLUSHDB", NULL, NULL, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    close_store();
    return 0;
}

static int set_up_group(void **state)
{
    (void)state;
    server_prepare(&server);
    server_start(&server);
    uv_loop_init(&loop);
    config = (struct cress_config){.store_url = server.url,
                                   .store_timeout_ms = 5000,
                                   .store_ttl_ms = 60000,
                                   .store_cancelled_ttl_ms = 600000,
                                   .job_max_attempts = 5,
                                   .job_timeout_ms = 300000};
    assert_int_equal(cress_redis_address_parse(server.url, "url", &side_address, NULL), CRESS_OK);
    side = cress_redis_open(&loop, &(struct cress_redis_options){.address = &side_address,
                                                                 .timeout_ms = 5000,
                                                                 .on_state = side_state_cb});
    return 0;
}

static int tear_down_group(void **state)
{
    bool closed = false;

    (void)state;
    cress_redis_close(side, closed_cb, &closed);
    run_until(&closed);
    cress_redis_address_free(&side_address);
    free(last.record);
    server_stop(&server);
    server_clean(&server);
    return uv_loop_close(&loop); /* not 0 when a handle is left */
}

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
    assert_int_equal(record->max_attempts, 5);
    assert_int_equal(record->timeout_ms, 300000);
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

static void requeue(const char *id)
{
    expect_call();
    cress_store_requeue(store, id, NULL, requeue_cb, NULL);
    wait_for_success();
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

static enum cress_state create_after(const char *id, const char *after, bool any)
{
    struct cress_job job = make_job(id);

    job.after = after;
    job.after_any = any;
    create_job(&job, CRESS_STATE_QUEUED);
    assert_int_equal(last.err.status, CRESS_OK);
    assert_null(last.record);
    return last.state;
}

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

/* Places in the line are in the order of coming, and what waits longer is told to stay longer. */
static void test_limited_concurrency(void **state)
{
    static const char one[] = "0 0 1 0 0 0 60000 cress.echo ";

    (void)state;
    create("a");
    assert_int_equal(start_limited("a", one, 1), CRESS_VERDICT_APPLIED);
    assert_int_equal(start_limited("a", one, 1), CRESS_VERDICT_APPLIED); /* the answer was lost */
    assert_int_equal(command("ZCARD", "cress:limit:cress.echo:running", NULL, NULL), 1);
    assert_int_equal(start_limited("b", one, 2), CRESS_VERDICT_LIMITED); /* it had no record */
    const int64_t wait_ms = last.wait_ms;
    assert_true(wait_ms > 0);
    assert_int_equal(get("b")->state, CRESS_STATE_QUEUED);
    assert_string_equal(get("b")->blocked,
                        "{\"limit\":\"concurrency\",\"task\":\"cress.echo\",\"key\":null}");
    for (int i = 0; i < 20; i++) {
        char id[8];
        snprintf(id, sizeof id, "c%d", i);
        assert_int_equal(start_limited(id, one, 3), CRESS_VERDICT_LIMITED);
    }
    assert_true(last.wait_ms > wait_ms);
    assert_int_equal(change("a", CRESS_STATE_SUCCEEDED, 1), CRESS_VERDICT_APPLIED);
    assert_int_equal(start_limited("new", one, 4), CRESS_VERDICT_LIMITED); /* others were before */
    assert_int_equal(start_limited("b", one, 5), CRESS_VERDICT_APPLIED);
    assert_null(get("b")->blocked);
    assert_int_equal(command("ZCARD", "cress:limit:cress.echo:line:", NULL, NULL), 21);
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

/* Takes a new job to `state`. */
static void bring_to(const char *id, enum cress_state state)
{
    if (state == CRESS_STATE_WAITING) {
        create_in("runs-long", CRESS_STATE_QUEUED, NULL); /* it may be there already */
        assert_int_equal(create_after(id, "runs-long", false), state);
        return;
    }
    create_in(id, state == CRESS_STATE_SCHEDULED ? state : CRESS_STATE_QUEUED, NULL);
    if (state == CRESS_STATE_SCHEDULED || state == CRESS_STATE_QUEUED) {
        return;
    }
    if (state != CRESS_STATE_EXPIRED) {
        assert_int_equal(start(id, 1), CRESS_VERDICT_APPLIED);
    }
    if (state != CRESS_STATE_RUNNING) {
        assert_int_equal(change(id, state, 1), CRESS_VERDICT_APPLIED);
    }
    assert_int_equal(get(id)->state, state);
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
                assert_in_range(ttl, 50000, 60000);
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
    cress_store_beat(store, "alive", "{}", 60000, close_cb, NULL);
    wait_for_success();
    assert_int_equal(redeliver("long", 1600), CRESS_VERDICT_LEASED);
    assert_int_equal(redeliver("short", 1600), CRESS_VERDICT_APPLIED);
    expect_call();
    cress_store_leave(store, "alive", done_cb, NULL);
    wait_for_success();
    assert_int_equal(redeliver("long", 1601), CRESS_VERDICT_APPLIED);
}

static int many_left;

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

static enum cress_verdict start_guard(const char *worker, const char *lease, bool redelivered)
{
    struct cress_job job = make_job("j");
    const struct cress_start start = {.job = &job,
                                      .worker = worker,
                                      .redelivered = redelivered,
                                      .lease = lease,
                                      .max_crashes = 9,
                                      .now_ms = 7000};
    expect_call();
    cress_store_start(store, &start, started_cb, NULL);
    wait_for_success();
    return last.verdict;
}

static void beat(const char *worker)
{
    expect_call();
    cress_store_beat(store, worker, "{}", 60000, close_cb, NULL);
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

/* --- batches --- */

static void batch_open(const char *id)
{
    expect_call();
    cress_store_batch_open(store, id, "{\"task\":\"site.publish\"}", false, 1234, done_cb, NULL);
    wait_for_success();
}

static bool batch_close(const char *id)
{
    expect_call();
    cress_store_batch_close(store, id, close_cb, NULL);
    wait_for_success();
    return last.follow;
}

static const struct cress_batch *batch_get(const char *id)
{
    expect_call();
    cress_store_batch_get(store, id, batch_cb, NULL);
    wait_for_success();
    return last.has_batch ? &last.batch : NULL;
}

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

/* --- cancelling --- */

static enum cress_verdict cancel_at(const char *id, int64_t now_ms)
{
    expect_call();
    cress_store_cancel(store, id, "{\"code\":\"cancelled\"}", now_ms, cancel_cb, NULL);
    wait_for_success();
    return last.verdict;
}

static enum cress_verdict cancel(const char *id)
{
    return cancel_at(id, 7000);
}

/* Milliseconds left of the note about `id`, or -2. */
static long long note_ttl(const char *id)
{
    char key[64];

    snprintf(key, sizeof key, "cress:cancelled:%s", id);
    return command("PTTL", key, NULL, NULL);
}

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

static void test_cancel_what_runs(void **state)
{
    (void)state;
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

/* --- jobs that wait for others --- */

/* The first entry of what follows the end of `id`, "" when there is none. `done` is NULL or the
 * entry that was done. */
static const char *follow_up(const char *id, char *done)
{
    char *const entries[] = {done};

    do {
        expect_call();
        cress_store_follow_up(store, id, entries, done != NULL, follow_up_cb, NULL);
        wait_for_success();
    } while (last.count == 0 && last.follow);
    return last.count > 0 ? last.texts[0] : "";
}

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
    assert_in_range(command("PTTL", "cress:job:b", NULL, NULL), 50000, 60000);
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

/* --- presence --- */

static void test_presence(void **state)
{
    (void)state;
    expect_call();
    cress_store_beat(store, "w1", "{\"w\":1}", 60000, close_cb, NULL);
    wait_for_success();
    expect_call();
    cress_store_beat(store, "w2", "{\"w\":2}", 1, close_cb, NULL);
    wait_for_success();
    while (command("EXISTS", "cress:worker:w2", NULL, NULL) == 1) {
    }
    expect_call();
    cress_store_workers(store, texts_cb, NULL);
    wait_for_success();
    assert_int_equal(last.count, 1);
    assert_string_equal(last.texts[0], "{\"w\":1}");
    expect_call();
    cress_store_beat(store, "w1", "{\"w\":1}", 60000, close_cb, NULL);
    wait_for_success();
    assert_int_equal(command("ZCARD", "cress:workers", NULL, NULL), 1); /* w2 was pruned */
    expect_call();
    cress_store_leave(store, "w1", done_cb, NULL);
    wait_for_success();
    expect_call();
    cress_store_workers(store, texts_cb, NULL);
    wait_for_success();
    assert_int_equal(last.count, 0);
}

static void test_queues_and_server(void **state)
{
    (void)state;
    static const char *const names[] = {"pages", "default", "pages", "a"};
    for (size_t i = 0; i < CRESS_COUNT(names); i++) {
        expect_call();
        cress_store_add_queue(store, names[i], done_cb, NULL);
        wait_for_success();
    }
    expect_call();
    cress_store_queues(store, texts_cb, NULL);
    wait_for_success();
    assert_int_equal(last.count, 3);
    assert_string_equal(last.texts[0], "a");
    assert_string_equal(last.texts[1], "default");
    assert_string_equal(last.texts[2], "pages");
    expect_call();
    cress_store_server(store, version_cb, NULL);
    wait_for_success();
    assert_true(last.texts[0][0] >= '1' && last.texts[0][0] <= '9');
}

/* --- waiting --- */

static struct cress_watch *watches[3];

static void woken_cb(void *arg)
{
    *(bool *)arg = true;
}

static void stop_both_cb(void *arg)
{
    cress_watch_stop(watches[0]);
    cress_watch_stop(watches[1]);
    *(bool *)arg = true;
}

static void test_watch(void **state)
{
    bool woken[2] = {false, false};

    (void)state;
    create("j");
    watches[0] = cress_store_watch(store, "j", woken_cb, &woken[0]);
    assert_false(woken[0]);
    run_until(&woken[0]); /* watching has begun */
    woken[0] = false;
    watches[1] = cress_store_watch(store, "j", woken_cb, &woken[1]);
    run_until(&woken[1]);
    assert_false(woken[0]); /* was told already */
    woken[1] = false;
    start("j", 1);
    run_until(&woken[0]);
    run_until(&woken[1]);
    cress_watch_stop(watches[0]);
    woken[0] = woken[1] = false;
    change("j", CRESS_STATE_SUCCEEDED, 1);
    run_until(&woken[1]);
    assert_false(woken[0]);
    cress_watch_stop(watches[1]);
}

static void test_watch_stops_while_waking(void **state)
{
    bool woken = false;
    bool again = false;

    (void)state;
    create("j");
    watches[0] = cress_store_watch(store, "j", stop_both_cb, &woken);
    watches[1] = cress_store_watch(store, "j", stop_both_cb, &woken);
    run_until(&woken);
    watches[2] = cress_store_watch(store, "j", woken_cb, &again);
    run_until(&again);
    again = false;
    start("j", 1);
    run_until(&again);
    cress_watch_stop(watches[2]);
}

/* --- faults --- */

/* --- what workers are told --- */

static int begun;
static char heard[4][64];
static size_t heard_count;
static bool heard_all; /* as many as the test waits for */
static size_t heard_wanted;

static void heard_cb(const char *message, void *arg)
{
    (void)arg;
    if (message) {
        assert_true(heard_count < CRESS_COUNT(heard));
        snprintf(heard[heard_count++], sizeof heard[0], "%s", message);
    } else {
        begun++;
    }
    heard_all = begun > 0 && heard_count >= heard_wanted;
}

static void pause_queue(const char *queue, int64_t now_ms)
{
    expect_call();
    cress_store_pause(store, queue, now_ms, pause_cb, NULL);
    wait_for_call();
}

static void test_paused_queues(void **state)
{
    struct cress_queue_config queues[] = {{.name = "default"}};

    (void)state;
    config.queues = queues;
    config.queue_count = 1;
    pause_queue("unheard-of", 7000);
    assert_string_equal(last.err.code, "unknown_queue");
    pause_queue("default", 7000);
    assert_int_equal(last.since_ms, 7000);
    assert_true(last.follow);
    pause_queue("default", 8000);
    assert_int_equal(last.since_ms, 7000);
    assert_false(last.follow);

    expect_call();
    cress_store_add_queue(store, "mail", done_cb, NULL);
    wait_for_success();
    pause_queue("mail", 9000);
    expect_call();
    cress_store_resume(store, "default", pause_cb, NULL);
    wait_for_success();
    assert_true(last.follow);
    assert_int_equal(last.since_ms, 0);
    expect_call();
    cress_store_resume(store, "default", pause_cb, NULL);
    wait_for_success();
    assert_false(last.follow);
    expect_call();
    cress_store_paused(store, paused_cb, NULL);
    wait_for_success();
    assert_int_equal(last.count, 1);
    assert_string_equal(last.texts[0], "mail 9000");
    config.queue_count = 0;
}

static void test_listening(void **state)
{
    struct cress_watch *watch = cress_store_listen(store, heard_cb, NULL);

    (void)state;
    heard_wanted = 0;
    run_until(&heard_all);
    bring_to("j", CRESS_STATE_RUNNING);
    cancel("j");
    expect_call();
    cress_store_add_queue(store, "mail", done_cb, NULL);
    wait_for_success();
    heard_all = false;
    heard_wanted = 2;
    pause_queue("mail", 7000);
    run_until(&heard_all);
    assert_string_equal(heard[0], "cancel j");
    assert_string_equal(heard[1], "queues");
    assert_int_equal(begun, 1);
    cress_watch_stop(watch);
}

static void test_script_flush(void **state)
{
    (void)state;
    create("j");
    command("SCRIPT", "FLUSH", NULL, NULL);
    assert_int_equal(start("j", 1), CRESS_VERDICT_APPLIED);
    command("SCRIPT", "FLUSH", NULL, NULL);
    assert_int_equal(change("j", CRESS_STATE_SUCCEEDED, 1), CRESS_VERDICT_APPLIED);
    assert_int_equal(get("j")->version, 3);
}

static void test_paused_server(void **state)
{
    (void)state;
    close_store();
    open_store(150);
    create("j");
    const int64_t began_ms = cress_clock_mono_ms();
    kill(server.pid, SIGSTOP);
    expect_call();
    send_change("j", CRESS_STATE_CANCELLED, 1);
    wait_for_call();
    assert_int_equal(last.err.status, CRESS_UNAVAILABLE);
    assert_string_equal(last.err.code, "store_unavailable");
    assert_in_range(cress_clock_mono_ms() - began_ms, 150, 1000);
    struct cress_error why;
    assert_false(cress_store_is_ready(store, &why));
    expect_call();
    cress_store_get(store, "j", record_cb, NULL);
    wait_for_call();
    assert_string_equal(last.err.code, "store_unavailable");
    kill(server.pid, SIGCONT);
    run_until(&store_ready);
    /* The change may have been carried out or not; made again it is harmless. */
    expect_call();
    send_change("j", CRESS_STATE_CANCELLED, 1);
    wait_for_success();
    assert_int_equal(get("j")->state, CRESS_STATE_CANCELLED);
}

static void restart(bool keep_data)
{
    bool woken = false;

    create("j");
    struct cress_watch *watch = cress_store_watch(store, "j", woken_cb, &woken);
    run_until(&woken);
    woken = false;
    server_stop(&server);
    if (!keep_data) {
        server_forget(&server);
    }
    expect_call();
    cress_store_get(store, "j", record_cb, NULL);
    wait_for_call();
    assert_int_equal(last.err.status, CRESS_UNAVAILABLE);
    server_start(&server);
    run_until(&store_ready);
    run_until(&woken); /* a change may have been missed */
    cress_watch_stop(watch);
    run_until(&side_ready);
}

static void test_restart_with_data(void **state)
{
    (void)state;
    restart(true);
    assert_int_equal(get("j")->state, CRESS_STATE_QUEUED);
    assert_int_equal(start("j", 1), CRESS_VERDICT_APPLIED);
}

static void test_restart_without_data(void **state)
{
    (void)state;
    restart(false);
    assert_null(get("j"));
    assert_int_equal(start("j", 2), CRESS_VERDICT_APPLIED);
    assert_int_equal(get("j")->attempt, 2);
}

static bool refused;

static void refused_cb(bool ready, const struct cress_error *err, void *arg)
{
    (void)arg;
    assert_false(ready);
    refused = true;
    last.err = *err;
}

static void expect_refusal(const char *url)
{
    struct cress_config other = config;
    struct cress_store *denied;
    const struct cress_store_options options = {.config = &other, .on_state = refused_cb};

    other.store_url = (char *)url;
    expect_call();
    refused = false;
    assert_int_equal(cress_store_open(&loop, &options, &denied, NULL), CRESS_OK);
    run_until(&refused);
    bool closed = false;
    cress_store_close(denied, closed_cb, &closed);
    run_until(&closed);
}

static void test_login(void **state)
{
    char url[256];

    (void)state;
    snprintf(url, sizeof(url), "redis://:wrong@127.0.0.1:%d/9", server.port);
    expect_refusal(url);
    assert_int_equal(last.err.status, CRESS_DENIED);
    assert_string_equal(last.err.code, "store_denied");
    assert_null(strstr(last.err.message, "wrong@"));
    snprintf(url, sizeof(url), "redis://127.0.0.1:%d/9", server.port);
    expect_refusal(url);
    assert_int_equal(last.err.status, CRESS_DENIED);
    expect_refusal("redis://127.0.0.1:1/0");
    assert_int_equal(last.err.status, CRESS_UNAVAILABLE);
    assert_non_null(strstr(last.err.message, "refused"));

    snprintf(url, sizeof(url), "unix://default:secret@%s/redis.sock?db=9", server.folder);
    char *const before = config.store_url;
    create("j");
    close_store();
    config.store_url = url;
    open_store(0);
    config.store_url = before;
    assert_non_null(get("j"));
}

static void test_full_store(void **state)
{
    (void)state;
    create("j");
    command("CONFIG", "SET", "maxmemory", "1");
    create_in("k", CRESS_STATE_QUEUED, NULL);
    const struct cress_error err = last.err;
    command("CONFIG", "SET", "maxmemory", "0");
    assert_int_equal(err.status, CRESS_UNAVAILABLE);
    assert_string_equal(err.code, "store_full");
    create("k");
}

static int cancelled;

static void cancelled_cb(enum cress_verdict verdict, bool follow, const struct cress_error *err,
                         void *arg)
{
    (void)verdict;
    (void)follow;
    (void)arg;
    assert_int_equal(err->status, CRESS_CANCELLED);
    cancelled++;
}

static void test_close_while_busy(void **state)
{
    const struct cress_change one = {
        .id = "j", .to = CRESS_STATE_CANCELLED, .attempt = 1, .now_ms = 1};

    (void)state;
    create("j");
    cancelled = 0;
    for (int i = 0; i < 100; i++) {
        cress_store_change(store, &one, cancelled_cb, NULL);
    }
    assert_int_equal(cancelled, 0);
    close_store();
    assert_int_equal(cancelled, 100);
    open_store(0);
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
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_logs_grow_until_they_are_full),
        TEST(test_create),
        TEST(test_discard),
        TEST(test_unique_until_the_end),
        TEST(test_unique_for_a_time),
        TEST(test_discard_frees_the_unique_key),
        TEST(test_a_unique_key_without_its_record_is_free),
        TEST(test_idempotency),
        TEST(test_start_of_a_unique_job_without_record),
        TEST(test_limited_concurrency),
        TEST(test_limits_of_many_keys),
        TEST(test_limited_rate),
        TEST(test_every_pair),
        TEST(test_outcomes),
        TEST(test_explicit_retry),
        TEST(test_ttl_zero_keeps),
        TEST(test_start_verdicts),
        TEST(test_start_without_record),
        TEST(test_start_of_a_limited_job_without_record),
        TEST(test_poison_and_hand_back),
        TEST(test_redelivered_while_its_worker_lives),
        TEST(test_guards),
        TEST(test_many_at_once),
        TEST(test_batch),
        TEST(test_batch_results),
        TEST(test_batch_refusals),
        TEST(test_foreign_correlation),
        TEST(test_cancel_what_waits),
        TEST(test_cancel_what_has_ended),
        TEST(test_cancel_what_runs),
        TEST(test_cancelled_is_not_tried_again),
        TEST(test_cancelled_outlives_its_record),
        TEST(test_cancelled_note_waits_for_its_message),
        TEST(test_cancel_in_a_batch),
        TEST(test_after_success),
        TEST(test_after_failure),
        TEST(test_after_what_has_ended),
        TEST(test_after_what_does_not_exist),
        TEST(test_cancel_between_others),
        TEST(test_discard_what_others_wait_for),
        TEST(test_discard_the_last_of_a_batch),
        TEST(test_batch_interleavings),
        TEST(test_presence),
        TEST(test_queues_and_server),
        TEST(test_watch),
        TEST(test_watch_stops_while_waking),
        TEST(test_paused_queues),
        TEST(test_listening),
        TEST(test_script_flush),
        TEST(test_paused_server),
        TEST(test_restart_with_data),
        TEST(test_restart_without_data),
        TEST(test_login),
        TEST(test_full_store),
        TEST(test_close_while_busy),
    };
#undef TEST
    return cmocka_run_group_tests_name("store", tests, set_up_group, tear_down_group);
}
