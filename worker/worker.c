// SPDX-License-Identifier: Apache-2.0
// Starting and stopping a worker; see worker.h.
#include "worker/worker.h"

#include "common/base/clock.h"
#include "worker/control.h"
#include "worker/dispatch.h"
#include "worker/due.h"
#include "worker/fetch.h"
#include "worker/lease.h"
#include "worker/peers.h"
#include "worker/presence.h"
#include "worker/recall.h"
#include "worker/share.h"
#include "worker/state.h"
#include "worker/ticker.h"
#include "worker/turns.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    IDS_EXPECTED = 4096, /* as a fast worker has in hand */
    ADAPT_INTERVAL_MS = 50,
    HAND_BACK_MS = 2000, /* for handlers to stop and the store to note it */
    AWAY_LOG_INTERVAL_MS = 10000,
    DUE_CLOSE_MS = 1000, /* for what is being routed */
};

/* --- connections --- */

/* Once, when the first job could be taken. */
static void announce_when_ready(struct cress_worker *worker)
{
    if (worker->announced || !worker->store_was_ready) {
        return;
    }
    for (size_t i = 0; i < worker->queue_count; i++) {
        if (!worker->queues[i].was_consumed && !worker->queues[i].paused) {
            return;
        }
    }
    worker->announced = true;
    struct cress_buf names = cress_buf_make(CRESS_ERROR_MESSAGE_MAX);
    for (size_t i = 0; i < worker->queue_count; i++) {
        cress_buf_printf(&names, "%s%s", i ? "," : "", worker->queues[i].name);
    }
    cress_log(CRESS_LOG_INFO, "worker ready", CRESS_KV("id", worker->name),
              CRESS_KV("queues", cress_buf_text(&names)),
              CRESS_KVI("concurrency", worker->config->worker_concurrency));
    cress_buf_free(&names);
    cress_lease_announce(worker->config);
}

/* The first attempt that fails, and then one now and again. */
static void log_away(const struct cress_worker *worker, struct cress_log_limit *limit,
                     const char *message, const struct cress_error *err)
{
    uint64_t suppressed;
    if (worker->phase != CRESS_WORKER_CLOSING &&
        cress_log_allow(limit, AWAY_LOG_INTERVAL_MS, &suppressed)) {
        cress_log(CRESS_LOG_WARN, message, CRESS_KV_ERROR(err),
                  CRESS_KVI("suppressed", suppressed));
    }
}

static void broker_state_cb(enum cress_broker_state state, const struct cress_error *err, void *arg)
{
    struct cress_worker *worker = arg;
    if (state == CRESS_BROKER_READY) {
        worker->broker_log = (struct cress_log_limit){0};
        cress_log(CRESS_LOG_INFO, "broker connected");
    } else if (state == CRESS_BROKER_BLOCKED) {
        cress_log(CRESS_LOG_WARN,
                  "the broker takes no messages now (memory or disk alarm); retries wait");
    } else if (err) {
        log_away(worker, &worker->broker_log, "no broker connection, trying on", err);
    }
}

static void queue_consumed_cb(const char *queue, void *arg)
{
    struct cress_worker *worker = arg;
    for (size_t i = 0; i < worker->queue_count; i++) {
        if (strcmp(worker->queues[i].name, queue) == 0) {
            worker->queues[i].was_consumed = true;
            worker->queues[i].problem = (struct cress_error){.status = CRESS_OK};
        }
    }
    announce_when_ready(worker);
}

static void queue_problem_cb(const char *queue, const struct cress_error *err, void *arg)
{
    struct cress_worker *worker = arg;
    for (size_t i = 0; i < worker->queue_count; i++) {
        if (strcmp(worker->queues[i].name, queue) == 0) {
            worker->queues[i].problem = *err;
        }
    }
    cress_log(CRESS_LOG_WARN, "queue cannot be consumed, trying on", CRESS_KV("queue", queue),
              CRESS_KV_ERROR(err));
}

/* Only with a store: a job that cannot be recorded cannot be run. */
static void start_consuming(struct cress_worker *worker)
{
    struct cress_subscription *subscriptions =
        cress_alloc(worker->queue_count * sizeof(*subscriptions));
    for (size_t i = 0; i < worker->queue_count; i++) {
        cress_fetch_begin(worker, &worker->queues[i], &subscriptions[i]);
    }
    const struct cress_consumer consumer = {
        .on_deliveries = cress_dispatch_deliveries_cb,
        .on_consuming = queue_consumed_cb,
        .on_problem = queue_problem_cb,
        .arg = worker,
    };
    cress_broker_consume(worker->services.broker, subscriptions, worker->queue_count, &consumer);
    worker->consuming = true;
    free(subscriptions);
}

/* It is known which queues are paused: begins to consume, unless it has. */
static void pauses_known_cb(struct cress_worker *worker)
{
    if (!worker->consuming && worker->phase == CRESS_WORKER_RUNNING) {
        start_consuming(worker);
    }
    announce_when_ready(worker);
}

static void queue_added_cb(const struct cress_error *err, void *arg)
{
    (void)err;
    (void)arg;
}

static void store_state_cb(bool ready, const struct cress_error *err, void *arg)
{
    struct cress_worker *worker = arg;
    if (!ready) {
        log_away(worker, &worker->store_log,
                 "no store connection, trying on; results and acks wait", err);
        return;
    }
    worker->store_log = (struct cress_log_limit){0};
    cress_log(CRESS_LOG_INFO, "store connected");
    worker->store_was_ready = true;
    for (size_t i = 0; i < worker->queue_count; i++) {
        cress_store_add_queue(worker->services.store, worker->queues[i].name, queue_added_cb, NULL);
    }
    cress_recall_tell(worker);
    cress_presence_report(worker);
    cress_control_refresh(worker);
    if (worker->ticker) {
        cress_ticker_store_ready(worker->ticker);
    }
}

/* --- closing: one thing after the other, each when the one before is done --- */

static void close_next(void *arg);

static void left_cb(const struct cress_error *err, void *arg)
{
    (void)err;
    close_next(arg);
}

static void handle_closed_cb(uv_handle_t *handle)
{
    close_next(handle->data);
}

static bool close_ticker(struct cress_worker *worker)
{
    struct cress_ticker *ticker = worker->ticker;
    worker->ticker = NULL;
    if (ticker) {
        cress_ticker_close(ticker, close_next, worker);
    }
    return ticker;
}

static bool close_due(struct cress_worker *worker)
{
    struct cress_due *due = worker->due;
    worker->due = NULL;
    if (due) {
        cress_due_close(due, DUE_CLOSE_MS, close_next, worker);
    }
    return due;
}

/* What was settled must have left before the connection goes. */
static bool flush_broker(struct cress_worker *worker)
{
    if (worker->services.broker) {
        cress_broker_flush(worker->services.broker, close_next, worker);
    }
    return worker->services.broker;
}

static bool leave_store(struct cress_worker *worker)
{
    if (worker->services.store) {
        cress_store_leave(worker->services.store, worker->id, left_cb, worker);
    }
    return worker->services.store;
}

/* Attempts that are given up would be waited for, and the processes of their tasks end with this one.
 * Those that only waited for a server end when its connection closes: so this is tried again then,
 * for the processes of tasks keep the loop alive. */
static bool close_tasks(struct cress_worker *worker)
{
    struct cress_tasks *tasks = worker->tasks;
    if (!tasks || worker->in_hand > 0) {
        return false;
    }
    worker->tasks = NULL;
    cress_tasks_close(tasks, close_next, worker);
    return true;
}

/* HTTP before the store and the store before the broker: each ends what waits for it, which uses
 * the next. */
static bool close_http(struct cress_worker *worker)
{
    if (worker->services.http) {
        cress_http_close(worker->services.http, close_next, worker);
    }
    return worker->services.http;
}

static bool close_store(struct cress_worker *worker)
{
    cress_control_stop(worker);
    if (worker->services.store) {
        cress_store_close(worker->services.store, close_next, worker);
    }
    return worker->services.store;
}

static bool close_broker(struct cress_worker *worker)
{
    if (worker->services.broker) {
        cress_broker_close(worker->services.broker, close_next, worker);
    }
    return worker->services.broker;
}

static bool close_beat(struct cress_worker *worker)
{
    uv_close((uv_handle_t *)&worker->beat, handle_closed_cb);
    return true;
}

static bool close_pump(struct cress_worker *worker)
{
    cress_pump_close(&worker->pump, close_next);
    return true;
}

static bool close_limit(struct cress_worker *worker)
{
    uv_close((uv_handle_t *)&worker->limit, handle_closed_cb);
    return true;
}

static bool (*const closing_steps[])(struct cress_worker *) = {
    close_ticker, close_due,    flush_broker, leave_store, close_tasks, close_http,
    close_store,  close_broker, close_tasks,  close_beat,  close_limit, close_pump,
};

static void close_next(void *arg)
{
    struct cress_worker *worker = arg;
    while (worker->closing_step < CRESS_COUNT(closing_steps)) {
        if (closing_steps[worker->closing_step++](worker)) {
            return;
        }
    }
    worker->on_closed(worker->arg);
}

static void start_closing(struct cress_worker *worker)
{
    worker->phase = CRESS_WORKER_CLOSING;
    uv_timer_stop(&worker->beat);
    uv_timer_stop(&worker->limit);
    close_next(worker);
}

/* A worker that stops has ended with its last attempt. */
static void close_when_ended(struct cress_worker *worker)
{
    const bool stopping =
        worker->phase == CRESS_WORKER_DRAINING || worker->phase == CRESS_WORKER_HANDING_BACK;
    if (stopping && !worker->consuming && worker->in_hand == 0) {
        cress_log(CRESS_LOG_INFO, "no job in hand, closing connections",
                  CRESS_KVI("processed", worker->processed), CRESS_KVI("failed", worker->failed));
        start_closing(worker);
    }
}

/* --- starting --- */

static void name_worker(struct cress_worker *worker)
{
    size_t size = sizeof worker->host;
    if (uv_os_gethostname(worker->host, &size) != 0) {
        snprintf(worker->host, sizeof worker->host, "localhost");
    }
    cress_worker_id_new(worker->host, (long)getpid(), worker->id);
    cress_worker_id_shown(worker->id, worker->name);
}

static void take_queues(struct cress_worker *worker)
{
    const struct cress_config *config = worker->config;
    while (config->worker_queues[worker->queue_count]) {
        worker->queue_count++;
    }
    worker->queues = cress_alloc(worker->queue_count * sizeof(*worker->queues));
    for (size_t i = 0; i < worker->queue_count; i++) {
        const char *name = config->worker_queues[i];
        const struct cress_queue_config *queue = cress_config_queue(config, name);
        worker->queues[i] = (struct cress_worker_queue){
            .name = name,
            .default_task = queue && queue->task[0] ? queue->task : NULL,
        };
    }
}

static enum cress_status open_connections(struct cress_worker *worker, struct cress_error *err)
{
    struct cress_services *services = &worker->services;
    char connection_name[sizeof worker->name + 16];
    snprintf(connection_name, sizeof connection_name, "cress-worker %s", worker->name);
    const struct cress_broker_options broker = {
        .config = worker->config,
        .name = connection_name,
        .roles = CRESS_BROKER_PUBLISH | CRESS_BROKER_CONSUME,
        .declares_delays = true,
        .on_state = broker_state_cb,
        .arg = worker,
    };
    const struct cress_store_options store = {
        .config = worker->config,
        .on_state = store_state_cb,
        .arg = worker,
    };
    enum cress_status status =
        cress_guard_make(worker->config->render_allow, &services->guard, err);
    if (status == CRESS_OK) {
        status = cress_broker_open(services->loop, &broker, &services->broker, err);
    }
    if (status == CRESS_OK) {
        status = cress_store_open(services->loop, &store, &services->store, err);
    }
    return status;
}

static void failed_start_closed_cb(void *arg)
{
    cress_worker_free(arg);
}

static void worker_turn_cb(void *arg)
{
    struct cress_worker *worker = arg;
    cress_dispatch_turn(worker);
    cress_share_turn(worker);
    const uint64_t now_ms = uv_now(worker->services.loop);
    if (now_ms - worker->adapted_ms >= ADAPT_INTERVAL_MS) {
        worker->adapted_ms = now_ms;
        cress_fetch_adapt(worker);
    }
    close_when_ended(worker);
}

/* What thousands of deliveries took is left in free pieces, which the C library keeps. */
static void give_memory_back(struct cress_worker *worker)
{
#ifdef __GLIBC__
    if (worker->in_hand == 0 && worker->trimmed_at != worker->processed) {
        worker->trimmed_at = worker->processed;
        malloc_trim(0);
    }
#endif
}

static void worker_beat_cb(uv_timer_t *timer)
{
    give_memory_back(timer->data);
    cress_lease_check(timer->data);
    cress_fetch_adapt(timer->data);
    cress_share_check(timer->data);
    cress_recall_check(timer->data);
    cress_presence_report(timer->data);
}

static void start_beat(struct cress_worker *worker)
{
    const uint64_t interval_ms = (uint64_t)worker->config->worker_heartbeat_ms;
    uv_timer_start(&worker->beat, worker_beat_cb, interval_ms, interval_ms);
}

enum cress_status cress_worker_start(uv_loop_t *loop, const struct cress_config *config,
                                     void (*on_closed)(void *arg), void *arg,
                                     struct cress_worker **out, struct cress_error *err)
{
    struct cress_worker *worker = CRESS_NEW(struct cress_worker);
    worker->services.loop = loop;
    worker->services.config = worker->config = config;
    worker->effects = &cress_effects;
    worker->on_closed = on_closed;
    worker->arg = arg;
    worker->started_ms = cress_clock_wall_ms();
    name_worker(worker);
    take_queues(worker);
    cress_lanes_init(&worker->lanes);
    cress_list_init(&worker->active);
    cress_list_init(&worker->going_back);
    cress_recall_init(&worker->recall);
    cress_pump_init(loop, &worker->pump, worker_turn_cb, worker);
    cress_ids_init(&worker->ids, IDS_EXPECTED);
    uv_timer_init(loop, &worker->beat);
    uv_timer_init(loop, &worker->limit);
    worker->beat.data = worker->limit.data = worker;
    const enum cress_status status = open_connections(worker, err);
    if (status != CRESS_OK) {
        worker->on_closed = failed_start_closed_cb;
        worker->arg = worker;
        worker->phase = CRESS_WORKER_CLOSING;
        close_next(worker);
        return status;
    }
    worker->services.http = cress_http_open(loop, (int)config->render_per_host);
    worker->tasks = cress_tasks_open(&worker->services);
    worker->ticker = cress_ticker_open(&worker->services, worker->id);
    worker->due = cress_due_open(loop, worker->services.broker, config);
    start_beat(worker);
    cress_control_start(worker, pauses_known_cb);
    cress_turns_start(worker);
    *out = worker;
    return CRESS_OK;
}

size_t cress_worker_in_hand(const struct cress_worker *worker)
{
    return worker->in_hand;
}

void cress_worker_free(struct cress_worker *worker)
{
    cress_guard_free(worker->services.guard);
    cress_ids_free(&worker->ids);
    cress_peers_free(worker);
    cress_recall_free(&worker->recall);
    free(worker->queues);
    free(worker);
}

/* --- stopping --- */

static void give_up_cb(uv_timer_t *timer)
{
    struct cress_worker *worker = timer->data;
    cress_log(CRESS_LOG_WARN,
              "some jobs did not stop in time; the broker gets them back unrecorded");
    start_closing(worker);
}

static void hand_back_running(struct cress_worker *worker)
{
    cress_log(CRESS_LOG_INFO, "handing running jobs back", CRESS_KVI("running", worker->running));
    worker->phase = CRESS_WORKER_HANDING_BACK;
    uv_timer_start(&worker->limit, give_up_cb, HAND_BACK_MS, 0);
    cress_dispatch_hand_back(worker);
}

static void drain_over_cb(uv_timer_t *timer)
{
    hand_back_running(timer->data);
}

static void consuming_stopped_cb(void *arg)
{
    struct cress_worker *worker = arg;
    worker->consuming = false;
    cress_pump_want(&worker->pump);
}

static void drain(struct cress_worker *worker)
{
    const int64_t limit_ms = worker->config->worker_drain_ms;
    cress_log(CRESS_LOG_INFO,
              "stopping: taking no more jobs, waiting ones go back, running ones may end",
              CRESS_KVI("running", worker->running), CRESS_KVI("drain_ms", limit_ms));
    worker->phase = CRESS_WORKER_DRAINING;
    uv_timer_start(&worker->limit, drain_over_cb, (uint64_t)limit_ms, 0);
    cress_ticker_stop(worker->ticker);
    cress_broker_stop_consuming(worker->services.broker, consuming_stopped_cb, worker);
    cress_dispatch_return_waiting(worker);
    cress_presence_report(worker);
}

void cress_worker_stop(struct cress_worker *worker)
{
    if (worker->phase == CRESS_WORKER_RUNNING) {
        drain(worker);
    } else if (worker->phase == CRESS_WORKER_DRAINING) {
        hand_back_running(worker);
    }
}
