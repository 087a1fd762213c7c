// SPDX-License-Identifier: Apache-2.0
// cress batch status, wait: how far a batch is, live.
//
// The store wakes us at every end of a job; the counts are read at most every PAUSE_MS, so a batch
// of a million costs no more than a small one.
#include "common/base/buf.h"
#include "producer/cli/batch.h"
#include "producer/cli/records.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { PAUSE_MS = 100, NUMBER_MAX = 24, JSON_MAX_BYTES = 1 << 20 };

static const char *word_of(const struct cress_batch *batch)
{
    if (!batch->closed) {
        return "open";
    }
    if (!cress_batch_is_done(batch)) {
        return batch->cancel_requested ? "stopping" : "running";
    }
    return batch->cancel_requested ? "cancelled" : "done";
}

static void print_batch_table(const struct cress_cli *cli, const struct cress_batch *batch)
{
    static const char *const columns[] = {"ID",         ">TOTAL",   ">SUCCEEDED", ">FAILED",
                                          ">CANCELLED", ">EXPIRED", "STATE",      NULL};
    const int64_t numbers[] = {batch->total, batch->succeeded, batch->failed, batch->cancelled,
                               batch->expired};
    char texts[CRESS_COUNT(numbers)][NUMBER_MAX];
    const char *cells[CRESS_COUNT(numbers) + 2] = {batch->id};
    for (size_t i = 0; i < CRESS_COUNT(numbers); i++) {
        snprintf(texts[i], NUMBER_MAX, "%" PRId64, numbers[i]);
        cells[i + 1] = texts[i];
    }
    cells[CRESS_COUNT(numbers) + 1] = word_of(batch);
    struct cress_table *table = cress_table_new(columns);
    cress_table_add(table, cells);
    cress_table_print(table, &cli->output);
}

static void print_batch(const struct cress_cli *cli, const struct cress_batch *batch)
{
    if (!cress_cli_json(cli)) {
        print_batch_table(cli, batch);
        return;
    }
    struct cress_buf json = cress_buf_make(JSON_MAX_BYTES);
    cress_batch_begin_json(batch, &json);
    printf("%s}\n", cress_buf_text(&json));
    cress_buf_free(&json);
}

/* 0 all succeeded, 1 some failed or expired, else 6 some were cancelled. */
static int batch_exit_code(const struct cress_batch *batch)
{
    if (batch->failed + batch->expired > 0) {
        return cress_status_exit_code(CRESS_JOB_FAILED);
    }
    return batch->cancelled > 0 ? cress_status_exit_code(CRESS_CANCELLED) : 0;
}

/* --- status --- */

static void on_batch_status(const struct cress_batch *batch, const struct cress_error *err,
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
    print_batch(cli, batch);
    cress_cli_end(cli, 0);
}

/* --- live --- */

static bool is_waiting(const struct cress_cli *cli)
{
    const struct cress_batch_run *run = cli->state;
    return run->verb == &cress_batch_wait;
}

static void show_batch_progress(struct cress_cli *cli, const struct cress_batch *batch)
{
    char text[128];
    snprintf(text, sizeof text, "%" PRId64 " of %" PRId64 " jobs have ended, %" PRId64 " failed%s",
             cress_batch_ended(batch), batch->total, batch->failed + batch->expired,
             batch->closed ? "" : "; the batch is open");
    cress_output_progress(&cli->output, cress_batch_ended(batch), batch->total, text);
}

static bool is_news(const struct cress_batch_run *run, const struct cress_batch *batch)
{
    const struct cress_batch *last = &run->last;
    return !run->shown || last->total != batch->total || last->closed != batch->closed ||
           cress_batch_ended(last) != cress_batch_ended(batch);
}

static void give_up_following(struct cress_cli *cli, const struct cress_batch *batch)
{
    struct cress_error err;
    cress_output_progress_end(&cli->output);
    cress_error_set(&err, CRESS_TIMEOUT, NULL,
                    "%" PRId64 " of %" PRId64 " jobs have not ended in time; they go on",
                    batch->total - cress_batch_ended(batch), batch->total);
    cress_cli_fail(cli, &err);
}

static void on_counts(const struct cress_batch *batch, const struct cress_error *err, void *arg)
{
    struct cress_cli *cli = arg;
    struct cress_batch_run *run = cli->state;
    run->reading = false;
    if (cress_cli_over(cli) || (err && cress_status_is_temporary(err->status))) {
        return; /* the watch wakes us when the store is back */
    }
    if (cress_cli_failed(cli, err)) {
        return;
    }
    if (!batch) {
        cress_batch_missing(cli);
        return;
    }
    const bool done = cress_batch_is_done(batch);
    if (done || (!is_waiting(cli) && is_news(run, batch))) {
        cress_output_progress_end(&cli->output);
        print_batch(cli, batch);
        cress_cli_flush(cli);
    } else if (is_waiting(cli)) {
        show_batch_progress(cli, batch);
    }
    run->last = *batch;
    run->shown = true;
    if (done) {
        cress_cli_end(cli, is_waiting(cli) ? batch_exit_code(batch) : 0);
    } else if (run->overdue) {
        give_up_following(cli, batch);
    }
}

static void read_if_changed(void *arg)
{
    struct cress_cli *cli = arg;
    struct cress_batch_run *run = cli->state;
    if (run->changed && !run->reading) {
        run->changed = false;
        run->reading = true;
        cress_store_peek_batch(cli->store, run->id, on_counts, cli);
    }
}

static void on_batch_wake(void *arg)
{
    struct cress_cli *cli = arg;
    struct cress_batch_run *run = cli->state;
    run->changed = true;
}

static void on_batch_waited_enough(void *arg)
{
    struct cress_cli *cli = arg;
    struct cress_batch_run *run = cli->state;
    run->overdue = run->changed = true;
}

static void run_batch_wait(struct cress_cli *cli)
{
    struct cress_batch_run *run = cli->state;
    run->watch = cress_store_watch_batch(cli->store, run->id, on_batch_wake, cli);
    run->changed = true;
    cress_cli_every(cli, PAUSE_MS, read_if_changed, cli);
    if (cress_args_has(&cli->args, "timeout")) {
        cress_cli_after(cli, cress_args_number(&cli->args, "timeout", 0), on_batch_waited_enough,
                        cli);
    }
    read_if_changed(cli);
}

static void run_batch_status(struct cress_cli *cli)
{
    const struct cress_batch_run *run = cli->state;
    if (cress_args_has(&cli->args, "watch")) {
        run_batch_wait(cli);
    } else {
        cress_store_peek_batch(cli->store, run->id, on_batch_status, cli);
    }
}

const struct cress_batch_verb cress_batch_status = {
    .name = "status", .flags = "watch", .run = run_batch_status};
const struct cress_batch_verb cress_batch_wait = {
    .name = "wait", .flags = "timeout", .run = run_batch_wait};
