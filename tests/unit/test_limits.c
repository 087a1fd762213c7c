// SPDX-License-Identifier: Apache-2.0
// Tests of common/store/limits.h.
#include "common/store/limits.h"
#include "tests/unit/unit.h"

#include <stdlib.h>

static const struct cress_job job = {.task = "mail.send", .timeout_ms = 300000};

static void test_no_limits(void **state)
{
    (void)state;
    static const struct cress_task_config task;
    assert_null(cress_limits_text(NULL, &job));
    assert_null(cress_limits_text(&task, &job));
}

static void test_all_limits(void **state)
{
    (void)state;
    const struct cress_task_config task = {
        .rate = {20, 1000}, .concurrency = 4, .key_rate = {60, 60000}, .key_concurrency = 2};
    struct cress_job keyed = job;
    keyed.key = "tenant-7";
    char *text = cress_limits_text(&task, &keyed);
    assert_string_equal(text, "20 1000 4 60 60000 2 300000 mail.send tenant-7");
    free(text);
}

static void test_one_limit_without_a_key(void **state)
{
    (void)state;
    const struct cress_task_config task = {.key_concurrency = 1};
    char *text = cress_limits_text(&task, &job);
    assert_string_equal(text, "0 0 0 0 0 1 300000 mail.send ");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_limits),
        cmocka_unit_test(test_all_limits),
        cmocka_unit_test(test_one_limit_without_a_key),
    };
    return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}
