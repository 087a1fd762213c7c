// SPDX-License-Identifier: Apache-2.0
// Fuzz target: the configuration file. Whatever was read must be accepted again when written anew,
// value by value.
#include "tests/fuzz/fuzz.h"

#include "common/base/mem.h"
#include "common/config/option.h"

#include <string.h>

static void read_again(const struct cress_slot *slot)
{
    char *text = cress_slot_format(slot, false);
    MUST_HOLD(cress_slot_set(slot, text, "again", NULL) == CRESS_OK);
    char *again = cress_slot_format(slot, false);
    MUST_HOLD(strcmp(text, again) == 0);
    free(text);
    free(again);
}

static void ignore(const char *section, const char *key, const char *value, const char *origin,
                   const char *help, void *arg)
{
    MUST_HOLD(section && key && value && origin && help);
    (void)arg;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FILE *file = size > 0 ? fmemopen((void *)data, size, "r") : NULL;
    if (!file) {
        return 0;
    }
    struct cress_config *config = cress_config_make();
    struct cress_error err = {0};
    if (cress_config_read(config, file, "cress.conf", &err) == CRESS_OK) {
        cress_config_show(config, ignore, NULL);
        for (size_t i = 0; i < CRESS_OPTION_COUNT; i++) {
            const struct cress_slot slot = cress_config_slot(config, i);
            read_again(&slot);
        }
    } else {
        MUST_HOLD(strncmp(err.message, "cress.conf:", 11) == 0);
    }
    cress_config_free(config);
    fclose(file);
    return 0;
}
