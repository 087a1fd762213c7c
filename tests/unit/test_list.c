// SPDX-License-Identifier: Apache-2.0
// Tests of common/base/list.h.
#include "common/base/list.h"
#include "tests/unit/unit.h"

struct item {
    int n;
    struct cress_list node;
};

static int shift(struct cress_list *list)
{
    struct cress_list *node = cress_list_shift(list);
    return node ? CRESS_CONTAINER(node, struct item, node)->n : -1;
}

static void test_keeps_order_and_unlinks_from_the_middle(void **state)
{
    (void)state;
    struct cress_list list, other;
    cress_list_init(&list);
    cress_list_init(&other);
    struct item items[5];
    for (int i = 0; i < 5; i++) {
        items[i].n = i;
        cress_list_append(i < 3 ? &list : &other, &items[i].node);
    }
    cress_list_remove(&items[1].node);
    cress_list_remove(&items[1].node); /* harmless */
    cress_list_splice(&list, &other);
    assert_true(cress_list_is_empty(&other));
    cress_list_splice(&list, &other);
    assert_int_equal(shift(&list), 0);
    assert_int_equal(shift(&list), 2);
    assert_int_equal(shift(&list), 3);
    assert_int_equal(shift(&list), 4);
    assert_int_equal(shift(&list), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keeps_order_and_unlinks_from_the_middle)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
