// SPDX-License-Identifier: Apache-2.0
// Tests of common/job/worker_id.h.
#include "common/base/mem.h"
#include "common/job/worker_id.h"
#include "tests/unit/unit.h"

static void test_one_process_is_told_from_the_next_of_its_name(void **state)
{
    (void)state;
    char one[CRESS_WORKER_ID_MAX], next[CRESS_WORKER_ID_MAX];
    cress_worker_id_new("host", 1, one);
    cress_worker_id_new("host", 1, next);
    assert_string_not_equal(one, next);
    assert_int_equal(strncmp(one, "host:1:", 7), 0);
    assert_int_equal(strlen(one), strlen("host:1:") + 8);
}

static void test_people_are_shown_host_and_pid(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"host:1:00ff00ff", "host:1"},
        {"host:1", "host:1"}, /* of an earlier version */
        {"host", "host"},
        {"", ""},
    };
    for (size_t i = 0; i < CRESS_COUNT(cases); i++) {
        char shown[CRESS_WORKER_ID_MAX];
        assert_string_equal(cress_worker_id_shown(cases[i][0], shown), cases[i][1]);
    }
    char shown[CRESS_WORKER_ID_MAX];
    assert_null(cress_worker_id_shown(NULL, shown));
    assert_int_equal(cress_worker_id_shown_size("host:1:2 and more", 6), 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_process_is_told_from_the_next_of_its_name),
        cmocka_unit_test(test_people_are_shown_host_and_pid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
