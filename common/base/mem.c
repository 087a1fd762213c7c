// SPDX-License-Identifier: Apache-2.0
// Allocation that cannot fail; see mem.h.
#include "common/base/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *must(void *memory)
{
    if (!memory) {
        fputs("cress: out of memory\n", stderr);
        abort();
    }
    return memory;
}

void *cress_alloc(size_t size)
{
    return must(calloc(1, size ? size : 1));
}

void *cress_realloc_array(void *memory, size_t n, size_t size)
{
    if (size && n > SIZE_MAX / size) {
        must(NULL);
    }
    return must(realloc(memory, n && size ? n * size : 1));
}

char *cress_strdup(const char *text)
{
    return text ? cress_strndup(text, strlen(text)) : NULL;
}

char *cress_strndup(const char *text, size_t size)
{
    char *copy = must(malloc(size + 1));
    memcpy(copy, text, size);
    copy[size] = '\0';
    return copy;
}

char *cress_format(const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    const int n = vsnprintf(NULL, 0, format, args);
    char *text = must(n < 0 ? NULL : malloc((size_t)n + 1));
    vsnprintf(text, (size_t)n + 1, format, again);
    va_end(again);
    va_end(args);
    return text;
}
