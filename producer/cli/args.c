// SPDX-License-Identifier: Apache-2.0
// Options and operands; see args.h.
#include "producer/cli/args.h"

#include "common/base/clock.h"
#include "common/base/text.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { NAME_MAX_BYTES = 64, LIST_MAX_BYTES = 128 };

static void add_table(struct cress_args *args, const struct cress_flag *flag)
{
    for (; flag && flag->name; flag++) {
        assert(args->value_count < CRESS_FLAGS_MAX);
        args->values[args->value_count++] = (struct cress_flag_value){.flag = flag};
    }
}

static struct cress_flag_value *find_given(struct cress_args *args, const char *name, size_t size)
{
    for (size_t i = 0; i < args->value_count; i++) {
        const char *candidate = args->values[i].flag->name;
        if (strncmp(candidate, name, size) == 0 && candidate[size] == '\0') {
            return &args->values[i];
        }
    }
    return NULL;
}

static struct cress_flag_value *find_letter(struct cress_args *args, char letter)
{
    for (size_t i = 0; i < args->value_count; i++) {
        if (args->values[i].flag->letter == letter) {
            return &args->values[i];
        }
    }
    return NULL;
}

/* `word` begins with a dash; `size` is what of it stands before a "=". */
static struct cress_flag_value *find_option(struct cress_args *args, const char *word, size_t size)
{
    if (word[1] != '-') {
        return size == 2 ? find_letter(args, word[1]) : NULL;
    }
    return size > 2 ? find_given(args, word + 2, size - 2) : NULL;
}

static enum cress_status refuse_unknown_flag(const struct cress_args *args, const char *word,
                                             int size, struct cress_error *err)
{
    const char *names[CRESS_FLAGS_MAX + 1] = {NULL};
    for (size_t i = 0; i < args->value_count; i++) {
        names[i] = args->values[i].flag->name;
    }
    char name[NAME_MAX_BYTES];
    snprintf(name, sizeof name, "%.*s", size - 2, word + 2);
    const char *closest = word[1] == '-' ? cress_text_closest(name, names) : NULL;
    if (closest) {
        return cress_error_set(err, CRESS_USAGE, "unknown_option",
                               "unknown option %.*s, did you mean --%s?", size, word, closest);
    }
    return cress_error_set(err, CRESS_USAGE, "unknown_option",
                           "unknown option %.*s (words that begin with a dash go behind --)", size,
                           word);
}

static enum cress_status read_word(struct cress_flag_value *value, struct cress_error *err)
{
    char list[LIST_MAX_BYTES] = "";
    for (const char *const *word = value->flag->words; *word; word++) {
        if (strcmp(*word, value->text) == 0) {
            return CRESS_OK;
        }
        const size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", used ? ", " : "", *word);
    }
    return cress_error_set(err, CRESS_USAGE, "bad_option", "--%s: \"%s\" is none of %s",
                           value->flag->name, value->text, list);
}

static enum cress_status read_number_flag(struct cress_flag_value *value, struct cress_error *err)
{
    const struct cress_flag *flag = value->flag;
    if (!cress_text_to_int(value->text, &value->number) || value->number < flag->min ||
        value->number > flag->max) {
        return cress_error_set(err, CRESS_USAGE, "bad_option",
                               "--%s: \"%s\" is no number from %" PRId64 " to %" PRId64, flag->name,
                               value->text, flag->min, flag->max);
    }
    return CRESS_OK;
}

static enum cress_status read_flag_value(struct cress_flag_value *value, struct cress_error *err)
{
    enum cress_status status = CRESS_OK;
    switch (value->flag->kind) {
    case CRESS_FLAG_WORD:
        return read_word(value, err);
    case CRESS_FLAG_NUMBER:
        return read_number_flag(value, err);
    case CRESS_FLAG_DURATION:
        status = cress_duration_parse(value->text, &value->number, err);
        break;
    case CRESS_FLAG_TIME:
        status = cress_time_parse(value->text, &value->number, err);
        break;
    case CRESS_FLAG_SWITCH:
    case CRESS_FLAG_TEXT:
        break;
    }
    if (status != CRESS_OK) {
        cress_error_prefix(err, "--%s", value->flag->name);
        err->status = CRESS_USAGE;
    }
    return status == CRESS_OK ? CRESS_OK : CRESS_USAGE;
}

/* Takes the option at argv[*at] and moves `*at` to the last word that belongs to it. */
static enum cress_status take_option(struct cress_args *args, int argc, char **argv, int *at,
                                     struct cress_error *err)
{
    const char *word = argv[*at];
    const size_t size = strcspn(word, "=");
    const char *given = word[size] == '=' ? word + size + 1 : NULL;
    struct cress_flag_value *value = find_option(args, word, size);
    if (!value) {
        return refuse_unknown_flag(args, word, (int)size, err);
    }
    const struct cress_flag *flag = value->flag;
    if (flag->kind == CRESS_FLAG_SWITCH && given) {
        return cress_error_set(err, CRESS_USAGE, "bad_option", "--%s takes no value", flag->name);
    }
    if (flag->kind != CRESS_FLAG_SWITCH && !flag->optional && !given) {
        if (*at + 1 >= argc) {
            return cress_error_set(err, CRESS_USAGE, "bad_option", "--%s needs a value: --%s %s",
                                   flag->name, flag->name, flag->value);
        }
        given = argv[++*at];
    }
    if (flag->is_list && value->given) {
        return cress_error_set(err, CRESS_USAGE, "bad_option",
                               "--%s is given twice: put commas between its values instead",
                               flag->name);
    }
    value->given = true;
    value->text = given;
    value->number = 0;
    return given ? read_flag_value(value, err) : CRESS_OK;
}

enum cress_status cress_args_parse(const struct cress_flag *own, const struct cress_flag *common,
                                   int argc, char **argv, struct cress_args *args,
                                   struct cress_error *err)
{
    struct cress_args found = {.operands = argv};
    add_table(&found, own);
    add_table(&found, common);
    bool options_ended = false;
    for (int i = 0; i < argc; i++) {
        if (options_ended || argv[i][0] != '-' || argv[i][1] == '\0') {
            argv[found.operand_count++] = argv[i];
        } else if (strcmp(argv[i], "--") == 0) {
            options_ended = true;
        } else {
            const enum cress_status status = take_option(&found, argc, argv, &i, err);
            if (status != CRESS_OK) {
                return status;
            }
        }
    }
    *args = found;
    return CRESS_OK;
}

static const struct cress_flag_value *value_of(const struct cress_args *args, const char *name)
{
    for (size_t i = 0; i < args->value_count; i++) {
        if (strcmp(args->values[i].flag->name, name) == 0) {
            return &args->values[i];
        }
    }
    assert(!"an option that is in no table");
    return NULL;
}

bool cress_args_has(const struct cress_args *args, const char *name)
{
    return value_of(args, name)->given;
}

const char *cress_args_text(const struct cress_args *args, const char *name)
{
    return value_of(args, name)->text;
}

int64_t cress_args_number(const struct cress_args *args, const char *name, int64_t fallback)
{
    const struct cress_flag_value *value = value_of(args, name);
    return value->text ? value->number : fallback;
}
