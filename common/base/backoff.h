// SPDX-License-Identifier: Apache-2.0
// How long to wait before the next try: exponential backoff with full jitter, as a pure function.
// Source: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015 (the "full jitter"
// variant).
#ifndef CRESS_BASE_BACKOFF_H
#define CRESS_BASE_BACKOFF_H

#include <stddef.h>
#include <stdint.h>

struct cress_backoff {
    int64_t base_ms; /* the upper bound before the second try */
    int64_t cap_ms;  /* the upper bound before any try */
};

/* The delay after `failures` failures in a row (1 or more): uniform in [0, min(cap, base *
 * 2^(failures-1))]. `random` is any 64 random bits. */
int64_t cress_backoff_ms(const struct cress_backoff *backoff, unsigned failures, uint64_t random);

/* 64 bits from the kernel's generator, for the parameter above. */
uint64_t cress_random(void);
void cress_random_bytes(void *bytes, size_t size);

#endif
