// SPDX-License-Identifier: Apache-2.0
// cress version.
#include "common/base/version.h"
#include "producer/cli/cli.h"

#include <jansson.h>
#include <stdio.h>

static void run_version(struct cress_cli *cli)
{
    if (cress_cli_json(cli)) {
        printf("{\"version\":\"%s\",\"commit\":\"%s\",\"libuv\":\"%s\",\"jansson\":\"%s\"}\n",
               cress_version(), cress_commit(), uv_version_string(), JANSSON_VERSION);
    } else {
        cress_version_print("cress");
    }
    cress_cli_end(cli, 0);
}

const struct cress_verb cress_verb_version = {
    .name = "version",
    .operands = "",
    .summary = "print the version",
    .about = "",
    .examples = "  cress version --json\n",
    .run = run_version,
};
