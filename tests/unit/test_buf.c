// SPDX-License-Identifier: Apache-2.0
// Tests of common/base/buf.h.
#include "common/base/buf.h"
#include "common/base/error_json.h"
#include "tests/unit/unit.h"

#include <jansson.h>

static void test_grows_and_stays_terminated(void **state)
{
    (void)state;
    struct cress_buf buf = cress_buf_make(100000);
    assert_string_equal(cress_buf_text(&buf), "");
    for (int i = 0; i < 10000; i++) {
        assert_true(cress_buf_printf(&buf, "%d", i % 10));
    }
    assert_int_equal(buf.size, 10000);
    assert_int_equal(strlen(buf.data), 10000);
    cress_buf_free(&buf);
    assert_null(buf.data);
}

static void test_a_write_over_the_cap_writes_nothing(void **state)
{
    (void)state;
    struct cress_buf buf = cress_buf_make(5);
    assert_true(cress_buf_add_text(&buf, "abc"));
    assert_false(cress_buf_add_text(&buf, "def"));
    assert_true(buf.overflowed);
    assert_string_equal(buf.data, "abc");
    assert_true(cress_buf_add_text(&buf, "de"));
    assert_false(cress_buf_printf(&buf, "%d", 1));
    assert_false(cress_buf_add_json(&buf, "x", 1));
    assert_string_equal(buf.data, "abcde");
    cress_buf_clear(&buf);
    assert_false(buf.overflowed);
    cress_buf_free(&buf);
}

static void test_take_hands_the_memory_over(void **state)
{
    (void)state;
    struct cress_buf buf = cress_buf_make(10);
    char *empty = cress_buf_take(&buf);
    assert_string_equal(empty, "");
    free(empty);
    cress_buf_add_text(&buf, "abc");
    char *text = cress_buf_take(&buf);
    assert_string_equal(text, "abc");
    assert_int_equal(buf.size, 0);
    free(text);
}

static void test_json_strings(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        const char *out;
    } cases[] = {
        {"", "\"\""},
        {"plain", "\"plain\""},
        {"a\"b\\c", "\"a\\\"b\\\\c\""},
        {"line\nnext\ttab\r", "\"line\\nnext\\ttab\\r\""},
        {"\x01", "\"\\u0001\""},
        {"\xC3\xA4\xE2\x82\xAC\xF0\x9F\x8C\xB1", "\"\xC3\xA4\xE2\x82\xAC\xF0\x9F\x8C\xB1\""},
        {"a\xFFz", "\"a\xEF\xBF\xBDz\""},
        {"\xED\xA0\x80", "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\""}, /* a lone surrogate */
        /* shown on a terminal, these would do something */
        {"\xC2\x9B[31m\xE2\x80\xAE", "\"\\u009b[31m\\u202e\""},
        {"\xE2\x80\xA8\xE2\x80\xA6", "\"\\u2028\xE2\x80\xA6\""},
        {"cut\xE2\x82", "\"cut\xEF\xBF\xBD\xEF\xBF\xBD\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct cress_buf buf = cress_buf_make(1000);
        assert_true(cress_buf_add_json(&buf, cases[i].in, strlen(cases[i].in)));
        assert_string_equal(buf.data, cases[i].out);
        json_t *parsed = json_loads(buf.data, JSON_DECODE_ANY, NULL); /* a foreign reader agrees */
        assert_non_null(parsed);
        json_decref(parsed);
        cress_buf_free(&buf);
    }
}

static void test_harmless_text(void **state)
{
    (void)state;
    static const char text[] = "a\n\tb\033[1m\xC2\x9B\xE2\x80\xAE\xFF\0\xC3\xA9";
    struct cress_buf buf = cress_buf_make(100);
    assert_true(cress_buf_add_harmless(&buf, text, sizeof text - 1, ""));
    assert_string_equal(buf.data, "a  b [1m  ? \xC3\xA9");
    cress_buf_clear(&buf);
    assert_true(cress_buf_add_harmless(&buf, text, sizeof text - 1, "\n"));
    assert_string_equal(buf.data, "a\n b [1m  ? \xC3\xA9");
    cress_buf_free(&buf);
    assert_true(cress_buf_add_harmless(&buf, "", 0, ""));
    cress_buf_free(&buf);
}

static void test_drop_keeps_the_rest(void **state)
{
    (void)state;
    struct cress_buf buf = cress_buf_make(10);
    cress_buf_drop(&buf, 0); /* also before anything was written */
    assert_true(cress_buf_add_text(&buf, "0123456789"));
    cress_buf_drop(&buf, 4);
    assert_string_equal(buf.data, "456789");
    assert_int_equal(buf.size, 6);
    assert_true(cress_buf_add_text(&buf, "abcd"));
    cress_buf_drop(&buf, 10);
    assert_string_equal(buf.data, "");
    cress_buf_free(&buf);
}

static void test_an_error_as_json(void **state)
{
    (void)state;
    struct cress_buf buf = cress_buf_make(256);
    assert_true(cress_error_json(&buf, "io", "no \"x\"\xff"));
    assert_string_equal(buf.data, "{\"code\":\"io\",\"message\":\"no \\\"x\\\"\xef\xbf\xbd\"}");
    cress_buf_clear(&buf);
    assert_true(cress_error_json(&buf, "", NULL));
    assert_string_equal(buf.data, "{\"code\":\"\",\"message\":null}");
    cress_buf_free(&buf);

    struct cress_buf small = cress_buf_make(20);
    assert_false(cress_error_json(&small, "io", "does not fit"));
    cress_buf_free(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grows_and_stays_terminated),
        cmocka_unit_test(test_a_write_over_the_cap_writes_nothing),
        cmocka_unit_test(test_take_hands_the_memory_over),
        cmocka_unit_test(test_drop_keeps_the_rest),
        cmocka_unit_test(test_json_strings),
        cmocka_unit_test(test_harmless_text),
        cmocka_unit_test(test_an_error_as_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
