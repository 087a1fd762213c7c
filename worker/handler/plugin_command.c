// SPDX-License-Identifier: Apache-2.0
// This very program as the host of a plug-in; see plugin_command.h.
#include "worker/handler/plugin_command.h"

#include "common/base/mem.h"
#include "common/base/text.h"
#include "worker/handler/plugin_host.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Even if its file has been replaced since. */
#define SELF "/proc/self/exe"

enum { HOST_ARGS = 4 };

char **cress_plugin_command(const struct cress_task_config *task)
{
    char **argv = cress_alloc((HOST_ARGS + 1) * sizeof *argv);
    argv[0] = cress_strdup(SELF);
    argv[1] = cress_strdup(CRESS_PLUGIN_HOST_FLAG);
    argv[2] = cress_strdup(task->file);
    argv[3] = cress_format("%" PRId64, task->soft_timeout_ms);
    return argv;
}

bool cress_plugin_is_host(int argc, char **argv, int *exit_status)
{
    int64_t soft_timeout_ms;
    if (argc != HOST_ARGS || strcmp(argv[1], CRESS_PLUGIN_HOST_FLAG) != 0 ||
        !cress_text_to_int(argv[3], &soft_timeout_ms)) {
        return false;
    }
    *exit_status = cress_plugin_host(argv[2], soft_timeout_ms);
    return true;
}
