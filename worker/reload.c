// SPDX-License-Identifier: Apache-2.0
// A changed configuration for a running worker (SIGHUP): cress_worker_reload() of worker.h.
#include "common/base/log.h"
#include "worker/presence.h"
#include "worker/state.h"
#include "worker/ticker.h"
#include "worker/worker.h"

#include <stdlib.h>
#include <string.h>

/* What is read each time it is needed. The rest was used when connections were made, queues
 * consumed or processes started. */
static const char *const live[] = {
    "job.*",
    "task.*",
    "schedule.*",
    "worker.concurrency",
    "worker.drain",
    "worker.lease",
    "worker.max_crashes",
    "worker.unknown_task_wait",
    "render.timeout",
    "render.max_bytes",
    "render.max_redirects",
    "render.user_agent",
    "render.accept",
    "render.cache_control",
    "site.*",
};

bool cress_worker_is_live(const char *section, const char *key)
{
    const size_t size = strcspn(section, " "); /* `task` of "task mail.send" */
    for (size_t i = 0; i < CRESS_COUNT(live); i++) {
        const char *name = live[i] + size + 1;
        if (strncmp(live[i], section, size) == 0 && live[i][size] == '.' &&
            (strcmp(name, "*") == 0 || strcmp(name, key) == 0)) {
            return true;
        }
    }
    return false;
}

static void log_change_cb(const char *section, const char *key, const char *before,
                          const char *after, void *arg)
{
    (void)arg;
    const bool is_live = cress_worker_is_live(section, key);
    char *option = cress_format("%s.%s", section, key);
    cress_log(is_live ? CRESS_LOG_INFO : CRESS_LOG_WARN,
              is_live ? "setting changed" : "setting changed, but needs a restart",
              CRESS_KV("option", option), CRESS_KV("before", before), CRESS_KV("after", after));
    free(option);
}

void cress_worker_reload(struct cress_worker *worker, const struct cress_config *config)
{
    if (worker->phase == CRESS_WORKER_CLOSING) {
        return; /* nothing is left that could go over to it */
    }
    const struct cress_config *before = worker->config;
    cress_config_diff(before, config, log_change_cb, NULL);
    worker->services.config = worker->config = config;
    cress_tasks_reload(worker->tasks, before, config);
    cress_ticker_reload(worker->ticker, config);
    cress_log(CRESS_LOG_INFO, "configuration read again");
    cress_pump_want(&worker->pump); /* there may be more places now */
    cress_presence_report(worker);  /* and other limits */
}
