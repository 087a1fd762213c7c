// SPDX-License-Identifier: Apache-2.0
// Runs a fuzz target over files, without libFuzzer: so the corpus is part of the ordinary tests.
//
//   fuzz_config tests/fuzz/corpus/config/*
#include "tests/fuzz/fuzz.h"

#include "common/base/mem.h"

#include <errno.h>
#include <string.h>

enum { INPUT_MAX = 1 << 20 };

/* The exact size is allocated, so that a sanitizer sees a read behind the end. */
static bool run_file(const char *path, char *room)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return false;
    }
    const size_t size = fread(room, 1, INPUT_MAX, file);
    const bool whole = !ferror(file) && size < INPUT_MAX;
    fclose(file);
    if (!whole) {
        fprintf(stderr, "%s: cannot be read, or has more than %d bytes\n", path, INPUT_MAX - 1);
        return false;
    }
    uint8_t *data = malloc(size > 0 ? size : 1);
    if (!data) {
        return false;
    }
    memcpy(data, room, size);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    return true;
}

int main(int argc, char **argv)
{
    char *room = cress_alloc(INPUT_MAX);
    int failed = 0;
    for (int i = 1; i < argc; i++) {
        failed += !run_file(argv[i], room);
    }
    free(room);
    printf("%s: %d inputs survived\n", argv[0], argc - 1 - failed);
    return failed > 0 || argc < 2;
}
