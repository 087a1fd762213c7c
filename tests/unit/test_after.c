// SPDX-License-Identifier: Apache-2.0
// Tests of common/job/after.h: lists of the jobs that another one waits for.
#include "common/base/mem.h"
#include "common/job/after.h"
#include "tests/unit/unit.h"

static void test_ids_come_off_one_by_one(void **state)
{
    (void)state;
    char id[CRESS_ID_MAX + 1];
    const char *rest = "a,b:c@d";
    assert_true(cress_after_next(&rest, id));
    assert_string_equal(id, "a");
    assert_true(cress_after_next(&rest, id));
    assert_string_equal(id, "b:c@d");
    assert_false(cress_after_next(&rest, id));
    assert_int_equal(cress_after_count(NULL), 0);
    assert_int_equal(cress_after_count(""), 0);
    assert_int_equal(cress_after_count("a"), 1);
    assert_int_equal(cress_after_count("a,b,c"), 3);
}

/* `count` ids of `size` characters. */
static char *list_of(size_t count, size_t size)
{
    char *list = cress_alloc(count * (size + 1));
    memset(list, 'a', count * (size + 1));
    for (size_t i = 0; i + 1 < count; i++) {
        list[i * (size + 1) + size] = ',';
    }
    list[count * (size + 1) - 1] = '\0';
    return list;
}

static void test_what_is_a_list(void **state)
{
    (void)state;
    static const char *const bad[] = {"", ",", "a,", ",a", "a,,b", "a b", "a,\xC3\xA9", "a/b"};
    struct cress_error err;
    assert_int_equal(cress_after_check("a", &err), CRESS_OK);
    assert_int_equal(cress_after_check("a,b,a", &err), CRESS_OK);
    for (size_t i = 0; i < CRESS_COUNT(bad); i++) {
        assert_int_equal(cress_after_check(bad[i], &err), CRESS_INVALID);
    }
    const struct {
        size_t count, size;
        enum cress_status status;
    } sizes[] = {
        {1000, 36, CRESS_OK},    {1001, 1, CRESS_INVALID}, {1, 128, CRESS_OK},
        {2, 129, CRESS_INVALID}, {508, 128, CRESS_OK},     {600, 128, CRESS_INVALID},
    };
    for (size_t i = 0; i < CRESS_COUNT(sizes); i++) {
        char *list = list_of(sizes[i].count, sizes[i].size);
        assert_int_equal(cress_after_check(list, &err), sizes[i].status);
        free(list);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids_come_off_one_by_one),
        cmocka_unit_test(test_what_is_a_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
