// SPDX-License-Identifier: Apache-2.0
// The store against a real Redis: workers, queues, pauses, and whoever is woken.
#include "tests/integration/store/stand.h"

/* --- presence --- */

static void test_presence(void **state)
{
    (void)state;
    expect_call();
    report_worker("w1", "{\"w\":1}", 60000);
    wait_for_success();
    expect_call();
    report_worker("w2", "{\"w\":2}", 1);
    wait_for_success();
    while (command("EXISTS", "cress:worker:w2", NULL, NULL) == 1) {
    }
    expect_call();
    cress_store_workers(store, texts_cb, NULL);
    wait_for_success();
    assert_int_equal(last.count, 1);
    assert_string_equal(last.texts[0], "{\"w\":1}");
    expect_call();
    report_worker("w1", "{\"w\":1}", 60000);
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
    cress_store_health(store, health_cb, NULL);
    wait_for_success();
    assert_true(last.texts[0][0] >= '1' && last.texts[0][0] <= '9');
}

/* --- waiting --- */

static struct cress_watch *watches[3];

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAND_TEST(test_presence),      STAND_TEST(test_queues_and_server),
        STAND_TEST(test_watch),         STAND_TEST(test_watch_stops_while_waking),
        STAND_TEST(test_paused_queues), STAND_TEST(test_listening),
    };
    return cmocka_run_group_tests_name("store_presence", tests, set_up_group, tear_down_group);
}
