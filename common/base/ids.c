// SPDX-License-Identifier: Apache-2.0
// The table of job ids in hand; see ids.h.
#include "common/base/ids.h"

#include "common/base/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* FNV-1a. Ids come from whoever may publish to our queues; the table is bounded by the prefetch, so
 * that a flood of collisions costs little. */
static size_t hash(const char *id)
{
    uint64_t value = 14695981039346656037u;
    for (; *id; id++) {
        value = (value ^ (unsigned char)*id) * 1099511628211u;
    }
    return (size_t)(value ^ value >> 32);
}

static struct cress_id_node **bucket_of(const struct cress_ids *ids, const char *id)
{
    return &ids->buckets[hash(id) & ids->mask];
}

void cress_ids_init(struct cress_ids *ids, size_t expected)
{
    size_t size = 16;
    while (size < expected * 2) {
        size *= 2;
    }
    ids->buckets = cress_alloc(size * sizeof(*ids->buckets));
    ids->mask = size - 1;
}

void cress_ids_free(struct cress_ids *ids)
{
    free(ids->buckets);
    *ids = (struct cress_ids){.buckets = NULL};
}

struct cress_id_node *cress_ids_find(const struct cress_ids *ids, const char *id)
{
    struct cress_id_node *node = *bucket_of(ids, id);
    while (node && strcmp(node->id, id) != 0) {
        node = node->next;
    }
    return node;
}

void cress_ids_add(struct cress_ids *ids, struct cress_id_node *node, const char *id)
{
    struct cress_id_node **bucket = bucket_of(ids, id);
    node->id = id;
    node->next = *bucket;
    *bucket = node;
}

void cress_ids_remove(struct cress_ids *ids, struct cress_id_node *node)
{
    if (!node->id) {
        return;
    }
    struct cress_id_node **link = bucket_of(ids, node->id);
    while (*link != node) {
        link = &(*link)->next;
    }
    *link = node->next;
    node->id = NULL;
}
