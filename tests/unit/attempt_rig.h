// SPDX-License-Identifier: Apache-2.0
// A worker without servers: what its attempts do to the world (worker/effects.h) is written down,
// and answered when the test says so, as the test says.
#ifndef CRESS_TESTS_UNIT_ATTEMPT_RIG_H
#define CRESS_TESTS_UNIT_ATTEMPT_RIG_H

#include "tests/unit/unit.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/broker/topology.h"
#include "worker/dispatch.h"
#include "worker/lease.h"
#include "worker/peers.h"
#include "worker/recall.h"

#include <stdio.h>

enum rig_call_kind { RIG_DONE, RIG_START, RIG_CHANGE, RIG_OUTCOMES, RIG_WORKERS };

/* An effect whose answer is due. */
struct rig_call {
    struct cress_list node;
    enum rig_call_kind kind;
    void (*done)(void); /* of the kind's type */
    void *arg;
};

struct rig {
    uv_loop_t loop;
    struct cress_config config;
    struct cress_worker worker;
    struct cress_worker_queue queue;

    struct cress_list calls;
    struct cress_buf trace; /* what was done, in order */

    /* the newest message that was published */
    struct cress_buf last_body;
    char last_error_code[64];
    char last_lease[64];
    bool last_was_redelivered;
    bool last_has_foreign;

    /* the answers */
    int failing; /* so many next ones are errors */
    enum cress_status failure;
    enum cress_verdict start_verdict, change_verdict;
    int64_t wait_ms; /* of a start that a limit forbids */
    bool follow;
    const char *peer; /* the report of another worker; NULL: there is none */

    int64_t delivery_count; /* of the next that arrives */
};

static struct rig rig;

/* --- the fakes --- */

static inline void rig_note(const char *format, ...) CRESS_PRINTF(1, 2);

static inline void rig_note(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    cress_buf_add_text(&rig.trace, rig.trace.size ? " " : "");
    cress_buf_vprintf(&rig.trace, format, args);
    va_end(args);
}

static inline void rig_remember(enum rig_call_kind kind, void (*done)(void), void *arg)
{
    struct rig_call *call = CRESS_NEW(struct rig_call);
    call->kind = kind;
    call->done = done;
    call->arg = arg;
    cress_list_append(&rig.calls, &call->node);
}

static inline void rig_publish(struct cress_broker *broker, const struct cress_message *message,
                               int64_t timeout_ms, cress_publish_cb done, void *arg)
{
    (void)broker;
    (void)timeout_ms;
    const struct cress_header *attempt = cress_message_header(message, "attempt");
    const struct cress_header *code = cress_message_header(message, "error_code");
    const struct cress_header *lease = cress_message_header(message, "lease");
    const bool is_delayed = cress_delay_for(2, message->due_ms - cress_clock_wall_ms()) > 0;
    rig_note("publish:%s%s%s", is_delayed ? "delay>" : "", message->routing_key,
             attempt && attempt->number > 1 ? "#2" : "");
    snprintf(rig.last_error_code, sizeof rig.last_error_code, "%s", code ? code->text : "");
    snprintf(rig.last_lease, sizeof rig.last_lease, "%s", lease ? lease->text : "");
    rig.last_was_redelivered = cress_message_header(message, "redelivered") != NULL;
    rig.last_has_foreign = cress_message_header(message, "mine") != NULL;
    cress_buf_clear(&rig.last_body);
    cress_buf_add(&rig.last_body, message->body, message->body_size);
    rig_remember(RIG_DONE, (void (*)(void))done, arg);
}

static inline void rig_settle(struct cress_broker *broker, struct cress_delivery *delivery,
                              enum cress_settlement how)
{
    (void)broker;
    rig_note("%s", how == CRESS_ACK ? "ack" : how == CRESS_REQUEUE ? "requeue" : "dead");
    free(delivery->message);
    free(delivery);
}

static inline void rig_ack_now(struct cress_broker *broker, struct cress_delivery *delivery)
{
    (void)broker;
    (void)delivery;
    rig_note("ack_now");
}

static inline void rig_start(struct cress_store *store, const struct cress_start *start,
                             cress_store_start_cb done, void *arg)
{
    (void)store;
    (void)start;
    rig_note("start");
    rig_remember(RIG_START, (void (*)(void))done, arg);
}

static inline void rig_change(struct cress_store *store, const struct cress_change *change,
                              cress_store_verdict_cb done, void *arg)
{
    (void)store;
    rig_note("record:%s", cress_state_word(change->to));
    rig_remember(RIG_CHANGE, (void (*)(void))done, arg);
}

static inline void rig_adopt(struct cress_store *store, const struct cress_job *job,
                             cress_store_done_cb done, void *arg)
{
    (void)store;
    rig_note("adopt:%s", job->id);
    rig.change_verdict = CRESS_VERDICT_APPLIED;
    rig_remember(RIG_DONE, (void (*)(void))done, arg);
}

static inline void rig_block(struct cress_store *store, const struct cress_job *job,
                             const char *blocked, cress_store_done_cb done, void *arg)
{
    (void)store;
    (void)job;
    rig_note("block:%s", blocked ? blocked : "");
    rig_remember(RIG_DONE, (void (*)(void))done, arg);
}

static inline void rig_workers(struct cress_store *store, cress_store_results_cb done, void *arg)
{
    (void)store;
    rig_note("workers");
    rig_remember(RIG_WORKERS, (void (*)(void))done, arg);
}

static inline void rig_outcomes(struct cress_store *store, const char *const *ids, size_t count,
                                cress_store_results_cb done, void *arg)
{
    (void)store;
    rig_note("outcomes:%s+%zu", ids[0], count - 1);
    rig_remember(RIG_OUTCOMES, (void (*)(void))done, arg);
}

static inline void rig_follow_up(struct cress_door door, const char *id, cress_store_done_cb done,
                                 void *arg)
{
    (void)door;
    rig_note("follow_up:%s", id);
    rig_remember(RIG_DONE, (void (*)(void))done, arg);
}

static const struct cress_effects rig_effects = {
    .publish = rig_publish,
    .settle = rig_settle,
    .ack_now = rig_ack_now,
    .start = rig_start,
    .change = rig_change,
    .adopt = rig_adopt,
    .block = rig_block,
    .workers = rig_workers,
    .outcomes = rig_outcomes,
    .follow_up = rig_follow_up,
};

static inline void rig_answer(const struct rig_call *call, const struct cress_error *err)
{
    static const char *const outcomes[] = {"{\"id\":\"a\"}", "{\"id\":\"b\"}"};
    switch (call->kind) {
    case RIG_DONE:
        ((cress_publish_cb)call->done)(err, call->arg);
        break;
    case RIG_START:
        ((cress_store_start_cb)call->done)(rig.start_verdict, rig.follow, rig.wait_ms, err,
                                           call->arg);
        break;
    case RIG_CHANGE:
        ((cress_store_verdict_cb)call->done)(rig.change_verdict, rig.follow, err, call->arg);
        break;
    case RIG_OUTCOMES:
        ((cress_store_results_cb)call->done)(outcomes, 2, err, call->arg);
        break;
    case RIG_WORKERS:
        ((cress_store_results_cb)call->done)(&rig.peer, rig.peer ? 1 : 0, err, call->arg);
        break;
    }
}

/* --- what tests do --- */

static inline void rig_turn_cb(void *arg)
{
    cress_dispatch_turn(arg);
}

/* The answer to the oldest effect, and nothing more than what follows from it at once. */
static inline void answer_one(void)
{
    struct cress_list *node = cress_list_shift(&rig.calls);
    struct rig_call *call = CRESS_CONTAINER(node, struct rig_call, node);
    struct cress_error err;
    cress_error_set(&err, rig.failure, NULL, "away");
    rig_answer(call, rig.failing > 0 ? &err : NULL);
    rig.failing -= rig.failing > 0;
    free(call);
    cress_dispatch_turn(&rig.worker);
}

/* Answers and runs timers until nothing is left to do. */
static inline void settle_down(void)
{
    do {
        while (!cress_list_is_empty(&rig.calls)) {
            answer_one();
        }
        uv_run(&rig.loop, UV_RUN_ONCE);
    } while (!cress_list_is_empty(&rig.calls) || uv_loop_alive(&rig.loop));
}

static inline struct cress_message message_of(const char *task, const char *body)
{
    return (struct cress_message){
        .exchange = "",
        .routing_key = "q",
        .type = task,
        .message_id = "x",
        .content_type = "application/json",
        .body = body,
        .body_size = strlen(body),
    };
}

static inline void arrive(const struct cress_message *message)
{
    struct cress_delivery *delivery = CRESS_NEW(struct cress_delivery);
    struct cress_list list;
    cress_list_init(&list);
    delivery->message = cress_message_clone(message);
    delivery->queue = "q";
    delivery->priority = CRESS_PRIORITY_NORMAL;
    delivery->delivery_count = rig.delivery_count;
    delivery->redelivered = rig.delivery_count > 0;
    cress_list_append(&list, &delivery->node);
    cress_dispatch_deliveries_cb(&list, &rig.worker);
    cress_dispatch_turn(&rig.worker);
}

static inline void deliver(const struct cress_message *message)
{
    arrive(message);
    settle_down();
}

static inline void hand_back_all(void)
{
    rig.worker.phase = CRESS_WORKER_HANDING_BACK;
    cress_dispatch_hand_back(&rig.worker);
    settle_down();
}

static inline void expect(const char *effects)
{
    assert_string_equal(cress_buf_text(&rig.trace), effects);
}

/* --- before and after each test --- */

static inline int rig_set_up(void **state)
{
    static char backoff[] = "fixed";
    (void)state;
    memset(&rig, 0, sizeof rig);
    uv_loop_init(&rig.loop);
    cress_list_init(&rig.calls);
    rig.trace = cress_buf_make(65536);
    rig.last_body = cress_buf_make(65536);
    rig.config = (struct cress_config){
        .job_max_attempts = 3,
        .job_timeout_ms = 60000,
        .job_backoff = backoff,
        .job_backoff_base_ms = 200,
        .job_backoff_cap_ms = 200,
        .job_max_payload_bytes = 1000,
        .job_max_result_bytes = 100,
        .worker_concurrency = 2,
        .worker_max_crashes = 3,
        .worker_lease_ms = 600000,
        .worker_heartbeat_ms = 2000,
    };
    rig.queue.name = "q";
    rig.worker.services.loop = &rig.loop;
    rig.worker.services.config = rig.worker.config = &rig.config;
    rig.worker.effects = &rig_effects;
    rig.worker.queues = &rig.queue;
    rig.worker.queue_count = 1;
    snprintf(rig.worker.id, sizeof rig.worker.id, "here:1");
    rig.worker.tasks = cress_tasks_open(&rig.worker.services);
    cress_lanes_init(&rig.worker.lanes);
    cress_list_init(&rig.worker.active);
    cress_list_init(&rig.worker.going_back);
    cress_recall_init(&rig.worker.recall);
    cress_ids_init(&rig.worker.ids, 4);
    cress_pump_init(&rig.loop, &rig.worker.pump, rig_turn_cb, &rig.worker);
    rig.start_verdict = rig.change_verdict = CRESS_VERDICT_APPLIED;
    rig.failure = CRESS_UNAVAILABLE;
    cress_log_configure("test", CRESS_LOG_ERROR, "text");
    return 0;
}

static inline void rig_closed_cb(void *arg)
{
    (void)arg;
}

static inline int rig_tear_down(void **state)
{
    (void)state;
    assert_true(cress_list_is_empty(&rig.worker.active));
    assert_int_equal(rig.worker.in_hand, 0);
    assert_int_equal(rig.worker.running, 0);
    assert_int_equal(rig.queue.unacked, 0);
    cress_tasks_close(rig.worker.tasks, rig_closed_cb, NULL);
    cress_pump_close(&rig.worker.pump, rig_closed_cb);
    uv_run(&rig.loop, UV_RUN_DEFAULT);
    cress_ids_free(&rig.worker.ids);
    cress_recall_free(&rig.worker.recall);
    cress_peers_free(&rig.worker);
    cress_buf_free(&rig.trace);
    cress_buf_free(&rig.last_body);
    return uv_loop_close(&rig.loop);
}

#define RIG_TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

#endif
