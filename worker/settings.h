// SPDX-License-Identifier: Apache-2.0
// What a worker runs with: the configuration, and a task that its arguments describe (--exec, …).
#ifndef CRESS_WORKER_SETTINGS_H
#define CRESS_WORKER_SETTINGS_H

#include "common/config/config.h"

/* The program's arguments as they came. They are only read, so that they can be read again. */
struct cress_arguments {
    int argc;
    char **argv;
};

struct cress_settings {
    struct cress_config *config; /* its tasks are checked; the caller frees */
    bool has_own_task;           /* the arguments describe one */
    bool check_only;             /* --check-config */
    const char *compare;         /* --compare, an argument; NULL: not given */
};

/* Reads everything. Errors: CRESS_CONFIG, CRESS_USAGE. */
CRESS_MUST_CHECK enum cress_status cress_settings_load(const struct cress_arguments *arguments,
                                                       struct cress_settings *out,
                                                       struct cress_error *err);

/* Writes what differs from the defaults, where that comes from, and whether a running worker would
 * take it over: the answer to --check-config. */
void cress_settings_print(const struct cress_config *config, FILE *out);

/* Writes what a worker that runs with the file settings->compare, and `arguments` else, would take
 * over at SIGHUP, and what only after a restart. Errors: as cress_settings_load(), of that file. */
CRESS_MUST_CHECK enum cress_status cress_settings_compare(const struct cress_arguments *arguments,
                                                          const struct cress_settings *settings,
                                                          FILE *out, struct cress_error *err);

#endif
