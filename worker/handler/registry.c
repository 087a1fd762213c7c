// SPDX-License-Identifier: Apache-2.0
// Which handlers there are, and the shorthands for ending a run; see handler.h.
#include "worker/handler/handler.h"

#include "common/base/mem.h"

#include <string.h>

static const struct cress_handler *const groups[] = {
    cress_builtin_handlers,
    cress_render_handlers,
    cress_site_handlers,
};

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
    for (size_t i = 0; i < CRESS_COUNT(groups); i++) {
        for (const struct cress_handler *handler = groups[i]; handler->task; handler++) {
            if (strcmp(handler->task, task) == 0) {
                return handler;
            }
        }
    }
    return NULL;
}

void cress_handler_list(struct cress_buf *out)
{
    for (size_t i = 0; i < CRESS_COUNT(groups); i++) {
        for (const struct cress_handler *handler = groups[i]; handler->task; handler++) {
            cress_buf_printf(out, "%s%s", out->size ? ", " : "", handler->task);
        }
    }
}

void cress_run_succeed(struct cress_run *run, json_t *result)
{
    cress_run_done(run, (struct cress_outcome){.kind = CRESS_OUTCOME_SUCCEEDED, .result = result});
}

void cress_run_fail(struct cress_run *run, const struct cress_error *err)
{
    const struct cress_outcome outcome = {
        .kind = cress_status_is_temporary(err->status) ? CRESS_OUTCOME_RETRY : CRESS_OUTCOME_FAILED,
        .error = *err,
    };
    cress_run_done(run, outcome);
}
