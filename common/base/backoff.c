// SPDX-License-Identifier: Apache-2.0
// Exponential backoff with full jitter; see backoff.h.
#define _DEFAULT_SOURCE /* getrandom */
#include "common/base/backoff.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

int64_t cress_backoff_ms(const struct cress_backoff *backoff, unsigned failures, uint64_t random)
{
    int64_t bound = backoff->base_ms;
    for (unsigned i = 1; i < failures && bound < backoff->cap_ms; i++) {
        bound = bound > INT64_MAX / 2 ? INT64_MAX : bound * 2;
    }
    if (bound > backoff->cap_ms) {
        bound = backoff->cap_ms;
    }
    return (int64_t)(random % ((uint64_t)bound + 1));
}

void cress_random_bytes(void *bytes, size_t size)
{
    for (size_t done = 0; done < size;) {
        const ssize_t n = getrandom((char *)bytes + done, size - done, 0);
        if (n < 0 && errno != EINTR) {
            perror("cress: getrandom");
            abort(); /* ids and jitter without randomness would be worse than no service */
        }
        done += n > 0 ? (size_t)n : 0;
    }
}

uint64_t cress_random(void)
{
    uint64_t bits;
    cress_random_bytes(&bits, sizeof bits);
    return bits;
}
