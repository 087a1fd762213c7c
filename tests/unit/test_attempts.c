// SPDX-License-Identifier: Apache-2.0
// The history of a job's attempts as JSON.
#include "common/job/attempts.h"
#include "tests/unit/unit.h"

#include <jansson.h>

/* The attempts of `record`, checked to be JSON; the caller frees. */
static json_t *attempts_of(const struct cress_record *record)
{
    struct cress_buf buf = cress_buf_make(1 << 16);
    cress_attempts_write_json(record, &buf);
    json_t *parsed = json_loads(cress_buf_text(&buf), JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(parsed);
    cress_buf_free(&buf);
    return parsed;
}

/* "attempt:outcome:code …" with - for null. */
static void expect(const struct cress_record *record, const char *expected)
{
    struct cress_buf seen = cress_buf_make(1 << 16);
    json_t *all = attempts_of(record);
    json_t *each;
    size_t i;
    json_array_foreach(all, i, each)
    {
        const char *outcome = json_string_value(json_object_get(each, "outcome"));
        const json_t *error = json_object_get(each, "error");
        const char *code = json_string_value(json_object_get(error, "code"));
        cress_buf_printf(&seen, "%s%lld:%s:%s", i ? " " : "",
                         (long long)json_integer_value(json_object_get(each, "attempt")),
                         outcome ? outcome : "-", code ? code : "-");
    }
    assert_string_equal(cress_buf_text(&seen), expected);
    json_decref(all);
    cress_buf_free(&seen);
}

static void test_the_last_one_comes_from_the_fields(void **state)
{
    (void)state;
    struct cress_record record = {.state = CRESS_STATE_QUEUED};
    expect(&record, "");
    record = (struct cress_record){
        .state = CRESS_STATE_RUNNING, .attempt = 1, .worker = "h:1:00c0ffee", .started_ms = 1000};
    expect(&record, "1:-:-");
    record.state = CRESS_STATE_SUCCEEDED;
    record.finished_ms = 2000;
    expect(&record, "1:succeeded:-");
    record.state = CRESS_STATE_FAILED;
    record.error = "{\"code\":\"io\"}";
    expect(&record, "1:failed:io");

    json_t *all = attempts_of(&record);
    const json_t *only = json_array_get(all, 0);
    assert_string_equal(json_string_value(json_object_get(only, "worker")), "h:1");
    assert_string_equal(json_string_value(json_object_get(only, "started_at")),
                        "1970-01-01T00:00:01.000Z");
    assert_string_equal(json_string_value(json_object_get(only, "ended_at")),
                        "1970-01-01T00:00:02.000Z");
    json_decref(all);
}

static void test_earlier_ones_come_from_the_lines(void **state)
{
    (void)state;
    struct cress_record record = {
        .state = CRESS_STATE_RETRYING,
        .attempt = 3,
        .worker = "h:2",
        .started_ms = 30,
        .error = "{\"code\":\"late\"}",
        .attempts = "0\n"
                    "1 h:1 10 11 failed {\"code\":\"io\"}\n"
                    "2 h:1 20 21 crashed \n"
                    "3 h:2 30 31 failed {\"code\":\"late\"}\n",
    };
    expect(&record, "1:failed:io 2:crashed:- 3:failed:late");
    record.state = CRESS_STATE_EXPIRED; /* while it waited: no attempt of its own */
    record.finished_ms = 40;
    expect(&record, "1:failed:io 2:crashed:- 3:failed:late");
    record.state = CRESS_STATE_RUNNING;
    record.attempt = 4;
    record.started_ms = 50;
    expect(&record, "1:failed:io 2:crashed:- 3:failed:late 4:-:-");
    record.attempt = 3; /* again: handed back, or its worker died */
    expect(&record, "1:failed:io 2:crashed:- 3:failed:late 3:-:-");
}

static void test_lines_that_make_no_sense(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "", "7", "0\n", "0\n\n\n", "x\nnonsense\n", "0\n1x h 1 2 y\n"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        const struct cress_record record = {.state = CRESS_STATE_QUEUED, .attempts = lines[i]};
        expect(&record, "");
    }
    const struct cress_record cut = {.state = CRESS_STATE_QUEUED, .attempts = "0\n1 \"h 5"};
    expect(&cut, "1:-:-");
}

static void test_dropped_ones_are_counted(void **state)
{
    (void)state;
    struct cress_record record = {.state = CRESS_STATE_QUEUED};
    assert_int_equal(cress_attempts_dropped(&record), 0);
    record.attempts = "12\n13 h 1 2 failed \n";
    assert_int_equal(cress_attempts_dropped(&record), 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_last_one_comes_from_the_fields),
        cmocka_unit_test(test_earlier_ones_come_from_the_lines),
        cmocka_unit_test(test_lines_that_make_no_sense),
        cmocka_unit_test(test_dropped_ones_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
