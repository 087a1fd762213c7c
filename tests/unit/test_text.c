// SPDX-License-Identifier: Apache-2.0
// Tests of common/base/text.h.
#include "common/base/text.h"
#include "tests/unit/unit.h"

static void test_integers_are_read_strictly(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool ok;
        int64_t value;
    } cases[] = {
        {"0", true, 0},     {"-12", true, -12}, {"9223372036854775807", true, INT64_MAX},
        {"", false, 0},     {" 1", false, 0},   {"1 ", false, 0},
        {"+1", false, 0},   {"1e3", false, 0},  {"9223372036854775808", false, 0},
        {"0x10", false, 0}, {"-", false, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t value = 77;
        assert_int_equal(cress_text_to_int(cases[i].text, &value), cases[i].ok);
        assert_int_equal(value, cases[i].ok ? cases[i].value : 77);
    }
}

static void test_sizes(void **state)
{
    (void)state;
    int64_t bytes;
    assert_true(cress_text_to_bytes("4096", &bytes));
    assert_int_equal(bytes, 4096);
    assert_true(cress_text_to_bytes("64k", &bytes));
    assert_int_equal(bytes, 65536);
    assert_true(cress_text_to_bytes("2G", &bytes));
    assert_int_equal(bytes, INT64_C(2) << 30);
    static const char *const bad[] = {"", "k", "-1", "1kb", "1 k", "9999999999T", "1x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(cress_text_to_bytes(bad[i], &bytes));
    }
}

static void test_split_trims_and_drops_empty_parts(void **state)
{
    (void)state;
    char **list = cress_text_split(" a, b c ,,d,");
    assert_string_equal(list[0], "a");
    assert_string_equal(list[1], "b c");
    assert_string_equal(list[2], "d");
    assert_null(list[3]);
    cress_text_list_free(list);
    list = cress_text_split("");
    assert_null(list[0]);
    cress_text_list_free(list);
}

static void test_closest_word(void **state)
{
    (void)state;
    static const char *const verbs[] = {"enqueue", "status", "wait", "result", "queues", NULL};
    assert_string_equal(cress_text_closest("enqeue", verbs), "enqueue");
    assert_string_equal(cress_text_closest("sattus", verbs), "status");
    assert_string_equal(cress_text_closest("queue", verbs), "queues");
    assert_string_equal(cress_text_closest("enq", verbs), "enqueue");
    assert_string_equal(cress_text_closest("res", verbs), "result");
    assert_null(cress_text_closest("purge-everything", verbs));
    assert_null(cress_text_closest("xy", verbs));
}

static void test_urls_lose_their_secrets(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        const char *shown;
    } cases[] = {
        {"amqp://me:secret@host:5672/v", "amqp://***@host:5672/v"},
        {"redis://:pa@ss@host/0", "redis://***@host/0"},
        {"redis://host/a@b", "redis://host/a@b"},
        {"http://host", "http://host"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char shown[100];
        cress_text_redact_url(cases[i].url, shown, sizeof shown);
        assert_string_equal(shown, cases[i].shown);
    }
}

static void test_utf8(void **state)
{
    (void)state;
    assert_true(cress_text_is_utf8("a\xC3\xA4\xF4\x8F\xBF\xBF", 7));
    static const char *const bad[] = {"\xC0\x80", "\xE0\x80\x80", "\xF4\x90\x80\x80",
                                      "\x80",     "\xC3",         "\xED\xBF\xBF"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(cress_text_is_utf8(bad[i], strlen(bad[i])));
    }
}

static void test_what_is_hostile(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t length;
        unsigned code;
    } cases[] = {
        {"\033[31m", 1, 0x1B},
        {"\n", 1, '\n'},
        {"\x7F", 1, 0x7F},
        {"\xC2\x80", 2, 0x80},
        {"\xC2\x9B", 2, 0x9B},
        {"\xC2\x9F", 2, 0x9F},
        {"\xD8\x9C", 2, 0x61C},
        {"\xE2\x80\x8E", 3, 0x200E},
        {"\xE2\x80\xA8", 3, 0x2028},
        {"\xE2\x80\xAE", 3, 0x202E},
        {"\xE2\x81\xA6", 3, 0x2066},
        {"\xE2\x81\xA9", 3, 0x2069},
        {" ", 0, 7},
        {"~", 0, 7},
        {"\xC2\xA0", 0, 7},
        {"\xC3\xA9", 0, 7},
        {"\xE2\x80\xA6", 0, 7},
        {"\xE2\x81\xAA", 0, 7},
        {"\xE2\x80\x8D", 0, 7},
        {"\xF0\x9F\x98\x80", 0, 7},
        {"\xC2", 0, 7},
        {"\x9B", 0, 7},
        {"", 0, 7},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsigned code = 7;
        assert_int_equal(cress_text_hostile_length(cases[i].text, strlen(cases[i].text), &code),
                         cases[i].length);
        assert_int_equal(code, cases[i].code);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integers_are_read_strictly),
        cmocka_unit_test(test_what_is_hostile),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_split_trims_and_drops_empty_parts),
        cmocka_unit_test(test_closest_word),
        cmocka_unit_test(test_urls_lose_their_secrets),
        cmocka_unit_test(test_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
