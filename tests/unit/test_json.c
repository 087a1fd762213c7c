// SPDX-License-Identifier: Apache-2.0
// Tests of common/base/json.h.
#include "common/base/json.h"

#include "common/base/mem.h"
#include "tests/unit/unit.h"

/* A text with its size, which may hold a NUL. */
#define TEXT(literal) (literal), sizeof(literal) - 1

static void test_what_the_grammar_allows(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t size;
    } cases[] = {
        {TEXT("null")},
        {TEXT("true")},
        {TEXT("false")},
        {TEXT(" \t\r\n1 \n")},
        {TEXT("\"\"")},
        {TEXT("[]")},
        {TEXT("{}")},
        {TEXT("[ ]")},
        {TEXT("{ }")},
        {TEXT("[[],{},[{}]]")},
        {TEXT("[1 , 2]")},
        {TEXT("{\"a\" : 1 , \"b\":[2]}")},
        /* numbers that no double and no int64 holds */
        {TEXT("18446744073709551615")},
        {TEXT("-99999999999999999999999999999999999999999999")},
        {TEXT("1e400")},
        {TEXT("1E-4000")},
        {TEXT("0.29999999999999999")},
        {TEXT("-0")},
        {TEXT("-0.0e+00")},
        {TEXT("1E5")},
        /* equal names */
        {TEXT("{\"a\":1,\"a\":2}")},
        {TEXT("{\"\":0,\"\":0}")},
        /* strings */
        {TEXT("\"\\u0000\"")},
        {TEXT("\"\\ud83d\\ude00\"")},
        {TEXT("\"\\ud800\"")},
        {TEXT("\"\\uDEAD and \\ud800\\u0041\"")},
        {TEXT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u12aF\"")},
        {TEXT("\"\x7F\"")},
        {TEXT("\"\xC2\x80 \xDF\xBF \xE0\xA0\x80 \xED\x9F\xBF \xEE\x80\x80 \xEF\xBF\xBF\"")},
        {TEXT("\"\xF0\x90\x80\x80 \xF4\x8F\xBF\xBF\"")},
        {TEXT("\"\xE2\x80\xA8\"")},
        {TEXT("\"long enough to be read eight bytes at a time: 0123456789\"")},
        {TEXT("{\"\\u0061\":{\"b\":[[[\"c\"]]]}}")},
    };
    for (size_t i = 0; i < CRESS_COUNT(cases); i++) {
        struct cress_json_fault fault = {.reason = "none"};
        if (!cress_json_find_fault(cases[i].text, cases[i].size, NULL, &fault)) {
            fail_msg("%s: %s at %zu", cases[i].text, fault.reason, fault.offset);
        }
    }
}

struct refused {
    const char *text;
    size_t size;
    size_t offset;
    const char *reason; /* a part of it */
};

static void check_refused(const struct refused *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct cress_json_fault fault;
        struct cress_json value = {.text = "untouched"};
        /* in a block of its own, so that a sanitizer sees a read behind the end */
        char *text = malloc(cases[i].size + 1);
        assert_non_null(text);
        memcpy(text, cases[i].text, cases[i].size);
        char *exact = realloc(text, cases[i].size ? cases[i].size : 1);
        assert_non_null(exact);
        if (cress_json_find_fault(exact, cases[i].size, &value, &fault)) {
            fail_msg("%s is taken for JSON", cases[i].text);
        }
        if (fault.offset != cases[i].offset || !strstr(fault.reason, cases[i].reason)) {
            fail_msg("%s: %s at %zu", cases[i].text, fault.reason, fault.offset);
        }
        assert_string_equal(value.text, "untouched");
        free(exact);
    }
}

static void test_what_it_does_not(void **state)
{
    (void)state;
    static const struct refused cases[] = {
        {TEXT(""), 0, "empty"},
        {TEXT(" \n"), 2, "empty"},
        {TEXT("\0"), 0, "expected a value"},
        {TEXT("nul"), 0, "expected a value"},
        {TEXT("nulll"), 4, "something follows"},
        {TEXT("True"), 0, "expected a value"},
        {TEXT("NaN"), 0, "expected a value"},
        {TEXT("Infinity"), 0, "expected a value"},
        {TEXT("-Infinity"), 1, "expected a digit"},
        {TEXT("'a'"), 0, "expected a value"},
        {TEXT("// no\n1"), 0, "expected a value"},
        {TEXT("\xEF\xBB\xBF{}"), 0, "byte order mark"},
        {TEXT("\x0B"
              "1"),
         0, "expected a value"},
        {TEXT("\xC2\xA0"
              "1"),
         0, "expected a value"},
        {TEXT("1,\"state\":\"succeeded\",\"done\":true,\"z\":2"), 1, "something follows"},
        {TEXT("1 2"), 2, "something follows"},
        {TEXT("{}}"), 2, "something follows"},
        {TEXT("[1\0]"), 2, "expected ',' or ']'"},
        {TEXT("1\0"), 1, "something follows"},
        /* arrays and objects */
        {TEXT("["), 1, "expected a value"},
        {TEXT("[1"), 2, "expected ',' or ']'"},
        {TEXT("[1,]"), 3, "expected a value"},
        {TEXT("[,1]"), 1, "expected a value"},
        {TEXT("[1 2]"), 3, "expected ',' or ']'"},
        {TEXT("[1}"), 2, "expected ',' or ']'"},
        {TEXT("]"), 0, "expected a value"},
        {TEXT("{"), 1, "expected a name"},
        {TEXT("{1:2}"), 1, "expected a name"},
        {TEXT("{a:1}"), 1, "expected a name"},
        {TEXT("{\"a\"}"), 4, "expected ':'"},
        {TEXT("{\"a\":}"), 5, "expected a value"},
        {TEXT("{\"a\":1,}"), 7, "expected a name"},
        {TEXT("{\"a\":1]"), 6, "expected ',' or '}'"},
        {TEXT("{\"a\" \"b\"}"), 5, "expected ':'"},
        {TEXT("[{\"a\":[1}]"), 8, "expected ',' or ']'"},
    };
    check_refused(cases, CRESS_COUNT(cases));
}

static void test_numbers_and_strings_that_are_none(void **state)
{
    (void)state;
    static const struct refused cases[] = {
        /* numbers */
        {TEXT("-"), 1, "expected a digit"},
        {TEXT("+1"), 0, "expected a value"},
        {TEXT("01"), 1, "begin with 0"},
        {TEXT("-00"), 2, "begin with 0"},
        {TEXT("1."), 2, "expected a digit"},
        {TEXT(".5"), 0, "expected a value"},
        {TEXT("1.e3"), 2, "expected a digit"},
        {TEXT("1e"), 2, "expected a digit"},
        {TEXT("1e+"), 3, "expected a digit"},
        {TEXT("0x10"), 1, "something follows"},
        {TEXT("1_000"), 1, "something follows"},
        /* strings */
        {TEXT("\""), 1, "ends within a string"},
        {TEXT("\"0123456789abcdef"), 17, "ends within a string"},
        {TEXT("\"a\nb\""), 2, "control character"},
        {TEXT("\"0123456\t\""), 8, "control character"},
        {TEXT("\"\0\""), 1, "control character"},
        {TEXT("\"\\"), 2, "unknown escape"},
        {TEXT("\"\\x41\""), 2, "unknown escape"},
        {TEXT("\"\\\0\""), 2, "unknown escape"},
        {TEXT("\"\\u12G4\""), 5, "four hexadecimal"},
        {TEXT("\"\\u12"), 5, "four hexadecimal"},
        {TEXT("{\"\xFF\":1}"), 2, "invalid UTF-8"},
    };
    check_refused(cases, CRESS_COUNT(cases));
}

static void test_invalid_utf8_is_refused(void **state)
{
    (void)state;
    static const struct refused cases[] = {
        {TEXT("\"\x80\""), 1, "invalid UTF-8"},     /* a continuation alone */
        {TEXT("\"\xC0\xAF\""), 1, "invalid UTF-8"}, /* overlong forms */
        {TEXT("\"\xC1\xBF\""), 1, "invalid UTF-8"},
        {TEXT("\"\xE0\x9F\xBF\""), 1, "invalid UTF-8"},
        {TEXT("\"\xF0\x8F\xBF\xBF\""), 1, "invalid UTF-8"},
        {TEXT("\"\xED\xA0\x80\""), 1, "invalid UTF-8"}, /* surrogates */
        {TEXT("\"\xED\xBF\xBF\""), 1, "invalid UTF-8"},
        {TEXT("\"\xF4\x90\x80\x80\""), 1, "invalid UTF-8"}, /* beyond U+10FFFF */
        {TEXT("\"\xF5\x80\x80\x80\""), 1, "invalid UTF-8"},
        {TEXT("\"\xFE\""), 1, "invalid UTF-8"},
        {TEXT("\"\xC3"), 1, "invalid UTF-8"}, /* cut short */
        {TEXT("\"\xE2\x82\""), 1, "invalid UTF-8"},
        {TEXT("\"\xF0\x9F\x98"), 1, "invalid UTF-8"},
        {TEXT("\"0123456789\xE9t\xE9\""), 11, "invalid UTF-8"}, /* Latin-1 */
    };
    check_refused(cases, CRESS_COUNT(cases));
}

static char *nested(size_t levels, const char *open, const char *close)
{
    struct cress_buf text = cress_buf_make(1 << 20);
    for (size_t i = 0; i < levels; i++) {
        cress_buf_add_text(&text, open);
    }
    cress_buf_add_char(&text, '0');
    for (size_t i = 0; i < levels; i++) {
        cress_buf_add_text(&text, close);
    }
    return cress_buf_take(&text);
}

static void test_depth_has_an_end(void **state)
{
    (void)state;
    static const struct {
        const char *open, *close;
    } shapes[] = {{"[", "]"}, {"{\"a\":", "}"}, {"[{\"a\":[", "]}]"}};
    for (size_t i = 0; i < CRESS_COUNT(shapes); i++) {
        const size_t levels = CRESS_JSON_DEPTH_MAX / (i == 2 ? 3 : 1);
        char *good = nested(levels, shapes[i].open, shapes[i].close);
        char *bad = nested(levels + 1, shapes[i].open, shapes[i].close);
        struct cress_json_fault fault = {.reason = ""};
        assert_true(cress_json_is_valid(good));
        assert_false(cress_json_find_fault(bad, strlen(bad), NULL, &fault));
        assert_string_equal(fault.reason, "nested deeper than 512 levels");
        free(good);
        free(bad);
    }
    char *deep = nested(500000, "[", "]"); /* no stack is used up, whatever comes */
    assert_false(cress_json_is_valid(deep));
    free(deep);
}

static void test_the_error_says_where(void **state)
{
    (void)state;
    struct cress_error err;
    static const char text[] = "{\n  \"\xC3\xA4\": 1,\n  \"b\xC3\xA4\" 2}";
    assert_int_equal(cress_json_check(text, strlen(text), NULL, &err), CRESS_MALFORMED);
    assert_string_equal(err.message, "line 3, column 8: expected ':'");
    struct cress_json value;
    assert_int_equal(cress_json_check(TEXT(" [1]\n"), &value, &err), CRESS_OK);
    assert_int_equal(value.size, 3);
    assert_memory_equal(value.text, "[1]", 3);
    assert_false(cress_json_is_valid(NULL));
}

static struct cress_json json(const char *text)
{
    struct cress_json value;
    assert_true(cress_json_find_fault(text, strlen(text), &value, NULL));
    return value;
}

static void assert_json(struct cress_json value, const char *text)
{
    assert_int_equal(value.size, strlen(text));
    assert_memory_equal(value.text, text, value.size);
}

static void test_members_come_in_order_as_they_are(void **state)
{
    (void)state;
    struct cress_json_walk walk = cress_json_walk(
        json(" { \"a\" : 1e400 ,\"b,\\\"}\":{\"x\":[\"]\",{}]}, \"a\":\"}\\\\\",\"\":[ ] } "));
    static const char *const expected[][2] = {{"\"a\"", "1e400"},
                                              {"\"b,\\\"}\"", "{\"x\":[\"]\",{}]}"},
                                              {"\"a\"", "\"}\\\\\""},
                                              {"\"\"", "[ ]"}};
    struct cress_json name, value;
    for (size_t i = 0; i < CRESS_COUNT(expected); i++) {
        assert_true(cress_json_next(&walk, &name, &value));
        assert_json(name, expected[i][0]);
        assert_json(value, expected[i][1]);
    }
    assert_false(cress_json_next(&walk, &name, &value));
    assert_false(cress_json_next(&walk, &name, &value));
}

static void test_items_and_nothing(void **state)
{
    (void)state;
    struct cress_json value;
    struct cress_json_walk walk = cress_json_walk(json("[true,[1,2] ,\t-0\n]"));
    static const char *const expected[] = {"true", "[1,2]", "-0"};
    for (size_t i = 0; i < CRESS_COUNT(expected); i++) {
        assert_true(cress_json_next(&walk, NULL, &value));
        assert_json(value, expected[i]);
    }
    assert_false(cress_json_next(&walk, NULL, &value));
    static const char *const empty[] = {"[]", "{}", "{ }", "\"a\"", "0", "null"};
    for (size_t i = 0; i < CRESS_COUNT(empty); i++) {
        walk = cress_json_walk(json(empty[i]));
        assert_false(cress_json_next(&walk, NULL, &value));
    }
    assert_true(cress_json_member(json("{\"a\":1,\"b\":2,\"\\u0061\":3}"), "a", &value));
    assert_json(value, "3");
    assert_false(cress_json_member(json("[\"a\",1]"), "a", &value));
    assert_false(cress_json_member(json("{\"ab\":1}"), "a", &value));
}

static void test_strings_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        const char *says;
        size_t size;
    } cases[] = {
        {"\"\"", TEXT("")},
        {"\"a b\"", TEXT("a b")},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", TEXT("\"\\/\b\f\n\r\t")},
        {"\"a\\u0000b\"", TEXT("a\0b")},
        {"\"\\u0041\\u00e4\\u20AC\"", TEXT("A\xC3\xA4\xE2\x82\xAC")},
        {"\"\\ud83d\\ude00\"", TEXT("\xF0\x9F\x98\x80")},
        {"\"\\ud83d\"", TEXT("\xEF\xBF\xBD")},
        {"\"\\ude00\\ud83dx\"", TEXT("\xEF\xBF\xBD\xEF\xBF\xBDx")},
        {"\"\\ud83d\\u0041\"", TEXT("\xEF\xBF\xBD"
                                    "A")},
        {"\"\xE2\x82\xAC\"", TEXT("\xE2\x82\xAC")},
    };
    for (size_t i = 0; i < CRESS_COUNT(cases); i++) {
        struct cress_buf out = cress_buf_make(100);
        assert_true(cress_json_add_string(&out, json(cases[i].json)));
        assert_int_equal(out.size, cases[i].size);
        assert_memory_equal(cress_buf_text(&out), cases[i].says, cases[i].size);
        cress_buf_free(&out);
    }
    struct cress_buf small = cress_buf_make(2);
    assert_false(cress_json_add_string(&small, json("\"abc\"")));
    assert_false(cress_json_add_string(&small, json("12")));
    cress_buf_free(&small);
    assert_true(cress_json_is(json("\"t\\u0061sk\""), "task"));
    assert_false(cress_json_is(json("\"task\\u0000\""), "task"));
    assert_false(cress_json_is(json("\"tas\\u006b\""), "tas"));
    assert_false(cress_json_is(json("1"), "1"));
}

static void test_whole_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        bool ok;
        int64_t number;
    } cases[] = {
        {"0", true, 0},
        {"-0", true, 0},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 7},
        {"1000000000000000000000000000000000000000000", false, 7},
        {"1.0", false, 7},
        {"1e2", false, 7},
        {"\"1\"", false, 7},
        {"null", false, 7},
    };
    for (size_t i = 0; i < CRESS_COUNT(cases); i++) {
        int64_t number = 7;
        assert_int_equal(cress_json_int(json(cases[i].json), &number), cases[i].ok);
        assert_int_equal(number, cases[i].number);
    }
}

static void test_one_line(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"{\r\n\t\"a\":\n1.50}", "{  \t\"a\": 1.50}"},
        {"[\"\\n\\r\\u2028\"]", "[\"\\n\\r\\u2028\"]"},
        {"\"\xE2\x80\xA8 \xE2\x80\xA9 \xC2\x85 \xE2\x80\xA6 \xC3\x85\"",
         "\"\\u2028 \\u2029 \\u0085 \xE2\x80\xA6 \xC3\x85\""},
    };
    for (size_t i = 0; i < CRESS_COUNT(cases); i++) {
        struct cress_buf out = cress_buf_make(100);
        assert_true(cress_json_add_line(&out, json(cases[i][0])));
        assert_string_equal(cress_buf_text(&out), cases[i][1]);
        cress_buf_free(&out);
    }
    struct cress_buf eyes = cress_buf_make(100);
    static const char tricks[] = "[\n\"\xC2\x9B[31m\x7F \xE2\x80\xAE \xC3\xA9\"]";
    assert_true(cress_json_add_visible(&eyes, json(tricks)));
    assert_string_equal(cress_buf_text(&eyes), "[ \"\\u009b[31m\\u007f \\u202e \xC3\xA9\"]");
    cress_buf_free(&eyes);
    struct cress_buf small = cress_buf_make(2);
    assert_false(cress_json_add_line(&small, json("[1\n]")));
    cress_buf_free(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_the_grammar_allows),
        cmocka_unit_test(test_what_it_does_not),
        cmocka_unit_test(test_numbers_and_strings_that_are_none),
        cmocka_unit_test(test_invalid_utf8_is_refused),
        cmocka_unit_test(test_depth_has_an_end),
        cmocka_unit_test(test_the_error_says_where),
        cmocka_unit_test(test_members_come_in_order_as_they_are),
        cmocka_unit_test(test_items_and_nothing),
        cmocka_unit_test(test_strings_are_read),
        cmocka_unit_test(test_whole_numbers),
        cmocka_unit_test(test_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
