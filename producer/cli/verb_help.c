// SPDX-License-Identifier: Apache-2.0
// cress help: of the program, of a verb, or the manual page.
#include "producer/cli/cli.h"
#include "producer/cli/help.h"

static enum cress_status prepare_help(struct cress_cli *cli, struct cress_error *err)
{
    const char *closest;
    if (cli->args.operand_count == 1 && !cress_verb_find(cli->args.operands[0], &closest)) {
        return cress_error_set(err, CRESS_USAGE, "unknown_verb", "unknown verb \"%s\"%s%s%s",
                               cli->args.operands[0], closest ? ", did you mean \"" : "",
                               closest ? closest : "", closest ? "\"?" : "");
    }
    return CRESS_OK;
}

static void run_help(struct cress_cli *cli)
{
    const char *closest;
    if (cress_args_has(&cli->args, "man")) {
        cress_help_manual(stdout);
    } else if (cli->args.operand_count == 1) {
        cress_help_verb(cress_verb_find(cli->args.operands[0], &closest), stdout);
    } else {
        cress_help_program(stdout);
    }
    cress_cli_end(cli, 0);
}

static const struct cress_flag flags[] = {
    {.name = "man", .help = "print the manual page, for man -l -"},
    {.name = NULL},
};

const struct cress_verb cress_verb_help = {
    .name = "help",
    .operands = "[VERB]",
    .summary = "explain the program or a verb",
    .about = "",
    .examples = "  cress help enqueue\n"
                "  cress help --man | man -l -\n",
    .flags = flags,
    .max_operands = 1,
    .prepare = prepare_help,
    .run = run_help,
};
