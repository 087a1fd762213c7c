// SPDX-License-Identifier: Apache-2.0
// cress cron: the schedules that workers run, and when.
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/text.h"
#include "common/job/worker_id.h"
#include "common/schedule/plan.h"
#include "producer/cli/cli.h"
#include "producer/schedules.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { JSON_MAX_BYTES = 64 << 20, TICKS_DEFAULT = 5 };

/* Words behind `cron`. */
struct action {
    const char *word, *operands;
    int min_operands, max_operands; /* behind the word; -1: any number */
    unsigned needs;
    void (*run)(struct cress_cli *cli);
};

struct cron {
    const struct action *action;
    char **names;
    int name_count, answered;
    struct cress_schedule schedule; /* next: of the configuration, or of an expression */
    bool has_schedule;
    int exit_code;
};

/* --- ticks --- */

/* UTC in seconds, as ticks are. */
static const char *format_tick(int64_t tick_ms, char text[CRESS_TIME_TEXT_MAX])
{
    cress_time_format(tick_ms, text);
    text[strcspn(text, ".")] = '\0';
    const size_t used = strlen(text);
    snprintf(text + used, CRESS_TIME_TEXT_MAX - used, "Z");
    return text;
}

static void print_ticks(struct cress_cli *cli, const struct cress_schedule *schedule)
{
    static const char *const columns[] = {"TICK", "LOCAL", NULL};
    const int64_t count = cress_args_number(&cli->args, "count", TICKS_DEFAULT);
    const bool is_json = cress_cli_json(cli);
    struct cress_table *table = cress_table_new(columns);
    char tick[CRESS_TIME_TEXT_MAX], local[CRESS_TIME_TEXT_MAX];
    int64_t at_ms = cress_clock_wall_ms();
    for (int64_t i = 0; i < count; i++) {
        at_ms = cress_schedule_next(schedule, at_ms);
        format_tick(at_ms, tick);
        cress_schedule_format(schedule, at_ms, local);
        if (is_json) {
            printf("%s{\"tick_at\":\"%s\",\"local\":\"%s\"}", i ? "," : "[", tick, local);
        } else {
            cress_table_add(table, (const char *const[]){tick, local});
        }
    }
    cress_table_print(table, &cli->output);
    if (is_json) {
        puts("]");
    }
}

/* --- list --- */

static void add_cron_row(struct cress_table *table, const struct cress_schedule_record *schedule,
                         const struct cress_schedule_definition *definition)
{
    const int64_t now_ms = cress_clock_wall_ms();
    const int64_t next_ms = cress_schedules_next(schedule, definition, now_ms);
    char next[CRESS_TIME_TEXT_MAX], last[CRESS_TIME_TEXT_MAX];
    cress_table_add(table, (const char *const[]){
                               schedule->name,
                               cress_schedule_status_word(cress_schedules_status(schedule, now_ms)),
                               definition->cron, definition->timezone,
                               next_ms ? format_tick(next_ms, next) : NULL,
                               schedule->last_ms ? format_tick(schedule->last_ms, last) : NULL,
                               schedule->last_state, schedule->last_id});
}

/* Workers that do not agree each run their own: a row for each of them. */
static void add_cron_rows(struct cress_table *table, const struct cress_schedule_record *schedule)
{
    if (schedule->fleet_count < 2) {
        add_cron_row(table, schedule, &schedule->definition);
        return;
    }
    for (size_t i = 0; i < schedule->fleet_count; i++) {
        add_cron_row(table, schedule, &schedule->fleets[i].definition);
    }
}

static void say_who_differs(struct cress_cli *cli, const struct cress_schedule_record *schedule)
{
    enum { WORKERS_MAX_BYTES = 1 << 20 };
    char shown[CRESS_WORKER_ID_MAX];
    for (size_t i = 0; schedule->fleet_count > 1 && i < schedule->fleet_count; i++) {
        const struct cress_schedule_fleet *fleet = &schedule->fleets[i];
        const struct cress_schedule_definition *definition = &fleet->definition;
        struct cress_buf workers = cress_buf_make(WORKERS_MAX_BYTES);
        for (size_t j = 0; j < fleet->worker_count; j++) {
            cress_buf_add_text(&workers, j > 0 ? ", " : "");
            cress_buf_add_text(&workers, cress_worker_id_shown(fleet->workers[j], shown));
        }
        cress_output_say(&cli->output,
                         "%s is defined in %zu ways, of which each runs; %s: %s, %s, missed %s, "
                         "overlap %s, %s",
                         schedule->name, schedule->fleet_count, cress_buf_text(&workers),
                         definition->cron, definition->timezone, definition->missed,
                         definition->overlap, definition->request);
        cress_buf_free(&workers);
    }
}

static void print_cron_json(const struct cress_schedule_record *schedules, size_t count)
{
    struct cress_buf json = cress_buf_make(JSON_MAX_BYTES);
    for (size_t i = 0; i < count; i++) {
        cress_buf_add_text(&json, i ? ",\n" : "");
        cress_schedules_write_json(&schedules[i], cress_clock_wall_ms(), &json);
    }
    printf("[%s]\n", cress_buf_text(&json));
    cress_buf_free(&json);
}

static void on_cron_list(const struct cress_schedule_record *schedules, size_t count,
                         const struct cress_error *err, void *arg)
{
    static const char *const columns[] = {"SCHEDULE",  "STATUS",   "CRON", "TIMEZONE", "NEXT TICK",
                                          "LAST TICK", "LAST JOB", "+ID",  NULL};
    struct cress_cli *cli = arg;
    if (cress_cli_failed(cli, err)) {
        return;
    }
    if (cress_cli_json(cli)) {
        print_cron_json(schedules, count);
        cress_cli_end(cli, 0);
        return;
    }
    struct cress_table *table = cress_table_new(columns);
    for (size_t i = 0; i < count; i++) {
        add_cron_rows(table, &schedules[i]);
    }
    cress_table_print(table, &cli->output);
    for (size_t i = 0; i < count; i++) {
        say_who_differs(cli, &schedules[i]);
    }
    if (count == 0) {
        cress_output_say(&cli->output,
                         "no worker has a schedule; add a [schedule NAME] section to cress.conf");
    }
    cress_cli_end(cli, 0);
}

static void run_list(struct cress_cli *cli)
{
    cress_store_schedules(cli->store, NULL, on_cron_list, cli);
}

/* --- next --- */

/* True when the verb is over: the one schedule that was asked for is not there. */
static bool is_missing_section(struct cress_cli *cli, size_t count, const struct cress_error *err)
{
    const struct cron *cron = cli->state;
    struct cress_error missing;
    if (!err && count == 0) {
        cress_schedules_missing(cron->names[0], &missing);
        err = &missing;
    }
    return cress_cli_failed(cli, err);
}

static void on_next(const struct cress_schedule_record *schedules, size_t count,
                    const struct cress_error *err, void *arg)
{
    struct cress_cli *cli = arg;
    struct cress_schedule schedule;
    struct cress_error why;
    if (is_missing_section(cli, count, err)) {
        return;
    }
    const struct cress_schedule_definition *definition = &schedules->definition;
    say_who_differs(cli, schedules);
    if (cress_schedule_make(definition->cron, definition->timezone, &schedule, &why) != CRESS_OK) {
        cress_cli_fail(cli, &why);
        return;
    }
    print_ticks(cli, &schedule);
    cress_schedule_free(&schedule);
    cress_cli_end(cli, 0);
}

static void run_next(struct cress_cli *cli)
{
    const struct cron *cron = cli->state;
    if (cron->has_schedule) {
        print_ticks(cli, &cron->schedule);
        cress_cli_end(cli, 0);
    } else {
        cress_store_schedules(cli->store, cron->names[0], on_next, cli);
    }
}

/* --- run --- */

static void on_cron_submitted(const struct cress_record *record, const struct cress_error *err,
                              void *arg)
{
    struct cress_cli *cli = arg;
    if (cress_cli_failed(cli, err)) {
        return;
    }
    printf(cress_cli_json(cli) ? "{\"id\":\"%s\"}\n" : "%s\n", record->id);
    cress_cli_end(cli, 0);
}

static void on_cron_run(const struct cress_schedule_record *schedules, size_t count,
                        const struct cress_error *err, void *arg)
{
    struct cress_cli *cli = arg;
    if (is_missing_section(cli, count, err)) {
        return;
    }
    cress_schedules_run(cress_cli_door(cli, CRESS_CLI_CONFIRM_MS), schedules, on_cron_submitted,
                        cli);
}

static void run_run(struct cress_cli *cli)
{
    const struct cron *cron = cli->state;
    cress_store_schedules(cli->store, cron->names[0], on_cron_run, cli);
}

/* --- pause, resume --- */

struct pausing {
    struct cress_cli *cli;
    const char *name;
};

static bool is_cron_pause(const struct cron *cron)
{
    return strcmp(cron->action->word, "pause") == 0;
}

static void print_paused(const struct cress_cli *cli, const char *name)
{
    const bool paused = is_cron_pause(cli->state);
    if (cress_cli_json(cli)) { /* a name needs no escape */
        printf("{\"name\":\"%s\",\"status\":\"%s\"}\n", name, paused ? "paused" : "active");
    } else {
        printf("%s %s\n", name, paused ? "paused" : "resumed");
    }
}

static void on_cron_paused(const struct cress_error *err, void *arg)
{
    struct pausing *pausing = arg;
    struct cress_cli *cli = pausing->cli;
    struct cron *cron = cli->state;
    if (!cress_cli_over(cli)) {
        if (err) {
            cress_output_error(&cli->output, err);
            cron->exit_code = cress_status_exit_code(err->status);
        } else {
            print_paused(cli, pausing->name);
        }
        if (++cron->answered == cron->name_count) {
            cress_cli_end(cli, cron->exit_code);
        }
    }
    free(pausing);
}

static void run_cron_pause(struct cress_cli *cli)
{
    const struct cron *cron = cli->state;
    for (int i = 0; i < cron->name_count; i++) {
        struct pausing *pausing = CRESS_NEW(struct pausing);
        *pausing = (struct pausing){.cli = cli, .name = cron->names[i]};
        cress_store_schedule_pause(cli->store, cron->names[i], is_cron_pause(cron), on_cron_paused,
                                   pausing);
    }
}

/* --- check --- */

/* The members of the JSON are those of GET /v1/schedules. */
static void check_section(const struct cress_config *config,
                          const struct cress_schedule_config *section, struct cress_table *table,
                          json_t *json, struct cress_error *err)
{
    struct cress_plan *plan;
    char next[CRESS_TIME_TEXT_MAX];
    if (cress_plan_make(config, section, &plan, err) == CRESS_OK) {
        format_tick(cress_schedule_next(&plan->schedule, cress_clock_wall_ms()), next);
        if (table) {
            cress_table_add(table, (const char *const[]){section->name, section->cron,
                                                         section->timezone, section->task, next});
        }
        json_array_append_new(json,
                              json_pack("{s:s, s:s, s:s, s:{s:s}, s:s}", "name", section->name,
                                        "cron", section->cron, "timezone", section->timezone, "job",
                                        "task", section->task, "next_tick_at", next));
        cress_plan_free(plan);
    }
}

/* All that are wrong are named, not only the first. */
static void check_sections(struct cress_cli *cli)
{
    static const char *const columns[] = {"SCHEDULE", "CRON",      "TIMEZONE",
                                          "TASK",     "NEXT TICK", NULL};
    struct cress_table *table = cress_cli_json(cli) ? NULL : cress_table_new(columns);
    json_t *json = json_array();
    int exit_code = 0;
    for (size_t i = 0; i < cli->config->schedule_count; i++) {
        struct cress_error err = {.status = CRESS_OK};
        check_section(cli->config, &cli->config->schedules[i], table, json, &err);
        if (err.status != CRESS_OK) {
            cress_output_error(&cli->output, &err);
            exit_code = cress_status_exit_code(err.status);
        }
    }
    if (table) {
        cress_table_print(table, &cli->output);
    } else {
        json_dumpf(json, stdout, JSON_COMPACT);
        putchar('\n');
    }
    json_decref(json);
    if (cli->config->schedule_count == 0) {
        cress_output_say(&cli->output, "the configuration has no [schedule NAME] section");
    }
    cress_cli_end(cli, exit_code);
}

static void run_cron_check(struct cress_cli *cli)
{
    const struct cron *cron = cli->state;
    if (cron->has_schedule) {
        print_ticks(cli, &cron->schedule);
        cress_cli_end(cli, 0);
    } else {
        check_sections(cli);
    }
}

/* --- what the user gave --- */

static const struct action actions[] = {
    {"list", "", 0, 0, CRESS_NEEDS_STORE, run_list},
    {"next", " NAME", 1, 1, 0, run_next},
    {"run", " NAME", 1, 1, CRESS_NEEDS_STORE | CRESS_NEEDS_BROKER, run_run},
    {"pause", " NAME...", 1, -1, CRESS_NEEDS_STORE, run_cron_pause},
    {"resume", " NAME...", 1, -1, CRESS_NEEDS_STORE, run_cron_pause},
    {"check", " [EXPRESSION]", 0, 1, 0, run_cron_check},
};

static const char *const words[] = {"list", "next", "run", "pause", "resume", "check", NULL};

static enum cress_status find_action(const char *word, const struct action **out,
                                     struct cress_error *err)
{
    for (size_t i = 0; i < CRESS_COUNT(actions); i++) {
        if (strcmp(actions[i].word, word) == 0) {
            *out = &actions[i];
            return CRESS_OK;
        }
    }
    const char *closest = cress_text_closest(word, words);
    return cress_error_set(err, CRESS_USAGE, "unknown_operand",
                           "cron %s: it is cron list, next, run, pause, resume or check%s%s%s",
                           word, closest ? "; did you mean " : "", closest ? closest : "",
                           closest ? "?" : "");
}

static enum cress_status check_names(const struct cron *cron, struct cress_error *err)
{
    const struct action *action = cron->action;
    if (cron->name_count < action->min_operands ||
        (action->max_operands >= 0 && cron->name_count > action->max_operands)) {
        return cress_error_set(err, CRESS_USAGE, "wrong_operands", "usage: cress cron %s%s",
                               action->word, action->operands);
    }
    return CRESS_OK;
}

/* `next` of a schedule in this configuration, and `check` of an expression, ask no server. */
static enum cress_status make_cron_schedule(struct cress_cli *cli, struct cron *cron,
                                            struct cress_error *err)
{
    const char *timezone = cress_args_text(&cli->args, "timezone");
    const char *expression = NULL;
    if (cron->action->run == run_cron_check && cron->name_count > 0) {
        expression = cron->names[0];
        timezone = timezone ? timezone : "UTC";
    } else if (cron->action->run == run_next) {
        const struct cress_schedule_config *section =
            cress_config_schedule(cli->config, cron->names[0]);
        expression = section ? section->cron : NULL;
        timezone = section ? section->timezone : NULL;
        cli->needs |= section ? 0 : CRESS_NEEDS_STORE;
    }
    if (!expression) {
        return CRESS_OK;
    }
    const enum cress_status status =
        cress_schedule_make(expression, timezone, &cron->schedule, err);
    cron->has_schedule = status == CRESS_OK;
    return status;
}

static enum cress_status prepare_cron(struct cress_cli *cli, struct cress_error *err)
{
    struct cron *cron = CRESS_NEW(struct cron);
    cli->state = cron;
    cron->names = cli->args.operands + 1;
    cron->name_count = cli->args.operand_count - 1;
    enum cress_status status = find_action(cli->args.operands[0], &cron->action, err);
    if (status == CRESS_OK) {
        status = check_names(cron, err);
    }
    if (status == CRESS_OK) {
        cli->needs |= cron->action->needs;
        status = make_cron_schedule(cli, cron, err);
    }
    return status;
}

static void run_cron(struct cress_cli *cli)
{
    const struct cron *cron = cli->state;
    cron->action->run(cli);
}

static void release_cron(struct cress_cli *cli)
{
    struct cron *cron = cli->state;
    if (cron->has_schedule) {
        cress_schedule_free(&cron->schedule);
    }
    free(cron);
}

static const struct cress_flag flags[] = {
    {.name = "count",
     .letter = 'n',
     .kind = CRESS_FLAG_NUMBER,
     .value = "N",
     .min = 1,
     .max = 10000,
     .help = "next, check: how many ticks (default: 5)"},
    {.name = "timezone",
     .kind = CRESS_FLAG_TEXT,
     .value = "ZONE",
     .help = "check: whose clock the expression means (default: UTC)"},
    {.name = NULL},
};

const struct cress_verb cress_verb_cron = {
    .name = "cron",
    .operands = "list|next|run|pause|resume|check [NAME...|EXPRESSION]",
    .summary = "list, pause and run schedules, and see when they are due",
    .about =
        "Schedules are [schedule NAME] sections in the workers' configuration. Columns of `list`:\n"
        "name, status (active, paused, or gone: no worker has it), cron expression, time zone, "
        "next\n"
        "tick, last tick, state and id of the last tick's job. Times are UTC.\n"
        "\n"
        "`next` prints the next ticks, in UTC and as the zone's clock shows them. `run` submits "
        "the\n"
        "schedule's job now and prints its id; the ticks stay as they are. `pause` lasts until\n"
        "`resume`, which makes up for nothing. `check` reads the [schedule] sections of this\n"
        "configuration, or one expression, and asks no server.\n",
    .examples = "  cress cron list\n"
                "  cress cron next nightly -n 10\n"
                "  cress cron check '30 2 * * MON-FRI' --timezone Europe/Berlin\n"
                "  cress wait $(cress cron run nightly)\n"
                "  cress cron pause nightly\n",
    .flags = flags,
    .words = words,
    .min_operands = 1,
    .max_operands = -1,
    .needs = CRESS_NEEDS_CONFIG,
    .prepare = prepare_cron,
    .run = run_cron,
    .release = release_cron,
};
