// SPDX-License-Identifier: Apache-2.0
// Submitting against a real broker and store: CRESS_BROKER_URL and CRESS_STORE_URL name them.
#include "tests/integration/store/loop.h"
#include "tests/unit/unit.h"

#include "common/base/clock.h"
#include "common/base/id.h"
#include "common/base/mem.h"
#include "common/broker/topology.h"
#include "common/metrics/metrics.h"
#include "common/submit/submit.h"

#include <stdio.h>

enum { DEADLINE_MS = 20000 };

static uv_loop_t loop;
static struct cress_config *config;
static struct cress_door door;

/* --- running the loop until something is so --- */

static void run_until(const bool *flag)
{
    loop_run_until(&loop, flag, DEADLINE_MS);
}

static struct {
    bool called;
    struct cress_error err;
    struct cress_record *record;
    int64_t ready;
} last;

static void expect_call(void)
{
    free(last.record);
    memset(&last, 0, sizeof(last));
}

static void record_cb(const struct cress_record *record, const struct cress_error *err, void *arg)
{
    (void)arg;
    assert_false(last.called);
    last.called = true;
    last.err = err ? *err : last.err;
    last.record = record ? cress_record_clone(record) : NULL;
}

static void stats_cb(const struct cress_queue_stats *stats, size_t count,
                     const struct cress_error *err, void *arg)
{
    (void)arg;
    assert_null(err);
    assert_int_equal(count, 1);
    last.called = true;
    last.ready = stats[0].ready;
}

static void submit(const struct cress_job *job)
{
    expect_call();
    cress_submit(door, job, record_cb, NULL);
    assert_false(last.called);
    run_until(&last.called);
}

static const struct cress_record *stored(const char *id)
{
    char kept[CRESS_ID_MAX + 1];

    snprintf(kept, sizeof(kept), "%s", id);
    expect_call();
    cress_store_get(door.store, kept, record_cb, NULL);
    run_until(&last.called);
    assert_int_equal(last.err.status, CRESS_OK);
    return last.record;
}

static int64_t waiting_in(const char *queue)
{
    const char *const names[] = {queue, NULL};

    expect_call();
    cress_broker_inspect(door.broker, names, 5000, stats_cb, NULL);
    run_until(&last.called);
    return last.ready;
}

static struct cress_job make_job(const char *id)
{
    return (struct cress_job){.id = id,
                              .task = "cress.echo",
                              .queue = "default",
                              .payload = "[1]rest",
                              .payload_size = 3,
                              .priority = CRESS_PRIORITY_NORMAL};
}

/* --- opening and closing --- */

static bool store_ready;
static bool broker_ready;

static void store_state_cb(bool ready, const struct cress_error *err, void *arg)
{
    (void)err;
    (void)arg;
    store_ready = ready;
}

static void broker_state_cb(enum cress_broker_state state, const struct cress_error *err, void *arg)
{
    (void)err;
    (void)arg;
    broker_ready = state == CRESS_BROKER_READY;
}

static void closed_cb(void *arg)
{
    *(bool *)arg = true;
}

static struct cress_broker *open_broker(const struct cress_config *its_config)
{
    const struct cress_broker_options broker_options = {.config = its_config,
                                                        .name = "test_submit",
                                                        .roles = CRESS_BROKER_PUBLISH,
                                                        .on_state = broker_state_cb};
    struct cress_broker *broker;

    broker_ready = false;
    assert_int_equal(cress_broker_open(&loop, &broker_options, &broker, NULL), CRESS_OK);
    return broker;
}

static void close_broker(struct cress_broker *broker)
{
    bool closed = false;
    cress_broker_close(broker, closed_cb, &closed);
    run_until(&closed);
}

static int set_up_group(void **state)
{
    char *argv[] = {"test_submit", NULL};
    int argc = 1;
    const struct cress_store_options store_options = {.on_state = store_state_cb};
    struct cress_store_options with_config = store_options;

    (void)state;
    uv_loop_init(&loop);
    assert_int_equal(cress_config_load(CRESS_PROGRAM_CLI, &argc, argv, &config, NULL), CRESS_OK);
    with_config.config = config;
    assert_int_equal(cress_store_open(&loop, &with_config, &door.store, NULL), CRESS_OK);
    door.broker = open_broker(config);
    door.config = config;
    door.timeout_ms = 10000;
    run_until(&store_ready);
    run_until(&broker_ready);
    return 0;
}

static int tear_down_group(void **state)
{
    bool closed = false;

    (void)state;
    close_broker(door.broker);
    cress_store_close(door.store, closed_cb, &closed);
    run_until(&closed);
    cress_config_free(config);
    free(last.record);
    return uv_loop_close(&loop);
}

/* --- tests --- */

static void test_accepted(void **state)
{
    struct cress_job job = make_job(NULL);
    const int64_t submitted = cress_metric_value(CRESS_METRIC_JOBS_SUBMITTED);

    (void)state;
    submit(&job);
    assert_int_equal(last.err.status, CRESS_OK);
    assert_true(cress_id_is_valid(last.record->id));
    assert_string_equal(last.record->payload, "[1]");
    assert_int_equal(last.record->state, CRESS_STATE_QUEUED);
    assert_true(last.record->created_ms > 0);
    assert_int_equal(cress_metric_value(CRESS_METRIC_JOBS_SUBMITTED), submitted + 1);
    char id[CRESS_UUID_TEXT_SIZE];
    snprintf(id, sizeof(id), "%s", last.record->id);
    assert_non_null(stored(id));
    assert_string_equal(last.record->payload, "[1]");
    assert_int_equal(last.record->version, 1);
}

static void test_scheduled(void **state)
{
    struct cress_job job = make_job(NULL);
    char delay[CRESS_DELAY_NAME_MAX];
    const int64_t before = waiting_in("default");

    (void)state;
    job.not_before_ms = cress_clock_wall_ms() + 60000;
    submit(&job);
    assert_int_equal(last.err.status, CRESS_OK);
    assert_int_equal(last.record->state, CRESS_STATE_SCHEDULED);
    assert_true(last.record->run_at_ms == job.not_before_ms);
    const int steps = cress_delay_steps(config->broker_delay_steps);
    cress_delay_queue_name(cress_delay_for(steps, 59999), 1, delay);
    assert_true(waiting_in(delay) > 0);
    assert_int_equal(waiting_in("default"), before);
}

static void test_same_id(void **state)
{
    char id[CRESS_UUID_TEXT_SIZE];
    struct cress_job job = make_job(cress_id_new(id));

    (void)state;
    submit(&job);
    assert_int_equal(last.err.status, CRESS_OK);
    submit(&job); /* not taken yet: published again */
    assert_int_equal(last.err.status, CRESS_OK);
    assert_string_equal(last.record->id, id);

    job.payload = "[2]";
    submit(&job);
    assert_int_equal(last.err.status, CRESS_CONFLICT);
    assert_string_equal(last.err.code, "job_exists");
    assert_string_equal(last.record->payload, "[1]");
}

static void test_unknown_queue(void **state)
{
    char id[CRESS_UUID_TEXT_SIZE];
    struct cress_job job = make_job(cress_id_new(id));
    const int64_t refused = cress_metric_value(CRESS_METRIC_JOBS_REFUSED);

    (void)state;
    job.queue = "no-such-queue";
    submit(&job);
    assert_int_equal(last.err.status, CRESS_NOT_FOUND);
    assert_string_equal(last.err.code, "unknown_queue");
    assert_non_null(strstr(last.err.message, "--queues no-such-queue"));
    assert_null(last.record);
    assert_int_equal(cress_metric_value(CRESS_METRIC_JOBS_REFUSED), refused + 1);
    assert_null(stored(id));
}

static void test_invalid(void **state)
{
    struct cress_job job = make_job("not a valid id");

    (void)state;
    submit(&job);
    assert_int_equal(last.err.status, CRESS_INVALID);
    job = make_job(NULL);
    job.payload_size = (size_t)config->job_max_payload_bytes + 1;
    char *large = cress_alloc(job.payload_size + 1);
    memset(large, '1', job.payload_size);
    job.payload = large;
    submit(&job);
    assert_int_equal(last.err.status, CRESS_TOO_LARGE);
    free(large);
}

/* A broker that cannot be reached, and one that refuses the login. */
static void expect_away(const char *url, enum cress_status status)
{
    struct cress_broker *const good = door.broker;
    struct cress_config other = *config;
    char id[CRESS_UUID_TEXT_SIZE];
    const struct cress_job job = make_job(cress_id_new(id));

    other.broker_url = (char *)url;
    door.broker = open_broker(&other);
    door.timeout_ms = 1500;
    submit(&job);
    print_message("%s: %s\n", last.err.code, last.err.message);
    assert_int_equal(last.err.status, status);
    assert_string_not_equal(last.err.code, "unconfirmed");
    assert_null(stored(id));
    close_broker(door.broker);
    door.broker = good;
    door.timeout_ms = 10000;
}

static void test_broker_away(void **state)
{
    (void)state;
    expect_away("amqp://guest:guest@127.0.0.1:1/", CRESS_UNAVAILABLE);
}

/* The first message may have arrived: its record is not to be taken back with the second. */
static void test_a_refused_repetition_keeps_the_record(void **state)
{
    struct cress_broker *const good = door.broker;
    struct cress_config other = *config;
    char id[CRESS_UUID_TEXT_SIZE];
    const struct cress_job job = make_job(cress_id_new(id));

    (void)state;
    submit(&job);
    assert_int_equal(last.err.status, CRESS_OK);
    other.broker_url = "amqp://guest:guest@127.0.0.1:1/";
    door.broker = open_broker(&other);
    door.timeout_ms = 500;
    submit(&job);
    assert_int_equal(last.err.status, CRESS_UNAVAILABLE);
    assert_non_null(stored(id));
    close_broker(door.broker);
    door.broker = good;
    door.timeout_ms = 10000;
}

static void test_broker_refuses(void **state)
{
    char url[512];
    const char *at = strchr(config->broker_url, '@');

    (void)state;
    assert_non_null(at);
    snprintf(url, sizeof(url), "amqp://nobody:wrong%s", at);
    expect_away(url, CRESS_DENIED);
}

static void test_store_away(void **state)
{
    struct cress_store *const good = door.store;
    struct cress_config other = *config;
    const struct cress_store_options away = {.config = &other};
    const struct cress_job job = make_job(NULL);
    bool closed = false;

    (void)state;
    other.store_url = "redis://127.0.0.1:1/";
    assert_int_equal(cress_store_open(&loop, &away, &door.store, NULL), CRESS_OK);
    submit(&job);
    assert_int_equal(last.err.status, CRESS_UNAVAILABLE);
    assert_string_equal(last.err.code, "store_unavailable");
    cress_store_close(door.store, closed_cb, &closed);
    run_until(&closed);
    door.store = good;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_scheduled),
        cmocka_unit_test(test_same_id),
        cmocka_unit_test(test_unknown_queue),
        cmocka_unit_test(test_invalid),
        cmocka_unit_test(test_broker_away),
        cmocka_unit_test(test_broker_refuses),
        cmocka_unit_test(test_store_away),
        cmocka_unit_test(test_a_refused_repetition_keeps_the_record),
    };
    return cmocka_run_group_tests_name("submit", tests, set_up_group, tear_down_group);
}
