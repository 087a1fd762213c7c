// SPDX-License-Identifier: Apache-2.0
// The table of verbs; see verb.h.
#include "producer/cli/verb.h"

#include "common/base/mem.h"
#include "common/base/text.h"

#include <string.h>

const struct cress_verb *const cress_verbs[] = {
    &cress_verb_enqueue,
    &cress_verb_status,
    &cress_verb_wait,
    &cress_verb_cancel,
    &cress_verb_result,
    &cress_verb_explain,
    &cress_verb_logs,
    &cress_verb_batch,
    &cress_verb_prerender,
    &cress_verb_send,
    &cress_verb_receive,
    &cress_verb_queues,
    &cress_verb_limits,
    &cress_verb_pause,
    &cress_verb_resume,
    &cress_verb_dead,
    &cress_verb_worker,
    &cress_verb_workers,
    &cress_verb_cron,
    &cress_verb_config,
    &cress_verb_doctor,
    &cress_verb_completion,
    &cress_verb_version,
    &cress_verb_help,
    NULL,
};

static const char *const colour_words[] = {"auto", "always", "never", NULL};

const struct cress_flag cress_common_flags[] = {
    {.name = "json", .help = "print JSON"},
    {.name = "connect-timeout",
     .kind = CRESS_FLAG_DURATION,
     .value = "TIME",
     .help = "how long broker or store may be away (default: 10s)"},
    {.name = "color",
     .kind = CRESS_FLAG_WORD,
     .value = "WHEN",
     .words = colour_words,
     .help = "auto, always or never (default: auto)"},
    {.name = "help", .help = "print this and exit"},
    {.name = NULL},
};

const struct cress_verb *cress_verb_find(const char *name, const char **closest)
{
    const char *names[CRESS_COUNT(cress_verbs)] = {NULL};
    for (size_t i = 0; cress_verbs[i]; i++) {
        if (strcmp(cress_verbs[i]->name, name) == 0) {
            return cress_verbs[i];
        }
        names[i] = cress_verbs[i]->name;
    }
    *closest = cress_text_closest(name, names);
    return NULL;
}
