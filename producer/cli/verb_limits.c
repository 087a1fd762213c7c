// SPDX-License-Identifier: Apache-2.0
// cress limits: how the limits of tasks are used.
#include "common/store/limits.h"
#include "producer/cli/cli.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum { CELL_MAX = 32 };

/* "3/20" of what is used and the limit; "-" stands for no limit. */
static void write_usage(const json_t *usage, const char *used, const char *limit,
                        char text[CELL_MAX])
{
    const json_t *value = json_object_get(usage, limit);
    const long long count = json_integer_value(json_object_get(usage, used));
    if (json_is_string(value)) {
        snprintf(text, CELL_MAX, "%lld of %s", count, json_string_value(value));
    } else if (json_is_integer(value)) {
        snprintf(text, CELL_MAX, "%lld of %lld", count, json_integer_value(value));
    } else {
        snprintf(text, CELL_MAX, "-");
    }
}

/* A limit of each key, of which no single usage can be shown. */
static void write_limit(const json_t *usage, const char *limit, char text[CELL_MAX])
{
    const json_t *value = json_object_get(usage, limit);
    if (json_is_string(value)) {
        snprintf(text, CELL_MAX, "%s", json_string_value(value));
    } else if (json_is_integer(value)) {
        snprintf(text, CELL_MAX, "%lld", json_integer_value(value));
    } else {
        snprintf(text, CELL_MAX, "-");
    }
}

static void write_number(const json_t *usage, const char *member, char text[CELL_MAX])
{
    snprintf(text, CELL_MAX, "%lld", json_integer_value(json_object_get(usage, member)));
}

static void add_task(struct cress_table *table, const json_t *usage)
{
    char rate[CELL_MAX], running[CELL_MAX], key_rate[CELL_MAX], key_running[CELL_MAX];
    char waiting[CELL_MAX], keys[CELL_MAX], waits[CELL_MAX];
    write_usage(usage, "started", "rate", rate);
    write_usage(usage, "running", "concurrency", running);
    write_limit(usage, "key_rate", key_rate);
    write_limit(usage, "key_concurrency", key_running);
    write_number(usage, "waiting", waiting);
    write_number(usage, "waiting_keys", keys);
    write_number(usage, "waits", waits);
    cress_table_add(table,
                    (const char *const[]){json_string_value(json_object_get(usage, "task")), rate,
                                          running, key_rate, key_running, waiting, keys, waits});
}

static void add_keys(struct cress_table *table, const json_t *keys)
{
    for (size_t i = 0; i < json_array_size(keys); i++) {
        const json_t *usage = json_array_get(keys, i);
        const char *key = json_string_value(json_object_get(usage, "key"));
        char started[CELL_MAX], running[CELL_MAX], waiting[CELL_MAX];
        write_number(usage, "started", started);
        write_number(usage, "running", running);
        write_number(usage, "waiting", waiting);
        cress_table_add(table, (const char *const[]){key ? key : "-", started, running, waiting});
    }
}

static void print_limits_json(const char *const *usages, size_t count, bool is_one)
{
    fputs(is_one ? "" : "[", stdout);
    for (size_t i = 0; i < count; i++) {
        printf("%s%s", i ? ",\n" : "", usages[i]);
    }
    puts(is_one ? "" : "]");
}

static void print_limits_table(const struct cress_cli *cli, const char *const *usages, size_t count,
                               bool is_one)
{
    static const char *const columns[] = {"TASK",     "RATE",  "CONCURRENCY", "KEY-RATE", "PER-KEY",
                                          ">WAITING", ">KEYS", ">WAITS",      NULL};
    static const char *const key_columns[] = {"KEY", ">STARTED", ">RUNNING", ">WAITING", NULL};
    struct cress_table *table = cress_table_new(is_one ? key_columns : columns);
    for (size_t i = 0; i < count; i++) {
        json_t *usage = json_loads(usages[i], 0, NULL);
        if (is_one) {
            add_keys(table, json_object_get(usage, "keys"));
        } else {
            add_task(table, usage);
        }
        json_decref(usage);
    }
    cress_table_print(table, &cli->output);
}

static void on_limits_list(const char *const *usages, size_t count, const struct cress_error *err,
                           void *arg)
{
    struct cress_cli *cli = arg;
    if (cress_cli_failed(cli, err)) {
        return;
    }
    const bool is_one = cli->args.operand_count > 0;
    if (is_one && count == 0) {
        struct cress_error unknown;
        cress_error_set(&unknown, CRESS_NOT_FOUND, "unknown_limit",
                        "no job of task %s has been started within limits yet; see [task NAME] in "
                        "cress.conf",
                        cli->args.operands[0]);
        cress_cli_fail(cli, &unknown);
        return;
    }
    if (cress_cli_json(cli)) {
        print_limits_json(usages, count, is_one);
    } else {
        print_limits_table(cli, usages, count, is_one);
    }
    if (count == 0) {
        cress_output_say(&cli->output, "no task has limits, or none of its jobs has come yet");
    }
    cress_cli_end(cli, 0);
}

static void run_limits(struct cress_cli *cli)
{
    const char *task = cli->args.operand_count > 0 ? cli->args.operands[0] : NULL;
    cress_store_limits(cli->store, task, on_limits_list, cli);
}

const struct cress_verb cress_verb_limits = {
    .name = "limits",
    .operands = "[TASK]",
    .summary = "show how the limits of tasks are used",
    .about = "Columns: task; starts in the last span of `rate`, and that; jobs that run, and\n"
             "`concurrency`; `key_rate`; `key_concurrency`; jobs that wait for a limit; keys that\n"
             "have such jobs; how often a job had to wait. With TASK its keys that have jobs "
             "running\n"
             "or waiting: key (- is no key), starts in the last span, running, waiting. The limits "
             "are\n"
             "those that were last used; they are set in [task NAME] of the workers' "
             "configuration.\n",
    .examples = "  cress limits\n"
                "  cress limits mail.send\n"
                "  cress limits --json | jq '.[] | select(.waiting > 1000).task'\n",
    .max_operands = 1,
    .needs = CRESS_NEEDS_CONFIG | CRESS_NEEDS_STORE,
    .run = run_limits,
};
