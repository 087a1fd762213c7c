// SPDX-License-Identifier: Apache-2.0
// The order of effects of a tick, with store, submission and wall clock faked: each call is
// answered when and as the test says.
#include "common/base/clock.h"
#include "common/config/option.h"
#include "common/schedule/plan.h"
#include "common/store/schedules.h"
#include "common/submit/submit.h"
#include "tests/unit/unit.h"
#include "worker/ticker.h"

enum { DEADLINE_MS = 10000 };

#define WORKER "host:1:0a"

enum call_kind { NONE, REGISTER, CLAIM, SUBMIT, DONE };

/* The call under way, of which a schedule has one at most. */
static struct {
    enum call_kind kind;
    cress_store_registered_cb registered;
    cress_store_claim_cb claim;
    cress_submit_cb submitted;
    cress_store_done_cb done;
    void *arg;
    int64_t tick_ms, known_ms;
    bool flag; /* REGISTER: replaces; CLAIM: skips overlap */
    char id[CRESS_ID_MAX + 1];
    char task[32];
    char cron[32];
} call;

static int64_t now_ms;
static bool store_ready;
static uv_loop_t loop;
static struct cress_config *config;
static struct cress_services services;
static struct cress_ticker *ticker;

/* --- the fakes --- */

int64_t cress_clock_wall_ms(void)
{
    return now_ms;
}

int64_t cress_clock_mono_ms(void)
{
    return (int64_t)(uv_hrtime() / 1000000);
}

bool cress_store_is_ready(const struct cress_store *store, struct cress_error *why)
{
    (void)store;
    (void)why;
    return store_ready;
}

static void begin(enum call_kind kind, void *arg)
{
    assert_int_equal(call.kind, NONE);
    memset(&call, 0, sizeof call);
    call.kind = kind;
    call.arg = arg;
}

void cress_store_schedule_register(struct cress_store *store, const char *name, const char *worker,
                                   const struct cress_schedule_definition *definition,
                                   int64_t known_ms, bool replaces, cress_store_registered_cb done,
                                   void *arg)
{
    (void)store;
    assert_string_equal(name, "a");
    assert_string_equal(worker, WORKER);
    begin(REGISTER, arg);
    call.registered = done;
    call.flag = replaces;
    call.known_ms = known_ms;
    snprintf(call.cron, sizeof call.cron, "%s", definition->cron);
}

void cress_store_schedule_claim(struct cress_store *store, const char *name, int64_t tick_ms,
                                int64_t hold_ms, bool skips_overlap, cress_store_claim_cb done,
                                void *arg)
{
    (void)store;
    (void)name;
    assert_true(hold_ms > 0);
    begin(CLAIM, arg);
    call.claim = done;
    call.tick_ms = tick_ms;
    call.flag = skips_overlap;
}

void cress_store_schedule_done(struct cress_store *store, const char *name, int64_t tick_ms,
                               const char *id, cress_store_done_cb done, void *arg)
{
    (void)store;
    (void)name;
    begin(DONE, arg);
    call.done = done;
    call.tick_ms = tick_ms;
    snprintf(call.id, sizeof call.id, "%s", id ? id : "(none)");
}

void cress_submit(struct cress_door door, const struct cress_job *request, cress_submit_cb done,
                  void *arg)
{
    assert_true(door.timeout_ms > 0);
    begin(SUBMIT, arg);
    call.submitted = done;
    snprintf(call.id, sizeof call.id, "%s", request->id);
    snprintf(call.task, sizeof call.task, "%s", request->task);
}

/* --- answers, on a later turn than the call --- */

static enum call_kind take(void)
{
    const enum call_kind kind = call.kind;
    call.kind = NONE;
    return kind;
}

static void answer_registered(int64_t done_ms)
{
    assert_int_equal(take(), REGISTER);
    call.registered(done_ms, NULL, call.arg);
}

static void answer_claim(enum cress_claim claim, int64_t number)
{
    assert_int_equal(take(), CLAIM);
    call.claim(claim, number, NULL, call.arg);
}

static void answer_submit(enum cress_status status, const char *code)
{
    struct cress_error err;
    assert_int_equal(take(), SUBMIT);
    if (status != CRESS_OK) {
        cress_error_set(&err, status, code, "as the test says");
    }
    call.submitted(NULL, status == CRESS_OK ? NULL : &err, call.arg);
}

static void answer_done(void)
{
    assert_int_equal(take(), DONE);
    call.done(NULL, call.arg);
}

/* --- running --- */

static void tick_cb(uv_timer_t *timer)
{
    (void)timer;
}

/* Turns the loop until a call is under way: it must be of this kind. */
static void expect(enum call_kind kind)
{
    const int64_t deadline_ms = cress_clock_mono_ms() + DEADLINE_MS;
    uv_timer_t tick;
    uv_timer_init(&loop, &tick);
    uv_timer_start(&tick, tick_cb, 5, 5);
    while (call.kind == NONE && cress_clock_mono_ms() < deadline_ms) {
        uv_run(&loop, UV_RUN_ONCE);
    }
    uv_close((uv_handle_t *)&tick, NULL);
    uv_run(&loop, UV_RUN_NOWAIT);
    assert_int_equal(call.kind, kind);
}

/* Whatever is to be done at once has been done, and it is no call. */
static void expect_nothing(void)
{
    for (int i = 0; i < 3; i++) {
        uv_update_time(&loop);
        uv_run(&loop, UV_RUN_NOWAIT);
    }
    assert_int_equal(call.kind, NONE);
}

static struct cress_config *read_config(const char *text)
{
    struct cress_config *made = cress_config_make();
    FILE *file = fmemopen((void *)text, strlen(text), "r");
    assert_int_equal(cress_config_read(made, file, "cress.conf", NULL), CRESS_OK);
    fclose(file);
    return made;
}

#define T0    INT64_C(1795662000000) /* 2026-11-26T03:00:00Z */
#define HOUR  INT64_C(3600000)
#define T0_ID "schedule:a:2026-11-26T03:00:00Z"

/* A schedule that is due each hour, and whose tick at T0 has just come. */
static int set_up(void **state)
{
    (void)state;
    memset(&call, 0, sizeof call);
    now_ms = T0 + 5;
    store_ready = true;
    uv_loop_init(&loop);
    config = read_config("[schedule a]\ncron = 0 * * * *\ntask = cress.noop\n");
    services = (struct cress_services){.loop = &loop, .config = config};
    ticker = cress_ticker_open(&services, WORKER);
    expect(REGISTER);
    assert_true(call.flag);
    assert_int_equal(call.known_ms, 0);
    answer_registered(T0 - 1);
    expect(CLAIM);
    assert_int_equal(call.tick_ms, T0);
    return 0;
}

static void closed_cb(void *arg)
{
    *(bool *)arg = true;
}

static int tear_down(void **state)
{
    bool closed = ticker == NULL;
    (void)state;
    if (ticker) {
        cress_ticker_close(ticker, closed_cb, &closed);
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_true(closed);
    cress_config_free(config);
    return uv_loop_close(&loop); /* not 0 when a handle is left */
}

/* --- the tests --- */

static void test_a_tick(void **state)
{
    (void)state;
    answer_claim(CRESS_CLAIM_CLAIMED, T0 - 1);
    expect(SUBMIT);
    assert_string_equal(call.id, T0_ID);
    assert_string_equal(call.task, "cress.noop");
    answer_submit(CRESS_OK, NULL);
    expect(DONE); /* and not before */
    assert_int_equal(call.tick_ms, T0);
    assert_string_equal(call.id, T0_ID);
    answer_done();
    expect_nothing();
}

static void test_a_job_that_is_not_safe_is_not_done(void **state)
{
    (void)state;
    answer_claim(CRESS_CLAIM_CLAIMED, T0 - 1);
    expect(SUBMIT);
    answer_submit(CRESS_UNAVAILABLE, "unconfirmed");
    expect(CLAIM);
    assert_int_equal(call.tick_ms, T0);
    answer_claim(CRESS_CLAIM_CLAIMED, T0 - 1);
    expect(SUBMIT);
    assert_string_equal(call.id, T0_ID);
    answer_submit(CRESS_NOT_FOUND, "unknown_queue"); /* a worker that is about to start declares
                                                        it */
    expect(CLAIM);
    answer_claim(CRESS_CLAIM_DONE, T0);
    expect_nothing();
}

static void test_what_is_late_is_missed_in_the_end(void **state)
{
    (void)state;
    answer_claim(CRESS_CLAIM_CLAIMED, T0 - 1);
    expect(SUBMIT);
    now_ms = T0 + 60001; /* a minute of grace */
    answer_submit(CRESS_UNAVAILABLE, "unconfirmed");
    now_ms = T0 + HOUR;
    expect(CLAIM);
    assert_int_equal(call.tick_ms, T0 + HOUR);
    answer_claim(CRESS_CLAIM_PAUSED, T0 + HOUR);
    expect_nothing();
}

static void test_a_job_that_exists_is_done(void **state)
{
    (void)state;
    answer_claim(CRESS_CLAIM_CLAIMED, T0 - 1);
    expect(SUBMIT);
    answer_submit(CRESS_CONFLICT, "job_exists");
    expect(DONE);
    assert_string_equal(call.id, T0_ID);
    answer_done();
    expect_nothing();
}

static void test_a_job_that_is_refused_is_done_without(void **state)
{
    (void)state;
    answer_claim(CRESS_CLAIM_CLAIMED, T0 - 1);
    expect(SUBMIT);
    answer_submit(CRESS_TOO_LARGE, "payload_too_large");
    expect(DONE);
    assert_int_equal(call.tick_ms, T0);
    assert_string_equal(call.id, "(none)");
    answer_done();
    expect_nothing();
}

static void test_ticks_of_others(void **state)
{
    (void)state;
    answer_claim(CRESS_CLAIM_BUSY, 30);
    expect(CLAIM); /* when the other one's claim is over */
    assert_int_equal(call.tick_ms, T0);
    answer_claim(CRESS_CLAIM_OVERLAP, T0);
    expect_nothing();
}

static void test_a_store_that_has_forgotten(void **state)
{
    (void)state;
    answer_claim(CRESS_CLAIM_UNKNOWN, 0);
    expect(REGISTER);
    assert_int_equal(call.known_ms, T0 - 1);
    answer_registered(T0 - 1);
    expect(CLAIM);
    answer_claim(CRESS_CLAIM_DONE, T0);
    expect_nothing();
    cress_ticker_store_ready(ticker);
    expect(REGISTER);
    assert_int_equal(call.known_ms, T0);
    answer_registered(T0);
    expect_nothing();
}

static void test_a_store_that_is_away(void **state)
{
    (void)state;
    answer_claim(CRESS_CLAIM_DONE, T0);
    expect_nothing();
    store_ready = false;
    cress_ticker_store_ready(ticker); /* it came, and went */
    expect_nothing();
    store_ready = true;
    cress_ticker_store_ready(ticker);
    expect(REGISTER);
    answer_registered(T0);
    expect_nothing();
}

static void test_reload(void **state)
{
    (void)state;
    struct cress_config *changed =
        read_config("[schedule a]\ncron = 0 * * * *\ntask = cress.echo\noverlap = skip\n");
    struct cress_config *empty = read_config("");
    cress_ticker_reload(ticker, changed);
    answer_claim(CRESS_CLAIM_BUSY, 1); /* of the old section */
    expect(REGISTER);
    assert_true(call.flag);
    answer_registered(T0 - 1);
    expect(CLAIM);
    assert_true(call.flag);
    answer_claim(CRESS_CLAIM_CLAIMED, T0 - 1);
    expect(SUBMIT);
    assert_string_equal(call.task, "cress.echo");
    cress_ticker_reload(ticker, empty); /* what is under way is ended */
    answer_submit(CRESS_OK, NULL);
    expect(DONE);
    answer_done();
    now_ms = T0 + HOUR;
    expect_nothing();
    cress_ticker_reload(ticker, changed);
    expect(REGISTER);
    assert_int_equal(call.known_ms, 0);
    answer_registered(T0 + HOUR);
    expect_nothing();
    cress_ticker_reload(ticker, empty);
    cress_config_free(changed);
    cress_config_free(empty);
}

/* The answer is to what was sent before: the new definition is still to be told. */
static void test_reload_while_it_registers(void **state)
{
    (void)state;
    struct cress_config *changed =
        read_config("[schedule a]\ncron = 30 * * * *\ntask = cress.echo\n");
    answer_claim(CRESS_CLAIM_UNKNOWN, 0);
    expect(REGISTER);
    assert_string_equal(call.cron, "0 * * * *");
    cress_ticker_reload(ticker, changed);
    answer_registered(T0);
    expect(REGISTER);
    assert_true(call.flag);
    assert_string_equal(call.cron, "30 * * * *");
    answer_registered(T0);
    expect_nothing();
    cress_ticker_reload(ticker, config);
    expect(REGISTER);
    answer_registered(T0);
    cress_config_free(changed);
}

static void test_the_end_waits_for_the_confirm(void **state)
{
    (void)state;
    bool closed = false;
    answer_claim(CRESS_CLAIM_CLAIMED, T0 - 1);
    expect(SUBMIT);
    cress_ticker_close(ticker, closed_cb, &closed);
    uv_run(&loop, UV_RUN_NOWAIT);
    assert_false(closed);
    answer_submit(CRESS_OK, NULL);
    expect(DONE);
    answer_done();
    uv_run(&loop, UV_RUN_NOWAIT);
    assert_true(closed);
    ticker = NULL;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_a_tick),
        TEST(test_a_job_that_is_not_safe_is_not_done),
        TEST(test_what_is_late_is_missed_in_the_end),
        TEST(test_a_job_that_exists_is_done),
        TEST(test_a_job_that_is_refused_is_done_without),
        TEST(test_ticks_of_others),
        TEST(test_a_store_that_has_forgotten),
        TEST(test_a_store_that_is_away),
        TEST(test_reload),
        TEST(test_reload_while_it_registers),
        TEST(test_the_end_waits_for_the_confirm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
