// SPDX-License-Identifier: Apache-2.0
// Configuration: defaults < cress.conf < environment < flags, all from the table options.def.
//
// The file is ini (inih): [section] and key = value. A line that begins with # or ; is a comment,
// and so is the rest of a line after a blank and ;. An indented line continues the list or JSON above
// it; a line has at most 198 bytes. It is the one named by --config or CRESS_CONFIG (which must exist),
// else the first of ./cress.conf, $XDG_CONFIG_HOME/cress/cress.conf
// (~/.config/cress/cress.conf) and /etc/cress/cress.conf that exists. An unknown key, a wrong type
// or a value out of range is an error that names file, line, key and what is allowed; nothing is
// guessed. A variable that is set but empty counts as not set.
//
// Loaded once, then read-only: any thread may read.
#ifndef CRESS_CONFIG_CONFIG_H
#define CRESS_CONFIG_CONFIG_H

#include "common/base/backoff.h"
#include "common/base/status.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* So many in each span of that length, wherever the span begins. */
struct cress_rate {
    int64_t count; /* 0: no limit */
    int64_t period_ms;
};

#define CRESS_CONFIG_STRING char *
#define CRESS_CONFIG_SECRET char *
#define CRESS_CONFIG_URL    char *
#define CRESS_CONFIG_URLS   char *
#define CRESS_CONFIG_ENUM   char *
#define CRESS_CONFIG_JSON   char *
#define CRESS_CONFIG_LIST   char ** /* ends with NULL */
#define CRESS_CONFIG_INT    int64_t
#define CRESS_CONFIG_BOOL   bool
#define CRESS_CONFIG_MS     int64_t
#define CRESS_CONFIG_BYTES  int64_t
#define CRESS_CONFIG_RATE   struct cress_rate

/* A [queue NAME] section. */
struct cress_queue_config {
    char *name;
#define CRESS_QUEUE_OPTION(field, type, key, fallback, allowed, help) CRESS_CONFIG_##type field;
#include "common/config/queue_options.def"
#undef CRESS_QUEUE_OPTION
};

/* A [task NAME] section. NAME "*" is for any task that has no section and is not built in. */
struct cress_task_config {
    char *name;
#define CRESS_TASK_OPTION(field, type, key, fallback, allowed, help) CRESS_CONFIG_##type field;
#include "common/config/task_options.def"
#undef CRESS_TASK_OPTION
};

/* A [schedule NAME] section. */
struct cress_schedule_config {
    char *name;
#define CRESS_SCHEDULE_OPTION(field, type, key, fallback, allowed, help) CRESS_CONFIG_##type field;
#include "common/config/schedule_options.def"
#undef CRESS_SCHEDULE_OPTION
};

struct cress_config {
#define CRESS_OPTION(field, type, section, key, env, flag, programs, fallback, allowed, help) \
    CRESS_CONFIG_##type field;
#include "common/config/options.def"
#undef CRESS_OPTION
    struct cress_queue_config *queues; /* always holds `default` */
    size_t queue_count;
    struct cress_task_config *tasks;
    size_t task_count;
    struct cress_schedule_config *schedules;
    size_t schedule_count;
    struct cress_config_origins *origins; /* where each value came from; for cress_config_show() */
};

enum cress_program {
    CRESS_PROGRAM_CLI = 'C',
    CRESS_PROGRAM_GATEWAY = 'G',
    CRESS_PROGRAM_WORKER = 'W'
};

/* Loads everything. `argv` is scanned for the flags of `program` (--name VALUE or --name=VALUE, and
 * --config FILE); they are taken out, so that `*argc` and `argv` then hold the rest in order,
 * argv[0] included; "--" ends the scan. Errors: CRESS_CONFIG, CRESS_USAGE for a flag without its
 * value or with a wrong one. The caller frees with cress_config_free(). */
CRESS_MUST_CHECK enum cress_status cress_config_load(enum cress_program program, int *argc,
                                                     char **argv, struct cress_config **out,
                                                     struct cress_error *err);
void cress_config_free(struct cress_config *config);

/* The section of queue `name`, or NULL when the configuration does not name it. */
const struct cress_queue_config *cress_config_queue(const struct cress_config *config,
                                                    const char *name);

/* Whether queue `name` is someone else's: used as it is, and never declared. */
bool cress_config_is_passive(const struct cress_config *config, const char *name);

/* The section of task `name` itself ("*" for the one of all others), or NULL. */
const struct cress_task_config *cress_config_task(const struct cress_config *config,
                                                  const char *name);

/* The section of schedule `name`, or NULL. */
const struct cress_schedule_config *cress_config_schedule(const struct cress_config *config,
                                                          const char *name);

/* Where the value of `key` in the section of schedule `name` came from, such as "cress.conf:12";
 * for those who check what is in it. Both must exist. */
const char *cress_config_schedule_origin(const struct cress_config *config, const char *name,
                                         const char *key);

/* Sets `key` in the section of task `name` as a line of the file would, for programs whose
 * arguments describe a task; `origin` is what errors and cress_config_show() call it. Only before
 * anyone else reads the configuration. CRESS_CONFIG says what is wrong. */
CRESS_MUST_CHECK enum cress_status cress_config_set_task(struct cress_config *config,
                                                         const char *name, const char *key,
                                                         const char *value, const char *origin,
                                                         struct cress_error *err);

/* What applies to a job that names none of these itself: what its task's section (may be NULL)
 * says, else [job]. */
struct cress_job_limits {
    int max_attempts;
    int64_t timeout_ms;
    struct cress_backoff backoff;
};
struct cress_job_limits cress_config_limits(const struct cress_config *config,
                                            const struct cress_task_config *task);

/* Calls `each` for every value that differs between two configurations, secrets masked. A value of
 * a section that only one of them has is NULL in the other, and named only when it is not the
 * default. */
void cress_config_diff(const struct cress_config *before, const struct cress_config *after,
                       void (*each)(const char *section, const char *key, const char *before,
                                    const char *after, void *arg),
                       void *arg);

/* Calls `each` for every option in the order of the table, then for those of the named sections.
 * `value` is as it would be written in the file, secrets masked; `origin` says where it came from
 * ("default", "cress.conf:12", "environment CRESS_STORE_URL", "flag --listen"). */
void cress_config_show(const struct cress_config *config,
                       void (*each)(const char *section, const char *key, const char *value,
                                    const char *origin, const char *help, void *arg),
                       void *arg);

/* Writes the flags of `program` for its --help, one a line, aligned, with the default. */
void cress_config_print_flags(enum cress_program program, FILE *out);

/* Writes the reference page of all options as Markdown: the source of docs/configuration.md. */
void cress_config_print_reference(FILE *out);

#endif
