// SPDX-License-Identifier: Apache-2.0
// Tests of producer/gateway/params.c: queries, Prefer, If-None-Match, Content-Type.
#include "producer/gateway/params.h"

#include "common/base/mem.h"
#include "tests/unit/unit.h"

#include <string.h>

static void test_decodes_percent(void **state)
{
    (void)state;
    char out[8];
    assert_true(cress_params_decode("a%20%2Fb", 8, out, sizeof out));
    assert_string_equal(out, "a /b");
    assert_true(cress_params_decode("", 0, out, sizeof out));
    assert_string_equal(out, "");
    assert_false(cress_params_decode("%", 1, out, sizeof out));
    assert_false(cress_params_decode("%2", 2, out, sizeof out));
    assert_false(cress_params_decode("%zz", 3, out, sizeof out));
    assert_false(cress_params_decode("a%00", 4, out, sizeof out));
    assert_true(cress_params_decode("1234567", 7, out, sizeof out));
    assert_false(cress_params_decode("12345678", 8, out, sizeof out));
}

static void test_finds_query_values(void **state)
{
    (void)state;
    char out[16];
    assert_true(cress_params_query("wait=5", "wait", out, sizeof out));
    assert_string_equal(out, "5");
    assert_true(cress_params_query("a=b&&await=1&wait=2%20s&wait=3", "wait", out, sizeof out));
    assert_string_equal(out, "2 s");
    assert_true(cress_params_query("wait=", "wait", out, sizeof out));
    assert_string_equal(out, "");
    assert_false(cress_params_query("", "wait", out, sizeof out));
    assert_false(cress_params_query("wait", "wait", out, sizeof out));
    assert_false(cress_params_query("waiter=1", "wait", out, sizeof out));
}

static void test_reads_how_long_to_wait(void **state)
{
    (void)state;
    static const struct {
        const char *query, *prefer;
        int64_t wait_ms;
        bool preferred;
    } cases[] = {
        {"", NULL, 0, false},
        {"wait=10", NULL, 10000, false},
        {"wait=10s", NULL, 10000, false},
        {"wait=250ms", NULL, 250, false},
        {"wait=0", "wait=5", 0, false},
        {"wait=1h", NULL, 60000, false},
        {"", "wait=5", 5000, true},
        {"", "respond-async, wait=5", 5000, true},
        {"", "respond-async;x=1,Wait=5", 5000, true},
        {"", "wait=100", 60000, true},
        {"", "return=minimal", 0, false},
        {"", "wait=soon", 0, false},
        {"", "wait=", 0, false},
        {"", "wait=00000000000000000000000000000000000000005", 0, false},
    };
    for (size_t i = 0; i < CRESS_COUNT(cases); i++) {
        int64_t wait_ms = -1;
        bool preferred;
        struct cress_error err;
        assert_int_equal(
            cress_params_wait(cases[i].query, cases[i].prefer, 60000, &wait_ms, &preferred, &err),
            CRESS_OK);
        assert_int_equal(wait_ms, cases[i].wait_ms);
        assert_int_equal(preferred, cases[i].preferred);
    }
}

static void test_refuses_a_bad_wait(void **state)
{
    (void)state;
    static const char *const cases[] = {"wait=soon", "wait=-1", "wait="};
    for (size_t i = 0; i < CRESS_COUNT(cases); i++) {
        int64_t wait_ms = -1;
        bool preferred;
        struct cress_error err;
        assert_int_equal(cress_params_wait(cases[i], NULL, 60000, &wait_ms, &preferred, &err),
                         CRESS_MALFORMED);
        assert_string_equal(err.code, "bad_wait");
        assert_int_equal(wait_ms, -1);
    }
}

static void test_matches_etags(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        bool matches;
    } cases[] = {
        {NULL, false},
        {"", false},
        {"\"7\"", true},
        {"W/\"7\"", true},
        {"*", true},
        {"\"6\"", false},
        {"\"6\", \"7\"", true},
        {"\"6\",W/\"7\"", true},
        {"7", false},
        {"\"7", false},
        {"\"77\"", false},
        {"\"6\", junk, \"7\"", false},
        {"\"a,b\", \"7\"", true},
    };
    for (size_t i = 0; i < CRESS_COUNT(cases); i++) {
        assert_int_equal(cress_params_etag_matches(cases[i].header, "\"7\""), cases[i].matches);
    }
}

static void test_reads_idempotency_keys(void **state)
{
    (void)state;
    static const struct {
        const char *header, *key; /* NULL: refused */
    } cases[] = {
        {"abc", "abc"},     {"\"abc\"", "abc"}, {"\"a\\\"b\\\\c\"", "a\"b\\c"},
        {"a\"b", "a\"b"},   {"", NULL},         {"\"\"", NULL},
        {"\"abc", NULL},    {"\"abc\"x", NULL}, {"\"abc\";x=1", NULL},
        {"\"a\\n\"", NULL}, {"\"a\\", NULL},    {"a\tb", NULL},
    };
    for (size_t i = 0; i < CRESS_COUNT(cases); i++) {
        char key[CRESS_IDEMPOTENCY_KEY_SIZE] = "untouched";
        struct cress_error err;
        const enum cress_status status = cress_params_idempotency_key(cases[i].header, key, &err);
        assert_int_equal(status, cases[i].key ? CRESS_OK : CRESS_MALFORMED);
        assert_string_equal(key, cases[i].key ? cases[i].key : "untouched");
    }
}

static void test_an_idempotency_key_has_256_characters(void **state)
{
    (void)state;
    char header[300], key[CRESS_IDEMPOTENCY_KEY_SIZE];
    memset(header, 'k', sizeof header);
    header[256] = '\0';
    assert_int_equal(cress_params_idempotency_key(header, key, NULL), CRESS_OK);
    header[256] = 'k';
    header[257] = '\0';
    assert_int_equal(cress_params_idempotency_key(header, key, NULL), CRESS_MALFORMED);
    header[0] = header[257] = '"';
    header[258] = '\0';
    assert_int_equal(cress_params_idempotency_key(header, key, NULL), CRESS_OK);
}

static void test_knows_json(void **state)
{
    (void)state;
    assert_true(cress_params_is_json("application/json"));
    assert_true(cress_params_is_json("Application/JSON; charset=utf-8"));
    assert_true(cress_params_is_json("application/vnd.job+json"));
    assert_false(cress_params_is_json(NULL));
    assert_false(cress_params_is_json(""));
    assert_false(cress_params_is_json("+json"));
    assert_false(cress_params_is_json("text/json"));
    assert_false(cress_params_is_json("application/jsonp"));
    assert_false(cress_params_is_json("application/x-www-form-urlencoded"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decodes_percent),
        cmocka_unit_test(test_finds_query_values),
        cmocka_unit_test(test_reads_how_long_to_wait),
        cmocka_unit_test(test_refuses_a_bad_wait),
        cmocka_unit_test(test_matches_etags),
        cmocka_unit_test(test_reads_idempotency_keys),
        cmocka_unit_test(test_an_idempotency_key_has_256_characters),
        cmocka_unit_test(test_knows_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
