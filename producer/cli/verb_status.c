// SPDX-License-Identifier: Apache-2.0
// cress status: the records of jobs, once or until they have ended.
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "producer/cli/attempts.h"
#include "producer/cli/cli.h"
#include "producer/cli/follow.h"
#include "producer/cli/records.h"

#include <stdio.h>
#include <stdlib.h>

struct status;

/* Progress may come many times a second; states are always shown. */
enum { SHOW_MS = 500 };

struct row {
    struct status *status;
    bool answered;
    bool is_dirty;          /* it has changed since it was shown */
    enum cress_state shown; /* what it was then, if it was shown */
    int shown_attempt;
    int64_t shown_ms; /* 0: never */
};

struct status {
    struct cress_cli *cli;
    size_t count, answered, ended;
    struct row *rows;
    struct cress_record **records; /* clones, NULL: there is none */
    size_t lines_shown;            /* of the table that --watch redraws */
};

static void say_missing(struct status *status, size_t i)
{
    struct cress_error err;
    cress_record_missing(status->cli->args.operands[i], &err);
    cress_output_error(&status->cli->output, &err);
    status->cli->exit_code = cress_status_exit_code(CRESS_NOT_FOUND);
}

static void conclude_status(struct status *status)
{
    for (size_t i = 0; i < status->count; i++) {
        if (!status->records[i]) {
            say_missing(status, i);
        }
    }
    cress_cli_end(status->cli, status->cli->exit_code);
}

static void keep_row(struct row *row, const struct cress_record *record)
{
    struct status *status = row->status;
    struct cress_record **kept = &status->records[row - status->rows];
    free(*kept);
    *kept = record ? cress_record_clone(record) : NULL;
    status->answered += !row->answered;
    row->answered = true;
}

/* --- once --- */

static void on_status_record(const struct cress_record *record, const struct cress_error *err,
                             void *arg)
{
    struct row *row = arg;
    struct status *status = row->status;
    if (cress_cli_failed(status->cli, err)) {
        return;
    }
    keep_row(row, record);
    if (status->answered == status->count) {
        if (cress_args_has(&status->cli->args, "attempts") && !cress_cli_json(status->cli)) {
            cress_attempts_print(status->cli, status->records, status->count);
        } else {
            cress_records_print(status->cli, status->records, status->count, status->count > 1);
        }
        conclude_status(status);
    }
}

/* --- --watch --- */

/* A terminal that can shows one table, redrawn; else each change is a line (or a JSON document) of its
 * own. */
static void show_change(struct status *status, size_t i)
{
    if (status->cli->output.out_redraws && !cress_cli_json(status->cli)) {
        if (status->lines_shown > 0) {
            printf("\033[%zuA\033[J", status->lines_shown);
        }
        status->lines_shown =
            cress_records_print(status->cli, status->records, status->count, true);
    } else {
        cress_records_print(status->cli, &status->records[i], 1, false);
    }
    cress_cli_flush(status->cli);
}

static void show_row(struct row *row)
{
    const struct cress_record *record = row->status->records[row - row->status->rows];
    row->is_dirty = false;
    row->shown = record->state;
    row->shown_attempt = record->attempt;
    row->shown_ms = cress_clock_mono_ms();
    show_change(row->status, (size_t)(row - row->status->rows));
}

static void show_dirty_rows(void *arg)
{
    const struct status *status = arg;
    for (size_t i = 0; i < status->count && !cress_cli_over(status->cli); i++) {
        if (status->rows[i].is_dirty) {
            show_row(&status->rows[i]);
        }
    }
}

/* Whether the change is one that may wait for the next turn. */
static bool is_mere_progress(const struct row *row, const struct cress_record *record)
{
    return row->shown_ms && record->state == row->shown && record->attempt == row->shown_attempt &&
           cress_clock_mono_ms() - row->shown_ms < SHOW_MS;
}

static void on_status_changed(const struct cress_record *record, void *arg)
{
    struct row *row = arg;
    struct status *status = row->status;
    const bool is_first = !row->answered;
    keep_row(row, record);
    if (record && is_mere_progress(row, record)) {
        row->is_dirty = true;
    } else if (record) {
        show_row(row);
    }
    /* A job that does not exist is not waited for. */
    status->ended += record ? cress_state_is_terminal(record->state) : is_first;
    if (status->ended == status->count) {
        conclude_status(status);
    }
}

static enum cress_status prepare_status(struct cress_cli *cli, struct cress_error *err)
{
    if (cress_args_has(&cli->args, "attempts") && cress_args_has(&cli->args, "watch")) {
        return cress_error_set(err, CRESS_USAGE, NULL, "--attempts does not go with --watch");
    }
    return cress_records_check_ids(cli, err);
}

/* --- the verb --- */

static void run_status(struct cress_cli *cli)
{
    struct status *status = cli->state = CRESS_NEW(struct status);
    status->cli = cli;
    status->count = (size_t)cli->args.operand_count;
    status->rows = cress_alloc(status->count * sizeof *status->rows);
    status->records = cress_alloc(status->count * sizeof(*status->records));
    if (cress_args_has(&cli->args, "watch")) {
        cress_cli_every(cli, SHOW_MS, show_dirty_rows, status);
    }
    for (size_t i = 0; i < status->count; i++) {
        status->rows[i].status = status;
        if (cress_args_has(&cli->args, "watch")) {
            cress_follow(cli, cli->args.operands[i], on_status_changed, &status->rows[i]);
        } else {
            cress_store_peek(cli->store, cli->args.operands[i], on_status_record, &status->rows[i]);
        }
    }
}

static void release_status(struct cress_cli *cli)
{
    struct status *status = cli->state;
    for (size_t i = 0; i < status->count; i++) {
        free(status->records[i]);
    }
    free(status->records);
    free(status->rows);
    free(status);
}

static const struct cress_flag flags[] = {
    {.name = "attempts",
     .help = "show each attempt: its outcome, worker, start, duration and error"},
    {.name = "watch", .help = "go on until all have ended, showing each change"},
    {.name = NULL},
};

const struct cress_verb cress_verb_status = {
    .name = "status",
    .operands = "ID...",
    .summary = "show what is known about jobs",
    .about =
        "A table on a terminal, else tab-separated lines: id, task, queue, state, attempt,\n"
        "attempts at most, created, started and finished time, and progress, result or error. "
        "--json\n"
        "prints the record of one job or an array of several; with --watch one record for each\n"
        "change. Changes of progress alone are shown twice a second at most.\n"
        "Records have the attempts of their job; --attempts makes a table of them.\n"
        "An unknown id is an error (exit code 3) after the others have been shown.\n",
    .examples = "  cress status 01980c5e-7a1b-7d6e-b7a5-5a2c6e1f8a90\n"
                "  cress status \"$id\" --watch\n"
                "  cress status \"$id\" --attempts\n"
                "  cress status \"$id\" --json | jq -r .state\n",
    .flags = flags,
    .min_operands = 1,
    .max_operands = -1,
    .needs = CRESS_NEEDS_CONFIG | CRESS_NEEDS_STORE,
    .prepare = prepare_status,
    .run = run_status,
    .release = release_status,
};
