// SPDX-License-Identifier: Apache-2.0
// cress wait: until jobs have ended; their outcome is the exit code.
#include "common/base/mem.h"
#include "producer/cli/cli.h"
#include "producer/cli/follow.h"
#include "producer/cli/records.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct waiting;

struct row {
    struct waiting *waiting;
    const char *id;
    bool seen; /* its record has been read */
};

struct waiting {
    struct cress_cli *cli;
    size_t count, seen, ended;
    bool overdue;
    struct row *rows;
    struct cress_record **records; /* clones of those that have ended */
};

/* A failed job weighs more than a cancelled one, and that more than success. */
static int worst(const struct waiting *waiting)
{
    int code = 0;
    for (size_t i = 0; i < waiting->count; i++) {
        if (waiting->records[i]) {
            const int one = cress_record_exit_code(waiting->records[i]);
            code = code == 0 || one == cress_status_exit_code(CRESS_JOB_FAILED) ? one : code;
        }
    }
    return code;
}

/* Even when there is no time at all, each record is looked at once. */
static void give_up_in_time(struct waiting *waiting)
{
    if (!waiting->overdue || waiting->seen < waiting->count) {
        return;
    }
    struct cress_error err;
    cress_error_set(&err, CRESS_TIMEOUT, NULL, "%zu of %zu jobs have not ended in time; they go on",
                    waiting->count - waiting->ended, waiting->count);
    cress_cli_fail(waiting->cli, &err);
}

static void on_job_waited_enough(void *arg)
{
    struct waiting *waiting = arg;
    waiting->overdue = true;
    give_up_in_time(waiting);
}

static void note_end(struct row *row, const struct cress_record *record)
{
    struct waiting *waiting = row->waiting;
    struct cress_cli *cli = waiting->cli;
    waiting->records[row - waiting->rows] = cress_record_clone(record);
    waiting->ended++;
    char text[64];
    snprintf(text, sizeof text, "%zu of %zu jobs have ended", waiting->ended, waiting->count);
    cress_output_progress(&cli->output, (int64_t)waiting->ended, (int64_t)waiting->count, text);
    if (waiting->ended == waiting->count || cress_args_has(&cli->args, "any")) {
        cress_output_progress_end(&cli->output);
        cress_records_print(cli, waiting->records, waiting->count, waiting->count > 1);
        cress_cli_end(cli, worst(waiting));
    }
}

static void on_wait_changed(const struct cress_record *record, void *arg)
{
    struct row *row = arg;
    struct waiting *waiting = row->waiting;
    struct cress_cli *cli = waiting->cli;
    if (!record) {
        struct cress_error err;
        cress_record_missing(row->id, &err);
        cress_cli_fail(cli, &err);
        return;
    }
    waiting->seen += !row->seen;
    row->seen = true;
    if (cress_state_is_terminal(record->state)) {
        note_end(row, record);
    }
    give_up_in_time(waiting);
}

static void run_wait(struct cress_cli *cli)
{
    struct waiting *waiting = cli->state = CRESS_NEW(struct waiting);
    waiting->cli = cli;
    waiting->count = (size_t)cli->args.operand_count;
    waiting->rows = cress_alloc(waiting->count * sizeof *waiting->rows);
    waiting->records = cress_alloc(waiting->count * sizeof(*waiting->records));
    if (cress_args_has(&cli->args, "timeout")) {
        cress_cli_after(cli, cress_args_number(&cli->args, "timeout", 0), on_job_waited_enough,
                        waiting);
    }
    for (size_t i = 0; i < waiting->count; i++) {
        waiting->rows[i] = (struct row){.waiting = waiting, .id = cli->args.operands[i]};
        cress_follow(cli, waiting->rows[i].id, on_wait_changed, &waiting->rows[i]);
    }
}

static void release_wait(struct cress_cli *cli)
{
    struct waiting *waiting = cli->state;
    for (size_t i = 0; i < waiting->count; i++) {
        free(waiting->records[i]);
    }
    free(waiting->records);
    free(waiting->rows);
    free(waiting);
}

static const struct cress_flag flags[] = {
    {.name = "timeout",
     .kind = CRESS_FLAG_DURATION,
     .value = "TIME",
     .help = "give up after TIME with exit code 5; the jobs go on"},
    {.name = "any", .help = "end with the first job that ends"},
    {.name = NULL},
};

const struct cress_verb cress_verb_wait = {
    .name = "wait",
    .operands = "ID...",
    .summary = "wait until jobs have ended; the exit code is the outcome",
    .about = "Prints the final records as `cress status` does. The exit code is the worst outcome: "
             "1 when\n"
             "one failed or expired, else 6 when one was cancelled, else 0; 5 when the time is "
             "over, and\n"
             "3 at once when an id is unknown.\n",
    .examples = "  cress wait \"$id\" --timeout 60s\n"
                "  cress wait $(cat ids) && echo all good\n",
    .flags = flags,
    .min_operands = 1,
    .max_operands = -1,
    .needs = CRESS_NEEDS_CONFIG | CRESS_NEEDS_STORE,
    .prepare = cress_records_check_ids,
    .run = run_wait,
    .release = release_wait,
};
