// SPDX-License-Identifier: Apache-2.0
// The tables of options shown to people: values with their origins, flags for --help, and the
// reference page.
#include "common/config/option.h"

#include "common/base/mem.h"

#include <stdlib.h>
#include <string.h>

typedef void (*show_cb)(const char *section, const char *key, const char *value, const char *origin,
                        const char *help, void *arg);

typedef void (*diff_cb)(const char *section, const char *key, const char *before, const char *after,
                        void *arg);

static void show_slot(const struct cress_slot *slot, const char *section, show_cb each, void *arg)
{
    char *value = cress_slot_format(slot, true);
    each(section, slot->option->key, value, *slot->origin, slot->option->help, arg);
    free(value);
}

static void show_section(struct cress_config *config, enum cress_kind kind, size_t index,
                         show_cb each, void *arg)
{
    char *section =
        cress_format("%s %s", cress_kinds[kind].word, cress_config_name(config, kind, index));
    for (size_t i = 0; i < cress_kinds[kind].option_count; i++) {
        const struct cress_slot slot = cress_config_named_slot(config, kind, index, i);
        show_slot(&slot, section, each, arg);
    }
    free(section);
}

void cress_config_show(const struct cress_config *config, show_cb each, void *arg)
{
    /* Slots serve writers too and are therefore not const; nothing is written here. */
    struct cress_config *shown = (struct cress_config *)config;
    for (size_t i = 0; i < CRESS_OPTION_COUNT; i++) {
        const struct cress_slot slot = cress_config_slot(shown, i);
        show_slot(&slot, slot.option->section, each, arg);
    }
    for (enum cress_kind kind = 0; kind < CRESS_KIND_COUNT; kind++) {
        for (size_t i = 0; i < cress_config_count(config, kind); i++) {
            show_section(shown, kind, i, each, arg);
        }
    }
}

/* --- differences --- */

/* One of them may have no option: its section does not exist. */
static void diff_slots(const struct cress_slot *before, const struct cress_slot *after,
                       const char *section, diff_cb each, void *arg)
{
    const struct cress_slot *either = after->option ? after : before;
    const bool both = before->option && after->option;
    if (!both && !cress_slot_is_set(either)) {
        return;
    }
    char *texts[] = {both ? cress_slot_format(before, false) : NULL,
                     both ? cress_slot_format(after, false) : NULL};
    if (!both || strcmp(texts[0], texts[1]) != 0) {
        char *from = before->option ? cress_slot_format(before, true) : NULL;
        char *to = after->option ? cress_slot_format(after, true) : NULL;
        each(section, either->option->key, from, to, arg);
        free(from);
        free(to);
    }
    free(texts[0]);
    free(texts[1]);
}

static struct cress_slot named_slot(struct cress_config *config, enum cress_kind kind,
                                    const char *name, size_t option)
{
    const size_t section = cress_config_find(config, kind, name);
    return section < cress_config_count(config, kind)
               ? cress_config_named_slot(config, kind, section, option)
               : (struct cress_slot){.option = NULL};
}

static void diff_section(struct cress_config *before, struct cress_config *after,
                         enum cress_kind kind, const char *name, diff_cb each, void *arg)
{
    char *section = cress_format("%s %s", cress_kinds[kind].word, name);
    for (size_t i = 0; i < cress_kinds[kind].option_count; i++) {
        const struct cress_slot from = named_slot(before, kind, name, i);
        const struct cress_slot to = named_slot(after, kind, name, i);
        diff_slots(&from, &to, section, each, arg);
    }
    free(section);
}

static void diff_kind(struct cress_config *before, struct cress_config *after, enum cress_kind kind,
                      diff_cb each, void *arg)
{
    for (size_t i = 0; i < cress_config_count(after, kind); i++) {
        diff_section(before, after, kind, cress_config_name(after, kind, i), each, arg);
    }
    for (size_t i = 0; i < cress_config_count(before, kind); i++) {
        const char *name = cress_config_name(before, kind, i);
        if (cress_config_find(after, kind, name) == cress_config_count(after, kind)) {
            diff_section(before, after, kind, name, each, arg);
        }
    }
}

void cress_config_diff(const struct cress_config *before, const struct cress_config *after,
                       diff_cb each, void *arg)
{
    struct cress_config *old = (struct cress_config *)before; /* as in cress_config_show() */
    struct cress_config *new = (struct cress_config *)after;
    for (size_t i = 0; i < CRESS_OPTION_COUNT; i++) {
        const struct cress_slot from = cress_config_slot(old, i);
        const struct cress_slot to = cress_config_slot(new, i);
        diff_slots(&from, &to, from.option->section, each, arg);
    }
    for (enum cress_kind kind = 0; kind < CRESS_KIND_COUNT; kind++) {
        diff_kind(old, new, kind, each, arg);
    }
}

/* --- flags --- */

static const char *placeholder(enum cress_option_type type)
{
    switch (type) {
    case CRESS_TYPE_URL:
    case CRESS_TYPE_URLS:
        return " URL";
    case CRESS_TYPE_ENUM:
        return " WORD";
    case CRESS_TYPE_LIST:
        return " A,B";
    case CRESS_TYPE_INT:
        return " N";
    case CRESS_TYPE_MS:
        return " TIME";
    case CRESS_TYPE_BYTES:
        return " SIZE";
    case CRESS_TYPE_RATE:
        return " RATE";
    case CRESS_TYPE_BOOL:
        return "";
    default:
        return " TEXT";
    }
}

static void print_flag(const struct cress_option *option, const char *value, FILE *out)
{
    char *flag = cress_format("--%s%s", option->flag, value);
    char *allowed = option->type == CRESS_TYPE_ENUM ? cress_option_allowed(option) : NULL;
    fprintf(out, "  %-21s %s", flag, option->help);
    if (allowed) {
        fprintf(out, ": %s", allowed);
    }
    if (*option->fallback) {
        fprintf(out, " (default: %s)", option->fallback);
    }
    fputc('\n', out);
    free(flag);
    free(allowed);
}

void cress_config_print_flags(enum cress_program program, FILE *out)
{
    print_flag(&cress_config_option, " FILE", out);
    for (size_t i = 0; i < CRESS_OPTION_COUNT; i++) {
        const struct cress_option *option = &cress_options[i];
        if (option->flag && strchr(option->programs, (int)program)) {
            print_flag(option, placeholder(option->type), out);
        }
    }
}

/* --- the reference page --- */

static const char introduction[] =
    "# Configuration\n"
    "\n"
    "<!-- Generated from common/config/*.def; the unit test test_config.c says how. -->\n"
    "\n"
    "Every option has a default, so that no configuration is needed on one machine. A value comes "
    "from the\n"
    "first of these that names it:\n"
    "\n"
    "1. a flag, where the option has one: `--concurrency 64` or `--concurrency=64`\n"
    "2. the environment; a variable that is set but empty counts as not set\n"
    "3. the configuration file\n"
    "4. the default\n"
    "\n"
    "`cress config show --origin` prints what is in effect and where each value came from, secrets "
    "masked.\n"
    "\n"
    "## The file\n"
    "\n"
    "The file is the one named by `--config FILE` or `CRESS_CONFIG`, which must exist, else the "
    "first of\n"
    "`./cress.conf`, `$XDG_CONFIG_HOME/cress/cress.conf` (`~/.config/cress/cress.conf`) and\n"
    "`/etc/cress/cress.conf` that exists. Only one file is read.\n"
    "\n"
    "```ini\n"
    "# A line that begins with # or ; is a comment.\n"
    "[worker]\n"
    "concurrency = 64        ; so is the rest of a line after a blank and ;\n"
    "queues = default, mail,\n"
    "    reports             ; an indented line continues a list, or JSON\n"
    "\n"
    "[queue mail]\n"
    "task = mail.send\n"
    "```\n"
    "\n"
    "A line has at most 198 bytes. An unknown section or key, a key that is set twice, a wrong "
    "type or a value out\n"
    "of range is an error that names the line and what is allowed.\n"
    "\n"
    "| type | written as |\n"
    "|---|---|\n"
    "| number | `32` |\n"
    "| duration | `250ms`, `10s`, `5m`, `2h`, `1d` and sums such as `1h30m`; a bare number is "
    "seconds |\n"
    "| size | bytes, or with `k`, `M`, `G` for powers of 1024: `16M` |\n"
    "| rate | `100/s`, `60/m` or `1000/h`: never more in any span of that length; `0` is no limit "
    "|\n"
    "| list | parts separated by commas |\n"
    "| JSON | as it is; it may go on in indented lines |\n"
    "| text, secret, URL, word | as it is, without quotes |\n";

static const char *type_word(enum cress_option_type type)
{
    static const char *const words[] = {
        [CRESS_TYPE_STRING] = "text", [CRESS_TYPE_SECRET] = "secret", [CRESS_TYPE_URL] = "URL",
        [CRESS_TYPE_URLS] = "URL",    [CRESS_TYPE_ENUM] = "word",     [CRESS_TYPE_LIST] = "list",
        [CRESS_TYPE_INT] = "number",  [CRESS_TYPE_BOOL] = "yes/no",   [CRESS_TYPE_MS] = "duration",
        [CRESS_TYPE_BYTES] = "size",  [CRESS_TYPE_JSON] = "JSON",     [CRESS_TYPE_RATE] = "rate",
    };
    return words[type];
}

static void print_code(const char *before, const char *text, FILE *out)
{
    if (text && *text) {
        fprintf(out, "%s`%s`", before, text);
    }
}

static void print_row(const struct cress_option *option, FILE *out)
{
    char *allowed = cress_option_allowed(option);
    fprintf(out, "| `%s` | %s | ", option->key, type_word(option->type));
    print_code("", option->fallback, out);
    fprintf(out, " | %s | %s", allowed, option->help);
    free(allowed);
}

static void print_set_by(const struct cress_option *option, FILE *out)
{
    print_code(" | ", option->env, out);
    if (option->flag) {
        fprintf(out, ", `--%s`", option->flag);
    }
}

static void print_readers(const struct cress_option *option, FILE *out)
{
    static const struct {
        char letter;
        const char *name;
    } programs[] = {{CRESS_PROGRAM_CLI, "cress"},
                    {CRESS_PROGRAM_GATEWAY, "gateway"},
                    {CRESS_PROGRAM_WORKER, "worker"}};
    const char *separator = " | ";
    for (size_t i = 0; i < CRESS_COUNT(programs); i++) {
        if (strchr(option->programs, programs[i].letter)) {
            fprintf(out, "%s%s", separator, programs[i].name);
            separator = ", ";
        }
    }
}

static void print_kind(const struct cress_kind_table *kind, FILE *out)
{
    fprintf(out,
            "\n## [%s]\n\n%s\n\n| key | type | default | allowed | what |\n|---|---|---|---|---|\n",
            kind->header, kind->about);
    for (size_t i = 0; i < kind->option_count; i++) {
        print_row(&kind->options[i], out);
        fputs(" |\n", out);
    }
}

void cress_config_print_reference(FILE *out)
{
    fputs(introduction, out);
    const char *section = "";
    for (size_t i = 0; i < CRESS_OPTION_COUNT; i++) {
        const struct cress_option *option = &cress_options[i];
        if (strcmp(section, option->section) != 0) {
            section = option->section;
            fprintf(out,
                    "\n## [%s]\n\n| key | type | default | allowed | what | set by | read by |\n"
                    "|---|---|---|---|---|---|---|\n",
                    section);
        }
        print_row(option, out);
        print_set_by(option, out);
        print_readers(option, out);
        fputs(" |\n", out);
    }
    for (enum cress_kind kind = 0; kind < CRESS_KIND_COUNT; kind++) {
        print_kind(&cress_kinds[kind], out);
    }
}
