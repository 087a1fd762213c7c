// SPDX-License-Identifier: Apache-2.0
// Reading a worker's settings; see settings.h.
#include "worker/settings.h"

#include "common/base/mem.h"
#include "common/http/guard.h"
#include "common/job/job.h"
#include "common/schedule/plan.h"
#include "worker/handler/tasks.h"
#include "worker/worker.h"

#include <stdlib.h>
#include <string.h>

/* --- arguments --- */

/* The flags that describe a task: --exec 'tr a-z A-Z' and so on. */
static const struct kind {
    const char *flag, *key;
    bool is_command;
} kinds[] = {
    {"exec", "command", true},
    {"stream", "command", true},
    {"http", "url", false},
    {"plugin", "file", false},
};

struct own_task {
    const struct kind *kind; /* NULL: none */
    const char *value;
    const char *name; /* NULL: any task */
};

/* If argument `*at` is --<flag> VALUE or --<flag>=VALUE: true, `*value` is set, and `*at` is the
 * last argument that belongs to it. */
static bool take_flag(int argc, char **argv, int *at, const char *flag, const char **value)
{
    const char *argument = argv[*at];
    const size_t size = strlen(flag);
    if (strncmp(argument, "--", 2) != 0 || strncmp(argument + 2, flag, size) != 0) {
        return false;
    }
    if (argument[2 + size] == '=') {
        *value = argument + 2 + size + 1;
        return true;
    }
    if (argument[2 + size] != '\0') {
        return false;
    }
    *value = *at + 1 < argc ? argv[++*at] : NULL;
    return true;
}

static const struct kind *take_kind(int argc, char **argv, int *at, const char **value)
{
    for (size_t i = 0; i < CRESS_COUNT(kinds); i++) {
        if (take_flag(argc, argv, at, kinds[i].flag, value)) {
            return &kinds[i];
        }
    }
    return NULL;
}

static enum cress_status take_argument(int argc, char **argv, int *at, struct own_task *own,
                                       struct cress_settings *settings, struct cress_error *err)
{
    const char *argument = argv[*at];
    const char *value = "";
    const struct kind *kind = take_kind(argc, argv, at, &value);
    if (kind && own->kind) {
        return cress_error_set(err, CRESS_USAGE, NULL,
                               "only one of --exec, --stream, --http and --plugin; several tasks "
                               "belong into the configuration file");
    }
    if (kind) {
        own->kind = kind;
        own->value = value;
    } else if (take_flag(argc, argv, at, "task", &value)) {
        own->name = value;
    } else if (take_flag(argc, argv, at, "compare", &value)) {
        settings->compare = value;
    } else if (strcmp(argument, "--check-config") == 0) {
        settings->check_only = true;
    } else {
        return cress_error_set(err, CRESS_USAGE, NULL, "unexpected argument %s; see --help",
                               argument);
    }
    return value ? CRESS_OK : cress_error_set(err, CRESS_USAGE, NULL, "%s needs a value", argument);
}

static enum cress_status add_own_task(struct cress_config *config, const struct own_task *own,
                                      struct cress_error *err)
{
    const char *name = own->name ? own->name : "*";
    char *origin = cress_format("flag --%s", own->kind->flag);
    enum cress_status status =
        cress_config_set_task(config, name, "handler", own->kind->flag, origin, err);
    if (status == CRESS_OK) {
        status = cress_config_set_task(config, name, own->kind->key, own->value, origin, err);
    }
    if (status == CRESS_OK && own->kind->is_command) { /* it was written for a shell */
        status = cress_config_set_task(config, name, "shell", "true", origin, err);
    }
    free(origin);
    return status;
}

/* `argv` is what the configuration has left over. */
static enum cress_status take_arguments(int argc, char **argv, struct cress_settings *settings,
                                        struct cress_error *err)
{
    struct own_task own = {NULL, NULL, NULL};
    for (int i = 1; i < argc; i++) {
        const enum cress_status status = take_argument(argc, argv, &i, &own, settings, err);
        if (status != CRESS_OK) {
            return status;
        }
    }
    settings->has_own_task = own.kind;
    if (settings->compare && !settings->check_only) {
        return cress_error_set(err, CRESS_USAGE, NULL, "--compare goes with --check-config");
    }
    if (own.name && !own.kind) {
        return cress_error_set(err, CRESS_USAGE, NULL,
                               "--task goes with --exec, --stream, --http or --plugin");
    }
    return own.kind ? add_own_task(settings->config, &own, err) : CRESS_OK;
}

/* --- what the types of the options do not say --- */

/* A queue that someone else owns may have any name. */
static enum cress_status check_queues(const struct cress_config *config, struct cress_error *err)
{
    char *const *names = config->worker_queues;
    if (!names[0]) {
        return cress_error_set(err, CRESS_CONFIG, NULL, "worker.queues names no queue");
    }
    for (; *names; names++) {
        struct cress_error why;
        if (!cress_config_is_passive(config, *names) &&
            cress_queue_name_check(*names, &why) != CRESS_OK) {
            return cress_error_set(err, CRESS_CONFIG, NULL, "worker.queues: %s", why.message);
        }
    }
    return CRESS_OK;
}

static enum cress_status check_values(const struct cress_config *config, struct cress_error *err)
{
    struct cress_guard *guard;
    struct cress_error why;
    if (cress_guard_make(config->render_allow, &guard, &why) != CRESS_OK) {
        return cress_error_set(err, CRESS_CONFIG, NULL, "render.allow: %s", why.message);
    }
    cress_guard_free(guard);
    const enum cress_status status = check_queues(config, err);
    return status == CRESS_OK ? cress_plans_check(config, err) : status;
}

/* `file`, unless NULL, is read instead of the one that the arguments name. The last flag counts. */
static enum cress_status load(const struct cress_arguments *arguments, const char *file,
                              struct cress_settings *settings, struct cress_error *err)
{
    int argc = arguments->argc;
    char **argv = cress_alloc(((size_t)argc + 2) * sizeof(*argv));
    char *flag = file ? cress_format("--config=%s", file) : NULL;
    memcpy(argv, arguments->argv, (size_t)argc * sizeof(*argv));
    if (flag) {
        argv[argc++] = flag;
    }
    enum cress_status status =
        cress_config_load(CRESS_PROGRAM_WORKER, &argc, argv, &settings->config, err);
    if (status == CRESS_OK) {
        status = take_arguments(argc, argv, settings, err);
    }
    free(flag);
    free(argv);
    return status;
}

enum cress_status cress_settings_load(const struct cress_arguments *arguments,
                                      struct cress_settings *out, struct cress_error *err)
{
    struct cress_settings settings = {.config = NULL};
    enum cress_status status = load(arguments, NULL, &settings, err);
    if (status == CRESS_OK) {
        status = cress_tasks_check(settings.config, err);
    }
    if (status == CRESS_OK) {
        status = check_values(settings.config, err);
    }
    if (status != CRESS_OK) {
        cress_config_free(settings.config);
        return status;
    }
    *out = settings;
    return CRESS_OK;
}

/* --- --check-config --- */

static const char *when(const char *section, const char *key)
{
    return cress_worker_is_live(section, key) ? "SIGHUP takes it over" : "needs a restart";
}

static void print_cb(const char *section, const char *key, const char *value, const char *origin,
                     const char *help, void *arg)
{
    (void)help;
    if (strcmp(origin, "default") != 0) {
        fprintf(arg, "%s.%s = %s (%s; %s)\n", section, key, value, origin, when(section, key));
    }
}

void cress_settings_print(const struct cress_config *config, FILE *out)
{
    cress_config_show(config, print_cb, out);
    fputs("the configuration is good\n", out);
}

static void compare_cb(const char *section, const char *key, const char *before, const char *after,
                       void *arg)
{
    static const char none[] = "(no section)";
    fprintf(arg, "%s.%s: %s -> %s (%s)\n", section, key, before ? before : none,
            after ? after : none, when(section, key));
}

enum cress_status cress_settings_compare(const struct cress_arguments *arguments,
                                         const struct cress_settings *settings, FILE *out,
                                         struct cress_error *err)
{
    struct cress_settings before = {.config = NULL};
    const enum cress_status status = load(arguments, settings->compare, &before, err);
    if (status == CRESS_OK) {
        cress_config_diff(before.config, settings->config, compare_cb, out);
        fputs("the configuration is good\n", out);
    }
    cress_config_free(before.config);
    return status;
}
