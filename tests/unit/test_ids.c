// SPDX-License-Identifier: Apache-2.0
// The table of job ids in hand.
#include "common/base/ids.h"

#include "common/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

enum { COUNT = 500 };

static void finds_what_was_added(void **state)
{
    (void)state;
    struct cress_ids ids;
    struct cress_id_node nodes[COUNT] = {{.id = NULL}};
    char names[COUNT][16];
    cress_ids_init(&ids, 8); /* far too small: chains must work */
    for (int i = 0; i < COUNT; i++) {
        snprintf(names[i], sizeof names[i], "job-%d", i);
        assert_null(cress_ids_find(&ids, names[i]));
        cress_ids_add(&ids, &nodes[i], names[i]);
    }
    for (int i = 0; i < COUNT; i++) {
        assert_ptr_equal(cress_ids_find(&ids, names[i]), &nodes[i]);
    }
    cress_ids_free(&ids);
}

static void forgets_what_was_removed(void **state)
{
    (void)state;
    struct cress_ids ids;
    struct cress_id_node nodes[COUNT] = {{.id = NULL}};
    char names[COUNT][16];
    cress_ids_init(&ids, 8);
    for (int i = 0; i < COUNT; i++) {
        snprintf(names[i], sizeof names[i], "job-%d", i);
        cress_ids_add(&ids, &nodes[i], names[i]);
    }
    for (int i = 0; i < COUNT; i += 2) {
        cress_ids_remove(&ids, &nodes[i]);
        cress_ids_remove(&ids, &nodes[i]);
    }
    for (int i = 0; i < COUNT; i++) {
        assert_ptr_equal(cress_ids_find(&ids, names[i]), i % 2 ? &nodes[i] : NULL);
    }
    cress_ids_free(&ids);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_was_added),
        cmocka_unit_test(forgets_what_was_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
