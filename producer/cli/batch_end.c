// SPDX-License-Identifier: Apache-2.0
// cress batch results, cancel: what became of its jobs, or shall become.
#include "common/submit/cancel_batch.h"
#include "producer/cli/batch.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { PART = 500 };

/* --- results --- */

static void cancel_next_part(struct cress_cli *cli);

static void on_cancelled_part(const char *const *results, size_t count,
                              const struct cress_error *err, void *arg)
{
    struct cress_cli *cli = arg;
    struct cress_batch_run *run = cli->state;
    if (cress_cli_failed(cli, err)) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        cress_output_json(&cli->output, results[i], strlen(results[i]), true);
        putchar('\n');
    }
    run->offset += (int64_t)count;
    if (!cress_cli_flush(cli)) {
        return;
    }
    if (count < PART) {
        cress_cli_end(cli, 0);
    } else {
        cancel_next_part(cli);
    }
}

static void cancel_next_part(struct cress_cli *cli)
{
    const struct cress_batch_run *run = cli->state;
    cress_store_batch_results(cli->store, run->id, run->offset, PART, on_cancelled_part, cli);
}

static void on_ending_batch(const struct cress_batch *batch, const struct cress_error *err,
                            void *arg)
{
    struct cress_cli *cli = arg;
    if (cress_cli_failed(cli, err)) {
        return;
    }
    if (!batch) {
        cress_batch_missing(cli);
        return;
    }
    cancel_next_part(cli);
}

static void run_results(struct cress_cli *cli)
{
    const struct cress_batch_run *run = cli->state;
    cress_store_batch_get(cli->store, run->id, on_ending_batch, cli);
}

const struct cress_batch_verb cress_batch_results = {
    .name = "results", .flags = "", .run = run_results};

/* --- cancel --- */

static void on_cancelled_page(const struct cress_batch_cancel *counts,
                              const struct cress_error *err, void *arg)
{
    struct cress_cli *cli = arg;
    if (cress_cli_failed(cli, err)) {
        return;
    }
    printf(cress_cli_json(cli)
               ? "{\"cancelled\":%" PRId64 ",\"asked\":%" PRId64 ",\"ended\":%" PRId64 "}\n"
               : "%" PRId64 " cancelled, %" PRId64 " asked to stop, %" PRId64 " had ended\n",
           counts->cancelled, counts->asked, counts->ended);
    cress_cli_end(cli, 0);
}

static enum cress_status prepare_batch_cancel(struct cress_cli *cli, struct cress_error *err)
{
    const char *reason = cress_args_text(&cli->args, "reason");
    return reason ? cress_cancel_check_reason(reason, err) : CRESS_OK;
}

static void run_batch_cancel(struct cress_cli *cli)
{
    const struct cress_batch_run *run = cli->state;
    cress_cancel_batch(cress_cli_door(cli, CRESS_CLI_CONFIRM_MS), run->id,
                       cress_args_text(&cli->args, "reason"), on_cancelled_page, cli);
}

const struct cress_batch_verb cress_batch_cancel = {
    .name = "cancel", .flags = "reason", .prepare = prepare_batch_cancel, .run = run_batch_cancel};
