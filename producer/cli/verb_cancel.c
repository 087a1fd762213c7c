// SPDX-License-Identifier: Apache-2.0
// cress cancel: jobs that wait are cancelled, those that run are asked to stop.
#include "common/submit/cancel.h"

#include "common/base/mem.h"
#include "producer/cli/cli.h"
#include "producer/cli/records.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

struct cancelling;

struct row {
    struct cancelling *cancelling;
    const char *id;
    enum cress_state state;
    struct cress_error err; /* CRESS_OK: none */
};

struct cancelling {
    struct cress_cli *cli;
    size_t count, answered;
    struct row *rows;
};

/* An unknown id weighs more than a job that has ended: that one can do nothing any more. */
static int cancel_exit_code(const struct cancelling *cancelling)
{
    enum cress_status worst = CRESS_OK;
    for (size_t i = 0; i < cancelling->count; i++) {
        const enum cress_status one = cancelling->rows[i].err.status;
        if (worst == CRESS_OK || (worst == CRESS_CONFLICT && one != CRESS_OK)) {
            worst = one;
        }
    }
    return cress_status_exit_code(worst);
}

static json_t *row_to_json(const struct row *row)
{
    const struct cress_error *err = &row->err;
    const bool is_known = err->status == CRESS_OK || err->status == CRESS_CONFLICT;
    json_t *error = err->status == CRESS_OK
                        ? json_null()
                        : json_pack("{s:s, s:s}", "code", err->code, "message", err->message);
    return json_pack("{s:s, s:s?, s:o}", "id", row->id, "state",
                     is_known ? cress_state_word(row->state) : NULL, "error", error);
}

static void print_cancel_json(const struct cancelling *cancelling)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < cancelling->count; i++) {
        json_array_append_new(rows, row_to_json(&cancelling->rows[i]));
    }
    const json_t *shown = cancelling->count > 1 ? rows : json_array_get(rows, 0);
    json_dumpf(shown, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(rows);
}

static const char *cancel_outcome(enum cress_state state)
{
    switch (state) {
    case CRESS_STATE_CANCELLED:
        return "cancelled";
    case CRESS_STATE_RUNNING:
        return "runs, and is asked to stop";
    default:
        return "has ended, its batch is cancelled";
    }
}

static void print_for_people(const struct cancelling *cancelling)
{
    for (size_t i = 0; i < cancelling->count; i++) {
        const struct row *row = &cancelling->rows[i];
        if (row->err.status != CRESS_OK) {
            cress_output_error(&cancelling->cli->output, &row->err);
        } else {
            printf("%s %s\n", row->id, cancel_outcome(row->state));
        }
    }
}

static void on_job_cancelled(enum cress_state state, const struct cress_error *err, void *arg)
{
    struct row *row = arg;
    struct cancelling *cancelling = row->cancelling;
    struct cress_cli *cli = cancelling->cli;
    if (cress_cli_over(cli)) {
        return;
    }
    row->state = state;
    row->err = err ? *err : row->err;
    if (++cancelling->answered < cancelling->count) {
        return;
    }
    if (cress_cli_json(cli)) {
        print_cancel_json(cancelling);
    } else {
        print_for_people(cancelling);
    }
    cress_cli_end(cli, cancel_exit_code(cancelling));
}

static enum cress_status prepare_cancel(struct cress_cli *cli, struct cress_error *err)
{
    const char *reason = cress_args_text(&cli->args, "reason");
    if (reason && cress_cancel_check_reason(reason, err) != CRESS_OK) {
        return err->status;
    }
    return cress_records_check_ids(cli, err);
}

static void run_cancel(struct cress_cli *cli)
{
    struct cancelling *cancelling = cli->state = CRESS_NEW(struct cancelling);
    cancelling->cli = cli;
    cancelling->count = (size_t)cli->args.operand_count;
    cancelling->rows = cress_alloc(cancelling->count * sizeof *cancelling->rows);
    for (size_t i = 0; i < cancelling->count; i++) {
        struct row *row = &cancelling->rows[i];
        *row = (struct row){.cancelling = cancelling, .id = cli->args.operands[i]};
        cress_cancel_job(cress_cli_door(cli, CRESS_CLI_CONFIRM_MS), row->id,
                         cress_args_text(&cli->args, "reason"), on_job_cancelled, row);
    }
}

static void release_cancel(struct cress_cli *cli)
{
    struct cancelling *cancelling = cli->state;
    free(cancelling->rows);
    free(cancelling);
}

static const struct cress_flag flags[] = {
    {.name = "reason",
     .kind = CRESS_FLAG_TEXT,
     .value = "TEXT",
     .help = "why; the message of the job's error"},
    {.name = NULL},
};

const struct cress_verb cress_verb_cancel = {
    .name = "cancel",
    .operands = "ID...",
    .summary = "cancel jobs: those that wait at once, those that run as soon as they stop",
    .about =
        "A job that is queued, scheduled, retrying or waiting is cancelled at once and never\n"
        "runs. One that "
        "runs is asked to stop, and its state becomes cancelled when it has; `cress wait` waits "
        "for\n"
        "that. A job that has ended is left as it is: the exit code is then 4, and 3 when an id "
        "is\n"
        "unknown; the other jobs are cancelled all the same. To cancel one twice does no harm.\n"
        "A prerendering is cancelled with its pages, also when all are submitted already.\n"
        "With --json: {\"id\", \"state\", \"error\"}, an array of these for more than one id; the "
        "state\n"
        "is cancelled, or running when the job has been asked to stop.\n",
    .examples = "  cress cancel \"$id\" --reason \"wrong bucket\"\n"
                "  cress cancel \"$id\" && cress wait \"$id\" --timeout 10s\n",
    .flags = flags,
    .min_operands = 1,
    .max_operands = -1,
    .needs = CRESS_NEEDS_CONFIG | CRESS_NEEDS_STORE | CRESS_NEEDS_BROKER,
    .prepare = prepare_cancel,
    .run = run_cancel,
    .release = release_cancel,
};
