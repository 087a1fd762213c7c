// SPDX-License-Identifier: Apache-2.0
// The fields of a job record in Redis; see fields.h.
#include "common/store/fields.h"

#include "common/base/mem.h"
#include "common/base/text.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The picture of a record:
 *
 *   status        running 2 1 0 0 1764000000123 host:4711:9f03ab51
 *                 |       | | | | |             worker that runs or ran it, see worker_id.h
 *                 |       | | | | started_ms
 *                 |       | | | flags: the sum of enum cress_record_flag
 *                 |       | | crashes: workers that died while they ran it; for start.lua alone
 *                 |       | attempt
 *                 |       version
 *                 state
 *   task          cress.echo
 *   …             as in the table below; what is 0 or NULL is not stored
 *
 * All that every transition reads and writes is one field, for each field costs Redis time: with a
 * field for each part a job took half as much again. Numbers are decimal, times milliseconds.
 * Values of at most 64 bytes keep the hash in Redis's compact form.
 *
 * To add a field: a line in the table; old records lack it and read as 0 or NULL. To add a part to
 * `status`: another field instead, or a new name for it, which the scripts read while records of
 * both kinds exist. */
enum field_kind { TEXT, INT, INT64, BOOL };

static const struct field {
    const char *name;
    enum field_kind kind;
    size_t offset; /* in struct cress_record */
} fields[] = {
#define FIELD(name, kind)                                \
    {                                                    \
#name, kind, offsetof(struct cress_record, name) \
    }
    FIELD(task, TEXT),
    FIELD(queue, TEXT),
    FIELD(priority, TEXT),
    FIELD(max_attempts, INT),
    FIELD(timeout_ms, INT64),
    FIELD(batch, TEXT),
    FIELD(created_ms, INT64),
    FIELD(run_at_ms, INT64),
    FIELD(expires_ms, INT64),
    FIELD(payload, TEXT),
    FIELD(result, TEXT),
    FIELD(error, TEXT),
    FIELD(finished_ms, INT64),
    FIELD(progress, TEXT),
    FIELD(log, TEXT),
    FIELD(backoff, TEXT),
    FIELD(backoff_base_ms, INT64),
    FIELD(backoff_cap_ms, INT64),
    FIELD(attempts, TEXT),
    FIELD(key, TEXT),
    FIELD(unique, TEXT),
    FIELD(unique_for_ms, INT64),
    FIELD(idempotency_key, TEXT),
    FIELD(cancel, TEXT),
    FIELD(after, TEXT),
    FIELD(after_any, BOOL),
    FIELD(reply_to, TEXT),
    FIELD(correlation_id, TEXT),
    FIELD(traceparent, TEXT),
    FIELD(blocked, TEXT),
    FIELD(promise, TEXT),
#undef FIELD
};

static int flags_of(const struct cress_record *record)
{
    return (record->batch ? CRESS_RECORD_BATCHED : 0) +
           (record->unique || record->idempotency_key ? CRESS_RECORD_UNIQUE : 0);
}

static void format_status(const struct cress_record *record, char text[CRESS_STATUS_MAX])
{
    snprintf(text, CRESS_STATUS_MAX, "%s %" PRId64 " %d 0 %d %" PRId64 " %s",
             cress_state_word(record->state), record->version, record->attempt, flags_of(record),
             record->started_ms, record->worker ? record->worker : "");
}

static int64_t take_number(const char **text)
{
    char *end;
    const long long number = strtoll(*text, &end, 10);

    *text = end;
    return number;
}

static void read_status(const char *text, struct cress_record *record)
{
    char word[16];
    const size_t size = strcspn(text, " ");

    snprintf(word, sizeof word, "%.*s", (int)size, text);
    cress_state_parse(word, &record->state);
    const char *rest = text + size;
    record->version = take_number(&rest);
    record->attempt = (int)take_number(&rest);
    take_number(&rest); /* crashes and flags are the scripts' own */
    take_number(&rest);
    record->started_ms = take_number(&rest);
    if (rest[0] == ' ' && rest[1] != '\0') {
        record->worker = rest + 1;
    }
}

void cress_fields_add(struct cress_redis_args *args, const struct cress_record *record,
                      char status[CRESS_STATUS_MAX])
{
    format_status(record, status);
    cress_redis_add(args, "status");
    cress_redis_add(args, status);
    for (size_t i = 0; i < CRESS_COUNT(fields); i++) {
        const void *at = (const char *)record + fields[i].offset;
        const char *text = NULL;
        int64_t number = 0;

        switch (fields[i].kind) {
        case TEXT:
            text = *(const char *const *)at;
            break;
        case INT:
            number = *(const int *)at;
            break;
        case INT64:
            number = *(const int64_t *)at;
            break;
        case BOOL:
            number = *(const bool *)at;
            break;
        }
        if (text) {
            cress_redis_add(args, fields[i].name);
            cress_redis_add(args, text);
        } else if (number != 0) {
            cress_redis_add(args, fields[i].name);
            cress_redis_add_int(args, number);
        }
    }
}

static void read_field(const struct field *field, const char *value, struct cress_record *record)
{
    void *at = (char *)record + field->offset;
    int64_t number = 0;

    switch (field->kind) {
    case TEXT:
        *(const char **)at = value;
        break;
    case INT:
        cress_text_to_int(value, &number);
        *(int *)at = (int)number;
        break;
    case INT64:
        cress_text_to_int(value, at);
        break;
    case BOOL:
        *(bool *)at = strcmp(value, "1") == 0;
        break;
    }
}

void cress_fields_read(const redisReply *reply, struct cress_record *record)
{
    size_t next = 0; /* fields mostly come in the order of the table */

    for (size_t i = 0; i + 1 < reply->elements; i += 2) {
        const char *name = reply->element[i]->str;
        if (strcmp(name, "status") == 0) {
            read_status(reply->element[i + 1]->str, record);
            continue;
        }
        for (size_t tried = 0; tried < CRESS_COUNT(fields); tried++) {
            const struct field *field = &fields[next];
            next = (next + 1) % CRESS_COUNT(fields);
            if (strcmp(field->name, name) == 0) {
                read_field(field, reply->element[i + 1]->str, record);
                break;
            }
        }
    }
}
