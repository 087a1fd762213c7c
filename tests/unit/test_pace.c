// SPDX-License-Identifier: Apache-2.0
// Tests of worker/pace.h.
#include "worker/pace.h"

#include "common/base/mem.h"
#include "tests/unit/unit.h"

static struct cress_pace after(int runs, int64_t run_us, size_t bytes)
{
    struct cress_pace pace = {0};
    for (int i = 0; i < runs; i++) {
        cress_pace_add(&pace, run_us, bytes);
    }
    return pace;
}

static void test_window(void **state)
{
    (void)state;
    static const struct {
        int runs;
        int64_t run_us;
        size_t bytes;
        int64_t places;
        int window;
    } table[] = {
        {0, 0, 0, 32, 32},               /* nothing is known: no job waits here while others idle */
        {7, 1, 10, 32, 32},              /* not enough is known */
        {100, 1, 10, 1, 1 + 2000},       /* microseconds: many */
        {100, 1000, 10, 8, 8 + 8 * 249}, /* milliseconds: a quarter of a second's worth */
        {100, 100000, 10, 8, 8 + 8 * 2},
        {100, 1000000, 10, 8, 8}, /* seconds: none ahead */
        {100, 30000000, 10, 1, 1},
        {100, 1, 1 << 20, 8, 8 + 31}, /* as far as memory should hold them */
    };
    for (size_t i = 0; i < CRESS_COUNT(table); i++) {
        const struct cress_pace pace = after(table[i].runs, table[i].run_us, table[i].bytes);
        assert_int_equal(cress_pace_window(&pace, table[i].places), table[i].window);
    }
}

static void test_places_that_are_stuck(void **state)
{
    (void)state;
    struct cress_pace pace = after(1000, 1, 10);
    cress_pace_wait(&pace, 0);
    assert_int_equal(cress_pace_window(&pace, 4), 2004);
    cress_pace_wait(&pace, 2000000);
    assert_int_equal(cress_pace_window(&pace, 4), 4);
    for (int i = 0; i < 1000; i++) { /* it is forgotten */
        cress_pace_add(&pace, 1, 10);
    }
    assert_int_equal(cress_pace_window(&pace, 4), 2004);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_places_that_are_stuck),
    };
    return cmocka_run_group_tests_name("pace", tests, NULL, NULL);
}
