// SPDX-License-Identifier: Apache-2.0
// A ring over a window of consecutive AMQP tags: what was sent and not confirmed, what was
// delivered and not settled.
//
// Tags count from 1 on each channel, and confirms and settlements arrive in any order, so a slot is
// found by its tag in constant time. Owned by one connection's thread.
#ifndef CRESS_BROKER_WINDOW_H
#define CRESS_BROKER_WINDOW_H

#include <stddef.h>
#include <stdint.h>

struct cress_window {
    void **slots;
    size_t capacity; /* a power of two, or 0 */
    uint64_t low;    /* the oldest tag in the window */
    uint64_t next;   /* the tag after the newest; low == next: empty */
};

/* Empties it for a new channel. The memory is kept. */
void cress_window_reset(struct cress_window *window);
void cress_window_free(struct cress_window *window);

/* Appends `value`, not NULL; returns its tag. */
uint64_t cress_window_push(struct cress_window *window, void *value);

/* The slot of `tag`, or NULL when the tag is outside of the window. */
void **cress_window_at(const struct cress_window *window, uint64_t tag);

/* Drops NULL slots from the window's old end. */
void cress_window_trim(struct cress_window *window);

#endif
