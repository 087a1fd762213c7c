// SPDX-License-Identifier: Apache-2.0
// The tasks that the configuration describes ([task NAME]), and their change while jobs run.
//
// A task is found by its section, else by its built-in handler, else by the section [task *]. A
// changed configuration replaces the tasks whose sections differ; the old ones are closed when
// their last run has ended, and the others stay as they are, with their processes. Loop thread
// only.
#ifndef CRESS_WORKER_HANDLER_TASKS_H
#define CRESS_WORKER_HANDLER_TASKS_H

#include "worker/handler/handler.h"

struct cress_tasks;

/* Whether all sections can work; CRESS_CONFIG names the section. Starts nothing. */
CRESS_MUST_CHECK enum cress_status cress_tasks_check(const struct cress_config *config,
                                                     struct cress_error *err);

/* The tasks of services->config, which was checked. It must outlive them. */
struct cress_tasks *cress_tasks_open(const struct cress_services *services);

/* Goes over from configuration `before` to `after`, which was checked. Both must outlive the tasks:
 * those that did not change still use `before`. */
void cress_tasks_reload(struct cress_tasks *tasks, const struct cress_config *before,
                        const struct cress_config *after);

/* What runs `name`, or NULL. `*task` is NULL for a built-in task without a section. */
const struct cress_handler *cress_tasks_find(const struct cress_tasks *tasks, const char *name,
                                             struct cress_task **task);

/* A run begins, and ends. `task` may be NULL. */
void cress_task_hold(struct cress_task *task);
void cress_task_release(struct cress_task *task);

/* Appends the names of all tasks that the worker has, separated by ", ". */
void cress_tasks_list(const struct cress_tasks *tasks, struct cress_buf *out);

/* Closes all and frees; no run is left but those that are given up. */
void cress_tasks_close(struct cress_tasks *tasks, void (*closed)(void *arg), void *arg);

#endif
