// SPDX-License-Identifier: Apache-2.0
#include "producer/cli/dead_walk.h"
#include "producer/cli/server_version.h"
#include "tests/unit/unit.h"

static void test_versions_are_compared_by_number(void **state)
{
    (void)state;
    assert_true(cress_server_is_before("RabbitMQ 3.9.29", 3, 10));
    assert_false(cress_server_is_before("RabbitMQ 3.10.8", 3, 10));
    assert_true(cress_server_is_before("RabbitMQ 3.13.7", 4, 0));
    assert_false(cress_server_is_before("RabbitMQ 4.0.2", 4, 0));
    assert_false(cress_server_is_before("RabbitMQ 4", 4, 0));
    assert_false(cress_server_is_before("LavinMQ", 4, 0));
    assert_false(cress_server_is_before("", 4, 0));
}

static void test_letters_are_in_danger_where_a_limit_counts_looks(void **state)
{
    (void)state;
    assert_false(cress_dead_looks_endanger("RabbitMQ 3.10.8", 15));
    assert_false(cress_dead_looks_endanger("RabbitMQ 4.0.5", 9));
    assert_true(cress_dead_looks_endanger("RabbitMQ 4.0.5", 10));
    assert_true(cress_dead_looks_endanger("RabbitMQ 4.2.0", 20));
    /* it lives beyond the default limit, so it has another one */
    assert_false(cress_dead_looks_endanger("RabbitMQ 4.2.0", 21));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions_are_compared_by_number),
        cmocka_unit_test(test_letters_are_in_danger_where_a_limit_counts_looks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
