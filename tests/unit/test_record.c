// SPDX-License-Identifier: Apache-2.0
// Tests of common/job/record.h.
#include "common/base/mem.h"
#include "common/job/record.h"
#include "tests/unit/unit.h"

#include <jansson.h>

static const struct cress_record full = {
    .id = "0190-a",
    .task = "cress.echo",
    .queue = "mail",
    .priority = "high",
    .state = CRESS_STATE_SUCCEEDED,
    .version = 3,
    .attempt = 2,
    .max_attempts = 5,
    .timeout_ms = 1500,
    .backoff = "linear",
    .backoff_base_ms = 7,
    .backoff_cap_ms = 70,
    .payload = "{\"a\":[1,\"x\"]}",
    .result = "null",
    .error = "{\"code\":\"io\"}",
    .progress = "{\"percent\":40,\"message\":\"half\"}",
    .log = "a\nb",
    .worker = "host:1",
    .batch = "b1",
    .key = "tenant-7",
    .unique = "r\"1",
    .cancel = "{\"code\":\"cancelled\"}",
    .after = "a1,a2",
    .after_any = true,
    .blocked = "{\"limit\":\"rate\"}",
    .created_ms = 1000,
    .run_at_ms = 1700000000123,
    .started_ms = 2000,
    .finished_ms = 3000,
    .expires_ms = 4000,
};

static void assert_json(const struct cress_record *record, const char *expected)
{
    struct cress_buf buf = cress_buf_make(1 << 20);
    cress_record_write_json(record, &buf);
    assert_string_equal(cress_buf_text(&buf), expected);
    json_t *parsed = json_loads(cress_buf_text(&buf), JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(parsed);
    json_decref(parsed);
    cress_buf_free(&buf);
}

static void test_json_of_a_full_record(void **state)
{
    (void)state;
    assert_json(
        &full,
        "{\"id\":\"0190-a\",\"task\":\"cress.echo\",\"queue\":\"mail\",\"priority\":\"high\","
        "\"state\":\"succeeded\",\"done\":true,\"version\":3,\"attempt\":2,"
        "\"max_attempts\":5,\"timeout_ms\":1500,\"backoff\":\"linear\",\"backoff_base_ms\":7,"
        "\"backoff_cap_ms\":70,\"payload\":{\"a\":[1,\"x\"]},"
        "\"result\":null,\"error\":{\"code\":\"io\"},\"cancel_requested\":true,"
        "\"progress\":{\"percent\":40,\"message\":\"half\"},\"log\":\"a\\nb\",\"worker\":\"host:"
        "1\","
        "\"batch_id\":\"b1\",\"key\":\"tenant-7\",\"unique\":\"r\\\"1\","
        "\"after\":[\"a1\",\"a2\"],\"after_any\":true,\"blocked\":{\"limit\":\"rate\"},"
        "\"created_at\":\"1970-01-01T00:00:01.000Z\","
        "\"run_at\":\"2023-11-14T22:13:20.123Z\","
        "\"started_at\":\"1970-01-01T00:00:02.000Z\","
        "\"finished_at\":\"1970-01-01T00:00:03.000Z\","
        "\"expires_at\":\"1970-01-01T00:00:04.000Z\",\"attempts\":[{\"attempt\":2,"
        "\"worker\":\"host:1\",\"started_at\":\"1970-01-01T00:00:02.000Z\","
        "\"ended_at\":\"1970-01-01T00:00:03.000Z\",\"outcome\":\"succeeded\",\"error\":null}],"
        "\"attempts_dropped\":0}");
}

static void test_what_is_not_known_is_null(void **state)
{
    (void)state;
    const struct cress_record bare = {.id = "x", .state = CRESS_STATE_QUEUED, .version = 1};
    assert_json(
        &bare,
        "{\"id\":\"x\",\"task\":null,\"queue\":null,\"priority\":null,"
        "\"state\":\"queued\",\"done\":false,\"version\":1,\"attempt\":0,"
        "\"max_attempts\":null,\"timeout_ms\":null,\"backoff\":null,"
        "\"backoff_base_ms\":null,\"backoff_cap_ms\":null,\"payload\":null,"
        "\"result\":null,\"error\":null,\"cancel_requested\":false,"
        "\"progress\":null,\"log\":null,\"worker\":"
        "null,\"batch_id\":null,\"key\":null,\"unique\":null,\"after\":null,\"blocked\":null,"
        "\"created_at\":null,\"run_at\":null,\"started_at\":null,"
        "\"finished_at\":null,\"expires_at\":null,\"attempts\":[],"
        "\"attempts_dropped\":0}");
}

static void test_hostile_texts_stay_inside_their_strings(void **state)
{
    (void)state;
    const struct cress_record record = {
        .id = "x", .worker = "\"},\n\x01\xFF", .state = CRESS_STATE_RUNNING};
    struct cress_buf buf = cress_buf_make(1 << 20);
    cress_record_write_json(&record, &buf);
    json_t *parsed = json_loads(cress_buf_text(&buf), 0, NULL);
    assert_non_null(parsed);
    assert_string_equal(json_string_value(json_object_get(parsed, "worker")),
                        "\"},\n\x01\xEF\xBF\xBD");
    json_decref(parsed);
    cress_buf_free(&buf);
}

/* As earlier versions stored them. None may break out of its member, or break the answer. */
static void test_what_is_no_json_becomes_a_string(void **state)
{
    (void)state;
    static const char *const payloads[] = {"1,\"state\":\"succeeded\",\"done\":true,\"z\":2", "[1",
                                           "", "\"\xFF\"", "}"};
    for (size_t i = 0; i < CRESS_COUNT(payloads); i++) {
        const struct cress_record record = {.id = "x",
                                            .state = CRESS_STATE_FAILED,
                                            .payload = payloads[i],
                                            .error = "{\"code\":\"c\"}",
                                            .progress = "nul"};
        struct cress_buf buf = cress_buf_make(1 << 20);
        cress_record_write_json(&record, &buf);
        json_t *parsed = json_loads(cress_buf_text(&buf), JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(parsed);
        assert_string_equal(json_string_value(json_object_get(parsed, "state")), "failed");
        assert_true(json_is_string(json_object_get(parsed, "payload")));
        assert_true(json_is_object(json_object_get(parsed, "error")));
        assert_non_null(strstr(cress_buf_text(&buf), "\"not_json\":[\"payload\",\"progress\"]"));
        json_decref(parsed);
        cress_buf_free(&buf);
    }
}

static void test_a_full_buffer_is_noticed(void **state)
{
    (void)state;
    struct cress_buf buf = cress_buf_make(40);
    cress_record_write_json(&full, &buf);
    assert_true(buf.overflowed);
    assert_true(buf.size <= 40);
    cress_buf_free(&buf);
}

static void test_a_clone_is_whole(void **state)
{
    (void)state;
    char id[] = "0190-a";
    struct cress_record original = full;
    original.id = id;
    struct cress_record *clone = cress_record_clone(&original);
    id[0] = 'X';
    struct cress_buf mine = cress_buf_make(1 << 20);
    struct cress_buf copied = cress_buf_make(1 << 20);
    cress_record_write_json(&full, &mine);
    cress_record_write_json(clone, &copied);
    assert_string_equal(cress_buf_text(&mine), cress_buf_text(&copied));
    cress_buf_free(&mine);
    cress_buf_free(&copied);
    free(clone);

    clone = cress_record_clone(&(struct cress_record){0});
    assert_null(clone->id);
    assert_null(clone->batch);
    free(clone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_of_a_full_record),
        cmocka_unit_test(test_what_is_not_known_is_null),
        cmocka_unit_test(test_hostile_texts_stay_inside_their_strings),
        cmocka_unit_test(test_what_is_no_json_becomes_a_string),
        cmocka_unit_test(test_a_full_buffer_is_noticed),
        cmocka_unit_test(test_a_clone_is_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
