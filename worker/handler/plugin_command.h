// SPDX-License-Identifier: Apache-2.0
// Tasks in C. To the worker a plug-in is a stream program (stream.c): this very program, started
// again as the plug-in's host (plugin_host.h).
#ifndef CRESS_WORKER_HANDLER_PLUGIN_COMMAND_H
#define CRESS_WORKER_HANDLER_PLUGIN_COMMAND_H

#include "common/config/config.h"

#include <stdbool.h>

/* The argv of a host process of `task`. Free it with cress_text_list_free(). */
char **cress_plugin_command(const struct cress_task_config *task);

/* If `argv` is such an argv, is that host and returns true with its exit status: for main(), first
 * thing. */
bool cress_plugin_is_host(int argc, char **argv, int *exit_status);

#endif
