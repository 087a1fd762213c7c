// SPDX-License-Identifier: Apache-2.0
// cress pause and cress resume: whether workers take jobs from a queue.
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "producer/cli/cli.h"
#include "producer/queues.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { JSON_MAX_BYTES = 1 << 20 };

struct pausing;

struct row {
    struct pausing *pausing;
    const char *queue;
    int64_t since_ms;
    bool changed;
    struct cress_error err; /* CRESS_OK: none */
};

struct pausing {
    struct cress_cli *cli;
    size_t count, answered;
    struct row *rows;
};

static bool is_queue_pause(const struct cress_cli *cli)
{
    return cli->verb == &cress_verb_pause;
}

static void print_pause_json(const struct pausing *pausing)
{
    struct cress_buf json = cress_buf_make(JSON_MAX_BYTES);
    for (size_t i = 0; i < pausing->count; i++) {
        const struct row *row = &pausing->rows[i];
        if (row->err.status == CRESS_OK) {
            cress_buf_add_text(&json, json.size > 0 ? ",\n{\"name\":" : "{\"name\":");
            cress_buf_add_json(&json, row->queue, strlen(row->queue));
            cress_time_add_member(&json, ",\"paused_at\":", row->since_ms);
            cress_buf_add_char(&json, '}');
        }
    }
    printf("[%s]\n", cress_buf_text(&json));
    cress_buf_free(&json);
}

static const char *pause_outcome(const struct row *row)
{
    if (is_queue_pause(row->pausing->cli)) {
        return row->changed ? "paused" : "was paused already";
    }
    return row->changed ? "resumed" : "was not paused";
}

static void end_pause(struct pausing *pausing)
{
    struct cress_cli *cli = pausing->cli;
    enum cress_status worst = CRESS_OK;
    for (size_t i = 0; i < pausing->count; i++) {
        const struct row *row = &pausing->rows[i];
        if (row->err.status != CRESS_OK) {
            cress_output_error(&cli->output, &row->err);
            worst = row->err.status;
        } else if (!cress_cli_json(cli)) {
            printf("%s %s\n", row->queue, pause_outcome(row));
        }
    }
    if (cress_cli_json(cli)) {
        print_pause_json(pausing);
    }
    cress_cli_end(cli, cress_status_exit_code(worst));
}

static void on_queue_paused(int64_t since_ms, bool changed, const struct cress_error *err,
                            void *arg)
{
    struct row *row = arg;
    struct pausing *pausing = row->pausing;
    if (cress_cli_over(pausing->cli)) {
        return;
    }
    row->since_ms = since_ms;
    row->changed = changed;
    row->err = err ? *err : row->err;
    if (++pausing->answered == pausing->count) {
        end_pause(pausing);
    }
}

static void run_pause(struct cress_cli *cli)
{
    struct pausing *pausing = cli->state = CRESS_NEW(struct pausing);
    pausing->cli = cli;
    pausing->count = (size_t)cli->args.operand_count;
    pausing->rows = cress_alloc(pausing->count * sizeof *pausing->rows);
    for (size_t i = 0; i < pausing->count; i++) {
        struct row *row = &pausing->rows[i];
        *row = (struct row){.pausing = pausing, .queue = cli->args.operands[i]};
        if (is_queue_pause(cli)) {
            cress_store_pause(cli->store, row->queue, cress_clock_wall_ms(), on_queue_paused, row);
        } else {
            cress_store_resume(cli->store, row->queue, on_queue_paused, row);
        }
    }
}

static void release_pause(struct cress_cli *cli)
{
    struct pausing *pausing = cli->state;
    free(pausing->rows);
    free(pausing);
}

const struct cress_verb cress_verb_pause = {
    .name = "pause",
    .operands = "QUEUE...",
    .summary = "let workers take no more jobs from queues",
    .about =
        "Workers stop taking jobs from these queues at once and give back what they have fetched;\n"
        "jobs that run go on. Jobs can still be submitted: they wait. A queue stays paused, "
        "whatever\n"
        "restarts, until `cress resume`; `cress queues` shows it. The exit code is 3 when a queue\n"
        "is unknown: no worker has ever consumed it, and no [queue] section names it.\n",
    .examples = "  cress pause mail && ./migrate && cress resume mail\n"
                "  cress pause $(cress queues --json | jq -r '.[].name')\n",
    .min_operands = 1,
    .max_operands = -1,
    .needs = CRESS_NEEDS_CONFIG | CRESS_NEEDS_STORE,
    .run = run_pause,
    .release = release_pause,
};

const struct cress_verb cress_verb_resume = {
    .name = "resume",
    .operands = "QUEUE...",
    .summary = "let workers take jobs from paused queues again",
    .about = "One that is not paused stays as it is. The exit code is 3 when a queue is unknown.\n",
    .examples = "  cress resume mail\n",
    .min_operands = 1,
    .max_operands = -1,
    .needs = CRESS_NEEDS_CONFIG | CRESS_NEEDS_STORE,
    .run = run_pause,
    .release = release_pause,
};
