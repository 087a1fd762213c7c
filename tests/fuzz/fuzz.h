// SPDX-License-Identifier: Apache-2.0
// What a fuzz target is: one function, called by libFuzzer (`make fuzz`) or, for each file of the
// corpus, by standalone.c. It must survive any input, and aborts when a property does not hold.
#ifndef CRESS_TESTS_FUZZ_FUZZ_H
#define CRESS_TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* The name is libFuzzer's. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* assert() that no build flag switches off. */
#define MUST_HOLD(property)                                                               \
    do {                                                                                  \
        if (!(property)) {                                                                \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #property); \
            abort();                                                                      \
        }                                                                                 \
    } while (0)

#endif
