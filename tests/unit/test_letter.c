// SPDX-License-Identifier: Apache-2.0
// Tests of common/broker/letter.h.
#include "common/base/mem.h"
#include "common/broker/letter.h"
#include "tests/unit/unit.h"

#define TEXT(n, t)                                          \
    {                                                       \
        .name = (n), .kind = CRESS_HEADER_TEXT, .text = (t) \
    }
#define NUMBER(n, v)                                         \
    {                                                        \
        .name = (n), .kind = CRESS_HEADER_INT, .number = (v) \
    }

static const struct cress_header ours[] = {
    TEXT("error_code", "timeout"), TEXT("error_message", "after 31 ms"),
    NUMBER("error_ms", 5000),      TEXT("error_queue", "mail.high"),
    NUMBER("attempt", 3),          NUMBER("max_attempts", 3),
    NUMBER("expires_ms", 100),     NUMBER("not_before_ms", 90),
    TEXT("mine", "kept"),
};
static const struct cress_message job = {
    .type = "send",
    .message_id = "job-1",
    .timestamp_s = 4,
    .transient = true,
    .headers = ours,
    .header_count = CRESS_COUNT(ours),
    .body = "[1]",
    .body_size = 3,
};

static void test_what_a_worker_wrote_is_read(void **state)
{
    (void)state;
    struct cress_letter letter;
    cress_letter_read(&job, "mail", &letter);
    assert_string_equal(letter.id, "job-1");
    assert_true(letter.is_job_id);
    assert_string_equal(letter.code, "timeout");
    assert_string_equal(letter.text, "after 31 ms");
    assert_int_equal(letter.attempt, 3);
    assert_int_equal(letter.died_ms, 5000);
    assert_int_equal(letter.created_ms, 4000);
    assert_int_equal(letter.priority, CRESS_PRIORITY_HIGH);
}

static void test_anything_is_a_letter(void **state)
{
    (void)state;
    static const struct cress_header brokers[] = {
        TEXT("x-first-death-reason", "delivery_limit"),
        TEXT("x-first-death-queue", "mail.low"),
        {.name = "x-death", .kind = CRESS_HEADER_OTHER},
        TEXT("attempt", "2"),
    };
    const struct cress_message odd = {
        .message_id = "not an id", .headers = brokers, .header_count = CRESS_COUNT(brokers)};
    struct cress_letter letter, empty;
    cress_letter_read(&odd, "mail", &letter);
    assert_false(letter.is_job_id);
    assert_null(letter.task);
    assert_string_equal(letter.code, "delivery_limit");
    assert_int_equal(letter.priority, CRESS_PRIORITY_LOW);
    assert_int_equal(letter.attempt, 2);
    cress_letter_read(&(struct cress_message){.body = "x", .body_size = 1}, "mail", &empty);
    assert_string_equal(empty.code, "unknown");
    assert_int_equal(empty.attempt, 1);
    assert_int_equal(empty.priority, CRESS_PRIORITY_NORMAL);
    assert_string_not_equal(empty.id, letter.id);
}

static void test_filters(void **state)
{
    (void)state;
    static const char *const one[] = {"job-0", "job-1"}, *const other[] = {"job-2"};
    static const struct {
        struct cress_letter_filter filter;
        bool matches;
    } cases[] = {
        {{0}, true},
        {{.task = "send"}, true},
        {{.task = "sen"}, false},
        {{.code = "timeout"}, true},
        {{.code = "crashed"}, false},
        {{.before_ms = 5000}, false},
        {{.before_ms = 5001}, true},
        {{.after_ms = 5000}, true},
        {{.after_ms = 5001}, false},
        {{.ids = one, .id_count = 2}, true},
        {{.ids = other, .id_count = 1}, false},
        {{.fingerprint = "0000000000000000"}, false},
        {{.task = "send", .code = "crashed"}, false},
    };
    struct cress_letter letter, undated;
    cress_letter_read(&job, "mail", &letter);
    for (size_t i = 0; i < CRESS_COUNT(cases); i++) {
        assert_int_equal(cress_letter_matches(&letter, &cases[i].filter), cases[i].matches);
    }
    cress_letter_read(&(struct cress_message){0}, "mail", &undated);
    assert_false(
        cress_letter_matches(&undated, &(struct cress_letter_filter){.before_ms = INT64_MAX}));
    assert_false(cress_letter_matches(&undated, &(struct cress_letter_filter){.after_ms = 1}));
    assert_false(cress_letter_matches(&undated, &(struct cress_letter_filter){.task = "send"}));
}

static void test_a_revived_letter_begins_anew(void **state)
{
    (void)state;
    struct cress_letter letter;
    struct cress_header headers[CRESS_LETTER_HEADER_MAX];
    struct cress_message message;
    char key[CRESS_ROUTE_NAME_MAX];
    cress_letter_read(&job, "mail", &letter);
    cress_letter_revive(&letter, 101, headers, key, &message);
    assert_string_equal(message.exchange, "");
    assert_string_equal(message.routing_key, "mail.high");
    assert_false(message.transient);
    assert_string_equal(message.message_id, "job-1");
    assert_int_equal(message.header_count, 3);
    assert_int_equal(cress_message_header(&message, "attempt")->number, 1);
    assert_int_equal(cress_message_header(&message, "max_attempts")->number, 3);
    assert_string_equal(cress_message_header(&message, "mine")->text, "kept");
    cress_letter_revive(&letter, 99, headers, key, &message);
    assert_int_equal(cress_message_header(&message, "expires_ms")->number, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_a_worker_wrote_is_read),
        cmocka_unit_test(test_anything_is_a_letter),
        cmocka_unit_test(test_filters),
        cmocka_unit_test(test_a_revived_letter_begins_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
