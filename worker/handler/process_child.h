// SPDX-License-Identifier: Apache-2.0
// What process.c's forks do; see the picture in process.h.
#ifndef CRESS_WORKER_HANDLER_PROCESS_CHILD_H
#define CRESS_WORKER_HANDLER_PROCESS_CHILD_H

#include "worker/handler/process.h"

#include <sys/resource.h>

enum { CRESS_RLIMITS_MAX = 6 };

struct cress_rlimit {
    int resource;
    struct rlimit limit;
};

/* All that a warden needs, made before the fork: afterwards it must not allocate. */
struct cress_warden_plan {
    const struct cress_process_spec *spec;
    pid_t worker;
    int report_fd;
    struct cress_rlimit limits[CRESS_RLIMITS_MAX];
    size_t limit_count;
};

/* The resource limits that a task asks for, and none for core dumps. Pure. */
size_t cress_rlimits_make(const struct cress_task_config *task,
                          struct cress_rlimit limits[CRESS_RLIMITS_MAX]);

/* In the fork, with all signals blocked. Does not return. Async-signal-safe, as all after a fork of
 * a process with threads must be. */
_Noreturn void cress_warden_run(const struct cress_warden_plan *plan);

#endif
