// SPDX-License-Identifier: Apache-2.0
// Allocation that cannot fail: exhaustion of memory for small things ends the process with a
// message.
//
// For sizes that a peer chooses, check a cap first. Memory is freed with free(). Any thread.
#ifndef CRESS_BASE_MEM_H
#define CRESS_BASE_MEM_H

#include <stddef.h>

void *cress_alloc(size_t size);                                 /* zeroed */
void *cress_realloc_array(void *memory, size_t n, size_t size); /* checks n * size */
char *cress_strdup(const char *text);                           /* NULL stays NULL */
char *cress_strndup(const char *text, size_t size); /* NUL-terminated copy of `size` bytes */
char *cress_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define CRESS_NEW(type) ((type *)cress_alloc(sizeof(type)))
#define CRESS_CONTAINER(pointer, type, member) \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))
#define CRESS_COUNT(array) (sizeof(array) / sizeof((array)[0]))

#endif
