// SPDX-License-Identifier: Apache-2.0
// The ring of tags; see window.h.
#include "common/broker/window.h"

#include "common/base/mem.h"

#include <stdlib.h>

void cress_window_reset(struct cress_window *window)
{
    window->low = window->next = 1;
}

void cress_window_free(struct cress_window *window)
{
    free(window->slots);
    *window = (struct cress_window){.low = 1, .next = 1};
}

static void **slot(const struct cress_window *window, uint64_t tag)
{
    return &window->slots[tag & (window->capacity - 1)];
}

static void grow(struct cress_window *window)
{
    struct cress_window wider = *window;
    wider.capacity = window->capacity ? window->capacity * 2 : 256;
    wider.slots = cress_realloc_array(NULL, wider.capacity, sizeof *wider.slots);
    for (uint64_t tag = window->low; tag < window->next; tag++) {
        *slot(&wider, tag) = *slot(window, tag);
    }
    free(window->slots);
    *window = wider;
}

uint64_t cress_window_push(struct cress_window *window, void *value)
{
    if (window->next - window->low == window->capacity) {
        grow(window);
    }
    *slot(window, window->next) = value;
    return window->next++;
}

void **cress_window_at(const struct cress_window *window, uint64_t tag)
{
    return tag >= window->low && tag < window->next ? slot(window, tag) : NULL;
}

void cress_window_trim(struct cress_window *window)
{
    while (window->low < window->next && !*slot(window, window->low)) {
        window->low++;
    }
}
