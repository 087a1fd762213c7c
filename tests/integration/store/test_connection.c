// SPDX-License-Identifier: Apache-2.0
// The store against a real Redis: the connection: lost scripts, a server that pauses, restarts, refuses or is full.
#include "tests/integration/store/stand.h"

#include <signal.h>

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

static struct cress_store *open_on(const struct cress_config *its_config)
{
    const struct cress_store_options options = {
        .config = its_config, .reads_may_lag = true, .on_state = state_cb};
    struct cress_store *opened;
    assert_int_equal(cress_store_open(&loop, &options, &opened, NULL), CRESS_OK);
    store_ready = false;
    run_until(&store_ready);
    return opened;
}

static void close_it(struct cress_store *opened)
{
    bool closed = false;
    cress_store_close(opened, closed_cb, &closed);
    run_until(&closed);
}

static enum cress_state state_by(void (*read)(struct cress_store *store, const char *id,
                                              cress_store_get_cb done, void *arg),
                                 struct cress_store *asked)
{
    expect_call();
    read(asked, "j", record_cb, NULL);
    wait_for_success();
    return last.record->state;
}

/* A server that knows an earlier state for ever stands for a replica that lags. */
static void test_what_decides_reads_the_primary(void **state)
{
    (void)state;
    struct server lagging;
    server_prepare(&lagging);
    server_start(&lagging);
    create("j");
    assert_int_equal(start("j", 1), CRESS_VERDICT_APPLIED);
    batch_open("b");

    struct cress_config past = config, both = config;
    past.store_url = lagging.url;
    struct cress_store *const behind = open_on(&past), *const primary = store;
    store = behind;
    create("j");
    batch_open("b");
    create_in("member", CRESS_STATE_QUEUED, "b");
    store = primary;
    both.store_read_url = lagging.url;
    struct cress_store *const reader = open_on(&both);
    const int64_t deadline = cress_clock_mono_ms() + DEADLINE_MS;
    while (state_by(cress_store_peek, reader) != CRESS_STATE_QUEUED) {
        assert_true(cress_clock_mono_ms() < deadline); /* until the replica is connected */
    }
    assert_int_equal(state_by(cress_store_get, reader), CRESS_STATE_RUNNING);
    expect_call();
    cress_store_peek_batch(reader, "b", batch_cb, NULL);
    wait_for_success();
    assert_int_equal(last.batch.total, 1);
    expect_call();
    cress_store_batch_get(reader, "b", batch_cb, NULL);
    wait_for_success();
    assert_int_equal(last.batch.total, 0);
    close_it(reader);
    close_it(behind);
    server_stop(&lagging);
    server_clean(&lagging);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAND_TEST(test_script_flush),
        STAND_TEST(test_paused_server),
        STAND_TEST(test_restart_with_data),
        STAND_TEST(test_restart_without_data),
        STAND_TEST(test_login),
        STAND_TEST(test_what_decides_reads_the_primary),
        STAND_TEST(test_full_store),
        STAND_TEST(test_close_while_busy),
    };
    return cmocka_run_group_tests_name("connection", tests, set_up_group, tear_down_group);
}
