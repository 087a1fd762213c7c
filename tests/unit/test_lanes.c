// SPDX-License-Identifier: Apache-2.0
// The waiting lists: order within a priority, shares between them.
#include "worker/lanes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

struct item {
    struct cress_list node;
    enum cress_priority priority;
    int number;
};

static struct item *take(struct cress_lanes *lanes)
{
    struct cress_list *node = cress_lanes_take(lanes);
    return node ? CRESS_CONTAINER(node, struct item, node) : NULL;
}

static void fill(struct cress_lanes *lanes, struct item *items, int count,
                 enum cress_priority priority)
{
    for (int i = 0; i < count; i++) {
        items[i] = (struct item){.priority = priority, .number = i};
        cress_lanes_add(lanes, priority, &items[i].node);
    }
}

static void empty_gives_nothing(void **state)
{
    (void)state;
    struct cress_lanes lanes;
    cress_lanes_init(&lanes);
    assert_null(take(&lanes));
}

static void one_lane_is_first_in_first_out(void **state)
{
    (void)state;
    struct cress_lanes lanes;
    struct item items[20];
    cress_lanes_init(&lanes);
    fill(&lanes, items, 20, CRESS_PRIORITY_LOW);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(take(&lanes)->number, i);
    }
    assert_null(take(&lanes));
    assert_int_equal(lanes.count, 0);
}

static void shares_are_six_three_one(void **state)
{
    (void)state;
    struct cress_lanes lanes;
    struct item items[CRESS_PRIORITY_COUNT][100];
    int taken[CRESS_PRIORITY_COUNT] = {0};
    cress_lanes_init(&lanes);
    for (int p = 0; p < CRESS_PRIORITY_COUNT; p++) {
        fill(&lanes, items[p], 100, (enum cress_priority)p);
    }
    for (int i = 0; i < 100; i++) {
        taken[take(&lanes)->priority]++;
    }
    assert_int_equal(taken[CRESS_PRIORITY_HIGH], 60);
    assert_int_equal(taken[CRESS_PRIORITY_NORMAL], 30);
    assert_int_equal(taken[CRESS_PRIORITY_LOW], 10);
}

static void low_is_taken_once_in_every_ten(void **state)
{
    (void)state;
    struct cress_lanes lanes;
    struct item items[CRESS_PRIORITY_COUNT][100];
    cress_lanes_init(&lanes);
    for (int p = 0; p < CRESS_PRIORITY_COUNT; p++) {
        fill(&lanes, items[p], 100, (enum cress_priority)p);
    }
    int since_low = 0;
    for (int i = 0; i < 100; i++) {
        since_low = take(&lanes)->priority == CRESS_PRIORITY_LOW ? 0 : since_low + 1;
        assert_true(since_low < 10);
    }
}

static void an_empty_lane_saves_nothing_up(void **state)
{
    (void)state;
    struct cress_lanes lanes;
    struct item low[50], high[10];
    cress_lanes_init(&lanes);
    fill(&lanes, low, 50, CRESS_PRIORITY_LOW);
    for (int i = 0; i < 40; i++) {
        take(&lanes);
    }
    fill(&lanes, high, 10, CRESS_PRIORITY_HIGH);
    int taken_high = 0;
    for (int i = 0; i < 7; i++) {
        taken_high += take(&lanes)->priority == CRESS_PRIORITY_HIGH;
    }
    assert_int_equal(taken_high, 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_gives_nothing),
        cmocka_unit_test(one_lane_is_first_in_first_out),
        cmocka_unit_test(shares_are_six_three_one),
        cmocka_unit_test(low_is_taken_once_in_every_ten),
        cmocka_unit_test(an_empty_lane_saves_nothing_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
