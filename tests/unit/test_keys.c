// SPDX-License-Identifier: Apache-2.0
// Names of keys in Redis.
#include "common/store/keys.h"
#include "tests/unit/unit.h"

static void test_key(void **state)
{
    char key[CRESS_KEY_MAX];

    (void)state;
    assert_string_equal(cress_key(CRESS_KEY_JOB, "0190b1f2", key), "cress:job:0190b1f2");
    assert_string_equal(cress_key(CRESS_KEY_BATCH, "a:results", key), "cress:batch:a:results");
    assert_string_equal(cress_key(CRESS_KEY_RESULTS, "a", key), "cress:results:a");
    assert_string_equal(cress_key(CRESS_KEY_WORKER, "", key), "cress:worker:");
    assert_ptr_equal(cress_key(CRESS_KEY_WORKER, "w", key), key);
}

static void test_long_name(void **state)
{
    char name[2 * CRESS_KEY_MAX];
    char key[CRESS_KEY_MAX];

    (void)state;
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    cress_key(CRESS_KEY_WORKER, name, key);
    assert_int_equal(strlen(key), CRESS_KEY_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_key),
        cmocka_unit_test(test_long_name),
    };
    return cmocka_run_group_tests_name("keys", tests, NULL, NULL);
}
