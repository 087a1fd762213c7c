// SPDX-License-Identifier: Apache-2.0
// The wait before the next try; see backoff.h.
#define _DEFAULT_SOURCE /* getrandom */
#include "common/base/backoff.h"

#include "common/base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

const char *const cress_backoff_words[] = {
#define CRESS_BACKOFF(name, word, delay) word,
#include "common/base/backoffs.def"
#undef CRESS_BACKOFF
    NULL};

#define CRESS_BACKOFF(name, word, delay) ", " word
static const char list[] =
#include "common/base/backoffs.def"
    ;
#undef CRESS_BACKOFF
const char *const cress_backoff_list = list + 2;

bool cress_backoff_parse(const char *word, enum cress_backoff_kind *kind)
{
    for (size_t i = 0; i < CRESS_BACKOFF_COUNT; i++) {
        if (strcmp(cress_backoff_words[i], word) == 0) {
            *kind = (enum cress_backoff_kind)i;
            return true;
        }
    }
    return false;
}

static int64_t exponential_ms(const struct cress_backoff *backoff, unsigned failures,
                              uint64_t random)
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

static int64_t linear_ms(const struct cress_backoff *backoff, unsigned failures)
{
    const bool is_capped = backoff->base_ms > backoff->cap_ms / (int64_t)failures;
    return is_capped ? backoff->cap_ms : backoff->base_ms * (int64_t)failures;
}

int64_t cress_backoff_ms(const struct cress_backoff *backoff, unsigned failures, uint64_t random)
{
    switch (backoff->kind) {
    case CRESS_BACKOFF_LINEAR:
        return linear_ms(backoff, failures);
    case CRESS_BACKOFF_FIXED:
        return backoff->base_ms;
    case CRESS_BACKOFF_EXPONENTIAL:
    case CRESS_BACKOFF_COUNT:
        break;
    }
    return exponential_ms(backoff, failures, random);
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
