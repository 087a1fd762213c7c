// SPDX-License-Identifier: Apache-2.0
// Tests of cress_http_retry_after_ms().
#include "common/http/http.h"
#include "tests/unit/unit.h"

static void test_table(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        int64_t wait_ms;
    } cases[] = {
        {NULL, 0},
        {"", 0},
        {"120", 120000},
        {"0", 0},
        {"-5", 0},
        {"99999999999", CRESS_HTTP_RETRY_AFTER_MAX_MS},
        {"soon", 0},
        {"Mon, 23 Nov 2026 18:00:30 GMT", 30000},
        {"Monday, 23-Nov-26 18:00:30 GMT", 30000},
        {"Mon Nov 23 18:00:30 2026", 30000},
        {"Mon, 23 Nov 2026 17:59:00 GMT", 0},
        {"Mon, 23 Nov 2099 18:00:30 GMT", CRESS_HTTP_RETRY_AFTER_MAX_MS},
    };
    const int64_t now_ms = INT64_C(1795456800000); /* 2026-11-23T18:00:00Z */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(cress_http_retry_after_ms(cases[i].value, now_ms), cases[i].wait_ms);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_table)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
