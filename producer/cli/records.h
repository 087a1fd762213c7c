// SPDX-License-Identifier: Apache-2.0
// Job records on stdout, and what they mean for the exit code.
#ifndef CRESS_CLI_RECORDS_H
#define CRESS_CLI_RECORDS_H

#include "common/job/record.h"
#include "producer/cli/output.h"

struct cress_cli;

/* A verb's prepare(): whether each operand can be a job's id. */
CRESS_MUST_CHECK enum cress_status cress_records_check_ids(struct cress_cli *cli,
                                                           struct cress_error *err);

/* As JSON on one line, without its end. */
void cress_record_print_json(const struct cress_cli *cli, const struct cress_record *record);

/* As `--json` or the terminal asks; with --json one record alone when `as_array` is false. NULL
 * records are left out. Returns the number of lines of a table. */
size_t cress_records_print(struct cress_cli *cli, struct cress_record *const *records, size_t count,
                           bool as_array);

/* 0 succeeded, 6 cancelled, 1 ended otherwise. Only for terminal states. */
int cress_record_exit_code(const struct cress_record *record);

/* Says on stderr why the job did not succeed. */
void cress_record_explain(struct cress_cli *cli, const struct cress_record *record);

/* The CRESS_NOT_FOUND error of a job that is not there. */
void cress_record_missing(const char *id, struct cress_error *err);

#endif
