// SPDX-License-Identifier: Apache-2.0
// cress logs: what a job wrote to its log.
//
// The record is read before the log: when it says that the attempt is over, the log read after it
// is all there will be.
#include "common/base/mem.h"
#include "producer/cli/cli.h"
#include "producer/cli/records.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FOLLOW_MS = 500 };

struct reading {
    struct cress_cli *cli;
    const char *id;
    int attempt;    /* 0: not known yet */
    bool is_chosen; /* by --attempt: no other one is shown */
    int64_t offset;
    int newest;    /* attempt that the record knows of */
    bool has_more; /* the attempt may write more */
};

static void read_logged_record(void *arg);

/* --- printing --- */

/* On a terminal a job must not move the cursor or ring the bell. */
static void print_text(const struct reading *reading, const char *text, size_t size)
{
    if (!reading->cli->output.out_is_terminal) {
        fwrite(text, 1, size, stdout);
        return;
    }
    struct cress_buf shown = cress_buf_make(size);
    cress_buf_add_harmless(&shown, text, size, "\n\t");
    fwrite(cress_buf_text(&shown), 1, shown.size, stdout);
    cress_buf_free(&shown);
}

static void print_log_json(const struct reading *reading, const char *text, size_t size)
{
    struct cress_buf line = cress_buf_make(SIZE_MAX / 2);
    cress_buf_add_text(&line, "{\"id\":");
    cress_buf_add_json(&line, reading->id, strlen(reading->id));
    cress_buf_printf(&line, ",\"attempt\":%d,\"offset\":%" PRId64 ",\"log\":", reading->attempt,
                     reading->offset);
    cress_buf_add_json(&line, text, size);
    cress_buf_add_text(&line, "}\n");
    fputs(cress_buf_text(&line), stdout);
    cress_buf_free(&line);
}

/* --- reading --- */

static void follow_log(struct reading *reading)
{
    struct cress_cli *cli = reading->cli;
    const bool follows = cress_args_has(&cli->args, "follow");
    if (follows && reading->has_more) {
        cress_cli_after(cli, FOLLOW_MS, read_logged_record, reading);
    } else if (follows && !reading->is_chosen && reading->attempt < reading->newest) {
        reading->attempt++;
        reading->offset = 0;
        cress_output_say(&cli->output, "attempt %d", reading->attempt);
        read_logged_record(reading);
    } else {
        cress_cli_end(cli, 0);
    }
}

static void on_log_part(const char *text, size_t size, const struct cress_error *err, void *arg)
{
    struct reading *reading = arg;
    struct cress_cli *cli = reading->cli;
    const bool follows = cress_args_has(&cli->args, "follow");
    if (cress_cli_failed(cli, err)) {
        return;
    }
    if (cress_cli_json(cli) && (size > 0 || !follows)) {
        print_log_json(reading, text, size);
    } else if (size > 0) {
        print_text(reading, text, size);
    } else if (!follows) {
        cress_output_say(&cli->output, "job %s has logged nothing in attempt %d", reading->id,
                         reading->attempt);
    }
    reading->offset += (int64_t)size;
    if (cress_cli_flush(cli)) {
        follow_log(reading);
    }
}

static void on_logged_record(const struct cress_record *record, const struct cress_error *err,
                             void *arg)
{
    struct reading *reading = arg;
    struct cress_cli *cli = reading->cli;
    if (cress_cli_failed(cli, err)) {
        return;
    }
    if (!record) {
        struct cress_error missing;
        cress_record_missing(reading->id, &missing);
        cress_cli_fail(cli, &missing);
        return;
    }
    reading->newest = record->attempt;
    if (reading->attempt == 0) {
        reading->attempt = record->attempt;
    }
    reading->has_more =
        !cress_state_is_terminal(record->state) && record->attempt <= reading->attempt;
    cress_store_log_get(cli->store, reading->id, reading->attempt, reading->offset, on_log_part,
                        reading);
}

static void read_logged_record(void *arg)
{
    const struct reading *reading = arg;
    cress_store_peek(reading->cli->store, reading->id, on_logged_record, arg);
}

static void run_logs(struct cress_cli *cli)
{
    struct reading *reading = cli->state = CRESS_NEW(struct reading);
    reading->cli = cli;
    reading->id = cli->args.operands[0];
    reading->attempt = (int)cress_args_number(&cli->args, "attempt", 0);
    reading->is_chosen = reading->attempt > 0;
    read_logged_record(reading);
}

static void release_logs(struct cress_cli *cli)
{
    free(cli->state);
}

static const struct cress_flag flags[] = {
    {.name = "attempt",
     .kind = CRESS_FLAG_NUMBER,
     .value = "N",
     .min = 1,
     .max = 1000,
     .help = "the log of this attempt (default: the newest)"},
    {.name = "follow", .help = "go on printing until the job, or that attempt, is over"},
    {.name = NULL},
};

const struct cress_verb cress_verb_logs = {
    .name = "logs",
    .operands = "ID",
    .summary = "print what a job wrote to its log",
    .about =
        "That is what a program wrote to stderr, a stream program to `log`, a plug-in by\n"
        "cress_job_log(). Of each attempt the first job.max_log bytes are kept and the last 8 KB,\n"
        "as long as the record is. --json prints {\"id\", \"attempt\", \"offset\", \"log\"}, with\n"
        "--follow a line for each piece. Exit code: 0, or 3 when there is no such job.\n",
    .examples = "  cress logs \"$id\"\n"
                "  cress logs \"$id\" --attempt 1\n"
                "  cress logs \"$id\" --follow\n",
    .flags = flags,
    .min_operands = 1,
    .max_operands = 1,
    .needs = CRESS_NEEDS_CONFIG | CRESS_NEEDS_STORE,
    .prepare = cress_records_check_ids,
    .run = run_logs,
    .release = release_logs,
};
