// SPDX-License-Identifier: Apache-2.0
// Private to common/job: views copied into one block of memory, the texts behind the struct.
#ifndef CRESS_JOB_PACK_H
#define CRESS_JOB_PACK_H

#include <stddef.h>
#include <string.h>

/* The room that `text` needs in the block; NULL needs none. */
static inline size_t cress_pack_size(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

/* Copies `text` to `*at`, moves `*at` behind it and returns the copy. NULL stays NULL. */
static inline const char *cress_pack(char **at, const char *text)
{
    if (!text) {
        return NULL;
    }
    const size_t size = strlen(text) + 1;
    char *copy = memcpy(*at, text, size);
    *at += size;
    return copy;
}

#endif
