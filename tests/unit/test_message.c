// SPDX-License-Identifier: Apache-2.0
// Tests of common/job/message.h.
#include "common/job/message.h"
#include "tests/unit/unit.h"

static void test_headers_are_found_by_name(void **state)
{
    (void)state;
    const struct cress_header headers[] = {
        {.name = "attempt", .kind = CRESS_HEADER_INT, .number = 2},
        {.name = "", .kind = CRESS_HEADER_TEXT, .text = "empty"},
        {.name = "attempt", .kind = CRESS_HEADER_INT, .number = 3},
    };
    const struct cress_message message = {.headers = headers, .header_count = 3};
    assert_ptr_equal(cress_message_header(&message, "attempt"), &headers[0]);
    assert_ptr_equal(cress_message_header(&message, ""), &headers[1]);
    assert_null(cress_message_header(&message, "Attempt"));
    assert_null(cress_message_header(&(struct cress_message){0}, "attempt"));
}

static void test_a_clone_outlives_the_original(void **state)
{
    (void)state;
    char name[] = "traceparent", text[] = "value", type[] = "cress.echo", body[] = {'[', 0, ']'};
    struct cress_header headers[] = {
        {.name = name, .kind = CRESS_HEADER_TEXT, .text = text},
        {.name = name, .kind = CRESS_HEADER_INT, .number = INT64_MIN},
        {.name = name, .kind = CRESS_HEADER_OTHER},
    };
    const struct cress_message message = {
        .exchange = "",
        .routing_key = "mail",
        .type = type,
        .timestamp_s = 7,
        .transient = true,
        .headers = headers,
        .header_count = 3,
        .body = body,
        .body_size = sizeof body,
    };
    struct cress_message *clone = cress_message_clone(&message);
    memset(name, 'x', sizeof name - 1);
    memset(text, 'x', sizeof text - 1);
    memset(type, 'x', sizeof type - 1);
    memset(body, 'x', sizeof body);
    memset(headers, 0, sizeof headers);

    assert_string_equal(clone->exchange, "");
    assert_string_equal(clone->routing_key, "mail");
    assert_string_equal(clone->type, "cress.echo");
    assert_null(clone->message_id);
    assert_null(clone->content_type);
    assert_null(clone->correlation_id);
    assert_null(clone->reply_to);
    assert_null(clone->app_id);
    assert_int_equal(clone->timestamp_s, 7);
    assert_true(clone->transient);
    assert_int_equal(clone->header_count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(clone->headers[i].name, "traceparent");
    }
    assert_string_equal(clone->headers[0].text, "value");
    assert_int_equal(clone->headers[1].number, INT64_MIN);
    assert_null(clone->headers[2].text);
    assert_int_equal(clone->body_size, 3);
    assert_memory_equal(clone->body, "[\0]", 3);
    free(clone);
}

static void test_an_empty_message_is_cloned(void **state)
{
    (void)state;
    struct cress_message *clone = cress_message_clone(&(struct cress_message){0});
    assert_null(clone->routing_key);
    assert_null(clone->headers);
    assert_null(clone->body);
    free(clone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers_are_found_by_name),
        cmocka_unit_test(test_a_clone_outlives_the_original),
        cmocka_unit_test(test_an_empty_message_is_cloned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
