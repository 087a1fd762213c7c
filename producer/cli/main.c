// SPDX-License-Identifier: Apache-2.0
// cress: the command line. Everything is in cli.c, so that tests can link it.
#include "common/base/stdio.h"
#include "producer/cli/cli.h"

int main(int argc, char **argv)
{
    cress_stdio_protect();
    return cress_cli_main(argc, argv);
}
