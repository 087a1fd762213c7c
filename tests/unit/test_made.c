// SPDX-License-Identifier: Apache-2.0
// Which queues this process may make again.
#include "common/broker/made.h"
#include "tests/unit/unit.h"

static void test_only_what_was_made_here_is_doubtful(void **state)
{
    (void)state;
    assert_false(cress_made_is_doubtful("q"));
    cress_made_doubt();
    assert_false(cress_made_is_doubtful("q"));
    cress_made_note("q");
    assert_true(cress_made_is_doubtful("q"));
    assert_false(cress_made_is_doubtful("q.high"));
    cress_made_forget("q");
    assert_false(cress_made_is_doubtful("q"));
}

static void test_one_that_has_answered_is_doubtful_again_while_it_is_young(void **state)
{
    (void)state;
    cress_made_note("q");
    cress_made_answered("q");
    assert_false(cress_made_is_doubtful("q"));
    cress_made_doubt();
    assert_true(cress_made_is_doubtful("q"));
    cress_made_answered("q");
    assert_false(cress_made_is_doubtful("q"));
    cress_made_forget("q");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_what_was_made_here_is_doubtful),
        cmocka_unit_test(test_one_that_has_answered_is_doubtful_again_while_it_is_young),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
