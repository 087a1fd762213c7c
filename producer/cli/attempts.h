// SPDX-License-Identifier: Apache-2.0
// The attempts of jobs as a table.
#ifndef CRESS_CLI_ATTEMPTS_H
#define CRESS_CLI_ATTEMPTS_H

#include "common/job/record.h"

#include <stddef.h>

struct cress_cli;

/* A line for each attempt of each record, oldest first; NULL records are left out. */
void cress_attempts_print(struct cress_cli *cli, struct cress_record *const *records, size_t count);

#endif
