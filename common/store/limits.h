// SPDX-License-Identifier: Apache-2.0
// Limits of a task across all workers: how many of its jobs may start in a time, and run at once.
// They are enforced by scripts/admit.lua when a job is to start. Loop thread only, as all of the
// store.
#ifndef CRESS_STORE_LIMITS_H
#define CRESS_STORE_LIMITS_H

#include "common/config/config.h"
#include "common/job/job.h"
#include "common/store/store.h"

/* What cress_store_start() must know of the limits of `job`, whose task's section is `task` (may be
 * NULL): a text to be freed, or NULL when there are none. `job` must have its timeout. */
char *cress_limits_text(const struct cress_task_config *task, const struct cress_job *job);

/* The limits of `task`, for cress_store_beat(); to be freed, or NULL when the section has none and
 * never had any that matter. */
char *cress_limits_words(const struct cress_task_config *task);

/* The turn of job `id` has come, as an answer to whatever was last asked of the store. With
 * `at_hand` the caller was told to keep it (CRESS_VERDICT_NEXT) and starts it now; else its message
 * is to be published, from its record, so that it can be kept or started by whoever gets it. One
 * that is not done is made up for, later. */
typedef void (*cress_store_turn_cb)(const char *id, bool at_hand, void *arg);

/* Who is told. Called from within the callbacks of commands. */
void cress_store_on_turn(struct cress_store *store, cress_store_turn_cb on_turn, void *arg);

/* How the limits of all tasks are used, or those of `task` (not NULL) with its keys: for each task a
 * JSON text, sorted by name; docs/http-api.md has its members. A task is known once a job of it was
 * to start within limits. */
void cress_store_limits(struct cress_store *store, const char *task, cress_store_results_cb done,
                        void *arg);

/* Where job `id` of `task` stands in the line of its `key` (NULL: it has none): a JSON text {"ahead",
 * "waiting", "running"}, jobs of its line before it and in all, and those of the task that run now; no
 * text when it is in no line. */
void cress_store_line(struct cress_store *store, const char *task, const char *key, const char *id,
                      cress_store_results_cb done, void *arg);

#endif
