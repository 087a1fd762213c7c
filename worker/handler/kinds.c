// SPDX-License-Identifier: Apache-2.0
// Which handlers there are: kinds, and built-in tasks by name; see handler.h.
#include "worker/handler/handler.h"

#include "common/base/mem.h"

#include <string.h>

static const struct cress_handler *const kinds[] = {
    &cress_exec_handler,
    &cress_stream_handler,
    &cress_http_handler,
    &cress_plugin_handler,
};

const struct cress_handler *cress_handler_kind(const char *word)
{
    for (size_t i = 0; i < CRESS_COUNT(kinds); i++) {
        if (strcmp(kinds[i]->task, word) == 0) {
            return kinds[i];
        }
    }
    return NULL;
}

const struct cress_handler *cress_handler_find(const char *task)
{
    for (const struct cress_handler *const *group = cress_handler_groups; *group; group++) {
        for (const struct cress_handler *handler = *group; handler->task; handler++) {
            if (strcmp(handler->task, task) == 0) {
                return handler;
            }
        }
    }
    return NULL;
}

void cress_handler_list(struct cress_buf *out)
{
    for (const struct cress_handler *const *group = cress_handler_groups; *group; group++) {
        for (const struct cress_handler *handler = *group; handler->task; handler++) {
            cress_buf_printf(out, "%s%s", out->size ? ", " : "", handler->task);
        }
    }
}
