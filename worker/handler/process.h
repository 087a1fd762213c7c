// SPDX-License-Identifier: Apache-2.0
// A program of somebody else, run so that nothing of it is left: limits, a process group of its
// own, and the end of all its descendants.
//
// DESIGN
//
//   worker --fork--> warden --clone, limits, exec--> program --> whatever it starts
//     ^                |
//     +---- reports ---+    {started, pid}, then {ended, wait status, time, memory}
//
// The warden is a fork of the worker that runs only async-signal-safe code (process_child.c). It is
// the subreaper of the program (prctl(2)): whatever the program starts stays below it, also after
// setsid() and a double fork. When the program has ended, or is to be killed, or the worker has
// died, the warden kills and reaps until it has no child left; only then does it report. So the end
// report means that no process is left, and with them no writer of the program's pipes.
//
// Loop thread only. Used by the handlers exec, stream and plugin.
#ifndef CRESS_WORKER_HANDLER_PROCESS_H
#define CRESS_WORKER_HANDLER_PROCESS_H

#include "common/config/config.h"

#include <sys/types.h>
#include <uv.h>

enum { CRESS_PROCESS_FDS = 4 };

struct cress_process_spec {
    const char *const *argv;                /* ends with NULL; argv[0] is the path of the program */
    const char *const *env;                 /* ends with NULL */
    const char *folder;                     /* where it runs; NULL: where the worker does */
    const struct cress_task_config *limits; /* memory_max … processes_max */
    /* Become its descriptors 0 to 3; -1: /dev/null, and none for 3. They stay the caller's, who
     * closes them after the start. Descriptors of the worker are never inherited. */
    int fds[CRESS_PROCESS_FDS];
};

/* How it ended. */
struct cress_process_end {
    int exec_errno; /* not 0: the program could not be started, and the rest means nothing */
    bool lost;      /* the warden was killed; nothing is known */
    int status;     /* as from waitpid(2), of the program itself */
    int64_t cpu_ms, rss_bytes; /* processor time and greatest memory of any of its processes */
};

/* What a report says; travels through a pipe in one write. */
struct cress_process_report {
    pid_t pid; /* of the program */
    bool ended;
    struct cress_process_end end;
};

struct cress_process {
    pid_t warden;
    pid_t pid; /* of the program, for looking at its memory; 0: not known yet */
    void (*ended)(struct cress_process *process, const struct cress_process_end *end, void *arg);
    void *arg;
    uv_pipe_t reports; /* from here on: process.c */
    struct cress_process_report last, incoming;
    size_t received; /* of the incoming one */
};

/* Starts a program. `process` is the caller's and lives until `ended`, which is called once, later,
 * and after which nothing of it is left, in the system or on the loop. Errors (`ended` is not
 * called then): CRESS_TEMPORARY when the system has no process or descriptor left. */
CRESS_MUST_CHECK enum cress_status cress_process_start(
    uv_loop_t *loop, const struct cress_process_spec *spec,
    void (*ended)(struct cress_process *process, const struct cress_process_end *end, void *arg),
    void *arg, struct cress_process *process, struct cress_error *err);

/* Asks the program's group to end: SIGTERM. */
void cress_process_ask(const struct cress_process *process);

/* Kills the program and all that it started: SIGKILL. */
void cress_process_kill(const struct cress_process *process);

#endif
