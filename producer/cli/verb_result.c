// SPDX-License-Identifier: Apache-2.0
// cress result: what a job returned.
#include "producer/cli/cli.h"
#include "producer/cli/records.h"

#include <stdio.h>
#include <string.h>

static void on_result_record(const struct cress_record *record, const struct cress_error *err,
                             void *arg)
{
    struct cress_cli *cli = arg;
    if (cress_cli_failed(cli, err)) {
        return;
    }
    struct cress_error problem;
    if (!record) {
        cress_record_missing(cli->args.operands[0], &problem);
        cress_cli_fail(cli, &problem);
    } else if (!cress_state_is_terminal(record->state)) {
        cress_error_set(&problem, CRESS_TEMPORARY, "not_ended",
                        "job %s has no result yet: it is %s (attempt %d of %d); see cress wait",
                        record->id, cress_state_word(record->state), record->attempt,
                        record->max_attempts);
        cress_cli_fail(cli, &problem);
    } else if (record->state != CRESS_STATE_SUCCEEDED) {
        cress_record_explain(cli, record);
        cress_cli_end(cli, cress_record_exit_code(record));
    } else {
        const char *result = record->result ? record->result : "null";
        cress_output_json(&cli->output, result, strlen(result), false);
        putchar('\n');
        cress_cli_end(cli, 0);
    }
}

static void run_result(struct cress_cli *cli)
{
    cress_store_peek(cli->store, cli->args.operands[0], on_result_record, cli);
}

const struct cress_verb cress_verb_result = {
    .name = "result",
    .operands = "ID",
    .summary = "print a job's result as JSON",
    .about =
        "Exit code: 0 with the result on stdout; 75 while the job has not ended; 1 when it failed\n"
        "and 6 when it was cancelled, with the error on stderr; 3 when there is no such job.\n",
    .examples = "  cress result \"$id\" | jq .\n",
    .min_operands = 1,
    .max_operands = 1,
    .needs = CRESS_NEEDS_CONFIG | CRESS_NEEDS_STORE,
    .prepare = cress_records_check_ids,
    .run = run_result,
};
