// SPDX-License-Identifier: Apache-2.0
// The order of effects of a delivery, from its arrival to its settlement, with broker, store and
// submission faked: each effect is written down, and answered on the next turn as the test says.
#include "worker/attempt.h"
#include "worker/dispatch.h"
#include "worker/lease.h"

#include "common/base/clock.h"
#include "common/broker/topology.h"
#include "common/submit/submit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* --- the fakes --- */

enum call_kind {
    PUBLISH,
    START,
    CHANGE,
    GET,
    OUTCOMES,
    FOLLOW_UP,
    BATCH_GET,
    BATCH_COMPLETE,
    SUBMIT
};

/* An effect whose answer is due. */
struct call {
    struct cress_list node;
    enum call_kind kind;
    void (*done)(void); /* of the kind's type */
    void *arg;
};

static struct cress_list calls;
static struct cress_buf trace; /* what was done, in order */
static struct cress_buf last_body;
static char last_error_code[64];
static char last_lease[64];
static bool last_was_redelivered;
static int64_t delivery_count; /* of the next that arrives */
static int failing;            /* so many next answers are errors */
static enum cress_status failure = CRESS_UNAVAILABLE;
static enum cress_verdict start_verdict, change_verdict;
static int64_t wait_ms; /* of a start that a limit forbids */
static bool follow;
static const char *completion;
static const char *left_to_do; /* after a job's end */

static void note(const char *format, ...) CRESS_PRINTF(1, 2);

static void note(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    cress_buf_add_text(&trace, trace.size ? " " : "");
    cress_buf_vprintf(&trace, format, args);
    va_end(args);
}

static void remember(enum call_kind kind, void (*done)(void), void *arg)
{
    struct call *call = CRESS_NEW(struct call);
    call->kind = kind;
    call->done = done;
    call->arg = arg;
    cress_list_append(&calls, &call->node);
}

void cress_broker_publish(struct cress_broker *broker, const struct cress_message *message,
                          int64_t timeout_ms, cress_publish_cb done, void *arg)
{
    (void)broker;
    (void)timeout_ms;
    const struct cress_header *attempt = cress_message_header(message, "attempt");
    const struct cress_header *code = cress_message_header(message, "error_code");
    note("publish:%s%s%s", message->exchange[0] ? "delay>" : "", message->routing_key,
         attempt && attempt->number > 1 ? "#2" : "");
    snprintf(last_error_code, sizeof last_error_code, "%s", code ? code->text : "");
    const struct cress_header *lease = cress_message_header(message, "lease");
    snprintf(last_lease, sizeof last_lease, "%s", lease ? lease->text : "");
    last_was_redelivered = cress_message_header(message, "redelivered") != NULL;
    cress_buf_clear(&last_body);
    cress_buf_add(&last_body, message->body, message->body_size);
    remember(PUBLISH, (void (*)(void))done, arg);
}

void cress_store_start(struct cress_store *store, const struct cress_start *start,
                       cress_store_start_cb done, void *arg)
{
    (void)store;
    (void)start;
    note("start");
    remember(START, (void (*)(void))done, arg);
}

void cress_store_adopt(struct cress_store *store, const struct cress_job *job,
                       cress_store_done_cb done, void *arg)
{
    (void)store;
    note("adopt:%s", job->id);
    change_verdict = CRESS_VERDICT_APPLIED;
    remember(BATCH_COMPLETE, (void (*)(void))done, arg);
}

void cress_store_change(struct cress_store *store, const struct cress_change *change,
                        cress_store_verdict_cb done, void *arg)
{
    (void)store;
    note("record:%s", cress_state_word(change->to));
    remember(CHANGE, (void (*)(void))done, arg);
}

void cress_store_follow_up(struct cress_store *store, const char *id, char *const *done,
                           size_t done_count, cress_store_follow_up_cb then, void *arg)
{
    (void)store;
    note("follow_up:%s%s%s", id, done_count ? "-" : "", done_count ? done[0] : "");
    if (done_count > 0) {
        left_to_do = NULL;
    }
    remember(FOLLOW_UP, (void (*)(void))then, arg);
}

void cress_store_get(struct cress_store *store, const char *id, cress_store_get_cb done, void *arg)
{
    (void)store;
    note("get:%s", id);
    remember(GET, (void (*)(void))done, arg);
}

void cress_store_outcomes(struct cress_store *store, const char *const *ids, size_t count,
                          cress_store_results_cb done, void *arg)
{
    (void)store;
    note("outcomes:%s+%zu", ids[0], count - 1);
    remember(OUTCOMES, (void (*)(void))done, arg);
}

void cress_store_batch_get(struct cress_store *store, const char *id, cress_store_batch_cb done,
                           void *arg)
{
    (void)store;
    note("batch:%s", id);
    remember(BATCH_GET, (void (*)(void))done, arg);
}

void cress_store_batch_complete(struct cress_store *store, const char *id, bool skipped,
                                cress_store_done_cb done, void *arg)
{
    (void)skipped;
    (void)store;
    (void)id;
    note("batch_complete");
    remember(BATCH_COMPLETE, (void (*)(void))done, arg);
}

void cress_submit(struct cress_door door, const struct cress_job *request, cress_submit_cb done,
                  void *arg)
{
    (void)door;
    note("submit:%s", request->id);
    remember(SUBMIT, (void (*)(void))done, arg);
}

void cress_delivery_settle(struct cress_broker *broker, struct cress_delivery *delivery,
                           enum cress_settlement how)
{
    (void)broker;
    note("%s", how == CRESS_ACK ? "ack" : how == CRESS_REQUEUE ? "requeue" : "dead");
    free(delivery->message);
    free(delivery);
}

void cress_delivery_ack_now(struct cress_broker *broker, struct cress_delivery *delivery)
{
    (void)broker;
    (void)delivery;
    note("ack_now");
}

const struct cress_queue_config *cress_config_queue(const struct cress_config *config,
                                                    const char *name)
{
    (void)config;
    (void)name;
    return NULL;
}

void cress_worker_attempt_ended(struct cress_worker *worker)
{
    (void)worker;
}

static void answer(const struct call *call, const struct cress_error *err)
{
    const struct cress_batch batch = {.id = "b", .closed = true, .completion = completion};
    const struct cress_record record = {.id = "w", .task = "t", .queue = "other"};
    static const char *const outcomes[] = {"{\"id\":\"a\"}", "{\"id\":\"b\"}"};
    switch (call->kind) {
    case PUBLISH:
    case BATCH_COMPLETE:
        ((cress_publish_cb)call->done)(err, call->arg);
        break;
    case START:
        ((cress_store_start_cb)call->done)(start_verdict, follow, wait_ms, err, call->arg);
        break;
    case CHANGE:
        ((cress_store_verdict_cb)call->done)(change_verdict, follow, err, call->arg);
        break;
    case FOLLOW_UP:
        ((cress_store_follow_up_cb)call->done)(&left_to_do, left_to_do && !err ? 1 : 0, false, err,
                                               call->arg);
        break;
    case GET:
        ((cress_store_get_cb)call->done)(err ? NULL : &record, err, call->arg);
        break;
    case OUTCOMES:
        ((cress_store_results_cb)call->done)(outcomes, 2, err, call->arg);
        break;
    case BATCH_GET:
        ((cress_store_batch_cb)call->done)(err ? NULL : &batch, err, call->arg);
        break;
    case SUBMIT:
        ((cress_submit_cb)call->done)(&record, err, call->arg);
        break;
    }
}

/* --- the worker under test --- */

static uv_loop_t loop;
static struct cress_config config;
static char backoff[] = "fixed";
static struct cress_worker worker;
static struct cress_worker_queue queue;

/* Answers and runs timers until nothing is left to do. */
static void settle_down(void)
{
    do {
        struct cress_list *node;
        while ((node = cress_list_shift(&calls))) {
            struct call *call = CRESS_CONTAINER(node, struct call, node);
            struct cress_error err;
            cress_error_set(&err, failure, NULL, "away");
            answer(call, failing > 0 ? &err : NULL);
            failing -= failing > 0;
            free(call);
        }
        uv_run(&loop, UV_RUN_ONCE);
    } while (!cress_list_is_empty(&calls) || uv_loop_alive(&loop));
}

static int set_up(void **state)
{
    (void)state;
    uv_loop_init(&loop);
    cress_list_init(&calls);
    trace = cress_buf_make(65536);
    last_body = cress_buf_make(65536);
    config = (struct cress_config){
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
    queue = (struct cress_worker_queue){.name = "q"};
    worker = (struct cress_worker){
        .services = {.loop = &loop, .config = &config},
        .config = &config,
        .queues = &queue,
        .queue_count = 1,
        .id = "here:1",
    };
    worker.tasks = cress_tasks_open(&worker.services);
    cress_lanes_init(&worker.lanes);
    cress_list_init(&worker.active);
    cress_ids_init(&worker.ids, 4);
    start_verdict = change_verdict = CRESS_VERDICT_APPLIED;
    follow = false;
    failing = 0;
    delivery_count = 0;
    failure = CRESS_UNAVAILABLE;
    completion = left_to_do = NULL;
    cress_log_configure("test", CRESS_LOG_ERROR, "text");
    return 0;
}

static void tasks_closed_cb(void *arg)
{
    (void)arg;
}

static int tear_down(void **state)
{
    (void)state;
    assert_true(cress_list_is_empty(&worker.active));
    assert_int_equal(worker.running, 0);
    assert_int_equal(queue.unacked, 0);
    cress_tasks_close(worker.tasks, tasks_closed_cb, NULL);
    cress_ids_free(&worker.ids);
    cress_buf_free(&trace);
    cress_buf_free(&last_body);
    return uv_loop_close(&loop);
}

static struct cress_message message_of(const char *task, const char *body)
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

static void arrive(const struct cress_message *message)
{
    struct cress_delivery *delivery = CRESS_NEW(struct cress_delivery);
    struct cress_list list;
    cress_list_init(&list);
    delivery->message = cress_message_clone(message);
    delivery->queue = "q";
    delivery->priority = CRESS_PRIORITY_NORMAL;
    delivery->delivery_count = delivery_count;
    delivery->redelivered = delivery_count > 0;
    cress_list_append(&list, &delivery->node);
    cress_dispatch_deliveries_cb(&list, &worker);
}

static void deliver(const struct cress_message *message)
{
    arrive(message);
    settle_down();
}

static void expect(const char *effects)
{
    assert_string_equal(cress_buf_text(&trace), effects);
}

/* --- the tests --- */

static void success(void **state)
{
    (void)state;
    const struct cress_message message = message_of("cress.echo", "[1]");
    deliver(&message);
    expect("start record:succeeded ack");
    assert_int_equal(worker.processed, 1);
}

static void success_with_reply(void **state)
{
    (void)state;
    struct cress_message message = message_of("cress.echo", "[1]");
    message.reply_to = "callers";
    deliver(&message);
    expect("start record:succeeded publish:callers ack");
    assert_string_equal(cress_buf_text(&last_body), "[1]");
}

static void retry(void **state)
{
    (void)state;
    const struct cress_message message = message_of("cress.fail", "{}");
    deliver(&message);
    expect("start publish:delay>q#2 record:retrying ack");
}

static void failure_for_good(void **state)
{
    (void)state;
    const struct cress_message message = message_of("cress.fail", "{\"permanent\": true}");
    deliver(&message);
    expect("start publish:q.dead record:failed ack");
    assert_string_equal(last_error_code, "asked_to_fail");
    assert_int_equal(worker.failed, 1);
}

static void attempts_used_up(void **state)
{
    (void)state;
    struct cress_message message = message_of("cress.fail", "{}");
    const struct cress_header headers[] = {
        {.name = "attempt", .kind = CRESS_HEADER_INT, .number = 3},
        {.name = "max_attempts", .kind = CRESS_HEADER_INT, .number = 3},
    };
    message.headers = headers;
    message.header_count = 2;
    deliver(&message);
    assert_non_null(strstr(cress_buf_text(&trace), "q.dead#2 record:failed ack"));
}

static void more_attempts_than_allowed(void **state)
{
    (void)state;
    struct cress_message message = message_of("cress.noop", "{}");
    const struct cress_header headers[] = {
        {.name = "attempt", .kind = CRESS_HEADER_INT, .number = 4},
    };
    message.headers = headers;
    message.header_count = 1;
    deliver(&message);
    assert_string_equal(last_error_code, "attempts_exhausted");
}

static void what_cannot_run_is_buried_with_its_reason(void **state)
{
    (void)state;
    static const struct {
        const char *task, *body, *code;
    } table[] = {
        {"my.task", "{}", "unknown_task"},
        {"cress.noop", "{", "payload_not_json"},
        {"cress.sleep", "[]", "invalid_payload"},
        {"cress.echo",
         "\"12345678901234567890123456789012345678901234567890"
         "12345678901234567890123456789012345678901234567890\"",
         "result_too_large"},
    };
    for (size_t i = 0; i < CRESS_COUNT(table); i++) {
        cress_buf_clear(&trace);
        const struct cress_message message = message_of(table[i].task, table[i].body);
        deliver(&message);
        expect("start publish:q.dead record:failed ack");
        assert_string_equal(last_error_code, table[i].code);
        assert_string_equal(cress_buf_text(&last_body), table[i].body);
    }
}

static void no_job_at_all(void **state)
{
    (void)state;
    struct cress_message message = message_of(NULL, "{}");
    message.message_id = NULL;
    deliver(&message);
    expect("publish:q.dead ack");
    assert_true(last_error_code[0]);
}

static void poison(void **state)
{
    (void)state;
    start_verdict = CRESS_VERDICT_POISON;
    const struct cress_message message = message_of("cress.noop", "{}");
    deliver(&message);
    expect("start publish:q.dead record:failed ack");
    assert_string_equal(last_error_code, "poison");
}

static void ended_before(void **state)
{
    (void)state;
    start_verdict = CRESS_VERDICT_TERMINAL;
    const struct cress_message message = message_of("cress.noop", "{}");
    deliver(&message);
    expect("start ack");
}

static void stale_copy(void **state)
{
    (void)state;
    start_verdict = CRESS_VERDICT_STALE;
    const struct cress_message message = message_of("cress.noop", "{}");
    deliver(&message);
    expect("start ack");
}

static struct cress_message expired_message(void)
{
    static const struct cress_header header = {
        .name = "expires_ms", .kind = CRESS_HEADER_INT, .number = 1000};
    struct cress_message message = message_of("cress.noop", "{}");
    message.headers = &header;
    message.header_count = 1;
    return message;
}

static void expired(void **state)
{
    (void)state;
    const struct cress_message message = expired_message();
    deliver(&message);
    expect("record:expired ack");
}

static void expired_is_told_to_the_caller(void **state)
{
    (void)state;
    struct cress_message message = expired_message();
    message.reply_to = "callers";
    deliver(&message);
    expect("record:expired publish:callers ack");
    assert_non_null(strstr(cress_buf_text(&last_body), "\"expired\""));
}

static void expired_without_a_record_gets_one(void **state)
{
    (void)state;
    const struct cress_message message = expired_message();
    change_verdict = CRESS_VERDICT_MISSING;
    deliver(&message);
    expect("record:expired adopt:x record:expired ack");
}

static void expired_after_it_had_begun_runs_on(void **state)
{
    (void)state;
    const struct cress_message message = expired_message();
    change_verdict = CRESS_VERDICT_STALE;
    deliver(&message);
    expect("record:expired start record:succeeded ack");
}

static void not_yet_due(void **state)
{
    (void)state;
    const struct cress_header header = {.name = "not_before_ms",
                                        .kind = CRESS_HEADER_INT,
                                        .number = cress_clock_wall_ms() + 3600000};
    struct cress_message message = message_of("cress.noop", "{}");
    message.headers = &header;
    message.header_count = 1;
    deliver(&message);
    expect("publish:delay>q ack");
}

static void almost_due_waits_here(void **state)
{
    (void)state;
    const struct cress_header header = {
        .name = "not_before_ms", .kind = CRESS_HEADER_INT, .number = cress_clock_wall_ms() + 30};
    struct cress_message message = message_of("cress.noop", "{}");
    message.headers = &header;
    message.header_count = 1;
    arrive(&message);
    expect("");
    settle_down();
    expect("start record:succeeded ack");
    assert_true(cress_clock_wall_ms() >= header.number);
}

static void store_away_is_waited_for(void **state)
{
    (void)state;
    failing = 2;
    const struct cress_message message = message_of("cress.noop", "{}");
    deliver(&message);
    expect("start start start record:succeeded ack");
}

static void dead_letter_is_confirmed_before_the_record_fails(void **state)
{
    (void)state;
    const struct cress_message message = message_of("my.task", "{}");
    arrive(&message);
    struct cress_list *node = cress_list_shift(&calls);
    struct call *call = CRESS_CONTAINER(node, struct call, node);
    answer(call, NULL);
    free(call);
    failing = 1; /* the publish */
    settle_down();
    expect("start publish:q.dead publish:q.dead record:failed ack");
}

static void lost_record_is_made_again(void **state)
{
    (void)state;
    change_verdict = CRESS_VERDICT_MISSING;
    const struct cress_message message = message_of("cress.noop", "{}");
    arrive(&message);
    for (int i = 0; i < 2; i++) { /* start, and the change that finds nothing */
        struct cress_list *node = cress_list_shift(&calls);
        struct call *call = CRESS_CONTAINER(node, struct call, node);
        answer(call, NULL);
        free(call);
    }
    change_verdict = CRESS_VERDICT_APPLIED;
    settle_down();
    expect("start record:succeeded start record:succeeded ack");
}

static void last_of_a_batch(void **state)
{
    (void)state;
    struct cress_message message = message_of("cress.noop", "{}");
    message.correlation_id = "b";
    follow = true;
    left_to_do = "batch b";
    completion = "{\"task\": \"cress.noop\", \"payload\": null, \"id\": \"after\"}";
    deliver(&message);
    expect("start record:succeeded follow_up:x batch:b submit:after batch_complete "
           "follow_up:x-batch b ack");
}

static void last_of_a_batch_found_again(void **state)
{
    (void)state;
    struct cress_message message = message_of("cress.noop", "{}");
    message.correlation_id = "b";
    follow = true;
    left_to_do = "batch b";
    completion = "{\"task\": \"cress.noop\", \"payload\": null, \"id\": \"after\"}";
    start_verdict = CRESS_VERDICT_TERMINAL;
    deliver(&message);
    expect("start follow_up:x batch:b submit:after batch_complete follow_up:x-batch b ack");
}

static void another_job_waits(void **state)
{
    (void)state;
    const struct cress_message message = message_of("cress.noop", "{}");
    follow = true;
    left_to_do = "job w x";
    deliver(&message);
    expect("start record:succeeded follow_up:x get:w publish:other follow_up:x-job w x ack");
}

static void it_waited_for_others(void **state)
{
    (void)state;
    struct cress_message message = message_of("cress.noop", "{}");
    const struct cress_header header = {.name = "after", .kind = CRESS_HEADER_TEXT, .text = "a,b"};
    message.headers = &header;
    message.header_count = 1;
    deliver(&message);
    expect("start outcomes:a+1 record:succeeded ack");
}

static void cancelled_before_it_ran(void **state)
{
    (void)state;
    struct cress_message message = message_of("cress.noop", "{}");
    message.reply_to = "answers";
    start_verdict = change_verdict = CRESS_VERDICT_CANCELLED;
    deliver(&message);
    expect("start record:cancelled publish:answers ack");
    assert_non_null(strstr(cress_buf_text(&last_body), "\"code\":\"cancelled\""));
}

static void cancelled_when_it_would_be_tried_again(void **state)
{
    (void)state;
    struct cress_message message = message_of("cress.fail", "{}");
    message.reply_to = "answers";
    change_verdict = CRESS_VERDICT_CANCELLED;
    deliver(&message);
    expect("start publish:delay>q#2 record:retrying publish:answers ack");
}

static void second_delivery_waits_for_the_first(void **state)
{
    (void)state;
    const struct cress_message message = message_of("cress.sleep", "{\"ms\": 20}");
    arrive(&message);
    arrive(&message);
    expect("start");
    settle_down();
    expect("start record:succeeded ack start record:succeeded ack");
}

static void no_more_than_concurrency_run(void **state)
{
    (void)state;
    static const char *const ids[] = {"x1", "x2", "x3"};
    struct cress_message message = message_of("cress.sleep", "{\"ms\": 10}");
    for (size_t i = 0; i < CRESS_COUNT(ids); i++) {
        message.message_id = ids[i];
        arrive(&message);
    }
    expect("start start");
    assert_int_equal(worker.running, 2);
    settle_down();
    assert_int_equal(worker.processed, 3);
}

static void timeout_is_retried(void **state)
{
    (void)state;
    config.job_timeout_ms = 20;
    config.job_backoff_base_ms = config.job_backoff_cap_ms = 1;
    const struct cress_message message = message_of("cress.sleep", "{\"ms\": 3600000}");
    deliver(&message);
    expect("start publish:q#2 record:retrying ack");
}

static void shutdown_hands_back(void **state)
{
    (void)state;
    struct cress_message message = message_of("cress.sleep", "{\"ms\": 3600000}");
    arrive(&message);
    arrive(&message); /* held by the first */
    struct cress_list *node = cress_list_shift(&calls);
    struct call *call = CRESS_CONTAINER(node, struct call, node);
    answer(call, NULL);
    free(call);
    worker.phase = CRESS_WORKER_DRAINING;
    cress_dispatch_return_waiting(&worker);
    expect("start requeue");
    worker.phase = CRESS_WORKER_HANDING_BACK;
    cress_dispatch_hand_back(&worker);
    settle_down();
    expect("start requeue record:queued requeue");
}

/* The answer to the oldest effect, and nothing more. */
static void answer_one(void)
{
    struct cress_list *node = cress_list_shift(&calls);
    struct call *call = CRESS_CONTAINER(node, struct call, node);
    answer(call, NULL);
    free(call);
}

static void hand_back_all(void)
{
    worker.phase = CRESS_WORKER_HANDING_BACK;
    cress_dispatch_hand_back(&worker);
    settle_down();
}

static void what_was_returned_often_is_published_anew(void **state)
{
    (void)state;
    delivery_count = CRESS_DELIVERY_LIMIT / 2;
    const struct cress_message message = message_of("cress.sleep", "{\"ms\": 3600000}");
    arrive(&message);
    answer_one();
    hand_back_all();
    expect("start record:queued publish:q ack");
    assert_true(last_was_redelivered);
    assert_string_equal(cress_buf_text(&last_body), "{\"ms\": 3600000}");
}

static void what_cannot_be_published_anew_is_returned(void **state)
{
    (void)state;
    delivery_count = CRESS_DELIVERY_LIMIT / 2;
    const struct cress_message message = message_of("cress.sleep", "{\"ms\": 3600000}");
    arrive(&message);
    answer_one();
    failing = 2; /* also the record, which does not matter */
    hand_back_all();
    expect("start record:queued publish:q requeue");
}

/* It runs, and has been held for a lease. */
static void arrive_and_stay(const struct cress_message *message)
{
    config.worker_lease_ms = 0;
    arrive(message);
    answer_one();
    cress_lease_check(&worker);
}

static void long_job_goes_on_without_its_delivery(void **state)
{
    (void)state;
    const struct cress_message message = message_of("cress.sleep", "{\"ms\": 50}");
    arrive_and_stay(&message);
    expect("start publish:q");
    assert_string_equal(last_lease, "here:1");
    cress_lease_check(&worker);
    expect("start publish:q"); /* one guard is enough */
    answer_one();
    cress_lease_check(&worker);
    expect("start publish:q ack_now");
    assert_int_equal(queue.unacked, 0);
    settle_down();
    expect("start publish:q ack_now record:succeeded ack");
}

static void long_job_that_ends_before_its_guard_is_safe(void **state)
{
    (void)state;
    const struct cress_message message = message_of("cress.sleep", "{\"ms\": 0}");
    arrive_and_stay(&message);
    while (!cress_list_is_empty(&worker.active)) {
        uv_run(&loop, UV_RUN_ONCE);
        struct cress_list *guard = cress_list_shift(&calls);
        if (!cress_list_is_empty(&calls)) {
            answer_one();
        }
        cress_list_append(&calls, guard);
    }
    expect("start publish:q record:succeeded ack");
    settle_down(); /* the guard is confirmed, and finds nobody */
    expect("start publish:q record:succeeded ack");
}

static void long_job_that_is_handed_back_is_published(void **state)
{
    (void)state;
    const struct cress_message message = message_of("cress.sleep", "{\"ms\": 3600000}");
    arrive_and_stay(&message);
    answer_one();
    hand_back_all();
    expect("start publish:q ack_now record:queued publish:q ack");
    assert_string_equal(last_lease, "");
}

static void guard_is_sent_on_while_its_worker_lives(void **state)
{
    (void)state;
    const struct cress_header header = {.name = "lease", .text = "there:2"};
    struct cress_message message = message_of("cress.noop", "{}");
    message.headers = &header;
    message.header_count = 1;
    start_verdict = CRESS_VERDICT_LEASED;
    deliver(&message);
    expect("start publish:delay>q ack");
    assert_string_equal(last_lease, "there:2");
}

/* Its worker has lost the broker only: asked again later, and known then as what was delivered
 * before. */
static void redelivery_waits_while_a_worker_lives(void **state)
{
    (void)state;
    const struct cress_message message = message_of("cress.noop", "{}");
    start_verdict = CRESS_VERDICT_LEASED;
    deliver(&message);
    expect("start publish:delay>q ack");
    assert_string_equal(last_lease, "");
}

static void guard_of_a_job_in_hand_is_sent_on(void **state)
{
    (void)state;
    const struct cress_header header = {.name = "lease", .text = "here:1"};
    struct cress_message message = message_of("cress.sleep", "{\"ms\": 20}");
    arrive(&message);
    answer_one();
    message.headers = &header;
    message.header_count = 1;
    arrive(&message);
    expect("start publish:delay>q");
    settle_down();
    expect("start publish:delay>q ack record:succeeded ack");
}

static void guard_that_runs_is_a_guard_no_more(void **state)
{
    (void)state;
    const struct cress_header header = {.name = "lease", .text = "there:2"};
    struct cress_message message = message_of("cress.fail", "{}");
    message.headers = &header;
    message.header_count = 1;
    deliver(&message);
    expect("start publish:delay>q#2 record:retrying ack");
    assert_string_equal(last_lease, "");
}

static void what_waits_for_a_lease_is_returned(void **state)
{
    (void)state;
    config.worker_concurrency = 1;
    struct cress_message message = message_of("cress.sleep", "{\"ms\": 20}");
    arrive(&message);
    message.message_id = "y";
    arrive(&message);
    cress_lease_check(&worker);
    expect("start");
    config.worker_lease_ms = 0;
    cress_lease_check(&worker);
    expect("start requeue");
    config.worker_lease_ms = 600000;
    settle_down();
    expect("start requeue record:succeeded ack");
}

static void shutdown_does_not_wait_for_the_store(void **state)
{
    (void)state;
    const struct cress_message message = message_of("cress.noop", "{}");
    arrive(&message);
    worker.phase = CRESS_WORKER_HANDING_BACK;
    failing = 1;
    settle_down();
    expect("start requeue");
}

static void shutdown_comes_before_the_run(void **state)
{
    (void)state;
    const struct cress_message message = message_of("cress.sleep", "{\"ms\": 3600000}");
    arrive(&message);
    hand_back_all();
    expect("start record:queued requeue");
}

/* A message of a job of its own, which the store takes for a suspect. */
static void arrive_suspect(const char *id, const char *task, const char *body)
{
    struct cress_message message = message_of(task, body);
    message.message_id = id;
    start_verdict = CRESS_VERDICT_SUSPECT;
    arrive(&message);
    answer_one();
}

/* Two suspects of which the first runs; the second is back in the record. */
static void arrive_suspects(const char *body)
{
    arrive_suspect("x1", "cress.sleep", body);
    arrive_suspect("x2", "cress.noop", "{}");
    answer_one();
    expect("start start record:queued");
}

static void suspects_run_one_at_a_time(void **state)
{
    (void)state;
    arrive_suspects("{\"ms\": 10}");
    settle_down();
    expect("start start record:queued record:succeeded ack start record:succeeded ack");
}

static void suspect_that_does_not_run_makes_way(void **state)
{
    (void)state;
    arrive_suspects("{\"ms\": 10}");
    arrive_suspect("x3", "cress.noop", "{}");
    answer_one();
    start_verdict = CRESS_VERDICT_TERMINAL; /* both have been run elsewhere meanwhile */
    settle_down();
    expect("start start record:queued start record:queued record:succeeded ack start ack start "
           "ack");
}

static void suspect_that_is_limited_makes_way(void **state)
{
    (void)state;
    arrive_suspects("{\"ms\": 10}");
    arrive_suspect("x3", "cress.noop", "{}");
    answer_one();
    start_verdict = CRESS_VERDICT_LIMITED;
    wait_ms = 1;
    while (cress_list_is_empty(&calls)) { /* the first has ended */
        uv_run(&loop, UV_RUN_ONCE);
    }
    answer_one();
    answer_one(); /* the second is limited */
    start_verdict = CRESS_VERDICT_SUSPECT;
    settle_down();
    assert_int_equal(worker.processed, 3);
}

static void suspect_of_a_paused_queue_goes_back(void **state)
{
    (void)state;
    arrive_suspect("x1", "cress.sleep", "{\"ms\": 10}");
    arrive_suspect("x2", "cress.noop", "{}");
    queue.paused = true; /* before it is known to be back in the record */
    cress_dispatch_return_waiting(&worker);
    settle_down();
    queue.paused = false;
    expect("start start record:queued requeue record:succeeded ack");
}

static void suspect_that_waits_for_a_lease_is_returned(void **state)
{
    (void)state;
    arrive_suspects("{\"ms\": 10}");
    cress_lease_check(&worker);
    expect("start start record:queued");
    config.worker_lease_ms = 0;
    cress_lease_check(&worker);
    expect("start start record:queued publish:q requeue"); /* and a guard for the first */
    settle_down();
}

static void limited_job_that_waits_for_a_lease_is_returned(void **state)
{
    (void)state;
    const struct cress_message message = message_of("cress.noop", "{}");
    start_verdict = CRESS_VERDICT_LIMITED;
    wait_ms = 1;
    arrive(&message);
    answer_one();
    config.worker_lease_ms = 0;
    cress_lease_check(&worker);
    settle_down();
    expect("start requeue");
}

static void cancelled_while_it_reads_what_it_waited_for(void **state)
{
    (void)state;
    struct cress_message message = message_of("cress.sleep", "{\"ms\": 3600000}");
    const struct cress_header header = {.name = "after", .kind = CRESS_HEADER_TEXT, .text = "a,b"};
    message.headers = &header;
    message.header_count = 1;
    arrive(&message);
    answer_one();
    cress_dispatch_cancel(CRESS_CONTAINER(worker.active.next, struct cress_attempt, node),
                          "{\"code\":\"cancelled\"}");
    settle_down();
    expect("start outcomes:a+1 record:cancelled ack");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(success),
        TEST(success_with_reply),
        TEST(retry),
        TEST(failure_for_good),
        TEST(attempts_used_up),
        TEST(more_attempts_than_allowed),
        TEST(what_cannot_run_is_buried_with_its_reason),
        TEST(no_job_at_all),
        TEST(poison),
        TEST(ended_before),
        TEST(stale_copy),
        TEST(expired),
        TEST(expired_is_told_to_the_caller),
        TEST(expired_without_a_record_gets_one),
        TEST(expired_after_it_had_begun_runs_on),
        TEST(not_yet_due),
        TEST(almost_due_waits_here),
        TEST(store_away_is_waited_for),
        TEST(dead_letter_is_confirmed_before_the_record_fails),
        TEST(lost_record_is_made_again),
        TEST(last_of_a_batch),
        TEST(last_of_a_batch_found_again),
        TEST(another_job_waits),
        TEST(it_waited_for_others),
        TEST(cancelled_before_it_ran),
        TEST(cancelled_when_it_would_be_tried_again),
        TEST(second_delivery_waits_for_the_first),
        TEST(no_more_than_concurrency_run),
        TEST(timeout_is_retried),
        TEST(shutdown_hands_back),
        TEST(what_was_returned_often_is_published_anew),
        TEST(what_cannot_be_published_anew_is_returned),
        TEST(long_job_goes_on_without_its_delivery),
        TEST(long_job_that_ends_before_its_guard_is_safe),
        TEST(long_job_that_is_handed_back_is_published),
        TEST(guard_is_sent_on_while_its_worker_lives),
        TEST(redelivery_waits_while_a_worker_lives),
        TEST(guard_of_a_job_in_hand_is_sent_on),
        TEST(guard_that_runs_is_a_guard_no_more),
        TEST(what_waits_for_a_lease_is_returned),
        TEST(shutdown_does_not_wait_for_the_store),
        TEST(shutdown_comes_before_the_run),
        TEST(suspects_run_one_at_a_time),
        TEST(suspect_that_does_not_run_makes_way),
        TEST(suspect_that_is_limited_makes_way),
        TEST(suspect_of_a_paused_queue_goes_back),
        TEST(suspect_that_waits_for_a_lease_is_returned),
        TEST(limited_job_that_waits_for_a_lease_is_returned),
        TEST(cancelled_while_it_reads_what_it_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
