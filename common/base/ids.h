// SPDX-License-Identifier: Apache-2.0
// The ids of the jobs that this process has in hand, so that a second delivery of one is not
// started beside the first.
//
// A hash table of nodes embedded in their owners, sized once. Not thread-safe.
#ifndef CRESS_BASE_IDS_H
#define CRESS_BASE_IDS_H

#include <stdbool.h>
#include <stddef.h>

struct cress_id_node {
    const char *id; /* the owner's; NULL while the node is in no table */
    struct cress_id_node *next;
};

struct cress_ids {
    struct cress_id_node **buckets;
    size_t mask;
};

/* For about `expected` ids at once; more only make it slower. */
void cress_ids_init(struct cress_ids *ids, size_t expected);
void cress_ids_free(struct cress_ids *ids);

/* The node of `id`, or NULL. */
struct cress_id_node *cress_ids_find(const struct cress_ids *ids, const char *id);

/* `id` must not be in the table and must live as long as it is. */
void cress_ids_add(struct cress_ids *ids, struct cress_id_node *node, const char *id);

/* Removing a node that is in no table does nothing. */
void cress_ids_remove(struct cress_ids *ids, struct cress_id_node *node);

#endif
