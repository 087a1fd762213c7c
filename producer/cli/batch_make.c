// SPDX-License-Identifier: Apache-2.0
// cress batch create, add, close: jobs into a batch.
//
// The batch is closed only when every line was accepted: nothing that follows from its end may
// begin while a part of it is missing.
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/text.h"
#include "common/submit/completion.h"
#include "producer/cli/batch.h"
#include "producer/cli/bulk.h"
#include "producer/cli/input.h"

#include <stdio.h>
#include <string.h>

/* A payload on the command line or in a file. */
#define PAYLOAD_MAX_BYTES ((size_t)128 << 20)

static void print_id(struct cress_cli *cli)
{
    const struct cress_batch_run *run = cli->state;
    if (cress_cli_json(cli)) {
        printf("{\"id\":\"%s\"}\n", run->id); /* an id needs no escape */
    } else {
        puts(run->id);
    }
}

/* --- closing --- */

static void on_batch_completed(const struct cress_error *err, void *arg)
{
    struct cress_cli *cli = arg;
    (void)err; /* what could not be done the workers do */
    if (!cress_cli_over(cli)) {
        print_id(cli);
        cress_cli_end(cli, 0);
    }
}

static void on_made_closed(bool follow, const struct cress_error *err, void *arg)
{
    struct cress_cli *cli = arg;
    const struct cress_batch_run *run = cli->state;
    if (cress_cli_failed(cli, err)) {
        return;
    }
    if (!follow) {
        on_batch_completed(NULL, cli);
        return;
    }
    cress_completion_submit(cress_cli_door(cli, CRESS_CLI_CONFIRM_MS), run->id, on_batch_completed,
                            cli);
}

static void close_batch(struct cress_cli *cli)
{
    const struct cress_batch_run *run = cli->state;
    cress_store_batch_close(cli->store, run->id, on_made_closed, cli);
}

const struct cress_batch_verb cress_batch_close = {
    .name = "close", .flags = "", .run = close_batch};

/* --- adding --- */

static void on_added(int exit_code, void *arg)
{
    struct cress_cli *cli = arg;
    const struct cress_batch_run *run = cli->state;
    if (exit_code == 0 && !cress_args_has(&cli->args, "open")) {
        close_batch(cli);
        return;
    }
    if (exit_code != 0) {
        cress_output_say(&cli->output,
                         "the batch is still open: cress batch add %s --jsonl FILE with the rest, "
                         "or cress batch close %s",
                         run->id, run->id);
    }
    print_id(cli);
    cress_cli_end(cli, exit_code);
}

static enum cress_status prepare_jobs(struct cress_cli *cli, struct cress_error *err)
{
    struct cress_batch_run *run = cli->state;
    if (!cress_args_has(&cli->args, "jsonl")) {
        return CRESS_OK;
    }
    return cress_bulk_new(cli, cress_args_text(&cli->args, "jsonl"), &run->bulk, err);
}

static enum cress_status prepare_add(struct cress_cli *cli, struct cress_error *err)
{
    if (!cress_args_has(&cli->args, "jsonl")) {
        return cress_error_set(err, CRESS_USAGE, "missing_option",
                               "batch add wants the jobs: --jsonl FILE");
    }
    return prepare_jobs(cli, err);
}

static void add_jobs(struct cress_cli *cli)
{
    struct cress_batch_run *run = cli->state;
    cress_bulk_into(run->bulk, run->id, on_added, cli);
    cress_bulk_run(run->bulk);
}

/* One that takes no jobs is named once, not for each line. */
static void on_made_batch(const struct cress_batch *batch, const struct cress_error *err, void *arg)
{
    struct cress_cli *cli = arg;
    struct cress_error closed;
    if (cress_cli_failed(cli, err)) {
        return;
    }
    if (!batch) {
        cress_batch_missing(cli);
    } else if (batch->closed) {
        cress_error_set(&closed, CRESS_CONFLICT, "batch_closed",
                        "batch %s is closed: it takes no more jobs", batch->id);
        cress_cli_fail(cli, &closed);
    } else {
        add_jobs(cli);
    }
}

static void run_add(struct cress_cli *cli)
{
    const struct cress_batch_run *run = cli->state;
    cress_store_batch_get(cli->store, run->id, on_made_batch, cli);
}

const struct cress_batch_verb cress_batch_add = {
    .name = "add", .flags = "jsonl open", .prepare = prepare_add, .run = run_add};

/* --- creating --- */

/* --then, --then-payload, --then-queue */
static enum cress_status prepare_batch_completion(struct cress_cli *cli, struct cress_error *err)
{
    struct cress_batch_run *run = cli->state;
    const struct cress_args *args = &cli->args;
    if (!cress_args_has(args, "then")) {
        static const char *const companions[] = {"then-payload", "then-queue", "complete-on"};
        for (size_t i = 0; i < CRESS_COUNT(companions); i++) {
            if (cress_args_has(args, companions[i])) {
                return cress_error_set(err, CRESS_USAGE, "missing_option",
                                       "--%s goes with --then TASK", companions[i]);
            }
        }
        return CRESS_OK;
    }
    struct cress_buf payload = cress_buf_make(PAYLOAD_MAX_BYTES);
    struct cress_buf text = cress_buf_make(PAYLOAD_MAX_BYTES + PAYLOAD_MAX_BYTES / 2);
    struct cress_json value = {.text = NULL};
    enum cress_status status = CRESS_OK;
    if (cress_args_has(args, "then-payload")) {
        status = cress_input_json(cress_args_text(args, "then-payload"), &payload, &value, err);
    }
    cress_buf_add_member(&text, "{\"task\":", cress_args_text(args, "then"));
    if (cress_args_has(args, "then-queue")) {
        cress_buf_add_member(&text, ",\"queue\":", cress_args_text(args, "then-queue"));
    }
    if (status == CRESS_OK && value.text) {
        cress_buf_add_text(&text, ",\"payload\":");
        cress_buf_add(&text, value.text, value.size);
    }
    cress_buf_add_char(&text, '}');
    if (status == CRESS_OK) {
        const struct cress_json request = {.text = text.data, .size = text.size};
        status = cress_batch_completion(run->id, request, &run->completion, err);
    }
    cress_buf_free(&payload);
    cress_buf_free(&text);
    return status;
}

static enum cress_status prepare_create(struct cress_cli *cli, struct cress_error *err)
{
    const enum cress_status status = prepare_batch_completion(cli, err);
    return status == CRESS_OK ? prepare_jobs(cli, err) : status;
}

static void on_made_open(const struct cress_error *err, void *arg)
{
    struct cress_cli *cli = arg;
    const struct cress_batch_run *run = cli->state;
    if (cress_cli_failed(cli, err)) {
        return;
    }
    if (run->bulk) {
        add_jobs(cli);
    } else {
        print_id(cli);
        cress_cli_end(cli, 0);
    }
}

static void run_create(struct cress_cli *cli)
{
    const struct cress_batch_run *run = cli->state;
    const char *when = cress_args_text(&cli->args, "complete-on");
    cress_store_batch_open(cli->store, run->id, run->completion,
                           when && strcmp(when, "succeeded") == 0, cress_clock_wall_ms(),
                           on_made_open, cli);
}

const struct cress_batch_verb cress_batch_create = {
    .name = "create",
    .flags = "jsonl open then then-payload then-queue complete-on id",
    .prepare = prepare_create,
    .run = run_create,
};
