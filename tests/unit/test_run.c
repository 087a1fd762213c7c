// SPDX-License-Identifier: Apache-2.0
// What a handler is given and says of a run, and what of it reaches the sink. Linked with the
// handler room alone (Makefile).
#include "tests/unit/unit.h"
#include "worker/handler/handler.h"

const struct cress_handler *const cress_handler_groups[] = {NULL};

static struct {
    struct cress_outcome outcome; /* its result is in `result` */
    char result[64];
    char *kept;
    bool keeps;
    size_t logged;
    int percent;
} heard;

static void hear_end(struct cress_run *run, struct cress_outcome *outcome)
{
    assert_null(run->payload);
    heard.outcome = *outcome;
    snprintf(heard.result, sizeof heard.result, "%s", outcome->result ? outcome->result : "(none)");
    if (heard.keeps) {
        heard.kept = outcome->result;
        outcome->result = NULL;
    }
}

static void hear_progress(struct cress_run *run, int percent, const char *message)
{
    (void)run;
    assert_string_equal(message, "half way");
    heard.percent = percent;
}

static void hear_log(struct cress_run *run, const char *text, size_t size)
{
    (void)run;
    (void)text;
    heard.logged += size;
}

static const struct cress_run_sink sink = {
    .done = hear_end, .progress = hear_progress, .log = hear_log};

static struct cress_run run_of(const char *payload)
{
    memset(&heard, 0, sizeof heard);
    return (struct cress_run){
        .sink = &sink, .job = {.task = "t", .payload = payload, .payload_size = strlen(payload)}};
}

static void payload_is_parsed_when_asked_for(void **state)
{
    (void)state;
    struct cress_error err;
    struct cress_run run = run_of("{\"a\":7}");
    assert_null(run.payload);
    json_t *payload = cress_run_payload(&run, &err);
    assert_int_equal(json_integer_value(json_object_get(payload, "a")), 7);
    assert_ptr_equal(cress_run_payload(&run, &err), payload);
    cress_run_succeed(&run, NULL);
    assert_string_equal(heard.result, "(none)");
}

static void payload_beyond_jansson_is_an_error(void **state)
{
    (void)state;
    static const char *const table[] = {"1e400", "18446744073709551616", "\"a\\u0000b\""};
    for (size_t i = 0; i < CRESS_COUNT(table); i++) {
        struct cress_error err;
        struct cress_run run = run_of(table[i]);
        assert_null(cress_run_payload(&run, &err));
        assert_int_equal(err.status, CRESS_INVALID);
        assert_string_equal(err.code, "invalid_payload");
        cress_run_clear(&run);
    }
}

static void result_is_text_that_the_sink_may_keep(void **state)
{
    (void)state;
    struct cress_run run = run_of("1");
    cress_run_succeed(&run, json_pack("{s:i}", "n", 1));
    assert_int_equal(heard.outcome.kind, CRESS_OUTCOME_SUCCEEDED);
    assert_string_equal(heard.result, "{\"n\":1}");
    assert_int_equal(heard.outcome.result_size, 7);
    heard.keeps = true;
    cress_run_succeed_text(&run, cress_strdup("1e400"), 5);
    assert_string_equal(heard.kept, "1e400");
    free(heard.kept);
}

static void error_decides_whether_it_is_tried_again(void **state)
{
    (void)state;
    struct cress_error err;
    struct cress_run run = run_of("1");
    cress_error_set(&err, CRESS_UNAVAILABLE, NULL, "away");
    cress_run_fail(&run, &err);
    assert_int_equal(heard.outcome.kind, CRESS_OUTCOME_RETRY);
    cress_error_set(&err, CRESS_INVALID, NULL, "wrong");
    cress_run_fail(&run, &err);
    assert_int_equal(heard.outcome.kind, CRESS_OUTCOME_FAILED);
}

static void tail_of_the_log_is_kept(void **state)
{
    (void)state;
    static char much[CRESS_RUN_LOG_MAX + 100];
    struct cress_run run = run_of("1");
    size_t size;
    cress_run_log_tail(&run, &size);
    assert_int_equal(size, 0);
    cress_run_log(&run, "first\n", 6);
    memset(much, 'x', sizeof much);
    cress_run_log(&run, much, sizeof much);
    cress_run_log(&run, "last\n", 5);
    const char *tail = cress_run_log_tail(&run, &size);
    assert_int_equal(size, CRESS_RUN_LOG_MAX);
    assert_memory_equal(tail + size - 6, "xlast\n", 6);
    assert_int_equal(heard.logged, sizeof much + 11);
    cress_run_progress(&run, 40, "half way");
    assert_int_equal(heard.percent, 40);
    cress_run_clear(&run);
    cress_run_log_tail(&run, &size);
    assert_int_equal(size, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(payload_is_parsed_when_asked_for),
        cmocka_unit_test(payload_beyond_jansson_is_an_error),
        cmocka_unit_test(result_is_text_that_the_sink_may_keep),
        cmocka_unit_test(error_decides_whether_it_is_tried_again),
        cmocka_unit_test(tail_of_the_log_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
