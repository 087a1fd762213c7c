// SPDX-License-Identifier: Apache-2.0
// Job records for people and programs; see records.h.
#include "producer/cli/records.h"

#include "common/base/clock.h"
#include "common/base/id.h"
#include "producer/cli/cli.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* Payload and result at their largest, each escaped. */
#define JSON_MAX_BYTES ((size_t)512 << 20)
enum { DETAIL_MAX_BYTES = 4096 };

enum cress_status cress_records_check_ids(struct cress_cli *cli, struct cress_error *err)
{
    for (int i = 0; i < cli->args.operand_count; i++) {
        if (!cress_id_is_valid(cli->args.operands[i])) {
            return cress_error_set(err, CRESS_USAGE, NULL, "\"%s\" cannot be a job's id",
                                   cli->args.operands[i]);
        }
    }
    return CRESS_OK;
}

void cress_record_print_json(const struct cress_cli *cli, const struct cress_record *record)
{
    struct cress_buf json = cress_buf_make(JSON_MAX_BYTES);
    cress_record_write_json(record, &json);
    cress_output_json(&cli->output, cress_buf_text(&json), json.size, true);
    cress_buf_free(&json);
}

static size_t print_records_json(const struct cress_cli *cli, struct cress_record *const *records,
                                 size_t count, bool as_array)
{
    bool first = true;
    if (as_array) {
        putchar('[');
    }
    for (size_t i = 0; i < count; i++) {
        if (records[i]) {
            fputs(first ? "" : ",\n", stdout);
            cress_record_print_json(cli, records[i]);
            first = false;
        }
    }
    fputs(as_array ? "]\n" : first ? "" : "\n", stdout);
    return 1;
}

/* "42 %: what it does" of a job that runs. */
static void describe_progress(const char *progress, char text[DETAIL_MAX_BYTES])
{
    json_t *json = json_loads(progress, 0, NULL);
    const json_t *percent = json_object_get(json, "percent");
    const char *message = json_string_value(json_object_get(json, "message"));
    if (json_is_number(percent)) {
        snprintf(text, DETAIL_MAX_BYTES, "%.4g %%%s%s", json_number_value(percent),
                 message ? ": " : "", message ? message : "");
    } else if (message) {
        snprintf(text, DETAIL_MAX_BYTES, "%s", message);
    }
    json_decref(json);
}

/* "code: message" of an error, the beginning of a result, or how far it is. */
static void describe_record(const struct cress_record *record, char text[DETAIL_MAX_BYTES])
{
    text[0] = '\0';
    if (record->progress && record->state == CRESS_STATE_RUNNING) {
        describe_progress(record->progress, text);
    } else if (record->error && record->state != CRESS_STATE_SUCCEEDED) {
        json_t *error = json_loads(record->error, 0, NULL);
        const char *code = json_string_value(json_object_get(error, "code"));
        const char *message = json_string_value(json_object_get(error, "message"));
        snprintf(text, DETAIL_MAX_BYTES, "%s: %s", code ? code : "error", message ? message : "");
        json_decref(error);
    } else if (record->result) {
        snprintf(text, DETAIL_MAX_BYTES, "%s", record->result);
    }
}

static void add_for_people(struct cress_table *table, const struct cress_record *record)
{
    char attempt[32], age[CRESS_SPAN_TEXT_MAX] = "", took[CRESS_SPAN_TEXT_MAX] = "";
    char detail[DETAIL_MAX_BYTES];
    const int64_t now_ms = cress_clock_wall_ms();
    if (record->max_attempts) {
        snprintf(attempt, sizeof attempt, "%d/%d", record->attempt, record->max_attempts);
    } else {
        snprintf(attempt, sizeof attempt, "%d", record->attempt);
    }
    if (record->created_ms) {
        cress_span_format(now_ms - record->created_ms, age);
    }
    if (record->started_ms) {
        cress_span_format((record->finished_ms ? record->finished_ms : now_ms) - record->started_ms,
                          took);
    }
    describe_record(record, detail);
    cress_table_add(table, (const char *const[]){record->id, record->task, record->queue,
                                                 cress_state_word(record->state), attempt, age,
                                                 took, detail});
}

static const char *time_text(int64_t ms, char text[CRESS_TIME_TEXT_MAX])
{
    return ms ? cress_time_format(ms, text) : NULL;
}

static void add_for_programs(struct cress_table *table, const struct cress_record *record)
{
    char attempt[16], max[16], detail[DETAIL_MAX_BYTES];
    char created[CRESS_TIME_TEXT_MAX], started[CRESS_TIME_TEXT_MAX], finished[CRESS_TIME_TEXT_MAX];
    snprintf(attempt, sizeof attempt, "%d", record->attempt);
    snprintf(max, sizeof max, "%d", record->max_attempts);
    describe_record(record, detail);
    cress_table_add(table, (const char *const[]){record->id, record->task, record->queue,
                                                 cress_state_word(record->state), attempt,
                                                 record->max_attempts ? max : NULL,
                                                 time_text(record->created_ms, created),
                                                 time_text(record->started_ms, started),
                                                 time_text(record->finished_ms, finished), detail});
}

size_t cress_records_print(struct cress_cli *cli, struct cress_record *const *records, size_t count,
                           bool as_array)
{
    static const char *const people[] = {"ID",   "TASK",  "QUEUE",           "STATE", ">ATTEMPT",
                                         ">AGE", ">TOOK", "RESULT OR ERROR", NULL};
    static const char *const programs[] = {"id",       "task",   "queue",   "state",
                                           "attempt",  "max",    "created", "started",
                                           "finished", "detail", NULL};
    if (cress_cli_json(cli)) {
        return print_records_json(cli, records, count, as_array);
    }
    const bool for_people = cli->output.out_is_terminal;
    struct cress_table *table = cress_table_new(for_people ? people : programs);
    for (size_t i = 0; i < count; i++) {
        if (records[i]) {
            (for_people ? add_for_people : add_for_programs)(table, records[i]);
        }
    }
    return cress_table_print(table, &cli->output);
}

int cress_record_exit_code(const struct cress_record *record)
{
    switch (record->state) {
    case CRESS_STATE_SUCCEEDED:
        return 0;
    case CRESS_STATE_CANCELLED:
        return cress_status_exit_code(CRESS_CANCELLED);
    default:
        return cress_status_exit_code(CRESS_JOB_FAILED);
    }
}

void cress_record_explain(struct cress_cli *cli, const struct cress_record *record)
{
    char detail[DETAIL_MAX_BYTES];
    describe_record(record, detail);
    struct cress_error err;
    cress_error_set(&err, CRESS_JOB_FAILED, NULL, "job %s %s%s%s", record->id,
                    cress_state_word(record->state), detail[0] ? ": " : "", detail);
    cress_output_error(&cli->output, &err);
}

void cress_record_missing(const char *id, struct cress_error *err)
{
    cress_error_set(
        err, CRESS_NOT_FOUND, "unknown_job",
        "no job %s: it never existed, its record has expired, or it is in another store", id);
}
