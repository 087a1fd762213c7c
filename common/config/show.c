// SPDX-License-Identifier: Apache-2.0
// The tables of options shown to people: values with their origins, flags for --help, and the
// reference page.
#include "common/config/option.h"

#include "common/base/mem.h"

#include <stdlib.h>
#include <string.h>

typedef void (*show_cb)(const char *section, const char *key, const char *value, const char *origin,
                        const char *help, void *arg);

static void show_slot(const struct cress_slot *slot, const char *section, show_cb each, void *arg)
{
    char *value = cress_slot_format(slot, true);
    each(section, slot->option->key, value, *slot->origin, slot->option->help, arg);
    free(value);
}

void cress_config_show(const struct cress_config *config, show_cb each, void *arg)
{
    /* Slots serve writers too and are therefore not const; nothing is written here. */
    struct cress_config *shown = (struct cress_config *)config;
    for (size_t i = 0; i < CRESS_OPTION_COUNT; i++) {
        const struct cress_slot slot = cress_config_slot(shown, i);
        show_slot(&slot, slot.option->section, each, arg);
    }
    for (size_t queue = 0; queue < config->queue_count; queue++) {
        char *section = cress_format("queue %s", config->queues[queue].name);
        for (size_t i = 0; i < CRESS_QUEUE_OPTION_COUNT; i++) {
            const struct cress_slot slot = cress_config_queue_slot(shown, queue, i);
            show_slot(&slot, section, each, arg);
        }
        free(section);
    }
}

/* --- Flags --------------------------------------------------------------------------------------
 */

static const char *placeholder(enum cress_option_type type)
{
    switch (type) {
    case CRESS_TYPE_URL:
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

/* --- The reference page -------------------------------------------------------------------------
 */

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
    "    reports             ; an indented line continues a list\n"
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
    "| list | parts separated by commas |\n"
    "| text, secret, URL, word | as it is, without quotes |\n";

static const char *type_word(enum cress_option_type type)
{
    static const char *const words[] = {
        [CRESS_TYPE_STRING] = "text", [CRESS_TYPE_SECRET] = "secret", [CRESS_TYPE_URL] = "URL",
        [CRESS_TYPE_ENUM] = "word",   [CRESS_TYPE_LIST] = "list",     [CRESS_TYPE_INT] = "number",
        [CRESS_TYPE_BOOL] = "yes/no", [CRESS_TYPE_MS] = "duration",   [CRESS_TYPE_BYTES] = "size",
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
    fputs("\n## [queue NAME]\n\nOne section for each queue that differs from the defaults.\n\n"
          "| key | type | default | allowed | what |\n|---|---|---|---|---|\n",
          out);
    for (size_t i = 0; i < CRESS_QUEUE_OPTION_COUNT; i++) {
        print_row(&cress_queue_options[i], out);
        fputs(" |\n", out);
    }
}
