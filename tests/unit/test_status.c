// SPDX-License-Identifier: Apache-2.0
// Tests of common/base/status.h.
#include "common/base/status.h"
#include "tests/unit/unit.h"

static void test_table_agrees_with_the_documented_numbers(void **state)
{
    (void)state;
    assert_int_equal(CRESS_OK, 0);
    assert_int_equal(cress_status_exit_code(CRESS_JOB_FAILED), 1);
    assert_int_equal(cress_status_exit_code(CRESS_UNAVAILABLE), 69);
    assert_int_equal(cress_status_http(CRESS_UNAVAILABLE), 503);
    assert_int_equal(cress_status_http(CRESS_TOO_LARGE), 413);
    assert_string_equal(cress_status_word(CRESS_NOT_FOUND), "not_found");
    assert_true(cress_status_is_temporary(CRESS_TIMEOUT));
    assert_false(cress_status_is_temporary(CRESS_DENIED));
    assert_false(cress_status_is_temporary(CRESS_OK));
}

static void test_error_takes_the_status_word_as_code(void **state)
{
    (void)state;
    struct cress_error err;
    assert_int_equal(cress_error_set(&err, CRESS_DENIED, NULL, "no %s", "entry"), CRESS_DENIED);
    assert_string_equal(err.code, "denied");
    assert_string_equal(err.message, "no entry");
    assert_int_equal(cress_error_set(NULL, CRESS_DENIED, NULL, "nobody looks"), CRESS_DENIED);
}

static void test_prefix_goes_in_front(void **state)
{
    (void)state;
    struct cress_error err;
    cress_error_set(&err, CRESS_INVALID, "bad", "is wrong");
    cress_error_prefix(&err, "line %d", 7);
    assert_string_equal(err.message, "line 7: is wrong");
    assert_string_equal(err.code, "bad");
}

static void test_messages_are_utf8_whatever_they_quote(void **state)
{
    (void)state;
    struct cress_error err;
    cress_error_set(&err, CRESS_INVALID, NULL, "type \"%s\" is none", "\xFF\xC3\xA9\xED\xA0\x80");
    assert_string_equal(err.message, "type \"?\xC3\xA9?"
                                     "?"
                                     "?\" is none");
}

static void test_long_text_is_cut_between_characters(void **state)
{
    (void)state;
    /* one ASCII letter shifts the two-byte letters so that the cut falls inside one */
    for (int shift = 0; shift < 2; shift++) {
        char text[1200];
        size_t n = 0;
        if (shift) {
            text[n++] = 'a';
        }
        while (n + 2 < sizeof text) {
            memcpy(text + n, "\xC3\xA4", 2);
            n += 2;
        }
        text[n] = '\0';
        struct cress_error err;
        cress_error_set(&err, CRESS_INVALID, NULL, "%s", text);
        const size_t kept = strlen(err.message);
        assert_true(kept >= CRESS_ERROR_MESSAGE_MAX - 3);
        assert_int_equal((kept - (size_t)shift) % 2, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_agrees_with_the_documented_numbers),
        cmocka_unit_test(test_error_takes_the_status_word_as_code),
        cmocka_unit_test(test_prefix_goes_in_front),
        cmocka_unit_test(test_long_text_is_cut_between_characters),
        cmocka_unit_test(test_messages_are_utf8_whatever_they_quote),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
