// SPDX-License-Identifier: Apache-2.0
// A store beside a server of its own; see stand.h.
#include "tests/integration/store/stand.h"

#include "common/store/limits.h"

struct server server;

uv_loop_t loop;

struct cress_config config;

struct cress_store *store;

bool store_ready;

/* --- running the loop until something is so --- */

void run_until(const bool *flag)
{
    loop_run_until(&loop, flag, DEADLINE_MS);
}

struct last last;

void expect_call(void)
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

void done_cb(const struct cress_error *err, void *arg)
{
    (void)arg;
    note(err);
}

void record_cb(const struct cress_record *record, const struct cress_error *err, void *arg)
{
    (void)arg;
    note(err);
    last.record = record ? cress_record_clone(record) : NULL;
}

void created_cb(const struct cress_existing *existing, enum cress_state made,
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

void verdict_cb(enum cress_verdict verdict, bool follow, const struct cress_error *err, void *arg)
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

void started_cb(enum cress_verdict verdict, bool follow, int64_t wait_ms,
                const struct cress_error *err, void *arg)
{
    verdict_cb(verdict, follow, err, arg);
    last.wait_ms = wait_ms;
}

void requeue_cb(bool exists, enum cress_state was, const struct cress_error *err, void *arg)
{
    (void)arg;
    (void)exists;
    note(err);
    last.state = was;
}

void pause_cb(int64_t since_ms, bool changed, const struct cress_error *err, void *arg)
{
    (void)arg;
    note(err);
    last.since_ms = since_ms;
    last.follow = changed;
}

void paused_cb(const struct cress_paused_queue *queues, size_t count, const struct cress_error *err,
               void *arg)
{
    (void)arg;
    note(err);
    last.count = count;
    for (size_t i = 0; i < count && i < CRESS_COUNT(last.texts); i++) {
        snprintf(last.texts[i], sizeof(last.texts[i]), "%s %lld", queues[i].name,
                 (long long)queues[i].since_ms);
    }
}

void close_cb(bool follow, const struct cress_error *err, void *arg)
{
    (void)arg;
    note(err);
    last.follow = follow;
}

void report_worker(const char *worker, const char *json, int64_t ttl_ms)
{
    const struct cress_beat beat = {.worker = worker, .json = json, .ttl_ms = ttl_ms};
    cress_store_beat(store, &beat, close_cb, NULL);
}

void batch_cb(const struct cress_batch *batch, const struct cress_error *err, void *arg)
{
    (void)arg;
    note(err);
    last.has_batch = batch != NULL;
    last.batch = batch ? *batch : last.batch;
}

void texts_cb(const char *const *texts, size_t count, const struct cress_error *err, void *arg)
{
    (void)arg;
    note(err);
    last.count = count;
    for (size_t i = 0; i < count && i < CRESS_COUNT(last.texts); i++) {
        snprintf(last.texts[i], sizeof(last.texts[i]), "%s", texts[i]);
    }
}

void log_cb(const char *text, size_t size, const struct cress_error *err, void *arg)
{
    (void)arg;
    note(err);
    snprintf(last.texts[0], sizeof(last.texts[0]), "%.*s", (int)size, text ? text : "");
}

void health_cb(const struct cress_store_health *health, const struct cress_error *err, void *arg)
{
    (void)arg;
    note(err);
    snprintf(last.texts[0], sizeof(last.texts[0]), "%s", health ? health->version : "");
}

/* Never from within the call; then no error. */
void wait_for_call(void)
{
    assert_false(last.called);
    run_until(&last.called);
}

void wait_for_success(void)
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

bool side_ready;

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

long long command(const char *a, const char *b, const char *c, const char *d)
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

struct cress_job make_job(const char *id)
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

void create_job(const struct cress_job *job, enum cress_state state)
{
    expect_call();
    cress_store_create(store, job, state, created_cb, NULL);
    wait_for_call();
}

void create_in(const char *id, enum cress_state state, const char *batch)
{
    struct cress_job job = make_job(id);

    job.batch = batch;
    create_job(&job, state);
}

void create(const char *id)
{
    create_in(id, CRESS_STATE_QUEUED, NULL);
    assert_int_equal(last.err.status, CRESS_OK);
    assert_null(last.record);
}

const char *speaker = "w"; /* who started a job last, and says what becomes of it */

enum cress_verdict start_as(const char *id, const char *worker, int attempt, bool redelivered,
                            int64_t now_ms)
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

enum cress_verdict start(const char *id, int attempt)
{
    static int64_t now_ms = 5000;
    return start_as(id, "w", attempt, false, now_ms++);
}

void send_change(const char *id, enum cress_state to, int attempt)
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

enum cress_verdict change(const char *id, enum cress_state to, int attempt)
{
    expect_call();
    send_change(id, to, attempt);
    wait_for_success();
    return last.verdict;
}

const struct cress_record *get(const char *id)
{
    expect_call();
    cress_store_get(store, id, record_cb, NULL);
    wait_for_success();
    return last.record;
}

/* --- opening and closing --- */

void state_cb(bool ready, const struct cress_error *err, void *arg)
{
    (void)arg;
    assert_true(ready == (err == NULL));
    store_ready = ready;
}

void closed_cb(void *arg)
{
    *(bool *)arg = true;
}

void open_store(int64_t timeout_ms)
{
    const struct cress_store_options options = {
        .config = &config, .timeout_ms = timeout_ms, .on_state = state_cb};

    assert_int_equal(cress_store_open(&loop, &options, &store, NULL), CRESS_OK);
    store_ready = false;
    run_until(&store_ready);
}

void close_store(void)
{
    bool closed = false;
    cress_store_close(store, closed_cb, &closed);
    run_until(&closed);
}

int set_up(void **state)
{
    (void)state;
    open_store(0);
    command("FLUSHDB", NULL, NULL, NULL);
    return 0;
}

int tear_down(void **state)
{
    (void)state;
    close_store();
    return 0;
}

int set_up_group(void **state)
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

int tear_down_group(void **state)
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

void requeue(const char *id)
{
    expect_call();
    cress_store_requeue(store, id, NULL, requeue_cb, NULL);
    wait_for_success();
}

enum cress_state create_after(const char *id, const char *after, bool any)
{
    struct cress_job job = make_job(id);

    job.after = after;
    job.after_any = any;
    create_job(&job, CRESS_STATE_QUEUED);
    assert_int_equal(last.err.status, CRESS_OK);
    assert_null(last.record);
    return last.state;
}

/* Takes a new job to `state`. */
void bring_to(const char *id, enum cress_state state)
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

int many_left;

/* --- batches --- */

void batch_open(const char *id)
{
    expect_call();
    cress_store_batch_open(store, id, "{\"task\":\"site.publish\"}", false, 1234, done_cb, NULL);
    wait_for_success();
}

bool batch_close(const char *id)
{
    expect_call();
    cress_store_batch_close(store, id, close_cb, NULL);
    wait_for_success();
    return last.follow;
}

const struct cress_batch *batch_get(const char *id)
{
    expect_call();
    cress_store_batch_get(store, id, batch_cb, NULL);
    wait_for_success();
    return last.has_batch ? &last.batch : NULL;
}

/* --- cancelling --- */

static enum cress_verdict cancel_at(const char *id, int64_t now_ms)
{
    expect_call();
    cress_store_cancel(store, id, "{\"code\":\"cancelled\"}", now_ms, cancel_cb, NULL);
    wait_for_success();
    return last.verdict;
}

enum cress_verdict cancel(const char *id)
{
    return cancel_at(id, 7000);
}

/* Milliseconds left of the note about `id`, or -2. */
long long note_ttl(const char *id)
{
    char key[64];

    snprintf(key, sizeof key, "cress:cancelled:%s", id);
    return command("PTTL", key, NULL, NULL);
}

/* --- jobs that wait for others --- */

/* The first entry of what follows the end of `id`, "" when there is none. `done` is NULL or the
 * entry that was done. */
const char *follow_up(const char *id, char *done)
{
    char *const entries[] = {done};

    do {
        expect_call();
        cress_store_follow_up(store, id, entries, done != NULL, follow_up_cb, NULL);
        wait_for_success();
    } while (last.count == 0 && last.follow);
    return last.count > 0 ? last.texts[0] : "";
}

void woken_cb(void *arg)
{
    *(bool *)arg = true;
}

int cancelled;
