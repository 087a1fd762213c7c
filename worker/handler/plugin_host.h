// SPDX-License-Identifier: Apache-2.0
// The process in which a plug-in runs: `cress-worker --plugin-host FILE SOFT_TIMEOUT_MS`.
#ifndef CRESS_WORKER_HANDLER_PLUGIN_HOST_H
#define CRESS_WORKER_HANDLER_PLUGIN_HOST_H

#include <stdint.h>

/* The first argument of a process that is a host. */
#define CRESS_PLUGIN_HOST_FLAG "--plugin-host"

/* Loads the shared object `file` and runs its tasks until stdin ends; a job is asked to stop
 * `soft_timeout_ms` (0: not) after its start. Returns the exit status: 0, or 78 when the file is no
 * plug-in for this worker, after saying why on stderr. See plugin_host.c. */
int cress_plugin_host(const char *file, int64_t soft_timeout_ms);

#endif
