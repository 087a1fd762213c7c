// SPDX-License-Identifier: Apache-2.0
// Tests of producer/gateway/head.c: which request heads are passed on, and what the others are
// told.
#include "producer/gateway/head.h"

#include "common/base/mem.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOST "Host: a\r\n"

static enum cress_head_verdict check(const char *text, struct cress_head *head)
{
    return cress_head_check(text, strlen(text), head);
}

static void test_passes_what_is_well_formed(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t content_length;
        bool chunked;
    } cases[] = {
        {"GET / HTTP/1.1\r\n" HOST "\r\n", 0, false},
        {"GET / HTTP/1.0\r\n\r\n", 0, false},
        {"GET http://a/b?c HTTP/1.1\r\n" HOST "\r\n", 0, false},
        {"OPTIONS * HTTP/1.1\r\n" HOST "\r\n", 0, false},
        {"POST /v1/jobs HTTP/1.1\r\n" HOST "Content-Length: 17\r\n\r\n", 17, false},
        {"POST / HTTP/1.1\r\n" HOST "transfer-encoding:\tChunked \r\n\r\n", 0, true},
        {"POST / HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n", 2, false},
        {"GET / HTTP/1.1\r\n" HOST "X: \xc3\xa4\r\nEmpty:\r\n\r\n", 0, false},
    };
    for (size_t i = 0; i < CRESS_COUNT(cases); i++) {
        struct cress_head head;
        assert_int_equal(check(cases[i].text, &head), CRESS_HEAD_COMPLETE);
        assert_int_equal(head.size, strlen(cases[i].text));
        assert_int_equal(head.content_length, cases[i].content_length);
        assert_int_equal(head.chunked, cases[i].chunked);
    }
}

static void test_refuses_what_could_be_read_in_two_ways(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int status;
    } cases[] = {
        {"GET / HTTP/1.1\n" HOST "\r\n", 400},
        {"GET  / HTTP/1.1\r\n" HOST "\r\n", 400},
        {"GET /\r\n" HOST "\r\n", 400},
        {"G T / HTTP/1.1\r\n" HOST "\r\n", 400},
        {"GET a HTTP/1.1\r\n" HOST "\r\n", 400},
        {"GET /\x80 HTTP/1.1\r\n" HOST "\r\n", 400},
        {"GET / HTTP/2.0\r\n" HOST "\r\n", 505},
        {"PRI * HTTP/2.0\r\n\r\n", 505},
        {"GET / HTTP/1.2\r\n" HOST "\r\n", 400},
        {"GET / HTTP/1.1\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" HOST HOST "\r\n", 400},
        {"GET / HTTP/1.1\r\n" HOST "X : y\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" HOST "X: y\r\n z\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" HOST "X: a\rb\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" HOST "no colon\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: 1, 1\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: +1\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n", 501},
        {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" HOST "Expect: a raise\r\n\r\n", 417},
    };
    for (size_t i = 0; i < CRESS_COUNT(cases); i++) {
        struct cress_head head;
        assert_int_equal(check(cases[i].text, &head), CRESS_HEAD_REFUSED);
        assert_int_equal(head.status, cases[i].status);
        assert_non_null(head.code);
        assert_non_null(head.detail);
    }
}

static void test_waits_for_the_rest(void **state)
{
    (void)state;
    static const char whole[] = "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n";
    for (size_t size = 0; size < sizeof whole - 1; size++) {
        struct cress_head head;
        char *exact = cress_strndup(whole, size);
        assert_int_equal(cress_head_check(exact, size, &head), CRESS_HEAD_PARTIAL);
        free(exact);
    }
}

static void test_stops_at_the_empty_line(void **state)
{
    (void)state;
    struct cress_head head;
    assert_int_equal(check("GET / HTTP/1.1\r\n" HOST "\r\nGET /next HTTP/9", &head),
                     CRESS_HEAD_COMPLETE);
    assert_int_equal(head.size, strlen("GET / HTTP/1.1\r\n" HOST "\r\n"));
}

/* A request whose field X has `size` bytes; `end` closes the head. */
static char *with_long_field(size_t size, const char *end)
{
    char *filler = cress_alloc(size + 1);
    memset(filler, 'x', size);
    char *text = cress_format("GET / HTTP/1.1\r\n" HOST "X: %s\r\n%s", filler, end);
    free(filler);
    return text;
}

static void test_limits_the_size(void **state)
{
    (void)state;
    struct cress_head head;
    char *fits = with_long_field(CRESS_HEAD_MAX_BYTES - 100, "\r\n");
    assert_int_equal(check(fits, &head), CRESS_HEAD_COMPLETE);
    char *whole = with_long_field(CRESS_HEAD_MAX_BYTES, "\r\n");
    assert_int_equal(check(whole, &head), CRESS_HEAD_REFUSED);
    assert_int_equal(head.status, 431);
    char *partial = with_long_field(CRESS_HEAD_MAX_BYTES, "");
    partial[strlen(partial) - 2] = '\0';
    assert_int_equal(check(partial, &head), CRESS_HEAD_REFUSED);
    assert_int_equal(head.status, 431);
    free(fits);
    free(whole);
    free(partial);
}

static void test_limits_the_target(void **state)
{
    (void)state;
    struct cress_head head;
    char *text = cress_alloc(CRESS_HEAD_MAX_TARGET + 2);
    memset(text, 'x', CRESS_HEAD_MAX_TARGET + 1);
    assert_int_equal(check(text, &head), CRESS_HEAD_REFUSED);
    assert_int_equal(head.status, 414);
    free(text);
}

static void test_limits_the_number_of_fields(void **state)
{
    (void)state;
    char text[2048] = "GET / HTTP/1.1\r\n" HOST;
    size_t used = strlen(text);
    for (int i = 1; i < CRESS_HEAD_MAX_FIELDS; i++) {
        used += (size_t)snprintf(text + used, sizeof text - used, "a: b\r\n");
    }
    struct cress_head head;
    snprintf(text + used, sizeof text - used, "\r\n");
    assert_int_equal(check(text, &head), CRESS_HEAD_COMPLETE);
    snprintf(text + used, sizeof text - used, "a: b\r\n\r\n");
    assert_int_equal(check(text, &head), CRESS_HEAD_REFUSED);
    assert_int_equal(head.status, 431);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_passes_what_is_well_formed),
        cmocka_unit_test(test_refuses_what_could_be_read_in_two_ways),
        cmocka_unit_test(test_waits_for_the_rest),
        cmocka_unit_test(test_stops_at_the_empty_line),
        cmocka_unit_test(test_limits_the_size),
        cmocka_unit_test(test_limits_the_target),
        cmocka_unit_test(test_limits_the_number_of_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
