// SPDX-License-Identifier: Apache-2.0
// Tests of common/base/backoff.h.
#include "common/base/backoff.h"
#include "tests/unit/unit.h"

static void test_bound_doubles_up_to_the_cap(void **state)
{
    (void)state;
    const struct cress_backoff backoff = {.base_ms = 100, .cap_ms = 1000};
    static const int64_t bounds[] = {100, 200, 400, 800, 1000, 1000};
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(cress_backoff_ms(&backoff, i + 1, (uint64_t)bounds[i]),
                         bounds[i]); /* the bound is reached */
        assert_int_equal(cress_backoff_ms(&backoff, i + 1, (uint64_t)bounds[i] + 1),
                         0); /* and never passed */
    }
    assert_int_equal(cress_backoff_ms(&backoff, 4000000000U, 1000), 1000);
}

static void test_no_overflow(void **state)
{
    (void)state;
    const struct cress_backoff backoff = {.base_ms = INT64_MAX / 3, .cap_ms = INT64_MAX - 1};
    for (unsigned i = 1; i < 100; i++) {
        assert_true(cress_backoff_ms(&backoff, i, UINT64_MAX) >= 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bound_doubles_up_to_the_cap),
        cmocka_unit_test(test_no_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
