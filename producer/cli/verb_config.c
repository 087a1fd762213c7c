// SPDX-License-Identifier: Apache-2.0
// cress config: what is in effect and where it came from.
#include "common/base/mem.h"
#include "common/base/text.h"
#include "common/schedule/plan.h"
#include "producer/cli/cli.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

struct printing {
    const char *section; /* of the line before; NULL: none */
    bool with_origin;
    json_t *json; /* array; NULL: text */
};

static void print_option(const char *section, const char *key, const char *value,
                         const char *origin, const char *help, void *arg)
{
    struct printing *printing = arg;
    (void)help;
    if (printing->json) {
        json_array_append_new(printing->json,
                              json_pack("{s:s, s:s, s:s, s:s}", "section", section, "key", key,
                                        "value", value, "origin", origin));
        return;
    }
    if (!printing->section || strcmp(printing->section, section) != 0) {
        printf("%s[%s]\n", printing->section ? "\n" : "", section);
    }
    printing->section = section;
    printf("%s =%s%s", key, *value ? " " : "", value);
    printf(printing->with_origin ? " ; %s\n" : "\n", origin);
}

static const char *const words[] = {"show", "check", NULL};

static enum cress_status prepare_config(struct cress_cli *cli, struct cress_error *err)
{
    const char *word = cli->args.operands[0];
    for (size_t i = 0; words[i]; i++) {
        if (strcmp(word, words[i]) == 0) {
            return CRESS_OK;
        }
    }
    const char *closest = cress_text_closest(word, words);
    return cress_error_set(
        err, CRESS_USAGE, "unknown_operand", "config %s: it is config show or config check%s%s%s",
        word, closest ? "; did you mean " : "", closest ? closest : "", closest ? "?" : "");
}

static void run_config(struct cress_cli *cli)
{
    const bool is_check = strcmp(cli->args.operands[0], "check") == 0;
    struct cress_error err;
    if (is_check && cress_plans_check(cli->config, &err) != CRESS_OK) {
        cress_cli_fail(cli, &err);
        return;
    }
    struct printing printing = {.with_origin = cress_args_has(&cli->args, "origin"),
                                .json = cress_cli_json(cli) ? json_array() : NULL};
    if (is_check) {
        puts(printing.json ? "{\"ok\":true}"
                           : "ok"); /* what is wrong has been said when it was loaded */
    } else {
        cress_config_show(cli->config, print_option, &printing);
        if (printing.json) {
            json_dumpf(printing.json, stdout, JSON_COMPACT);
            putchar('\n');
        }
    }
    json_decref(printing.json);
    cress_cli_end(cli, 0);
}

static const struct cress_flag flags[] = {
    {.name = "origin", .help = "say where each value came from"},
    {.name = NULL},
};

const struct cress_verb cress_verb_config = {
    .name = "config",
    .operands = "show|check",
    .summary = "show the configuration in effect, or check it",
    .about = "`show` prints every option as a configuration file would hold it, secrets masked. "
             "`check`\n"
             "prints ok, or names file, line and key and what is allowed, with exit code 78.\n",
    .examples = "  cress config show --origin\n"
                "  cress config check --config /etc/cress/cress.conf\n",
    .flags = flags,
    .words = words,
    .min_operands = 1,
    .max_operands = 1,
    .needs = CRESS_NEEDS_CONFIG,
    .prepare = prepare_config,
    .run = run_config,
};
