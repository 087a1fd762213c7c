// SPDX-License-Identifier: Apache-2.0
// Deadlines of very many things, nearly all of which end before: a timing wheel, where adding and
// removing are constant.
//
// DESIGN
// A ring of slots, each CRESS_DEADLINE_TICK_MS wide, holds the items by deadline modulo its
// circumference. Passing a slot looks at its items and leaves those of a later round. Deadlines are
// met late by up to a tick. Source: Varghese and Lauck, "Hashed and Hierarchical Timing Wheels",
// SOSP 1987, scheme 6.
#ifndef CRESS_BROKER_DEADLINE_H
#define CRESS_BROKER_DEADLINE_H

#include "common/base/list.h"

#include <stdint.h>

enum { CRESS_DEADLINE_TICK_MS = 10, CRESS_DEADLINE_SLOTS = 512 };

struct cress_deadline {
    struct cress_list node;
    int64_t at_ms; /* monotonic; 0: never */
};

struct cress_deadlines {
    struct cress_list slots[CRESS_DEADLINE_SLOTS];
    struct cress_list never;
    int64_t tick; /* the last one that was passed */
};

void cress_deadlines_init(struct cress_deadlines *deadlines, int64_t now_ms);

/* Remove it by cress_list_remove(&deadline->node). */
void cress_deadlines_add(struct cress_deadlines *deadlines, struct cress_deadline *deadline,
                         int64_t at_ms);

/* Moves what is due to the end of `due`. */
void cress_deadlines_pass(struct cress_deadlines *deadlines, int64_t now_ms,
                          struct cress_list *due);

/* Moves everything to the end of `all`. */
void cress_deadlines_clear(struct cress_deadlines *deadlines, struct cress_list *all);

#endif
