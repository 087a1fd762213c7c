// SPDX-License-Identifier: Apache-2.0
// Waiting lists taken by weight; see lanes.h.
#include "worker/lanes.h"

static const int weights[CRESS_PRIORITY_COUNT] = {
    [CRESS_PRIORITY_HIGH] = 6,
    [CRESS_PRIORITY_NORMAL] = 3,
    [CRESS_PRIORITY_LOW] = 1,
};

void cress_lanes_init(struct cress_lanes *lanes)
{
    *lanes = (struct cress_lanes){.count = 0};
    for (int i = 0; i < CRESS_PRIORITY_COUNT; i++) {
        cress_list_init(&lanes->lists[i]);
    }
}

void cress_lanes_add(struct cress_lanes *lanes, enum cress_priority priority,
                     struct cress_list *node)
{
    cress_list_append(&lanes->lists[priority], node);
    lanes->count++;
}

void cress_lanes_remove(struct cress_lanes *lanes, struct cress_list *node)
{
    cress_list_remove(node);
    lanes->count--;
}

/* Each waiting lane earns its weight; the richest is taken and pays what all earned. */
struct cress_list *cress_lanes_take(struct cress_lanes *lanes)
{
    if (lanes->count == 0) {
        return NULL;
    }
    int best = -1;
    int earned = 0;
    for (int i = 0; i < CRESS_PRIORITY_COUNT; i++) {
        if (cress_list_is_empty(&lanes->lists[i])) {
            lanes->credits[i] = 0;
            continue;
        }
        lanes->credits[i] += weights[i];
        earned += weights[i];
        if (best < 0 || lanes->credits[i] > lanes->credits[best]) {
            best = i;
        }
    }
    lanes->credits[best] -= earned;
    lanes->count--;
    return cress_list_shift(&lanes->lists[best]);
}
