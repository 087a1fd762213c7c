// SPDX-License-Identifier: Apache-2.0
// What is printed from the table of verbs: help, the manual page and the shells' completions.
#ifndef CRESS_CLI_HELP_H
#define CRESS_CLI_HELP_H

#include "producer/cli/verb.h"

#include <stdio.h>

void cress_help_program(FILE *out);
void cress_help_verb(const struct cress_verb *verb, FILE *out);

/* cress(1) for man(7). */
void cress_help_manual(FILE *out);

/* The script of `shell`; false when it is none of cress_shells. */
bool cress_completion_print(const char *shell, FILE *out);
extern const char *const cress_shells[]; /* ends with NULL */

#endif
