// SPDX-License-Identifier: Apache-2.0
// Of a library of Lua functions, those that a script uses; see lua_library.h.
#include "common/store/lua_library.h"

#include <assert.h>
#include <ctype.h>
#include <stdbool.h>
#include <string.h>

enum { FUNCTIONS_MAX = 64 };

static const char introduction[] = "\nlocal function ";

struct function {
    const char *text;
    size_t size;
    const char *name;
    size_t name_size;
    bool is_used;
};

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* A word in a string counts, too: that costs a function too many at worst. */
static bool mentions(const char *text, size_t size, const char *name, size_t name_size)
{
    for (size_t i = 0; i < size; i++) {
        const size_t begin = i;
        while (i < size && is_word(text[i])) {
            i++;
        }
        if (i - begin == name_size && memcmp(text + begin, name, name_size) == 0) {
            return true;
        }
    }
    return false;
}

/* Returns how many there are; `*size` is that of what stands before the first. */
static size_t split(const char *library, struct function functions[FUNCTIONS_MAX], size_t *size)
{
    size_t count = 0;
    const char *at = strstr(library, introduction);
    *size = at ? (size_t)(at + 1 - library) : strlen(library);
    while (at) {
        assert(count < FUNCTIONS_MAX);
        struct function *function = &functions[count++];
        function->text = at + 1;
        function->name = at + strlen(introduction);
        function->name_size = strcspn(function->name, "(");
        function->is_used = false;
        at = strstr(function->name, introduction);
        function->size = at ? (size_t)(at + 1 - function->text) : strlen(function->text);
    }
    return count;
}

/* A local function of Lua sees only those before it: from the last to the first, all users of each are
 * known. */
static void find_used(struct function functions[], size_t count, const char *users)
{
    for (size_t i = count; i-- > 0;) {
        struct function *one = &functions[i];
        one->is_used = mentions(users, strlen(users), one->name, one->name_size);
        for (size_t j = i + 1; j < count && !one->is_used; j++) {
            one->is_used = functions[j].is_used && mentions(functions[j].text, functions[j].size,
                                                            one->name, one->name_size);
        }
    }
}

void cress_lua_library_add(struct cress_buf *text, const char *library, const char *users)
{
    struct function functions[FUNCTIONS_MAX];
    size_t size;
    const size_t count = split(library, functions, &size);
    find_used(functions, count, users);
    cress_buf_add(text, library, size);
    for (size_t i = 0; i < count; i++) {
        if (functions[i].is_used) {
            cress_buf_add(text, functions[i].text, functions[i].size);
        }
    }
}
