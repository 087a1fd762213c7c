// SPDX-License-Identifier: Apache-2.0
// A doubly linked list embedded in its elements, for everything that is unlinked from the middle:
// waiters, connections, jobs in flight. Not thread-safe.
#ifndef CRESS_BASE_LIST_H
#define CRESS_BASE_LIST_H

#include "common/base/mem.h"

#include <stdbool.h>

struct cress_list {
    struct cress_list *next, *prev;
};

static inline void cress_list_init(struct cress_list *list)
{
    list->next = list->prev = list;
}

static inline bool cress_list_is_empty(const struct cress_list *list)
{
    return list->next == list;
}

static inline void cress_list_append(struct cress_list *list, struct cress_list *node)
{
    node->prev = list->prev;
    node->next = list;
    list->prev->next = node;
    list->prev = node;
}

/* The node is initialised again, so that removing it twice is harmless. */
static inline void cress_list_remove(struct cress_list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    cress_list_init(node);
}

/* The first node, taken out; NULL when the list is empty. */
static inline struct cress_list *cress_list_shift(struct cress_list *list)
{
    struct cress_list *node = list->next;
    if (node == list) {
        return NULL;
    }
    list->next = node->next;
    node->next->prev = list;
    cress_list_init(node);
    return node;
}

/* Moves all nodes of `from` to the end of `to`; `from` is empty afterwards. */
static inline void cress_list_splice(struct cress_list *to, struct cress_list *from)
{
    if (cress_list_is_empty(from)) {
        return;
    }
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    cress_list_init(from);
}

#endif
