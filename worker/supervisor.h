// SPDX-License-Identifier: Apache-2.0
// Several worker processes under one parent (--processes N).
//
// DESIGN
// The parent forks the workers before it has threads or a loop, and then only waits for signals:
// one that dies is forked again, after a backoff when it had not lived long; SIGTERM and SIGINT are
// passed on as SIGTERM, each time, so that a second one means to the workers what it means to a
// single one; SIGHUP is passed on too. Workers have process groups of their own: the terminal's ^C
// reaches the parent alone and is not counted twice. A pipe that only the parent holds open tells
// the workers when the parent is killed: they then stop as on SIGTERM.
#ifndef CRESS_WORKER_SUPERVISOR_H
#define CRESS_WORKER_SUPERVISOR_H

#include <stdint.h>

/* Runs `worker` in `processes` children until SIGTERM or SIGINT and the end of them all. `worker`
 * gets the descriptor that reads end-of-file when the parent is gone, and returns the child's exit
 * status. Returns the exit status of the parent: 0, or 1 when a worker did not end well after being
 * told to stop. */
int cress_supervise(int processes, int (*worker)(int parent_fd, void *arg), void *arg);

/* How long a worker that died after `lived_ms` is left dead; `deaths` counts short lives in a row,
 * this one included. */
int64_t cress_supervisor_pause_ms(int64_t lived_ms, unsigned deaths, uint64_t random);

#endif
