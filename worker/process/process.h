// SPDX-License-Identifier: Apache-2.0
// A program of somebody else, run so that nothing of it is left: limits, a session of its own, and
// the end of all its descendants.
//
// DESIGN
//
//   worker --fork--> warden --clone, limits, exec--> program --> whatever it starts
//     |  ^             ^ |
//     |  +-- report ---|-+    {wait status, time, memory}
//     +----- orders ---+      start, with what stands in shared memory and descriptors; ask; kill
//
// A warden is a fork of the worker that runs only async-signal-safe code (warden.c). It is the
// subreaper of its program (prctl(2)): whatever that starts stays below it, also after setsid() and
// a double fork. When the program has ended, or is to be killed, or the worker has died, the warden
// kills and reaps until it has no child left; only then does it report. So the end report means
// that no process is left, and with them no writer of the program's pipes.
//
// A warden serves one program at a time, for only then is every orphan its program's, and after it
// the next: to make a warden copies the worker's memory map, which costs more than all else that is
// done for a small program. Idle ones end after a while.
//
// Loop thread only.
#ifndef CRESS_WORKER_PROCESS_PROCESS_H
#define CRESS_WORKER_PROCESS_PROCESS_H

#include "common/base/list.h"
#include "common/base/status.h"
#include "worker/process/program.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

struct cress_process_spec {
    const char *const *argv; /* ends with NULL; argv[0] is the path of the program */
    const char *const *env;  /* ends with NULL */
    const char *folder;      /* where it runs; NULL: where the worker does */
    struct cress_process_limits limits;
    /* Become its descriptors 0, 1, 2, …; -1: /dev/null for the first three, and none for others.
     * They stay the caller's, who closes them after the start. Descriptors of the worker are never
     * inherited. */
    const int *fds;
    size_t fd_count;
    /* Stays open in the warden until nothing of the program is left, even if the worker dies: a
     * lock of what the program uses. -1: none. */
    int lock_fd;
};

struct cress_wardens;
struct cress_warden;

/* The caller's; see cress_process_start(). */
struct cress_process {
    struct cress_warden *warden; /* NULL: it has ended */
    void (*ended)(struct cress_process *process, const struct cress_process_end *end, void *arg);
    void *arg;
};

/* No process yet. */
struct cress_wardens *cress_wardens_open(uv_loop_t *loop);

/* Ends wardens as they become idle; `closed`, which comes later, is told when none is left. No
 * program is started any more. */
void cress_wardens_close(struct cress_wardens *wardens, void (*closed)(void *arg), void *arg);

/* Starts a program. `process` lives until `ended`, which is called once, later, and after which
 * nothing of the program is left. Errors (`ended` is not called then): CRESS_TEMPORARY when the
 * system has no process or descriptor left, CRESS_TOO_LARGE for arguments and environment that no
 * program could be given. */
CRESS_MUST_CHECK enum cress_status cress_process_start(
    struct cress_wardens *wardens, const struct cress_process_spec *spec,
    void (*ended)(struct cress_process *process, const struct cress_process_end *end, void *arg),
    void *arg, struct cress_process *process, struct cress_error *err);

/* Of the program, for looking at it in /proc; 0: not started yet, or ended. */
pid_t cress_process_pid(const struct cress_process *process);

/* Asks the program's group to end: SIGTERM. */
void cress_process_ask(const struct cress_process *process);

/* Kills the program and all that it started: SIGKILL. */
void cress_process_kill(const struct cress_process *process);

#endif
