// SPDX-License-Identifier: Apache-2.0
// The attempts of jobs as a table; see attempts.h.
#include "producer/cli/attempts.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/job/attempts.h"
#include "producer/cli/cli.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

enum { JSON_MAX_BYTES = 1 << 20, DETAIL_MAX_BYTES = 1024 };

static const char *text_of(const json_t *attempt, const char *member)
{
    return json_string_value(json_object_get(attempt, member));
}

/* How long it took, or has been running. */
static void format_span(const json_t *attempt, char text[CRESS_SPAN_TEXT_MAX])
{
    const char *started = text_of(attempt, "started_at"), *ended = text_of(attempt, "ended_at");
    int64_t from_ms = 0, to_ms = cress_clock_wall_ms();
    text[0] = '\0';
    if (started && cress_time_parse(started, &from_ms, NULL) == CRESS_OK &&
        (!ended || cress_time_parse(ended, &to_ms, NULL) == CRESS_OK)) {
        cress_span_format(to_ms - from_ms, text);
    }
}

static void add_attempt(struct cress_table *table, const char *id, const json_t *attempt)
{
    const json_t *error = json_object_get(attempt, "error");
    const char *outcome = text_of(attempt, "outcome");
    char number[24], took[CRESS_SPAN_TEXT_MAX], detail[DETAIL_MAX_BYTES] = "";
    snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT,
             json_integer_value(json_object_get(attempt, "attempt")));
    format_span(attempt, took);
    if (json_is_object(error)) {
        const char *code = text_of(error, "code"), *message = text_of(error, "message");
        snprintf(detail, sizeof detail, "%s: %s", code ? code : "error", message ? message : "");
    }
    cress_table_add(table, (const char *const[]){id, number, outcome ? outcome : "running",
                                                 text_of(attempt, "worker"),
                                                 text_of(attempt, "started_at"), took, detail});
}

static void add_record(struct cress_table *table, const struct cress_record *record)
{
    struct cress_buf text = cress_buf_make(JSON_MAX_BYTES);
    cress_attempts_write_json(record, &text);
    json_t *attempts = json_loads(cress_buf_text(&text), 0, NULL);
    size_t i;
    const json_t *attempt;
    json_array_foreach(attempts, i, attempt)
    {
        add_attempt(table, record->id, attempt);
    }
    json_decref(attempts);
    cress_buf_free(&text);
}

void cress_attempts_print(struct cress_cli *cli, struct cress_record *const *records, size_t count)
{
    static const char *const columns[] = {"ID",      ">ATTEMPT", "OUTCOME", "WORKER",
                                          "STARTED", ">TOOK",    "ERROR",   NULL};
    struct cress_table *table = cress_table_new(columns);
    for (size_t i = 0; i < count; i++) {
        if (records[i]) {
            add_record(table, records[i]);
        }
    }
    cress_table_print(table, &cli->output);
}
