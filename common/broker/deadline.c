// SPDX-License-Identifier: Apache-2.0
// The timing wheel; see deadline.h.
#include "common/broker/deadline.h"

static struct cress_list *slot_of(struct cress_deadlines *deadlines, int64_t tick)
{
    return &deadlines->slots[(uint64_t)tick % CRESS_DEADLINE_SLOTS];
}

void cress_deadlines_init(struct cress_deadlines *deadlines, int64_t now_ms)
{
    for (size_t i = 0; i < CRESS_DEADLINE_SLOTS; i++) {
        cress_list_init(&deadlines->slots[i]);
    }
    cress_list_init(&deadlines->never);
    deadlines->tick = now_ms / CRESS_DEADLINE_TICK_MS;
}

void cress_deadlines_add(struct cress_deadlines *deadlines, struct cress_deadline *deadline,
                         int64_t at_ms)
{
    deadline->at_ms = at_ms;
    if (!at_ms) {
        cress_list_append(&deadlines->never, &deadline->node);
        return;
    }
    int64_t tick = at_ms / CRESS_DEADLINE_TICK_MS;
    /* The slot of a tick that was passed already is looked at only a round later. */
    if (tick <= deadlines->tick) {
        tick = deadlines->tick + 1;
    }
    cress_list_append(slot_of(deadlines, tick), &deadline->node);
}

static void pass_slot(struct cress_list *slot, int64_t now_ms, struct cress_list *due)
{
    struct cress_list later;
    cress_list_init(&later);
    for (struct cress_list *node; (node = cress_list_shift(slot)) != NULL;) {
        const struct cress_deadline *deadline = CRESS_CONTAINER(node, struct cress_deadline, node);
        cress_list_append(deadline->at_ms <= now_ms ? due : &later, node);
    }
    cress_list_splice(slot, &later);
}

void cress_deadlines_pass(struct cress_deadlines *deadlines, int64_t now_ms, struct cress_list *due)
{
    /* A slot is passed when its last millisecond is over, so that all of its items are due. */
    const int64_t last = now_ms / CRESS_DEADLINE_TICK_MS - 1;
    int64_t tick = deadlines->tick + 1;
    if (last - tick >= CRESS_DEADLINE_SLOTS) {
        tick = last - CRESS_DEADLINE_SLOTS + 1;
    }
    for (; tick <= last; tick++) {
        pass_slot(slot_of(deadlines, tick), now_ms, due);
        deadlines->tick = tick;
    }
}

void cress_deadlines_clear(struct cress_deadlines *deadlines, struct cress_list *all)
{
    for (size_t i = 0; i < CRESS_DEADLINE_SLOTS; i++) {
        cress_list_splice(all, &deadlines->slots[i]);
    }
    cress_list_splice(all, &deadlines->never);
}
