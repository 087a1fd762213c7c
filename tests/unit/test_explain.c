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
        const struct cress_queue_stats queues[CRESS_PRIORITY_COUNT] = {
            {.ready = facts[i].high, .consumers = facts[i].consumers},
            {.ready = facts[i].normal, .consumers = facts[i].consumers},
            {.consumers = facts[i].consumers}};
        const bool more = cress_explain_needs_more(&record, NOW);
        assert_int_equal(more, workers != NULL);
        const struct cress_explain_facts all = {
            .record = &record, .workers = workers, .queues = more ? queues : NULL, .now_ms = NOW};
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
    struct cress_queue_stats queues[CRESS_PRIORITY_COUNT] = {{.ready = 3}, {.ready = 4}};
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
        cmocka_unit_test(test_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
