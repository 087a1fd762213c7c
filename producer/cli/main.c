// SPDX-License-Identifier: Apache-2.0
// cress: the command line. Everything is in cli.c, so that tests can link it.
#include "producer/cli/cli.h"

int main(int argc, char **argv)
{
    return cress_cli_main(argc, argv);
}
