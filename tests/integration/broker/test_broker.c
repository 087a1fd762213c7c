// SPDX-License-Identifier: Apache-2.0
// The broker room against a real RabbitMQ, which is killed, paused and put under memory pressure.
//
// CRESS_BROKER_URL is the server; the tests that harm it, and those that look from outside, need
// CRESS_TEST_STACK, the folder of its scripts/stack, and are skipped without. Run from the top of
// the checkout.
#include "common/base/clock.h"
#include "common/base/id.h"
#include "common/base/mem.h"
#include "common/base/text.h"
#include "common/broker/broker.h"
#include "common/broker/topology.h"
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATIENCE_MS = 30000, JOBS_MAX = 10000 };

/* --- the rig: a loop, a broker, and everything that its callbacks have said --- */

struct rig {
    uv_loop_t loop;
    uv_timer_t watch;
    struct cress_config config;
    struct cress_queue_config queues[2];
    char queue[64]; /* active, and new in each test */
    struct cress_broker *broker;

    enum cress_broker_state state;
    struct cress_error why;
    int losses; /* of the connection */
    int closed, flushed, stopped, ensured, inspected;
    int confirmed, failed; /* publishes */
    char codes[JOBS_MAX][CRESS_ERROR_CODE_MAX];
    int outcomes[JOBS_MAX]; /* callbacks, by number */
    int problems;
    struct cress_error problem, ensure_error;
    int64_t ready, consumers; /* of the queue that was inspected last */
    bool exists;

    void (*on_delivery)(struct rig *rig, struct cress_delivery *delivery);
    struct cress_delivery *held;
    int deliveries, redelivered;
    int seen[JOBS_MAX]; /* deliveries, by number */
    int64_t last_delivery_ms;
};

static int rigs_made;

static void on_state(enum cress_broker_state state, const struct cress_error *err, void *arg)
{
    struct rig *rig = arg;
    rig->state = state;
    rig->losses += state == CRESS_BROKER_CONNECTING && err;
    rig->why = err ? *err : (struct cress_error){0};
}

static void count(void *arg)
{
    ++*(int *)arg;
}

static void on_watch(uv_timer_t *timer)
{
    (void)timer;
}

static struct rig *rig_new(void)
{
    struct rig *rig = CRESS_NEW(struct rig);
    uv_loop_init(&rig->loop);
    uv_timer_init(&rig->loop, &rig->watch);
    snprintf(rig->queue, sizeof rig->queue, "test-broker-%d-%d", (int)getpid(), ++rigs_made);
    rig->queues[0] =
        (struct cress_queue_config){.name = "default", .task = "", .declare = "active"};
    rig->queues[1] = rig->queues[0];
    rig->queues[1].name = rig->queue;
    rig->config = (struct cress_config){
        .broker_url = getenv("CRESS_BROKER_URL"),
        .broker_ca_file = "",
        .broker_heartbeat_ms = 1000,
        .broker_connect_timeout_ms = 5000,
        .broker_reconnect_max_ms = 300,
        .broker_delay_steps = "2",
        .queues = rig->queues,
        .queue_count = 2,
    };
    assert_non_null(rig->config.broker_url);
    return rig;
}

static void rig_open(struct rig *rig, unsigned roles)
{
    const struct cress_broker_options options = {
        .config = &rig->config, .name = "test", .roles = roles, .on_state = on_state, .arg = rig};
    struct cress_error err;
    assert_int_equal(cress_broker_open(&rig->loop, &options, &rig->broker, &err), CRESS_OK);
}

/* Runs the loop until *value reaches `wanted`; false when that takes too long. */
static bool run_until(struct rig *rig, const int *value, int wanted, int64_t patience_ms)
{
    const int64_t end = cress_clock_mono_ms() + patience_ms;
    uv_timer_start(&rig->watch, on_watch, 5, 5);
    while (*value < wanted && cress_clock_mono_ms() < end) {
        uv_run(&rig->loop, UV_RUN_ONCE);
    }
    uv_timer_stop(&rig->watch);
    return *value >= wanted;
}

static bool run_until_state(struct rig *rig, enum cress_broker_state state, int64_t patience_ms)
{
    const int64_t end = cress_clock_mono_ms() + patience_ms;
    uv_timer_start(&rig->watch, on_watch, 5, 5);
    while (rig->state != state && cress_clock_mono_ms() < end) {
        uv_run(&rig->loop, UV_RUN_ONCE);
    }
    uv_timer_stop(&rig->watch);
    return rig->state == state;
}

static void rig_close(struct rig *rig)
{
    const int64_t begin = cress_clock_mono_ms();
    cress_broker_close(rig->broker, count, &rig->closed);
    assert_true(run_until(rig, &rig->closed, 1, 3000));
    assert_in_range(cress_clock_mono_ms() - begin, 0, 1500);
    uv_close((uv_handle_t *)&rig->watch, NULL);
    uv_run(&rig->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&rig->loop), 0);
    free(rig);
}

/* --- publishing --- */

struct numbered {
    struct rig *rig;
    int number;
};

static void on_publish(const struct cress_error *err, void *arg)
{
    struct numbered *numbered = arg;
    struct rig *rig = numbered->rig;
    rig->outcomes[numbered->number]++;
    if (err) {
        rig->failed++;
        snprintf(rig->codes[numbered->number], CRESS_ERROR_CODE_MAX, "%s", err->code);
    } else {
        rig->confirmed++;
    }
    free(numbered);
}

static void publish_message(struct rig *rig, int number, const struct cress_message *message,
                            int64_t timeout_ms)
{
    char body[32];
    snprintf(body, sizeof body, "%d", number);
    struct cress_message copy = *message;
    copy.content_type = "application/json";
    copy.type = "cress.noop";
    if (!copy.body) {
        copy.body = body;
        copy.body_size = strlen(body);
    }
    struct numbered *numbered = CRESS_NEW(struct numbered);
    *numbered = (struct numbered){.rig = rig, .number = number};
    cress_broker_publish(rig->broker, &copy, timeout_ms, on_publish, numbered);
}

static void publish_to(struct rig *rig, int number, const char *exchange, const char *routing_key,
                       bool with_id, int64_t timeout_ms)
{
    char id[CRESS_UUID_TEXT_SIZE];
    const struct cress_message message = {
        .exchange = exchange,
        .routing_key = routing_key,
        .message_id = with_id ? cress_id_new(id) : NULL,
    };
    publish_message(rig, number, &message, timeout_ms);
}

static void publish_delayed(struct rig *rig, int number, const char *routing_key, int64_t delay_ms)
{
    const struct cress_message message = {
        .exchange = "", .routing_key = routing_key, .due_ms = cress_clock_wall_ms() + delay_ms};
    publish_message(rig, number, &message, 0);
}

static void publish(struct rig *rig, int number)
{
    publish_to(rig, number, "", rig->queue, true, 0);
}

static int done(const struct rig *rig)
{
    return rig->confirmed + rig->failed;
}

static bool run_until_done(struct rig *rig, int wanted)
{
    const int64_t end = cress_clock_mono_ms() + PATIENCE_MS;
    uv_timer_start(&rig->watch, on_watch, 5, 5);
    while (done(rig) < wanted && cress_clock_mono_ms() < end) {
        uv_run(&rig->loop, UV_RUN_ONCE);
    }
    uv_timer_stop(&rig->watch);
    return done(rig) == wanted;
}

/* --- consuming --- */

static int number_of(const struct cress_delivery *delivery)
{
    char text[32];
    snprintf(text, sizeof text, "%.*s", (int)delivery->message->body_size,
             (const char *)delivery->message->body);
    int64_t number;
    assert_true(cress_text_to_int(text, &number));
    assert_in_range(number, 0, JOBS_MAX - 1);
    return (int)number;
}

static void on_deliveries(struct cress_list *deliveries, void *arg)
{
    struct rig *rig = arg;
    for (struct cress_list *node; (node = cress_list_shift(deliveries)) != NULL;) {
        struct cress_delivery *delivery = CRESS_CONTAINER(node, struct cress_delivery, node);
        rig->deliveries++;
        rig->redelivered += delivery->redelivered;
        rig->seen[number_of(delivery)]++;
        rig->last_delivery_ms = cress_clock_mono_ms();
        assert_string_equal(delivery->queue, rig->queue);
        if (rig->on_delivery) {
            rig->on_delivery(rig, delivery);
        } else {
            cress_delivery_settle(rig->broker, delivery, CRESS_ACK);
        }
    }
}

static void on_problem(const char *queue, const struct cress_error *err, void *arg)
{
    struct rig *rig = arg;
    assert_string_equal(queue, rig->queue);
    rig->problems++;
    rig->problem = *err;
}

static void consume_from(struct rig *rig, int prefetch, bool paused)
{
    const struct cress_subscription subscription = {
        .queue = rig->queue, .prefetch = prefetch, .paused = paused};
    const struct cress_consumer consumer = {
        .on_deliveries = on_deliveries, .on_problem = on_problem, .arg = rig};
    cress_broker_consume(rig->broker, &subscription, 1, &consumer);
}

static void consume(struct rig *rig, int prefetch)
{
    consume_from(rig, prefetch, false);
}

static void on_inspected(const struct cress_queue_stats *stats, size_t stat_count,
                         const struct cress_error *err, void *arg)
{
    struct rig *rig = arg;
    assert_null(err);
    assert_int_equal(stat_count, 1);
    rig->ready = stats[0].ready;
    rig->consumers = stats[0].consumers;
    rig->exists = stats[0].exists;
    rig->inspected++;
}

/* Until `*number`, which an inspection of the AMQP queue `name` sets, is `wanted`. */
static bool run_until_number(struct rig *rig, const char *name, const int64_t *number,
                             int64_t wanted)
{
    const char *const names[] = {name, NULL};
    const int64_t end = cress_clock_mono_ms() + PATIENCE_MS;
    do {
        const int before = rig->inspected;
        cress_broker_inspect(rig->broker, names, 5000, on_inspected, rig);
        if (!run_until(rig, &rig->inspected, before + 1, 6000)) {
            return false;
        }
    } while (*number != wanted && cress_clock_mono_ms() < end);
    return *number == wanted;
}

static bool run_until_ready(struct rig *rig, const char *name, int64_t wanted)
{
    return run_until_number(rig, name, &rig->ready, wanted);
}

static bool run_until_consumed(struct rig *rig, bool consumed)
{
    return run_until_number(rig, rig->queue, &rig->consumers, consumed);
}

static void on_ensured(const struct cress_error *err, void *arg)
{
    struct rig *rig = arg;
    rig->ensured++;
    rig->ensure_error = err ? *err : (struct cress_error){0};
}

/* --- the server, from outside --- */

static const char *stack_folder(void)
{
    const char *folder = getenv("CRESS_TEST_STACK");
    if (!folder) {
        skip();
    }
    return folder;
}

static void run_stack(const char *const *arguments)
{
    fflush(NULL);
    const pid_t pid = fork();
    if (pid == 0) {
        const int null = open("/dev/null", O_WRONLY);
        dup2(null, STDOUT_FILENO);
        execv("scripts/stack", (char *const *)arguments);
        _exit(127);
    }
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void restart_server(void)
{
    run_stack((const char *const[]){"stack", "start", "--dir", stack_folder(), "--only", "rabbitmq",
                                    NULL});
}

static void rabbitmqctl(const char *verb, const char *argument)
{
    run_stack((const char *const[]){"stack", "rabbitmqctl", "--dir", stack_folder(), "-q", verb,
                                    argument, NULL});
}

static void set_policy(const char *name, const char *pattern, const char *definition)
{
    run_stack((const char *const[]){"stack", "rabbitmqctl", "--dir", stack_folder(), "-q",
                                    "set_policy", name, pattern, definition, NULL});
}

/* For channels that are opened from now on. */
static void set_max_message_size(size_t bytes)
{
    char text[128];
    snprintf(text, sizeof text, "application:set_env(rabbit, max_message_size, %zu).", bytes);
    rabbitmqctl("eval", text);
}

static void signal_server(int number)
{
    char path[512], text[32] = "";
    snprintf(path, sizeof path, "%s/rabbitmq.pid", stack_folder());
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(text, sizeof text, file));
    fclose(file);
    text[strcspn(text, "\n")] = '\0';
    int64_t pid;
    assert_true(cress_text_to_int(text, &pid));
    assert_int_equal(kill((pid_t)pid, number), 0);
}

/* --- tests --- */

static void test_confirms_ten_thousand_in_flight(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_open(rig, CRESS_BROKER_PUBLISH);
    for (int i = 0; i < 10000; i++) {
        publish(rig, i);
    }
    assert_int_equal(cress_broker_in_flight(rig->broker), 10000);
    assert_true(run_until_done(rig, 10000));
    assert_int_equal(rig->failed, 0);
    assert_int_equal(cress_broker_in_flight(rig->broker), 0);
    for (int i = 0; i < 10000; i++) {
        assert_int_equal(rig->outcomes[i], 1);
    }
    assert_true(run_until_ready(rig, rig->queue, 10000));
    char server[64];
    cress_broker_server(rig->broker, server, sizeof server);
    assert_true(cress_text_starts_with(server, "RabbitMQ "));
    rig_close(rig);
}

/* Every third goes nowhere; with ids and without. */
static void test_returns_reach_their_publisher(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_open(rig, CRESS_BROKER_PUBLISH);
    for (int i = 0; i < 6000; i++) {
        publish_to(rig, i, "", i % 3 ? rig->queue : "test-broker-nowhere", i % 2, 0);
    }
    assert_true(run_until_done(rig, 6000));
    for (int i = 0; i < 6000; i++) {
        assert_int_equal(rig->outcomes[i], 1);
        assert_string_equal(rig->codes[i], i % 3 ? "" : "unroutable");
    }
    assert_true(run_until_ready(rig, rig->queue, 4000));
    rig_close(rig);
}

/* A publish that closes the channel takes no other with it. */
static void test_the_guilty_publish_is_found(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_open(rig, CRESS_BROKER_PUBLISH);
    for (int i = 0; i < 300; i++) {
        publish_to(rig, i, i % 100 == 50 ? "test-broker-no-exchange" : "", rig->queue, true, 0);
    }
    assert_true(run_until_done(rig, 300));
    for (int i = 0; i < 300; i++) {
        assert_int_equal(rig->outcomes[i], 1);
        assert_string_equal(rig->codes[i], i % 100 == 50 ? "not_found" : "");
    }
    rig_close(rig);
}

/* 0 is acknowledged, 1 handed back once, 2 refused. */
static void settle_by_number(struct rig *rig, struct cress_delivery *delivery)
{
    const int number = number_of(delivery);
    enum cress_settlement how = number == 2 ? CRESS_DEAD : CRESS_ACK;
    if (number == 1 && !delivery->redelivered) {
        how = CRESS_REQUEUE;
    }
    cress_delivery_settle(rig->broker, delivery, how);
}

static void test_settlements(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig->on_delivery = settle_by_number;
    rig_open(rig, CRESS_BROKER_PUBLISH | CRESS_BROKER_CONSUME);
    consume(rig, 10);
    for (int i = 0; i < 3; i++) {
        publish(rig, i);
    }
    assert_true(run_until(rig, &rig->deliveries, 4, PATIENCE_MS));
    assert_int_equal(rig->seen[1], 2);
    assert_int_equal(rig->redelivered, 1);
    cress_broker_flush(rig->broker, count, &rig->flushed);
    assert_true(run_until(rig, &rig->flushed, 1, PATIENCE_MS));

    cress_broker_stop_consuming(rig->broker, count, &rig->stopped);
    assert_true(run_until(rig, &rig->stopped, 1, PATIENCE_MS));
    char dead[CRESS_ROUTE_NAME_MAX];
    cress_route_dead_name(rig->queue, dead);
    assert_true(run_until_ready(rig, dead, 1));
    assert_true(run_until_ready(rig, rig->queue, 0));

    publish(rig, 3);
    assert_true(run_until_ready(rig, rig->queue, 1));
    assert_int_equal(rig->seen[3], 0);
    rig_close(rig);
}

static void test_priorities_and_throughput(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_open(rig, CRESS_BROKER_PUBLISH | CRESS_BROKER_CONSUME);
    for (int i = 0; i < 3000; i++) {
        char routing_key[CRESS_ROUTE_NAME_MAX];
        cress_route_queue_name(rig->queue, (enum cress_priority)(i % 3), routing_key);
        publish_to(rig, i, "", routing_key, true, 0);
    }
    consume(rig, 30);
    assert_true(run_until(rig, &rig->deliveries, 3000, PATIENCE_MS));
    assert_true(run_until_done(rig, 3000));
    for (int i = 0; i < 3000; i++) {
        assert_int_equal(rig->seen[i], 1);
    }
    rig_close(rig);
}

static void test_a_queue_can_be_paused(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_open(rig, CRESS_BROKER_PUBLISH | CRESS_BROKER_CONSUME);
    consume_from(rig, 10, true);
    publish(rig, 0);
    assert_true(run_until_ready(rig, rig->queue, 1));
    assert_int_equal(rig->consumers, 0);
    cress_broker_resume(rig->broker, rig->queue);
    assert_true(run_until(rig, &rig->deliveries, 1, PATIENCE_MS));

    cress_broker_pause(rig->broker, rig->queue);
    cress_broker_pause(rig->broker, rig->queue);
    assert_true(run_until_consumed(rig, false));
    publish(rig, 1);
    assert_true(run_until_ready(rig, rig->queue, 1));
    assert_int_equal(rig->deliveries, 1);
    cress_broker_resume(rig->broker, rig->queue);
    assert_true(run_until(rig, &rig->deliveries, 2, PATIENCE_MS));
    rig_close(rig);
}

/* The first one stays in hand. */
static void hold_first(struct rig *rig, struct cress_delivery *delivery)
{
    if (rig->deliveries == 1) {
        rig->held = delivery;
    } else {
        cress_delivery_settle(rig->broker, delivery, CRESS_ACK);
    }
}

/* A quorum queue keeps a consumer that is cancelled as long as it has deliveries. */
static void test_pausing_with_a_delivery_in_hand(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig->on_delivery = hold_first;
    rig_open(rig, CRESS_BROKER_PUBLISH | CRESS_BROKER_CONSUME);
    consume(rig, 10);
    assert_true(run_until_consumed(rig, true));
    const int losses = rig->losses;
    for (int i = 0; i < 10; i++) {
        publish(rig, i);
        assert_true(run_until(rig, &rig->deliveries, i + 1, PATIENCE_MS));
        cress_broker_pause(rig->broker, rig->queue);
        cress_broker_flush(rig->broker, count, &rig->flushed);
        assert_true(run_until(rig, &rig->flushed, i + 1, PATIENCE_MS));
        cress_broker_resume(rig->broker, rig->queue);
    }
    cress_delivery_settle(rig->broker, rig->held, CRESS_ACK);
    assert_true(run_until_consumed(rig, true));
    assert_true(run_until_ready(rig, rig->queue, 0));
    assert_int_equal(rig->losses, losses);
    rig_close(rig);
}

static struct cress_list held_deliveries;

static void hold_all(struct rig *rig, struct cress_delivery *delivery)
{
    (void)rig;
    cress_list_append(&held_deliveries, &delivery->node);
}

static void ack_held(struct rig *rig)
{
    struct cress_list *node;
    while ((node = cress_list_shift(&held_deliveries))) {
        cress_delivery_settle(rig->broker, CRESS_CONTAINER(node, struct cress_delivery, node),
                              CRESS_ACK);
    }
}

/* With deliveries in hand, and again before the first change has been answered: RabbitMQ's channel
 * must live on, and nothing comes twice. */
static void test_another_prefetch(void **state)
{
    (void)state;
    enum { JOBS = 40 };
    struct rig *rig = rig_new();
    cress_list_init(&held_deliveries);
    rig->on_delivery = hold_all;
    rig_open(rig, CRESS_BROKER_PUBLISH | CRESS_BROKER_CONSUME);
    const struct cress_subscription subscription = {
        .queue = rig->queue, .prefetch = 2, .each = true};
    const struct cress_consumer consumer = {
        .on_deliveries = on_deliveries, .on_problem = on_problem, .arg = rig};
    cress_broker_consume(rig->broker, &subscription, 1, &consumer);
    assert_true(run_until_consumed(rig, true));
    const int losses = rig->losses;
    for (int i = 0; i < JOBS; i++) {
        publish(rig, i);
    }
    assert_true(run_until_ready(rig, rig->queue, JOBS - 2));
    cress_broker_set_prefetch(rig->broker, rig->queue, 5);
    assert_true(run_until_ready(rig, rig->queue, JOBS - 7));
    for (int prefetch = 6; prefetch < 16; prefetch++) {
        cress_broker_set_prefetch(rig->broker, rig->queue, prefetch);
    }
    rig->on_delivery = NULL;
    ack_held(rig);
    assert_true(run_until(rig, &rig->deliveries, JOBS, PATIENCE_MS));
    assert_true(run_until_ready(rig, rig->queue, 0));
    assert_int_equal(rig->deliveries, JOBS);
    assert_int_equal(rig->losses, losses);
    assert_int_equal(rig->problems, 0);
    rig_close(rig);
}

/* Whatever overtakes what: the last word counts. */
static void test_pausing_in_haste(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_open(rig, CRESS_BROKER_PUBLISH | CRESS_BROKER_CONSUME);
    consume(rig, 10);
    for (int i = 0; i < 20; i++) {
        cress_broker_pause(rig->broker, rig->queue);
        if (i % 3 == 0) {
            publish(rig, i);
            assert_true(run_until_done(rig, i / 3 + 1));
        }
        cress_broker_resume(rig->broker, rig->queue);
    }
    assert_true(run_until(rig, &rig->deliveries, 7, PATIENCE_MS));
    assert_true(run_until_consumed(rig, true));
    cress_broker_resume(rig->broker, rig->queue);
    cress_broker_pause(rig->broker, rig->queue);
    assert_true(run_until_consumed(rig, false));
    cress_broker_stop_consuming(rig->broker, count, &rig->stopped);
    assert_true(run_until(rig, &rig->stopped, 1, PATIENCE_MS));
    assert_int_equal(rig->problems, 0);
    rig_close(rig);
}

static void test_a_pause_outlives_the_connection(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_open(rig, CRESS_BROKER_PUBLISH | CRESS_BROKER_CONSUME);
    consume(rig, 10);
    assert_true(run_until_consumed(rig, true));
    cress_broker_pause(rig->broker, rig->queue);
    assert_true(run_until_consumed(rig, false));
    const int losses = rig->losses;
    rabbitmqctl("close_all_connections", "test");
    assert_true(run_until(rig, &rig->losses, losses + 1, PATIENCE_MS));
    publish(rig, 0);
    assert_true(run_until_ready(rig, rig->queue, 1));
    assert_int_equal(rig->consumers, 0);
    cress_broker_resume(rig->broker, rig->queue);
    assert_true(run_until(rig, &rig->deliveries, 1, PATIENCE_MS));
    rig_close(rig);
}

/* What is due for a queue of this test; everything in cress.due is acknowledged. */
static void take_due(struct cress_list *deliveries, void *arg)
{
    struct rig *rig = arg;
    for (struct cress_list *node; (node = cress_list_shift(deliveries)) != NULL;) {
        struct cress_delivery *delivery = CRESS_CONTAINER(node, struct cress_delivery, node);
        const struct cress_header *queue =
            cress_message_header(delivery->message, CRESS_HEADER_DUE_QUEUE);
        if (queue && cress_text_starts_with(queue->text, rig->queue)) {
            const int number = number_of(delivery);
            rig->seen[number]++;
            rig->deliveries++;
            rig->last_delivery_ms = cress_clock_mono_ms();
            assert_string_equal(queue->text + strlen(rig->queue), number == 1 ? ".high" : "");
        }
        cress_delivery_settle(rig->broker, delivery, CRESS_ACK);
    }
}

static void consume_due(struct rig *rig)
{
    const struct cress_subscription subscription = {
        .queue = CRESS_DUE_QUEUE, .raw = true, .prefetch = 100};
    const struct cress_consumer consumer = {.on_deliveries = take_due, .arg = rig};
    cress_broker_consume(rig->broker, &subscription, 1, &consumer);
}

static void test_delays(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_open(rig, CRESS_BROKER_PUBLISH | CRESS_BROKER_CONSUME);
    consume_due(rig);
    char high[CRESS_ROUTE_NAME_MAX];
    cress_route_queue_name(rig->queue, CRESS_PRIORITY_HIGH, high);
    const int64_t published_ms = cress_clock_mono_ms();
    publish_delayed(rig, 0, rig->queue, 1000);
    publish_delayed(rig, 1, high, 1000);
    publish_delayed(rig, 2, "test-broker-nowhere", 1000);
    assert_true(run_until_done(rig, 3));
    assert_true(run_until(rig, &rig->deliveries, 2, PATIENCE_MS));
    assert_int_equal(rig->seen[0], 1);
    assert_int_equal(rig->seen[1], 1);
    assert_in_range(rig->last_delivery_ms - published_ms, 990, 6000);
    assert_string_equal(rig->codes[2], "unroutable");
    rig_close(rig);
}

/* It is declared again at once by whoever consumes it. */
static void test_the_due_queue_is_declared_again(void **state)
{
    (void)state;
    stack_folder();
    struct rig *rig = rig_new();
    rig_open(rig, CRESS_BROKER_PUBLISH | CRESS_BROKER_CONSUME);
    consume_due(rig);
    publish_delayed(rig, 0, rig->queue, 200);
    assert_true(run_until(rig, &rig->deliveries, 1, PATIENCE_MS));
    rabbitmqctl("delete_queue", CRESS_DUE_QUEUE);
    publish_delayed(rig, 2, rig->queue, 900);
    assert_true(run_until(rig, &rig->deliveries, 2, PATIENCE_MS));
    assert_int_equal(rig->seen[2], 1);
    rig_close(rig);
}

static void test_a_killed_server_loses_nothing(void **state)
{
    (void)state;
    stack_folder();
    struct rig *rig = rig_new();
    rig_open(rig, CRESS_BROKER_PUBLISH | CRESS_BROKER_CONSUME);
    consume(rig, 100);
    /* Something through each of its queues: one that is killed while still empty and seconds old
     * may come back without a leader (RabbitMQ 3.10). */
    for (int i = 0; i < CRESS_PRIORITY_COUNT; i++) {
        char routing_key[CRESS_ROUTE_NAME_MAX];
        cress_route_queue_name(rig->queue, (enum cress_priority)i, routing_key);
        publish_to(rig, i, "", routing_key, true, 0);
    }
    assert_true(run_until(rig, &rig->deliveries, CRESS_PRIORITY_COUNT, PATIENCE_MS));
    for (int i = CRESS_PRIORITY_COUNT; i < 1000; i++) {
        publish(rig, i);
    }
    assert_true(run_until(rig, &rig->confirmed, 300, PATIENCE_MS));
    signal_server(SIGKILL);
    for (int i = 1000; i < 3000; i++) {
        publish(rig, i);
    }
    assert_true(run_until_state(rig, CRESS_BROKER_CONNECTING, PATIENCE_MS));
    restart_server();
    assert_true(run_until_done(rig, 3000));
    assert_int_equal(rig->failed, 0);
    assert_true(run_until(rig, &rig->deliveries, 3000, PATIENCE_MS));
    int missing = 1;
    for (int64_t end = cress_clock_mono_ms() + PATIENCE_MS;
         missing && cress_clock_mono_ms() < end;) {
        run_until(rig, &rig->deliveries, rig->deliveries + 1, 200);
        missing = 0;
        for (int i = 0; i < 3000; i++) {
            missing += rig->seen[i] == 0;
        }
    }
    assert_int_equal(missing, 0);
    rig_close(rig);
}

static void test_a_paused_server_runs_into_deadlines(void **state)
{
    (void)state;
    stack_folder();
    struct rig *rig = rig_new();
    rig_open(rig, CRESS_BROKER_PUBLISH | CRESS_BROKER_CONSUME);
    publish(rig, 0);
    assert_true(run_until_done(rig, 1));
    signal_server(SIGSTOP);
    const int64_t begin = cress_clock_mono_ms();
    for (int i = 1; i < 5000; i++) {
        publish_to(rig, i, "", rig->queue, true, 300);
    }
    const bool all = run_until_done(rig, 5000);
    const int64_t took_ms = cress_clock_mono_ms() - begin;
    const bool given_up = run_until_state(rig, CRESS_BROKER_CONNECTING, 4000);
    signal_server(SIGCONT);
    assert_true(all);
    assert_true(given_up);
    assert_in_range(took_ms, 290, 1500);
    assert_string_equal(rig->codes[1], "unconfirmed");
    assert_string_equal(rig->codes[4999], "unconfirmed");
    assert_true(run_until_state(rig, CRESS_BROKER_READY, PATIENCE_MS));
    publish(rig, 5000);
    assert_true(run_until_done(rig, 5001));
    assert_int_equal(rig->confirmed, 2);
    rig_close(rig);
}

/* Long before the heartbeat would tell. */
static void test_a_server_that_confirms_nothing_is_left(void **state)
{
    (void)state;
    stack_folder();
    struct rig *rig = rig_new();
    rig->config.broker_heartbeat_ms = 600000;
    rig->config.broker_connect_timeout_ms = 1000;
    rig_open(rig, CRESS_BROKER_PUBLISH);
    publish(rig, 0);
    assert_true(run_until_done(rig, 1));
    signal_server(SIGSTOP);
    publish(rig, 1);
    const int64_t begin = cress_clock_mono_ms();
    const bool left = run_until_state(rig, CRESS_BROKER_CONNECTING, 15000);
    const int64_t took_ms = cress_clock_mono_ms() - begin;
    signal_server(SIGCONT); /* before anything can fail: the other tests need it */
    assert_string_equal(rig->why.code, "no_confirms");
    assert_true(left);
    assert_in_range(took_ms, 4900, 10500);
    assert_true(run_until_done(rig, 2));
    assert_int_equal(rig->confirmed, 2);
    rig_close(rig);
}

/* What the thread has, or has not taken yet, is answered all the same. */
static void test_closing_answers_what_is_open(void **state)
{
    (void)state;
    stack_folder();
    struct rig *rig = rig_new();
    rig_open(rig, CRESS_BROKER_PUBLISH);
    publish(rig, 0);
    assert_true(run_until_done(rig, 1));
    signal_server(SIGSTOP);
    for (int i = 1; i < 2000; i++) {
        publish(rig, i);
        if (i % 100 == 0) {
            uv_run(&rig->loop, UV_RUN_NOWAIT);
        }
    }
    cress_broker_close(rig->broker, count, &rig->closed);
    const bool is_closed = run_until(rig, &rig->closed, 1, 3000);
    signal_server(SIGCONT);
    assert_true(is_closed);
    assert_int_equal(done(rig), 2000);
    for (int i = 1; i < 2000; i++) {
        assert_int_equal(rig->outcomes[i], 1);
        assert_string_equal(rig->codes[i], "cancelled");
    }
    uv_close((uv_handle_t *)&rig->watch, NULL);
    uv_run(&rig->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&rig->loop), 0);
    free(rig);
}

static void test_closing_is_prompt_when_the_server_hangs(void **state)
{
    (void)state;
    stack_folder();
    struct rig *rig = rig_new();
    rig->config.broker_heartbeat_ms = 60000;
    rig_open(rig, CRESS_BROKER_PUBLISH | CRESS_BROKER_CONSUME);
    consume(rig, 10);
    publish(rig, 0);
    assert_true(run_until(rig, &rig->deliveries, 1, PATIENCE_MS));
    signal_server(SIGSTOP);
    for (int i = 1; i < 100; i++) {
        publish(rig, i);
    }
    int closed = 0;
    const int64_t begin = cress_clock_mono_ms();
    cress_broker_close(rig->broker, count, &closed);
    const bool in_time = run_until(rig, &closed, 1, 5000);
    const int64_t took_ms = cress_clock_mono_ms() - begin;
    signal_server(SIGCONT);
    assert_true(in_time);
    assert_in_range(took_ms, 0, 1500);
    assert_string_equal(rig->codes[99], "cancelled");
    assert_int_equal(done(rig), 100);
    uv_close((uv_handle_t *)&rig->watch, NULL);
    uv_run(&rig->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&rig->loop), 0);
    free(rig);
}

static void test_tls_is_verified(void **state)
{
    (void)state;
    char *url = getenv("CRESS_TEST_AMQPS_URL");
    char *ca_file = getenv("CRESS_TEST_CA_FILE");
    if (!url || !ca_file) {
        skip();
    }
    struct rig *rig = rig_new();
    rig->config.broker_url = url;
    rig->config.broker_ca_file = ca_file;
    rig_open(rig, CRESS_BROKER_PUBLISH | CRESS_BROKER_CONSUME);
    consume(rig, 50);
    for (int i = 0; i < 500; i++) {
        publish(rig, i);
    }
    assert_true(run_until_done(rig, 500));
    assert_int_equal(rig->failed, 0);
    assert_true(run_until(rig, &rig->deliveries, 500, PATIENCE_MS));
    rig_close(rig);

    rig = rig_new();
    rig->config.broker_url = url; /* and the system's CAs, which do not know the server's */
    rig_open(rig, CRESS_BROKER_PUBLISH);
    publish_to(rig, 0, "", rig->queue, true, 1000);
    assert_true(run_until_done(rig, 1));
    assert_int_equal(rig->state, CRESS_BROKER_CONNECTING);
    assert_string_equal(rig->why.code, "tls_untrusted");
    rig_close(rig);
}

static void test_a_wrong_password_is_denied(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    const char *at = strchr(rig->config.broker_url, '@');
    assert_non_null(at);
    char *url = cress_format("amqp://nobody:wrong%s", at);
    rig->config.broker_url = url;
    rig_open(rig, CRESS_BROKER_PUBLISH);
    publish_to(rig, 0, "", rig->queue, true, 15000);
    assert_true(run_until_done(rig, 1));
    assert_string_equal(rig->codes[0], "access_refused"); /* it was never sent */
    struct cress_error why;
    assert_int_equal(cress_broker_state(rig->broker, &why), CRESS_BROKER_CONNECTING);
    assert_int_equal(why.status, CRESS_DENIED);
    assert_null(strstr(why.message, "wrong"));
    rig_close(rig);
    free(url);
}

/* Wherever it begins, it comes to the one node that is up before it begins to wait for long. */
static void test_nodes_are_tried_in_turn(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        struct rig *rig = rig_new();
        const char *host = strrchr(rig->config.broker_url, '@') + 1;
        char *url =
            cress_format("%.*s127.0.0.1:1,127.0.0.1:2,%s", (int)(host - rig->config.broker_url),
                         rig->config.broker_url, host);
        rig->config.broker_url = url;
        rig->config.broker_reconnect_max_ms = 60000;
        rig_open(rig, CRESS_BROKER_PUBLISH);
        publish(rig, 0);
        assert_true(run_until_done(rig, 1));
        assert_int_equal(rig->confirmed, 1);
        rig_close(rig);
        free(url);
    }
}

static void test_an_alarm_blocks(void **state)
{
    (void)state;
    stack_folder();
    struct rig *rig = rig_new();
    rig_open(rig, CRESS_BROKER_PUBLISH);
    publish(rig, 0);
    assert_true(run_until_done(rig, 1));
    rabbitmqctl("set_vm_memory_high_watermark", "0");
    publish(rig, 1);
    const bool blocked = run_until_state(rig, CRESS_BROKER_BLOCKED, 10000);
    publish_to(rig, 2, "", rig->queue, true, 200);
    const bool refused = run_until(rig, &rig->failed, 1, 5000);
    rabbitmqctl("set_vm_memory_high_watermark", "0.4");
    assert_true(blocked);
    assert_true(refused);
    assert_string_equal(rig->codes[2], "broker_blocked"); /* it was never sent */
    assert_true(run_until_state(rig, CRESS_BROKER_READY, 10000));
    assert_true(run_until_done(rig, 3));
    assert_int_equal(rig->confirmed, 2);
    rig_close(rig);
}

static void test_a_queue_of_another_make_is_a_conflict(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_open(rig, CRESS_BROKER_PUBLISH | CRESS_BROKER_CONSUME);
    cress_broker_ensure_queue(rig->broker, rig->queue, 5000, on_ensured, rig);
    assert_true(run_until(rig, &rig->ensured, 1, PATIENCE_MS));
    assert_int_equal(rig->ensure_error.status, CRESS_OK);
    cress_broker_ensure_queue(rig->broker, rig->queue, 5000, on_ensured, rig);
    assert_true(run_until(rig, &rig->ensured, 2, PATIENCE_MS));
    assert_int_equal(rig->ensure_error.status, CRESS_OK);

    publish(rig, 0); /* who publishes takes what there is */
    assert_true(run_until_done(rig, 1));
    assert_string_equal(rig->codes[0], "");
    consume(rig, 10);
    assert_true(run_until(rig, &rig->problems, 2, PATIENCE_MS));
    assert_string_equal(rig->problem.code, "queue_mismatch");
    rig_close(rig);
}

static void publish_body(struct rig *rig, int number, const char *body, size_t size)
{
    char id[CRESS_UUID_TEXT_SIZE];
    const struct cress_message message = {.exchange = "",
                                          .routing_key = rig->queue,
                                          .message_id = cress_id_new(id),
                                          .body = body,
                                          .body_size = size};
    publish_message(rig, number, &message, 0);
}

/* RabbitMQ closes the channel of what is too large for it, and with it all that is open there. */
static void test_what_is_too_large_goes_alone(void **state)
{
    (void)state;
    stack_folder();
    const size_t limit = (size_t)1 << 20;
    set_max_message_size(limit);
    struct rig *rig = rig_new();
    rig_open(rig, CRESS_BROKER_PUBLISH);
    char *body = cress_alloc(2 * limit);
    memset(body, '1', 2 * limit);
    publish(rig, 0);
    assert_true(run_until_done(rig, 1));
    for (int i = 1; i < 1000; i++) {
        if (i % 100 == 50) {
            publish_body(rig, i, body, limit + (size_t)i);
        } else if (i % 100 == 60) {
            publish_body(rig, i, body, limit / 2 + (size_t)i);
        } else {
            publish(rig, i);
        }
    }
    const bool are_done = run_until_done(rig, 1000);
    set_max_message_size((size_t)1 << 27);
    assert_true(are_done);
    for (int i = 0; i < 1000; i++) {
        assert_string_equal(rig->codes[i], i % 100 == 50 ? "too_large_for_broker" : "");
    }
    assert_int_equal(rig->losses, 0);
    assert_true(run_until_ready(rig, rig->queue, 990)); /* nothing twice */
    free(body);
    rig_close(rig);
}

/* A queue that takes no more is its own senders' trouble. */
static void test_a_full_queue_holds_nobody_up(void **state)
{
    (void)state;
    stack_folder();
    struct rig *rig = rig_new();
    rig_open(rig, CRESS_BROKER_PUBLISH);
    publish(rig, 0);
    publish_to(rig, 1, "", "default", true, 0);
    assert_true(run_until_done(rig, 2));
    set_policy("full", rig->queue, "{\"max-length\":1,\"overflow\":\"reject-publish\"}");
    int first = 2; /* RabbitMQ counts late: until one has been refused */
    do {
        publish(rig, first);
        assert_true(run_until_done(rig, first + 1));
    } while (strcmp(rig->codes[first++], "nacked") != 0 && first < 200);
    const int64_t begin_ms = cress_clock_mono_ms();
    for (int i = first; i < 400; i++) {
        publish_to(rig, i, "", i % 2 ? "default" : rig->queue, true, 0);
    }
    int healthy = 0;
    const int others = (400 - first + 1) / 2;
    while (healthy < others && cress_clock_mono_ms() - begin_ms < PATIENCE_MS) {
        run_until(rig, &rig->confirmed, rig->confirmed + 1, 50);
        healthy = 0;
        for (int i = first | 1; i < 400; i += 2) {
            healthy += rig->outcomes[i];
        }
    }
    assert_in_range(cress_clock_mono_ms() - begin_ms, 0, 3000);
    assert_true(run_until_done(rig, 400));
    int refused = 0;
    for (int i = first; i < 400; i++) {
        assert_true(i % 2 == 0 || !rig->codes[i][0]);
        refused += strcmp(rig->codes[i], "nacked") == 0;
    }
    assert_true(refused > 0);
    assert_int_equal(rig->losses, 0);
    rabbitmqctl("clear_policy", "full");
    publish(rig, 400);
    assert_true(run_until_done(rig, 401));
    rig_close(rig);
}

static void test_a_probe_says_how_the_broker_is(void **state)
{
    (void)state;
    stack_folder();
    struct rig *rig = rig_new();
    rig_open(rig, CRESS_BROKER_PUBLISH);
    cress_broker_probe(rig->broker, 5000, on_ensured, rig);
    assert_true(run_until(rig, &rig->ensured, 1, PATIENCE_MS));
    assert_int_equal(rig->ensure_error.status, CRESS_OK);
    signal_server(SIGSTOP);
    cress_broker_probe(rig->broker, 500, on_ensured, rig);
    const bool is_answered = run_until(rig, &rig->ensured, 2, 3000);
    signal_server(SIGCONT);
    assert_true(is_answered);
    assert_string_equal(rig->ensure_error.code, "unconfirmed");
    rig_close(rig);
}

static void test_a_deleted_queue_is_declared_again(void **state)
{
    (void)state;
    stack_folder();
    struct rig *rig = rig_new();
    rig_open(rig, CRESS_BROKER_PUBLISH | CRESS_BROKER_CONSUME);
    publish(rig, 0);
    assert_true(run_until_done(rig, 1));
    rabbitmqctl("delete_queue", rig->queue);
    publish(rig, 1);
    assert_true(run_until_done(rig, 2));
    assert_int_equal(rig->confirmed, 2);

    consume(rig, 10);
    assert_true(run_until(rig, &rig->deliveries, 1, PATIENCE_MS));
    rabbitmqctl("delete_queue", rig->queue);
    assert_true(run_until(rig, &rig->problems, 1, PATIENCE_MS));
    publish(rig, 2);
    assert_true(run_until(rig, &rig->seen[2], 1, PATIENCE_MS));
    rig_close(rig);
}

/* A new connection believes that what was declared on the last one is still there. */
static void test_a_queue_deleted_while_away_is_declared_again(void **state)
{
    (void)state;
    stack_folder();
    struct rig *rig = rig_new();
    rig_open(rig, CRESS_BROKER_PUBLISH | CRESS_BROKER_CONSUME);
    publish(rig, 0);
    assert_true(run_until_done(rig, 1));
    rabbitmqctl("delete_queue", rig->queue);
    rabbitmqctl("close_all_connections", "test");
    publish(rig, 1);
    assert_true(run_until_done(rig, 2));
    assert_int_equal(rig->confirmed, 2);
    consume(rig, 10);
    assert_true(run_until(rig, &rig->seen[1], 1, PATIENCE_MS));
    rig_close(rig);
}

/* The tests' queues go with one command, for each has a name of its own. */
static int delete_queues(void **state)
{
    (void)state;
    if (getenv("CRESS_TEST_STACK")) {
        rabbitmqctl("eval", "[rabbit_amqqueue:delete(Q, false, false, <<\"test\">>) || "
                            "Q <- rabbit_amqqueue:list(), lists:prefix(\"test-broker-\", "
                            "binary_to_list(element(4, amqqueue:get_name(Q))))].");
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_confirms_ten_thousand_in_flight),
        cmocka_unit_test(test_returns_reach_their_publisher),
        cmocka_unit_test(test_the_guilty_publish_is_found),
        cmocka_unit_test(test_settlements),
        cmocka_unit_test(test_priorities_and_throughput),
        cmocka_unit_test(test_a_queue_can_be_paused),
        cmocka_unit_test(test_pausing_with_a_delivery_in_hand),
        cmocka_unit_test(test_another_prefetch),
        cmocka_unit_test(test_pausing_in_haste),
        cmocka_unit_test(test_a_pause_outlives_the_connection),
        cmocka_unit_test(test_delays),
        cmocka_unit_test(test_the_due_queue_is_declared_again),
        cmocka_unit_test(test_a_killed_server_loses_nothing),
        cmocka_unit_test(test_a_paused_server_runs_into_deadlines),
        cmocka_unit_test(test_a_server_that_confirms_nothing_is_left),
        cmocka_unit_test(test_closing_answers_what_is_open),
        cmocka_unit_test(test_closing_is_prompt_when_the_server_hangs),
        cmocka_unit_test(test_tls_is_verified),
        cmocka_unit_test(test_a_wrong_password_is_denied),
        cmocka_unit_test(test_nodes_are_tried_in_turn),
        cmocka_unit_test(test_an_alarm_blocks),
        cmocka_unit_test(test_a_queue_of_another_make_is_a_conflict),
        cmocka_unit_test(test_what_is_too_large_goes_alone),
        cmocka_unit_test(test_a_full_queue_holds_nobody_up),
        cmocka_unit_test(test_a_probe_says_how_the_broker_is),
        cmocka_unit_test(test_a_deleted_queue_is_declared_again),
        cmocka_unit_test(test_a_queue_deleted_while_away_is_declared_again),
    };
    return cmocka_run_group_tests(tests, NULL, delete_queues);
}
