// SPDX-License-Identifier: Apache-2.0
// Schedules against a real Redis: what workers are told when they register and claim ticks.
#include "common/store/schedules.h"
#include "tests/integration/store/loop.h"
#include "tests/integration/store/server.h"
#include "tests/unit/unit.h"

#include "common/base/buf.h"
#include "common/base/clock.h"

enum { DEADLINE_MS = 10000, HOLD_MS = 300, MINUTE_MS = 60000 };

static struct server server;
static uv_loop_t loop;
static struct cress_config config;
static struct cress_store *store;
static bool ready;

/* What the last callback was given. */
static struct {
    bool called;
    enum cress_status status;
    enum cress_claim claim;
    int64_t number;
    size_t count;
    struct cress_schedule_record schedule; /* without its texts but these */
    char cron[32], last_id[64], last_state[32];
    char fleets[256]; /* "CRON WORKER WORKER;CRON WORKER;" */
} last;

/* --- running the loop until something is so --- */

static void run_until(const bool *flag)
{
    loop_run_until(&loop, flag, DEADLINE_MS);
}

static void state_cb(bool is_ready, const struct cress_error *err, void *arg)
{
    (void)err;
    (void)arg;
    ready = is_ready;
}

static void closed_cb(void *arg)
{
    *(bool *)arg = true;
}

/* --- calls, each until its answer --- */

static void done_cb(const struct cress_error *err, void *arg)
{
    (void)arg;
    last.called = true;
    last.status = err ? err->status : CRESS_OK;
}

static void registered_cb(int64_t done_ms, const struct cress_error *err, void *arg)
{
    last.number = done_ms;
    done_cb(err, arg);
}

static void claim_cb(enum cress_claim claim, int64_t number, const struct cress_error *err,
                     void *arg)
{
    last.claim = claim;
    last.number = number;
    done_cb(err, arg);
}

static void read_fleets(const struct cress_schedule_record *schedule)
{
    struct cress_buf text = cress_buf_make(sizeof last.fleets);
    for (size_t i = 0; i < schedule->fleet_count; i++) {
        const struct cress_schedule_fleet *fleet = &schedule->fleets[i];
        assert_string_equal(fleet->definition.request, "{\"task\":\"a/b\"}");
        cress_buf_add_text(&text, fleet->definition.cron);
        for (size_t j = 0; j < fleet->worker_count; j++) {
            cress_buf_add_char(&text, ' ');
            cress_buf_add_text(&text, fleet->workers[j]);
        }
        cress_buf_add_char(&text, ';');
    }
    snprintf(last.fleets, sizeof last.fleets, "%s", cress_buf_text(&text));
    cress_buf_free(&text);
}

static void schedules_cb(const struct cress_schedule_record *schedules, size_t count,
                         const struct cress_error *err, void *arg)
{
    last.count = count;
    if (count > 0) {
        last.schedule = schedules[0];
        read_fleets(&schedules[0]);
        snprintf(last.cron, sizeof last.cron, "%s", schedules[0].definition.cron);
        snprintf(last.last_id, sizeof last.last_id, "%s",
                 schedules[0].last_id ? schedules[0].last_id : "");
        snprintf(last.last_state, sizeof last.last_state, "%s",
                 schedules[0].last_state ? schedules[0].last_state : "");
    }
    done_cb(err, arg);
}

static void created_cb(const struct cress_existing *existing, enum cress_state made,
                       const struct cress_error *err, void *arg)
{
    (void)made;
    assert_null(existing);
    done_cb(err, arg);
}

static void beat_cb(bool follow, const struct cress_error *err, void *arg)
{
    (void)follow;
    done_cb(err, arg);
}

static void beat(const char *worker)
{
    last.called = false;
    const struct cress_beat beat = {.worker = worker, .json = "{}", .ttl_ms = MINUTE_MS};
    cress_store_beat(store, &beat, beat_cb, NULL);
    run_until(&last.called);
}

static void leave(const char *worker)
{
    last.called = false;
    cress_store_leave(store, worker, done_cb, NULL);
    run_until(&last.called);
}

static int64_t register_as(const char *worker, const char *cron, int64_t known_ms, bool replaces)
{
    const struct cress_schedule_definition definition = {.cron = cron,
                                                         .timezone = "UTC",
                                                         .missed = "skip",
                                                         .overlap = "run",
                                                         .request = "{\"task\":\"a/b\"}"};
    last.called = false;
    cress_store_schedule_register(store, "a", worker, &definition, known_ms, replaces,
                                  registered_cb, NULL);
    run_until(&last.called);
    assert_int_equal(last.status, CRESS_OK);
    return last.number;
}

static int64_t register_with(const char *cron, int64_t known_ms, bool replaces)
{
    return register_as("w:1:0a", cron, known_ms, replaces);
}

static enum cress_claim claim(const char *name, int64_t tick_ms, bool skips_overlap)
{
    last.called = false;
    cress_store_schedule_claim(store, name, tick_ms, HOLD_MS, skips_overlap, claim_cb, NULL);
    run_until(&last.called);
    assert_int_equal(last.status, CRESS_OK);
    return last.claim;
}

static void note_done(int64_t tick_ms, const char *id)
{
    last.called = false;
    cress_store_schedule_done(store, "a", tick_ms, id, done_cb, NULL);
    run_until(&last.called);
    assert_int_equal(last.status, CRESS_OK);
}

static enum cress_status set_paused(const char *name, bool paused)
{
    last.called = false;
    cress_store_schedule_pause(store, name, paused, done_cb, NULL);
    run_until(&last.called);
    return last.status;
}

static void list(const char *name)
{
    last.called = false;
    cress_store_schedules(store, name, schedules_cb, NULL);
    run_until(&last.called);
    assert_int_equal(last.status, CRESS_OK);
}

static void create_job(const char *id)
{
    const struct cress_job job = {.id = id,
                                  .task = "cress.noop",
                                  .queue = "default",
                                  .payload = "1",
                                  .payload_size = 1,
                                  .created_ms = 1};
    last.called = false;
    cress_store_create(store, &job, CRESS_STATE_QUEUED, created_cb, NULL);
    run_until(&last.called);
    assert_int_equal(last.status, CRESS_OK);
}

/* --- each test with a store of its own, which is empty --- */

static int set_up(void **state)
{
    (void)state;
    server_prepare(&server);
    server_start(&server);
    uv_loop_init(&loop);
    config = (struct cress_config){.store_url = server.url,
                                   .store_timeout_ms = 5000,
                                   .store_ttl_ms = MINUTE_MS,
                                   .job_max_attempts = 5,
                                   .job_timeout_ms = MINUTE_MS};
    const struct cress_store_options options = {.config = &config, .on_state = state_cb};
    assert_int_equal(cress_store_open(&loop, &options, &store, NULL), CRESS_OK);
    run_until(&ready);
    return 0;
}

static int tear_down(void **state)
{
    bool closed = false;

    (void)state;
    cress_store_close(store, closed_cb, &closed);
    run_until(&closed);
    server_stop(&server);
    server_clean(&server);
    ready = false;
    return uv_loop_close(&loop); /* not 0 when a handle is left */
}

/* A minute is more than both clocks, this one and Redis's, differ. */
static bool is_now(int64_t ms)
{
    const int64_t now_ms = cress_clock_wall_ms();
    return ms > now_ms - MINUTE_MS && ms < now_ms + MINUTE_MS;
}

static void test_what_a_schedule_begins_with(void **state)
{
    (void)state;
    const int64_t begun_ms = register_with("@daily", 0, true);
    assert_true(is_now(begun_ms));
    assert_int_equal(register_with("@daily", 0, true), begun_ms);
    assert_int_equal(register_with("@daily", 1000, true), begun_ms);
    note_done(begun_ms + 5, "j");
    assert_int_equal(register_with("@daily", 0, true), begun_ms + 5);
    /* what a worker knows that the store does not */
    assert_int_equal(register_with("@daily", begun_ms + 9, false), begun_ms + 9);
}

static void test_a_schedule_that_changes_begins_anew(void **state)
{
    (void)state;
    assert_int_equal(register_with("@daily", 1000, true), 1000);
    beat("w:1:0a");
    assert_int_equal(register_as("w:2:0b", "@hourly", 0, false), 1000); /* the definition stays */
    list("a");
    assert_string_equal(last.cron, "@daily");
    assert_true(is_now(register_with("@hourly", 0, true)));
    list("a");
    assert_string_equal(last.cron, "@hourly");
}

static void test_who_has_which_definition(void **state)
{
    (void)state;
    beat("w:1:0a");
    beat("w:2:0b");
    beat("w:3:0c");
    register_as("w:1:0a", "@daily", 1000, true);
    register_as("w:2:0b", "@daily", 1000, true);
    list("a");
    assert_string_equal(last.fleets, "@daily w:1:0a w:2:0b;");
    register_as("w:3:0c", "@hourly", 1000, true);
    list("a");
    assert_string_equal(last.cron, "@hourly");
    assert_non_null(strstr(last.fleets, "@daily w:1:0a w:2:0b;"));
    assert_non_null(strstr(last.fleets, "@hourly w:3:0c;"));
    register_as("w:1:0a", "@hourly", 1000, true); /* its configuration has changed */
    list("a");
    assert_non_null(strstr(last.fleets, "@daily w:2:0b;"));
    assert_non_null(strstr(last.fleets, "@hourly w:1:0a w:3:0c;"));
    register_as("w:2:0b", "@hourly", 1000, true);
    list("a");
    assert_string_equal(last.fleets, "@hourly w:1:0a w:2:0b w:3:0c;");
}

static void test_a_definition_goes_with_its_last_worker(void **state)
{
    (void)state;
    beat("w:1:0a");
    beat("w:2:0b");
    const int64_t begun_ms = register_as("w:1:0a", "@daily", 1000, true);
    assert_true(is_now(register_as("w:2:0b", "@hourly", begun_ms, true)));
    leave("w:2:0b");
    list("a");
    assert_string_equal(last.fleets, "@daily w:1:0a;");
    /* … and so does what stands for the schedule, with the next that a living worker says: no tick
     * is skipped for it */
    const int64_t done_ms = register_as("w:1:0a", "@daily", 0, false);
    list("a");
    assert_string_equal(last.cron, "@daily");
    assert_int_equal(register_as("w:1:0a", "@daily", 0, false), done_ms);
}

static void test_claims(void **state)
{
    (void)state;
    assert_int_equal(claim("a", 2000, false), CRESS_CLAIM_UNKNOWN);
    register_with("@daily", 1000, true);
    assert_int_equal(claim("a", 1000, false), CRESS_CLAIM_DONE);
    assert_int_equal(last.number, 1000);
    assert_int_equal(claim("a", 2000, false), CRESS_CLAIM_CLAIMED);
    assert_int_equal(claim("a", 2000, false), CRESS_CLAIM_BUSY);
    assert_in_range(last.number, 1, HOLD_MS);
    while (claim("a", 2000, false) == CRESS_CLAIM_BUSY) { /* until it ends by itself */
        assert_in_range(last.number, 1, HOLD_MS);
    }
    assert_int_equal(last.claim, CRESS_CLAIM_CLAIMED);
    note_done(2000, "j");
    assert_int_equal(claim("a", 2000, false), CRESS_CLAIM_DONE);
    assert_int_equal(claim("a", 3000, false), CRESS_CLAIM_CLAIMED); /* another tick is another */
    note_done(2000, "late"); /* someone who was slow changes nothing */
    list(NULL);
    assert_int_equal(last.count, 1);
    assert_int_equal(last.schedule.last_ms, 2000);
    assert_string_equal(last.last_id, "j");
}

static void test_clocks_that_are_ahead(void **state)
{
    (void)state;
    register_with("@daily", 1000, true);
    const int64_t now_ms = cress_clock_wall_ms();
    assert_int_equal(claim("a", now_ms + 2 * MINUTE_MS, false), CRESS_CLAIM_EARLY);
    assert_int_equal(claim("a", now_ms + MINUTE_MS / 2, false), CRESS_CLAIM_CLAIMED);
}

static void test_pauses(void **state)
{
    (void)state;
    assert_int_equal(set_paused("a", true), CRESS_NOT_FOUND);
    register_with("@daily", 1000, true);
    assert_int_equal(set_paused("a", true), CRESS_OK);
    assert_int_equal(claim("a", 2000, false), CRESS_CLAIM_PAUSED);
    assert_int_equal(claim("a", 2000, false), CRESS_CLAIM_DONE);
    list("a");
    assert_true(is_now(last.schedule.paused_ms));
    assert_int_equal(last.schedule.last_ms, 0);
    assert_int_equal(set_paused("a", false), CRESS_OK);
    list("a");
    assert_int_equal(last.schedule.paused_ms, 0);
    const int64_t resumed_ms = last.schedule.done_ms;
    assert_true(is_now(resumed_ms));
    assert_int_equal(set_paused("a", false), CRESS_OK); /* it went on already */
    list("a");
    assert_int_equal(last.schedule.done_ms, resumed_ms);
}

static void test_overlap(void **state)
{
    (void)state;
    register_with("@daily", 1000, true);
    create_job("j");
    note_done(2000, "j");
    list("a");
    assert_string_equal(last.last_state, "queued");
    assert_int_equal(claim("a", 3000, true), CRESS_CLAIM_OVERLAP);
    assert_int_equal(claim("a", 3000, true), CRESS_CLAIM_DONE);
    assert_int_equal(claim("a", 4000, false), CRESS_CLAIM_CLAIMED);
    note_done(4000, "without-record");
    assert_int_equal(claim("a", 5000, true), CRESS_CLAIM_CLAIMED);
    note_done(5000, NULL); /* there was none */
    list("a");
    assert_string_equal(last.last_id, "without-record");
    assert_int_equal(last.schedule.done_ms, 5000);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_what_a_schedule_begins_with),
        TEST(test_a_schedule_that_changes_begins_anew),
        TEST(test_who_has_which_definition),
        TEST(test_a_definition_goes_with_its_last_worker),
        TEST(test_claims),
        TEST(test_clocks_that_are_ahead),
        TEST(test_pauses),
        TEST(test_overlap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
