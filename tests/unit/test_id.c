// SPDX-License-Identifier: Apache-2.0
// Tests of common/base/id.h.
#include "common/base/clock.h"
#include "common/base/id.h"
#include "tests/unit/unit.h"

static void test_new_ids_are_version_7_and_sort(void **state)
{
    (void)state;
    char last[CRESS_UUID_TEXT_SIZE] = "";
    for (int i = 0; i < 20000; i++) {
        char id[CRESS_UUID_TEXT_SIZE];
        cress_id_new(id);
        assert_int_equal(strlen(id), 36);
        assert_int_equal(id[14], '7');
        assert_non_null(strchr("89ab", id[19]));
        assert_true(strcmp(last, id) < 0);
        memcpy(last, id, sizeof last);
    }
}

static void test_new_ids_begin_with_the_time(void **state)
{
    (void)state;
    char id[CRESS_UUID_TEXT_SIZE];
    cress_id_new(id);
    char digits[13];
    memcpy(digits, id, 8);
    memcpy(digits + 8, id + 9, 4);
    digits[12] = '\0';
    const long long ms = strtoll(digits, NULL, 16);
    const long long now = cress_clock_wall_ms();
    assert_true(ms <= now + 1000 && ms > now - 10000);
}

static void test_derived_ids_depend_on_both_parts_only(void **state)
{
    (void)state;
    char a[CRESS_UUID_TEXT_SIZE], b[CRESS_UUID_TEXT_SIZE], c[CRESS_UUID_TEXT_SIZE];
    assert_string_equal(cress_id_derive("ab", "c", a), cress_id_derive("ab", "c", b));
    assert_string_not_equal(a, cress_id_derive("a", "bc", c));
    assert_int_equal(a[14], '8');
    assert_true(cress_id_is_valid(a));
}

static void test_foreign_ids(void **state)
{
    (void)state;
    char longest[CRESS_ID_MAX + 2];
    memset(longest, 'x', sizeof longest);
    longest[CRESS_ID_MAX + 1] = '\0';
    assert_false(cress_id_is_valid(longest));
    longest[CRESS_ID_MAX] = '\0';
    assert_true(cress_id_is_valid(longest));
    assert_true(cress_id_is_valid("order-17.v2_a:b@c"));
    assert_false(cress_id_is_valid(""));
    assert_false(cress_id_is_valid("a b"));
    assert_false(cress_id_is_valid("a/b"));
    assert_false(cress_id_is_valid("a\nb"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new_ids_are_version_7_and_sort),
        cmocka_unit_test(test_new_ids_begin_with_the_time),
        cmocka_unit_test(test_derived_ids_depend_on_both_parts_only),
        cmocka_unit_test(test_foreign_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
