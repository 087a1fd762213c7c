// SPDX-License-Identifier: Apache-2.0
// Loading: defaults, then the file, then the environment, then flags, each over what was there
// before.
#include "common/config/option.h"

#include "common/base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- flags --- */

/* The flags as they came; they point into argv. NULL: not given. */
struct flags {
    const char *file;
    const char *values[CRESS_OPTION_COUNT];
};

/* If `argument` is --<flag> or --<flag>=VALUE: true, and `*value` is behind the = or NULL. */
static bool is_flag(const struct cress_option *option, enum cress_program program,
                    const char *argument, const char **value)
{
    if (!option->flag || !strchr(option->programs, (int)program) ||
        strncmp(argument, "--", 2) != 0) {
        return false;
    }
    const size_t size = strlen(option->flag);
    if (strncmp(argument + 2, option->flag, size) != 0) {
        return false;
    }
    const char *rest = argument + 2 + size;
    *value = *rest == '=' ? rest + 1 : NULL;
    return *rest == '=' || *rest == '\0';
}

/* Where the value of the flag `argument` belongs; NULL: it is none of ours. */
static const char **find_flag(enum cress_program program, const char *argument, struct flags *flags,
                              const struct cress_option **option, const char **value)
{
    if (is_flag(&cress_config_option, program, argument, value)) {
        *option = &cress_config_option;
        return &flags->file;
    }
    for (size_t i = 0; i < CRESS_OPTION_COUNT; i++) {
        if (is_flag(&cress_options[i], program, argument, value)) {
            *option = &cress_options[i];
            return &flags->values[i];
        }
    }
    return NULL;
}

/* `*value` is what came with the flag itself, `next` the argument after it; may be NULL. Sets
 * `*took_next`. */
static enum cress_status complete_flag(const struct cress_option *option, const char *next,
                                       const char **value, bool *took_next, struct cress_error *err)
{
    *took_next = false;
    if (option->type == CRESS_TYPE_BOOL) {
        if (*value) {
            return cress_error_set(err, CRESS_USAGE, NULL, "--%s takes no value", option->flag);
        }
        *value = "true";
    } else if (!*value) {
        if (!next) {
            return cress_error_set(err, CRESS_USAGE, NULL, "--%s needs a value", option->flag);
        }
        *value = next;
        *took_next = true;
    }
    return CRESS_OK;
}

static enum cress_status take_flags(enum cress_program program, int *argc, char **argv,
                                    struct flags *flags, struct cress_error *err)
{
    int kept = *argc > 0 ? 1 : 0;
    int i = kept;
    for (; i < *argc && strcmp(argv[i], "--") != 0; i++) {
        const struct cress_option *option;
        const char *value;
        const char **place = find_flag(program, argv[i], flags, &option, &value);
        if (!place) {
            argv[kept++] = argv[i];
            continue;
        }
        bool took_next;
        const enum cress_status status =
            complete_flag(option, i + 1 < *argc ? argv[i + 1] : NULL, &value, &took_next, err);
        if (status != CRESS_OK) {
            return status;
        }
        *place = value;
        i += took_next;
    }
    while (i < *argc) {
        argv[kept++] = argv[i++];
    }
    if (kept < *argc) {
        argv[kept] = NULL;
    }
    *argc = kept;
    return CRESS_OK;
}

static enum cress_status apply_flags(struct cress_config *config, const struct flags *flags,
                                     struct cress_error *err)
{
    for (size_t i = 0; i < CRESS_OPTION_COUNT; i++) {
        if (!flags->values[i]) {
            continue;
        }
        const struct cress_slot slot = cress_config_slot(config, i);
        char *origin = cress_format("flag --%s", slot.option->flag);
        const enum cress_status status = cress_slot_set(&slot, flags->values[i], origin, err);
        free(origin);
        if (status != CRESS_OK) {
            if (err) {
                err->status = CRESS_USAGE;
            }
            return CRESS_USAGE;
        }
    }
    return CRESS_OK;
}

/* --- environment --- */

/* NULL when it is not set, or empty. */
static const char *get_variable(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static enum cress_status apply_environment(struct cress_config *config, struct cress_error *err)
{
    for (size_t i = 0; i < CRESS_OPTION_COUNT; i++) {
        const struct cress_slot slot = cress_config_slot(config, i);
        const char *value = get_variable(slot.option->env);
        if (!value) {
            continue;
        }
        char *origin = cress_format("environment %s", slot.option->env);
        const enum cress_status status = cress_slot_set(&slot, value, origin, err);
        free(origin);
        if (status != CRESS_OK) {
            return status;
        }
    }
    return CRESS_OK;
}

/* --- files --- */

/* Reads the file at `path`; one that is not there is an error only if it `must_exist`. */
static enum cress_status read_path(struct cress_config *config, const char *path, bool must_exist,
                                   bool *found, struct cress_error *err)
{
    FILE *file = fopen(path, "re");
    *found = file != NULL;
    if (!file) {
        if (!must_exist && (errno == ENOENT || errno == ENOTDIR)) {
            return CRESS_OK;
        }
        return cress_error_set(err, CRESS_CONFIG, NULL, "cannot read the configuration file %s: %s",
                               path, strerror(errno));
    }
    const enum cress_status status = cress_config_read(config, file, path, err);
    fclose(file);
    return status;
}

static char *user_path(void)
{
    const char *folder = get_variable("XDG_CONFIG_HOME");
    if (folder) {
        return cress_format("%s/cress/cress.conf", folder);
    }
    const char *home = get_variable("HOME");
    return home ? cress_format("%s/.config/cress/cress.conf", home) : NULL;
}

static enum cress_status read_usual_file(struct cress_config *config, struct cress_error *err)
{
    char *user = user_path();
    const char *const paths[] = {"cress.conf", user, "/etc/cress/cress.conf"};
    enum cress_status status = CRESS_OK;
    bool found = false;
    for (size_t i = 0; i < CRESS_COUNT(paths) && status == CRESS_OK && !found; i++) {
        if (paths[i]) {
            status = read_path(config, paths[i], false, &found, err);
        }
    }
    free(user);
    return status;
}

static enum cress_status apply_file(struct cress_config *config, const struct flags *flags,
                                    struct cress_error *err)
{
    const char *path = flags->file ? flags->file : get_variable(cress_config_option.env);
    bool found;
    return path ? read_path(config, path, true, &found, err) : read_usual_file(config, err);
}

enum cress_status cress_config_load(enum cress_program program, int *argc, char **argv,
                                    struct cress_config **out, struct cress_error *err)
{
    struct flags flags = {0};
    enum cress_status status = take_flags(program, argc, argv, &flags, err);
    if (status != CRESS_OK) {
        return status;
    }
    struct cress_config *config = cress_config_make();
    status = apply_file(config, &flags, err);
    if (status == CRESS_OK) {
        status = apply_environment(config, err);
    }
    if (status == CRESS_OK) {
        status = apply_flags(config, &flags, err);
    }
    if (status != CRESS_OK) {
        cress_config_free(config);
        return status;
    }
    *out = config;
    return CRESS_OK;
}
