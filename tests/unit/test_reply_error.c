// SPDX-License-Identifier: Apache-2.0
// What Redis answers with an error.
#include "common/base/mem.h"
#include "common/store/reply_error.h"
#include "tests/unit/unit.h"

static void test_errors(void **state)
{
    static const struct {
        const char *text;
        enum cress_status status;
        const char *code;
    } cases[] = {
        {"OOM command not allowed when used memory > 'maxmemory'.", CRESS_UNAVAILABLE,
         "store_full"},
        {"ERR Error running script (call to f_1a): @user_script:1: -OOM command not allowed",
         CRESS_UNAVAILABLE, "store_full"},
        {"LOADING Redis is loading the dataset in memory", CRESS_UNAVAILABLE, "store_unavailable"},
        {"READONLY You can't write against a read only replica.", CRESS_UNAVAILABLE,
         "store_unavailable"},
        {"ERR Error running script (call to f_1a): @user_script:1: @user_script: 1: -READONLY You",
         CRESS_UNAVAILABLE, "store_unavailable"},
        {"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
         CRESS_UNAVAILABLE, "store_unavailable"},
        {"MISCONF Redis is configured to save RDB snapshots", CRESS_UNAVAILABLE,
         "store_unavailable"},
        {"NOREPLICAS Not enough good replicas to write.", CRESS_UNAVAILABLE, "store_unavailable"},
        {"BUSY Redis is busy running a script.", CRESS_UNAVAILABLE, "store_unavailable"},
        {"NOAUTH Authentication required.", CRESS_DENIED, "store_denied"},
        {"WRONGPASS invalid username-password pair", CRESS_DENIED, "store_denied"},
        {"WRONGTYPE Operation against a key holding the wrong kind of value", CRESS_INTERNAL,
         "store_error"},
        {"BUSYGROUP Consumer Group name already exists", CRESS_INTERNAL, "store_error"},
        {"ERR unknown command 'X-OOMPH'", CRESS_INTERNAL, "store_error"},
        {"", CRESS_INTERNAL, "store_error"},
    };

    (void)state;
    for (size_t i = 0; i < CRESS_COUNT(cases); i++) {
        struct cress_error err;
        cress_reply_error("h:1/0", cases[i].text, &err);
        if (err.status != cases[i].status) {
            fail_msg("%s: %s", cases[i].text, err.message);
        }
        assert_string_equal(err.code, cases[i].code);
        assert_int_equal(cress_status_is_temporary(err.status), err.status == CRESS_UNAVAILABLE);
        assert_non_null(strstr(err.message, "h:1/0"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests_name("reply_error", tests, NULL, NULL);
}
