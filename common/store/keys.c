// SPDX-License-Identifier: Apache-2.0
// Key names; see keys.h.
#include "common/store/keys.h"

#include <string.h>

/* On the path of every command: memcpy rather than snprintf. */
const char *cress_key(const char *prefix, const char *name, char key[CRESS_KEY_MAX])
{
    const size_t prefix_size = strlen(prefix);
    const size_t name_size = strnlen(name, CRESS_KEY_MAX - 1 - prefix_size);

    memcpy(key, prefix, prefix_size);
    memcpy(key + prefix_size, name, name_size);
    key[prefix_size + name_size] = '\0';
    return key;
}
