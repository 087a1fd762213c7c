// SPDX-License-Identifier: Apache-2.0
// Numbers in decimal digits, as printf() writes them.
#include "common/base/decimal.h"
#include "tests/unit/unit.h"

#include <inttypes.h>
#include <stdio.h>

static void test_as_printf_writes_them(void **state)
{
    (void)state;
    static const int64_t numbers[] = {
        0, 1, -1, 9, 10, 1764000000123, 1000000000000000000, INT64_MAX, -10, INT64_MIN};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        char expected[32];
        char text[CRESS_DECIMAL_MAX];
        const int size = snprintf(expected, sizeof expected, "%" PRId64, numbers[i]);
        assert_int_equal(cress_decimal(numbers[i], text), size);
        assert_string_equal(text, expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_printf_writes_them),
    };
    return cmocka_run_group_tests_name("decimal", tests, NULL, NULL);
}
