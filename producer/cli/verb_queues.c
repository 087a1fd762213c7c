// SPDX-License-Identifier: Apache-2.0
// cress queues: how full each queue is and who consumes it.
#include "producer/queues.h"

#include "common/base/clock.h"
#include "producer/cli/cli.h"

#include <inttypes.h>
#include <stdio.h>

enum { JSON_MAX_BYTES = 64 << 20 };

static void print_queues_table(const struct cress_cli *cli,
                               const struct cress_queue_summary *queues, size_t count)
{
    static const char *const columns[] = {"QUEUE", ">READY", ">UNACKED", ">CONSUMERS",
                                          ">DEAD", "PAUSED", NULL};
    struct cress_table *table = cress_table_new(columns);
    const int64_t now_ms = cress_clock_wall_ms();
    for (size_t i = 0; i < count; i++) {
        const int64_t numbers[] = {queues[i].ready, queues[i].unacked, queues[i].consumers,
                                   queues[i].dead};
        char texts[4][24];
        for (size_t k = 0; k < 4; k++) {
            snprintf(texts[k], sizeof texts[k], "%" PRId64, numbers[k]);
        }
        char paused[CRESS_SPAN_TEXT_MAX];
        const bool is_paused = queues[i].paused_ms > 0;
        if (is_paused) {
            cress_span_format(now_ms - queues[i].paused_ms, paused);
        }
        cress_table_add(table, (const char *const[]){queues[i].name, texts[0], texts[1], texts[2],
                                                     texts[3], is_paused ? paused : NULL});
    }
    cress_table_print(table, &cli->output);
}

static void on_queues_survey(const struct cress_queue_summary *queues, size_t count,
                             const struct cress_error *err, void *arg)
{
    struct cress_cli *cli = arg;
    if (cress_cli_failed(cli, err)) {
        return;
    }
    if (cress_cli_json(cli)) {
        struct cress_buf json = cress_buf_make(JSON_MAX_BYTES);
        cress_queues_write_json(queues, count, &json);
        puts(cress_buf_text(&json));
        cress_buf_free(&json);
    } else {
        print_queues_table(cli, queues, count);
    }
    cress_cli_end(cli, 0);
}

static void run_queues(struct cress_cli *cli)
{
    cress_queues_survey(cress_cli_door(cli, cli->connect_timeout_ms), on_queues_survey, cli);
}

const struct cress_verb cress_verb_queues = {
    .name = "queues",
    .operands = "",
    .summary = "list queues with what waits in them",
    .about =
        "Columns: name, ready (all priorities), unacked (held by workers, as they report it),\n"
        "consumers, dead letters, for how long it has been paused. Queues are those that jobs have "
        "been submitted to or workers\n"
        "consume, and those of the configuration.\n",
    .examples = "  cress queues\n"
                "  cress queues --json | jq '.[] | select(.ready > 1000).name'\n",
    .needs = CRESS_NEEDS_CONFIG | CRESS_NEEDS_STORE | CRESS_NEEDS_BROKER,
    .run = run_queues,
};
