// SPDX-License-Identifier: Apache-2.0
// The lists in which deliveries wait for a free place: one for each priority, taken by weight.
//
// Smooth weighted round robin, 6:3:1: of ten jobs taken while all three wait, six are high, three
// normal and one low, interleaved; so no priority starves. A lane that is empty gives its share to
// the others and saves nothing up. Pure; not thread-safe.
#ifndef CRESS_WORKER_LANES_H
#define CRESS_WORKER_LANES_H

#include "common/base/list.h"
#include "common/job/job.h"

#include <stddef.h>

struct cress_lanes {
    struct cress_list lists[CRESS_PRIORITY_COUNT];
    int credits[CRESS_PRIORITY_COUNT];
    size_t count;
};

void cress_lanes_init(struct cress_lanes *lanes);
void cress_lanes_add(struct cress_lanes *lanes, enum cress_priority priority,
                     struct cress_list *node);

/* Takes out one that need not be the next. */
void cress_lanes_remove(struct cress_lanes *lanes, struct cress_list *node);

/* The next one, taken out; NULL when all lanes are empty. */
struct cress_list *cress_lanes_take(struct cress_lanes *lanes);

#endif
