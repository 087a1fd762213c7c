// SPDX-License-Identifier: Apache-2.0
// cress completion: the script that completes the command line in a shell.
#include "producer/cli/cli.h"
#include "producer/cli/help.h"

#include <string.h>

static enum cress_status prepare_completion(struct cress_cli *cli, struct cress_error *err)
{
    for (size_t i = 0; cress_shells[i]; i++) {
        if (strcmp(cli->args.operands[0], cress_shells[i]) == 0) {
            return CRESS_OK;
        }
    }
    return cress_error_set(err, CRESS_USAGE, "unknown_operand",
                           "completion for \"%s\": there is bash, zsh and fish",
                           cli->args.operands[0]);
}

static void run_completion(struct cress_cli *cli)
{
    cress_completion_print(cli->args.operands[0], stdout);
    cress_cli_end(cli, 0);
}

const struct cress_verb cress_verb_completion = {
    .name = "completion",
    .operands = "bash|zsh|fish",
    .summary = "print a shell's completion script",
    .about = "",
    .examples = "  . <(cress completion bash)\n"
                "  cress completion zsh >~/.zfunc/_cress\n"
                "  cress completion fish >~/.config/fish/completions/cress.fish\n",
    .words = cress_shells,
    .min_operands = 1,
    .max_operands = 1,
    .prepare = prepare_completion,
    .run = run_completion,
};
