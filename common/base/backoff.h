// SPDX-License-Identifier: Apache-2.0
// How long to wait before the next try, as a pure function.
//
//   exponential  uniform in [0, min(cap, base * 2^(n-1))] after the n-th failure in a row: many that
//                failed together come back apart. The usual one ("full jitter" of "Exponential
//                Backoff And Jitter", AWS Architecture Blog, 2015)
//   linear       min(cap, base * n) exactly
//   fixed        base exactly, whatever the cap
//
// The last two have no jitter: they are for those who must know when.
#ifndef CRESS_BASE_BACKOFF_H
#define CRESS_BASE_BACKOFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cress_backoff_kind {
#define CRESS_BACKOFF(name, word, delay) CRESS_BACKOFF_##name,
#include "common/base/backoffs.def"
#undef CRESS_BACKOFF
    CRESS_BACKOFF_COUNT
};

/* Their words, ending with NULL; and the same as text: "exponential, linear, fixed". */
extern const char *const cress_backoff_words[];
extern const char *const cress_backoff_list;

struct cress_backoff {
    enum cress_backoff_kind kind;
    int64_t base_ms, cap_ms; /* not negative */
};

/* False when `word` is none of cress_backoff_words; `*kind` is then as it was. */
bool cress_backoff_parse(const char *word, enum cress_backoff_kind *kind);

/* The delay after `failures` failures in a row (1 or more). `random` is any 64 random bits. */
int64_t cress_backoff_ms(const struct cress_backoff *backoff, unsigned failures, uint64_t random);

/* 64 bits from the kernel's generator, for the parameter above. */
uint64_t cress_random(void);
void cress_random_bytes(void *bytes, size_t size);

#endif
