// SPDX-License-Identifier: Apache-2.0
// cress workers: who is alive and what they do.
#include "common/base/clock.h"
#include "common/job/worker_id.h"
#include "producer/cli/cli.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum { QUEUES_TEXT_MAX = 256 };

static void join_queues(const json_t *queues, char text[QUEUES_TEXT_MAX])
{
    text[0] = '\0';
    for (size_t i = 0; i < json_array_size(queues); i++) {
        const char *name = json_string_value(json_array_get(queues, i));
        const size_t used = strlen(text);
        snprintf(text + used, QUEUES_TEXT_MAX - used, "%s%s", used ? "," : "", name ? name : "");
    }
}

static void add_worker(struct cress_table *table, const json_t *report)
{
    static const char *const numbers[] = {"concurrency", "running", "processed", "failed"};
    char texts[4][24], pid[24], queues[QUEUES_TEXT_MAX], up[CRESS_SPAN_TEXT_MAX] = "";
    for (size_t i = 0; i < 4; i++) {
        snprintf(texts[i], sizeof texts[i], "%lld",
                 (long long)json_integer_value(json_object_get(report, numbers[i])));
    }
    snprintf(pid, sizeof pid, "%lld",
             (long long)json_integer_value(json_object_get(report, "pid")));
    join_queues(json_object_get(report, "queues"), queues);
    const char *started = json_string_value(json_object_get(report, "started_at"));
    int64_t started_ms;
    if (started && cress_time_parse(started, &started_ms, NULL) == CRESS_OK) {
        cress_span_format(cress_clock_wall_ms() - started_ms, up);
    }
    char name[CRESS_WORKER_ID_MAX];
    const char *id = json_string_value(json_object_get(report, "id"));
    cress_table_add(
        table,
        (const char *const[]){
            cress_worker_id_shown(id, name), json_string_value(json_object_get(report, "host")),
            pid, texts[0], texts[1], texts[2], texts[3], up,
            json_is_true(json_object_get(report, "draining")) ? "draining" : "running", queues});
}

static void print_workers_json(const char *const *reports, size_t count)
{
    putchar('[');
    for (size_t i = 0; i < count; i++) {
        printf("%s%s", i ? ",\n" : "", reports[i]);
    }
    puts("]");
}

static void on_workers_list(const char *const *reports, size_t count, const struct cress_error *err,
                            void *arg)
{
    static const char *const columns[] = {"WORKER",   "HOST",   ">PID",    ">CONCURRENCY",
                                          ">RUNNING", ">DONE",  ">FAILED", ">UP",
                                          "STATE",    "QUEUES", NULL};
    struct cress_cli *cli = arg;
    if (cress_cli_failed(cli, err)) {
        return;
    }
    if (cress_cli_json(cli)) {
        print_workers_json(reports, count);
        cress_cli_end(cli, 0);
        return;
    }
    struct cress_table *table = cress_table_new(columns);
    for (size_t i = 0; i < count; i++) {
        json_t *report = json_loads(reports[i], 0, NULL);
        add_worker(table, report);
        json_decref(report);
    }
    cress_table_print(table, &cli->output);
    if (count == 0) {
        cress_output_say(&cli->output, "no worker is alive; start one with cress-worker");
    }
    cress_cli_end(cli, 0);
}

static void run_workers(struct cress_cli *cli)
{
    cress_store_workers(cli->store, on_workers_list, cli);
}

const struct cress_verb cress_verb_workers = {
    .name = "workers",
    .operands = "",
    .summary = "list the workers that are alive",
    .about =
        "Each worker process reports itself every few seconds and is forgotten soon after it is\n"
        "gone. Columns: worker, host, pid, concurrency, running, done, failed, up, state, "
        "queues.\n",
    .examples = "  cress workers\n"
                "  cress workers --json | jq length\n",
    .needs = CRESS_NEEDS_CONFIG | CRESS_NEEDS_STORE,
    .run = run_workers,
};
