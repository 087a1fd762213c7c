// SPDX-License-Identifier: Apache-2.0
// What is said about a job, as a table of facts.
#include "common/base/mem.h"
#include "producer/explain.h"
#include "tests/unit/unit.h"

enum { NOW = 1000000000 };

#define OTHERS "{\"id\":\"w:1\",\"queues\":[\"other\"]}"
#define UNABLE "{\"id\":\"w:2\",\"queues\":[\"mail\"],\"tasks\":[\"cress.echo\"],\"unacked\":{}}"
#define ABLE   "{\"id\":\"w:3\",\"queues\":[\"mail\"],\"tasks\":[\"send\"],\"unacked\":{\"mail\":2}}"
#define IDLE   "{\"id\":\"w:4\",\"queues\":[\"mail\"],\"tasks\":[\"*\"],\"unacked\":{\"mail\":0}}"
#define OLD    "{\"id\":\"w:5\",\"queues\":[\"mail\"]}"

static const struct fact {
    struct cress_record record;
    const char *workers;
    int64_t high, normal, consumers;
    enum cress_reason reason;
    const char *says;
    int64_t ahead;
} facts[] = {
    {{.state = CRESS_STATE_FAILED, .finished_ms = 1, .error = "{\"code\":\"c\",\"message\":\"m\"}"},
     NULL,
     0,
     0,
     0,
     CRESS_REASON_ENDED,
     "failed at 1970-01-01T00:00:00.001Z: c: m",
     -1},
    {{.state = CRESS_STATE_CANCELLED, .finished_ms = 1},
     NULL,
     0,
     0,
     0,
     CRESS_REASON_ENDED,
     "was cancelled",
     -1},
    {{.state = CRESS_STATE_RUNNING, .worker = "w:3", .attempt = 2, .max_attempts = 5},
     "[" ABLE "]",
     0,
     0,
     1,
     CRESS_REASON_RUNNING,
     "w:3 runs attempt 2 of 5",
     -1},
    {{.state = CRESS_STATE_RUNNING, .worker = "w:9", .started_ms = NOW - 1},
     "[]",
     0,
     0,
     1,
     CRESS_REASON_RUNNING,
     "w:9",
     -1},
    {{.state = CRESS_STATE_RUNNING, .worker = "w:9"},
     "[" ABLE "]",
     0,
     0,
     1,
     CRESS_REASON_WORKER_LOST,
     "no longer reports",
     -1},
    {{.state = CRESS_STATE_SCHEDULED, .run_at_ms = NOW + 1},
     NULL,
     0,
     0,
     0,
     CRESS_REASON_SCHEDULED,
     "due at 1970-01-12",
     -1},
    {{.state = CRESS_STATE_RETRYING, .run_at_ms = NOW + 1, .attempt = 1, .max_attempts = 3},
     NULL,
     0,
     0,
     0,
     CRESS_REASON_RETRYING,
     "attempt 1 of 3 failed",
     -1},
    {{.state = CRESS_STATE_RETRYING, .run_at_ms = NOW - 1},
     "[" ABLE "]",
     0,
     7,
     1,
     CRESS_REASON_QUEUED,
     "about 6 jobs",
     6},
    {{.state = CRESS_STATE_QUEUED}, "[]", 0, 1, 0, CRESS_REASON_NO_CONSUMER, "--queues mail", -1},
    {{.state = CRESS_STATE_QUEUED,
      .blocked = "{\"limit\":\"key_rate\",\"task\":\"send\",\"key\":\"t7\"}"},
     "[" IDLE "]",
     0,
     0,
     1,
     CRESS_REASON_LIMITED,
     "limit key_rate of task send, key t7",
     -1},
    {{.state = CRESS_STATE_QUEUED, .blocked = "{}"},
     "[]",
     0,
     0,
     0,
     CRESS_REASON_NO_CONSUMER,
     "mail",
     -1},
    {{.state = CRESS_STATE_QUEUED}, "[" OTHERS "]", 0, 1, 0, CRESS_REASON_NO_CONSUMER, "mail", -1},
    {{.state = CRESS_STATE_QUEUED}, "[]", 0, 1, 1, CRESS_REASON_QUEUED, "about 0 jobs", 0},
    {{.state = CRESS_STATE_QUEUED}, "[" UNABLE "]", 0, 1, 1, CRESS_REASON_NO_TASK, "task send", -1},
    {{.state = CRESS_STATE_QUEUED},
     "[" UNABLE "," IDLE "]",
     0,
     4,
     1,
     CRESS_REASON_QUEUED,
     "4 wait in all",
     3},
    {{.state = CRESS_STATE_QUEUED}, "[" OLD "]", 0, 4, 1, CRESS_REASON_QUEUED, "4 wait", 3},
    {{.state = CRESS_STATE_QUEUED, .priority = "high"},
     "[" ABLE "]",
     2,
     40,
     1,
     CRESS_REASON_QUEUED,
     "(high) are before it, 42 wait",
     1},
    {{.state = CRESS_STATE_QUEUED}, "[" ABLE "]", 0, 0, 1, CRESS_REASON_IN_HAND, "free place", -1},
    {{.state = CRESS_STATE_QUEUED}, "[" IDLE "]", 0, 0, 1, CRESS_REASON_LOST, "doctor", -1},
    {{.state = CRESS_STATE_QUEUED, .created_ms = NOW - 1},
     "[" IDLE "]",
     0,
     0,
     1,
     CRESS_REASON_IN_HAND,
     "mail",
     -1},
    {{.state = CRESS_STATE_SCHEDULED, .run_at_ms = NOW - 60000},
     "[" IDLE "]",
     0,
     0,
     1,
     CRESS_REASON_LOST,
     "in queue mail",
     -1},
    {{.state = CRESS_STATE_RUNNING, .worker = "w:3", .cancel = "{}"},
     "[" ABLE "]",
     0,
     0,
     1,
     CRESS_REASON_RUNNING,
     "told to stop",
     -1},
};

static void test_reasons(void **state)
{
    (void)state;
    for (size_t i = 0; i < CRESS_COUNT(facts); i++) {
        struct cress_record record = facts[i].record;
        struct cress_explanation explanation;
        record.id = "job-1";
        record.queue = "mail";
        record.task = "send";
        json_t *workers = facts[i].workers ? json_loads(facts[i].workers, 0, NULL) : NULL;
        const struct cress_queue_stats queues[CRESS_PRIORITY_COUNT + 1] = {
            {.ready = facts[i].high, .consumers = facts[i].consumers},
            {.ready = facts[i].normal, .consumers = facts[i].consumers},
            {.consumers = facts[i].consumers}};
        const struct cress_explain_facts all = {
            .record = &record, .workers = workers, .queues = queues, .now_ms = NOW};
        cress_explain_decide(&all, &explanation);
        assert_string_equal(cress_reason_word(explanation.reason),
                            cress_reason_word(facts[i].reason));
        assert_non_null(strstr(explanation.text, facts[i].says));
        assert_int_equal(explanation.ahead, facts[i].ahead);
        json_decref(workers);
    }
}

static void test_paused(void **state)
{
    (void)state;
    const struct cress_record record = {
        .id = "job-1", .queue = "mail", .task = "send", .state = CRESS_STATE_QUEUED};
    struct cress_queue_stats queues[CRESS_PRIORITY_COUNT + 1] = {{.ready = 3}, {.ready = 4}};
    json_t *workers = json_loads("[" IDLE "]", 0, NULL);
    const struct cress_explain_facts all = {
        .record = &record, .workers = workers, .queues = queues, .paused_ms = 5000, .now_ms = NOW};
    struct cress_explanation explanation;
    cress_explain_decide(&all, &explanation);
    assert_int_equal(explanation.reason, CRESS_REASON_PAUSED);
    assert_non_null(strstr(explanation.text, "paused since 1970-01-01T00:00:05.000Z; `cress resume "
                                             "mail` lets its 7 jobs"));
    queues[0].ready = queues[1].ready = 0;
    cress_explain_decide(&all, &explanation);
    assert_int_equal(explanation.reason, CRESS_REASON_LOST);
    json_decref(workers);
}

static void test_waiting_for_others(void **state)
{
    (void)state;
    const struct cress_record record = {
        .id = "job-1", .queue = "mail", .state = CRESS_STATE_WAITING, .after = "a,b,c,d"};
    json_t *awaited = json_loads("[{\"id\":\"a\",\"state\":\"failed\"},"
                                 "{\"id\":\"b\",\"state\":\"running\"},"
                                 "{\"id\":\"c\",\"state\":null}]",
                                 0, NULL);
    const struct cress_explain_facts all = {.record = &record, .awaited = awaited, .now_ms = NOW};
    struct cress_explanation explanation;
    cress_explain_decide(&all, &explanation);
    assert_string_equal(cress_reason_word(explanation.reason), "waiting");
    assert_string_equal(explanation.text, "it waits for the end of 1 or more of the 4 jobs that it "
                                          "comes after: b (running)");
    json_decref(awaited);
}

static void test_who_is_asked(void **state)
{
    (void)state;
    static const struct {
        enum cress_state state;
        int64_t run_at_ms;
        bool asks;
    } cases[] = {
        {CRESS_STATE_QUEUED, 0, true},          {CRESS_STATE_SCHEDULED, NOW + 1, false},
        {CRESS_STATE_SCHEDULED, NOW - 1, true}, {CRESS_STATE_RETRYING, NOW + 1, false},
        {CRESS_STATE_RUNNING, 0, false},        {CRESS_STATE_WAITING, 0, false},
        {CRESS_STATE_SUCCEEDED, 0, false},
    };
    for (size_t i = 0; i < CRESS_COUNT(cases); i++) {
        const struct cress_record record = {.state = cases[i].state,
                                            .run_at_ms = cases[i].run_at_ms};
        assert_int_equal(cress_explain_needs_queues(&record, NOW), cases[i].asks);
    }
}

/* What is due and has not reached its queue. */
static void test_held(void **state)
{
    (void)state;
    struct cress_record record = {.id = "job-1",
                                  .queue = "mail",
                                  .task = "send",
                                  .state = CRESS_STATE_SCHEDULED,
                                  .run_at_ms = NOW - 60000};
    struct cress_queue_stats queues[CRESS_PRIORITY_COUNT + 1] = {
        {.consumers = 1}, {.consumers = 1}, {.consumers = 1}, {.name = "cress.due", .ready = 9}};
    json_t *workers = json_loads(
        "[{\"id\":\"w:1\",\"queues\":[\"mail\"],\"shut\":[{\"queue\":\"mail\",\"code\":\"nacked\","
        "\"held\":3,\"since\":\"2030-01-01T00:00:00.000Z\",\"until\":\"2030-01-01T00:00:08.000Z\"}]"
        "}]",
        0, NULL);
    struct cress_explain_facts all = {
        .record = &record, .workers = workers, .queues = queues, .now_ms = NOW};
    struct cress_explanation explanation;
    cress_explain_decide(&all, &explanation);
    assert_string_equal(cress_reason_word(explanation.reason), "held");
    assert_non_null(strstr(explanation.text, "AMQP queue mail takes nothing since 2030-01-01T00:"
                                             "00:00.000Z (nacked)"));
    assert_int_equal(explanation.until_ms, 1893456008000);
    record.priority = "high"; /* another AMQP queue, and nobody routes */
    cress_explain_decide(&all, &explanation);
    assert_string_equal(cress_reason_word(explanation.reason), "held");
    assert_non_null(strstr(explanation.text, "in cress.due, where 9 wait"));
    assert_non_null(strstr(explanation.text, "none runs"));
    queues[CRESS_PRIORITY_COUNT].ready = 0;
    cress_explain_decide(&all, &explanation);
    assert_string_equal(cress_reason_word(explanation.reason), "lost");
    record.priority = NULL; /* a message that was in the queue once is not held by that */
    record.state = CRESS_STATE_QUEUED;
    queues[CRESS_PRIORITY_COUNT].ready = 9;
    cress_explain_decide(&all, &explanation);
    assert_string_equal(cress_reason_word(explanation.reason), "lost");
    json_decref(workers);
}

static void test_a_permission_is_missing(void **state)
{
    (void)state;
    const struct cress_record record = {
        .id = "job-1", .queue = "mail", .task = "send", .state = CRESS_STATE_QUEUED};
    struct cress_queue_stats queues[CRESS_PRIORITY_COUNT + 1] = {{.ready = 1}};
    json_t *workers = json_loads("[{\"id\":\"w:1:x\",\"name\":\"w:1\",\"queues\":[\"mail\"],"
                                 "\"problems\":[{\"queue\":\"mail\",\"code\":\"access_refused\","
                                 "\"message\":\"read access to queue mail\"}]}]",
                                 0, NULL);
    const struct cress_explain_facts all = {
        .record = &record, .workers = workers, .queues = queues, .now_ms = NOW};
    struct cress_explanation explanation;
    cress_explain_decide(&all, &explanation);
    assert_string_equal(cress_reason_word(explanation.reason), "cannot_consume");
    assert_string_equal(explanation.text, "worker w:1 cannot consume queue mail: access_refused: "
                                          "read access to queue mail");
    queues[0].consumers = 1; /* another one can */
    cress_explain_decide(&all, &explanation);
    assert_string_equal(cress_reason_word(explanation.reason), "queued");
    json_decref(workers);
}

static void test_place_in_the_line(void **state)
{
    (void)state;
    const struct cress_record record = {.id = "job-1",
                                        .queue = "mail",
                                        .task = "send",
                                        .state = CRESS_STATE_QUEUED,
                                        .blocked = "{\"limit\":\"concurrency\",\"task\":\"send\"}"};
    const struct cress_queue_stats queues[CRESS_PRIORITY_COUNT + 1] = {{.consumers = 1}};
    json_t *workers = json_loads("[" IDLE "]", 0, NULL);
    json_t *line = json_loads("{\"ahead\":3,\"waiting\":10,\"running\":2}", 0, NULL);
    const struct cress_explain_facts all = {
        .record = &record, .workers = workers, .queues = queues, .line = line, .now_ms = NOW};
    struct cress_explanation explanation;
    cress_explain_decide(&all, &explanation);
    assert_string_equal(explanation.text,
                        "it waits its turn within the limit concurrency of task send: it is number "
                        "4 of the 10 in its line, with 2 of the task running; see cress limits");
    assert_int_equal(explanation.ahead, 3);
    json_decref(workers);
    json_decref(line);
}

/* As the worker decides, not as who submitted would have. */
static void test_what_applies(void **state)
{
    (void)state;
#define DEFAULTS                                                                          \
    "\"defaults\":{\"max_attempts\":5,\"timeout_ms\":300000,\"backoff\":\"exponential\"," \
    "\"backoff_base_ms\":1000,\"backoff_cap_ms\":60000},\"task_defaults\":{"
#define OF(name, attempts)                                                                    \
    "\"" name "\":{\"max_attempts\":" #attempts ",\"timeout_ms\":7000,\"backoff\":\"fixed\"," \
    "\"backoff_base_ms\":1,\"backoff_cap_ms\":2}"
    static const struct {
        const char *workers, *task;
        int own_attempts;
        int64_t attempts, timeout_ms;
        const char *backoff;
    } cases[] = {
        {"[]", "send", 0, 0, 0, NULL},
        {"[]", "send", 3, 3, 0, NULL},
        {"[" OTHERS "," ABLE "]", "send", 3, 3, 0, NULL}, /* of an earlier version */
        {"[{\"queues\":[\"other\"],\"tasks\":[\"send\"]," DEFAULTS "}}]", "send", 0, 0, 0, NULL},
        {"[{\"queues\":[\"mail\"],\"tasks\":[\"x\"]," DEFAULTS "}}]", "send", 0, 0, 0, NULL},
        {"[{\"queues\":[\"mail\"],\"tasks\":[\"send\"]," DEFAULTS "}}]", "send", 0, 5, 300000,
         "exponential"},
        {"[{\"queues\":[\"mail\"],\"tasks\":[\"send\"]," DEFAULTS OF("send", 9) "}}]", "send", 0, 9,
         7000, "fixed"},
        {"[{\"queues\":[\"mail\"],\"tasks\":[\"send\"]," DEFAULTS OF("send", 9) "}}]", "send", 3, 3,
         7000, "fixed"},
        {"[{\"queues\":[\"mail\"],\"tasks\":[\"*\"]," DEFAULTS OF("*", 8) "}}]", "send", 0, 8, 7000,
         "fixed"},
        {"[{\"queues\":[\"mail\"],\"tasks\":[\"*\",\"send\"]," DEFAULTS OF("*", 8) "}}]", "send", 0,
         5, 300000, "exponential"},
    };
    for (size_t i = 0; i < CRESS_COUNT(cases); i++) {
        const struct cress_record record = {
            .queue = "mail", .task = cases[i].task, .max_attempts = cases[i].own_attempts};
        json_t *workers = json_loads(cases[i].workers, 0, NULL);
        assert_non_null(workers);
        const struct cress_terms terms = cress_crew_terms(workers, &record);
        assert_int_equal(terms.max_attempts, cases[i].attempts);
        assert_int_equal(terms.timeout_ms, cases[i].timeout_ms);
        assert_int_equal(terms.backoff != NULL, cases[i].backoff != NULL);
        if (terms.backoff) {
            assert_string_equal(terms.backoff, cases[i].backoff);
        }
        json_decref(workers);
    }
}

static void test_json(void **state)
{
    (void)state;
    const struct cress_record record = {.id = "job-1",
                                        .queue = "mail",
                                        .task = "send",
                                        .state = CRESS_STATE_SCHEDULED,
                                        .run_at_ms = NOW + 1,
                                        .created_ms = 1};
    const struct cress_explain_facts all = {.record = &record, .now_ms = NOW};
    struct cress_explanation explanation;
    struct cress_buf json = cress_buf_make(4096);
    cress_explain_decide(&all, &explanation);
    cress_explain_write_json(&explanation, &json);
    json_t *parsed = json_loads(cress_buf_text(&json), 0, NULL);
    assert_string_equal(json_string_value(json_object_get(parsed, "reason")), "scheduled");
    assert_string_equal(json_string_value(json_object_get(parsed, "until")),
                        "1970-01-12T13:46:40.001Z");
    assert_true(json_is_null(json_object_get(parsed, "ahead")));
    assert_true(json_is_null(json_object_get(parsed, "worker")));
    json_decref(parsed);
    cress_buf_free(&json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_paused),
        cmocka_unit_test(test_waiting_for_others),
        cmocka_unit_test(test_who_is_asked),
        cmocka_unit_test(test_held),
        cmocka_unit_test(test_a_permission_is_missing),
        cmocka_unit_test(test_place_in_the_line),
        cmocka_unit_test(test_what_applies),
        cmocka_unit_test(test_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
