// SPDX-License-Identifier: Apache-2.0
// Tests of producer/batches.h: batches as clients see them.
#include "common/base/mem.h"
#include "producer/batches.h"
#include "tests/unit/unit.h"

#include <jansson.h>

static const struct cress_batch running = {
    .id = "b1",
    .total = 5,
    .succeeded = 2,
    .failed = 1,
    .cancelled = 1,
    .closed = true,
    .if_succeeded = true,
    .created_ms = 1000,
    .completion = "{\"task\":\"t\",\"id\":\"c1\"}",
};

static void assert_json(const struct cress_batch *batch, const char *expected)
{
    struct cress_buf buf = cress_buf_make(1 << 16);
    cress_batch_begin_json(batch, &buf);
    cress_buf_add_char(&buf, '}');
    assert_string_equal(cress_buf_text(&buf), expected);
    json_t *parsed = json_loads(cress_buf_text(&buf), JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(parsed);
    json_decref(parsed);
    cress_buf_free(&buf);
}

static void test_done_is_closed_and_ended(void **state)
{
    (void)state;
    struct cress_batch batch = running;
    assert_int_equal(cress_batch_ended(&batch), 4);
    assert_false(cress_batch_is_done(&batch));
    batch.expired = 1;
    assert_true(cress_batch_is_done(&batch));
    batch.closed = false;
    assert_false(cress_batch_is_done(&batch));
}

static void test_json(void **state)
{
    (void)state;
    assert_json(&running,
                "{\"id\":\"b1\",\"total\":5,\"succeeded\":2,\"failed\":1,\"cancelled\":1,"
                "\"expired\":0,\"done\":false,\"closed\":true,\"cancel_requested\":false,"
                "\"complete_on\":\"succeeded\",\"completed\":false,\"completion_id\":\"c1\","
                "\"created_at\":\"1970-01-01T00:00:01.000Z\"}");
    /* what was not to run has not completed it */
    const struct cress_batch skipped = {
        .id = "b", .closed = true, .completed = true, .skipped = true, .cancel_requested = true};
    assert_json(&skipped, "{\"id\":\"b\",\"total\":0,\"succeeded\":0,\"failed\":0,\"cancelled\":0,"
                          "\"expired\":0,\"done\":true,\"closed\":true,\"cancel_requested\":true,"
                          "\"complete_on\":\"ended\",\"completed\":false,\"completion_id\":null,"
                          "\"created_at\":\"1970-01-01T00:00:00.000Z\"}");
}

static json_t *completion_of(const char *text)
{
    struct cress_json request;
    struct cress_error err;
    char *made = NULL;
    json_t *parsed = NULL;
    assert_int_equal(cress_json_check(text, strlen(text), &request, &err), CRESS_OK);
    if (cress_batch_completion("b1", request, &made, &err) == CRESS_OK) {
        parsed = json_loads(made, 0, NULL);
        assert_non_null(parsed);
    } else {
        assert_null(made);
        assert_non_null(strstr(err.message, "completion: "));
    }
    free(made);
    return parsed;
}

static void test_a_completions_payload_stays_as_it_is(void **state)
{
    (void)state;
    static const char text[] = " {\"task\":\"t\",\"payload\":[1e400, -0 ,{\"a\":1,\"a\":2}]} ";
    struct cress_json request;
    char *made;
    assert_int_equal(cress_json_check(text, strlen(text), &request, NULL), CRESS_OK);
    assert_int_equal(cress_batch_completion("b1", request, &made, NULL), CRESS_OK);
    assert_non_null(strstr(made, ",\"payload\":[1e400, -0 ,{\"a\":1,\"a\":2}]}"));
    free(made);
}

/* The same batch has the same completion job, however often it is asked for. */
static void test_completion(void **state)
{
    (void)state;
    json_t *one = completion_of("{\"task\": \"t\"}");
    json_t *two = completion_of("{\"task\": \"t\", \"payload\": null, \"queue\": \"q\"}");
    json_t *named = completion_of("{\"task\": \"t\", \"id\": \"mine\", \"payload\": 7}");
    assert_true(json_equal(json_object_get(one, "id"), json_object_get(two, "id")));
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(one, "payload"), "batch_id")), "b1");
    assert_true(json_is_null(json_object_get(two, "payload")));
    assert_string_equal(json_string_value(json_object_get(named, "id")), "mine");
    json_decref(one);
    json_decref(two);
    json_decref(named);
    assert_null(completion_of("{}"));
    assert_null(completion_of("[]"));
    assert_null(completion_of("{\"task\": \"cress.nothing\"}"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_done_is_closed_and_ended),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_completion),
        cmocka_unit_test(test_a_completions_payload_stays_as_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
