// SPDX-License-Identifier: Apache-2.0
// The job record as JSON, written piece by piece and not through jansson, because the gateway does
// it for every status request.
#include "common/job/record.h"

#include "common/base/clock.h"
#include "common/base/json.h"
#include "common/base/mem.h"
#include "common/job/after.h"
#include "common/job/attempts.h"
#include "common/job/worker_id.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { STRAYS_MAX = 128 }; /* of five names of members */

/* `name` is the whole of ,"name": or, for the first member, {"name": */
static void add_json(struct cress_buf *out, const char *name, const char *json)
{
    cress_buf_add_text(out, name);
    cress_buf_add_text(out, json ? json : "null");
}

/* Names of the members that hold what is no JSON, as items of an array. */
struct strays {
    char text[STRAYS_MAX];
    size_t size;
};

/* Whatever wrote it, what is no JSON must not become members of ours: it is shown as a string, and
 * `strays` tells. Earlier versions stored what foreign clients sent before they read it. */
static void add_embedded(struct cress_buf *out, struct strays *strays, const char *member,
                         const char *json)
{
    cress_buf_printf(out, ",\"%s\":", member);
    if (!json || cress_json_is_valid(json)) {
        add_json(out, "", json);
        return;
    }
    cress_buf_add_json(out, json, strlen(json));
    strays->size +=
        (size_t)snprintf(strays->text + strays->size, sizeof strays->text - strays->size,
                         "%s\"%s\"", strays->size > 0 ? "," : "", member);
}

static void add_number(struct cress_buf *out, const char *name, int64_t number)
{
    cress_buf_printf(out, "%s%" PRId64, name, number);
}

static void add_limit(struct cress_buf *out, const char *name, int64_t limit)
{
    if (limit == 0) {
        add_json(out, name, NULL);
    } else {
        add_number(out, name, limit);
    }
}

static void add_after(struct cress_buf *out, const struct cress_record *record)
{
    char id[CRESS_ID_MAX + 1];
    const char *rest = record->after;
    if (!rest) {
        add_json(out, ",\"after\":", NULL);
        return;
    }
    const char *separator = ",\"after\":[\"";
    while (cress_after_next(&rest, id)) {
        cress_buf_add_text(out, separator);
        cress_buf_add_text(out, id); /* an id needs no escape */
        separator = "\",\"";
    }
    add_json(out, "\"],\"after_any\":", record->after_any ? "true" : "false");
}

void cress_record_write_json(const struct cress_record *record, struct cress_buf *out)
{
    struct strays strays = {.size = 0};
    char worker[CRESS_WORKER_ID_MAX];
    cress_buf_add_member(out, "{\"id\":", record->id);
    cress_buf_add_member(out, ",\"task\":", record->task);
    cress_buf_add_member(out, ",\"queue\":", record->queue);
    cress_buf_add_member(out, ",\"priority\":", record->priority);
    cress_buf_add_member(out, ",\"state\":", cress_state_word(record->state));
    add_json(out, ",\"done\":", cress_state_is_terminal(record->state) ? "true" : "false");
    add_number(out, ",\"version\":", record->version);
    add_number(out, ",\"attempt\":", record->attempt);
    add_limit(out, ",\"max_attempts\":", record->max_attempts);
    add_limit(out, ",\"timeout_ms\":", record->timeout_ms);
    cress_buf_add_member(out, ",\"backoff\":", record->backoff);
    add_limit(out, ",\"backoff_base_ms\":", record->backoff_base_ms);
    add_limit(out, ",\"backoff_cap_ms\":", record->backoff_cap_ms);
    add_embedded(out, &strays, "payload", record->payload);
    add_embedded(out, &strays, "result", record->result);
    add_embedded(out, &strays, "error", record->error);
    add_json(out, ",\"cancel_requested\":", record->cancel ? "true" : "false");
    add_embedded(out, &strays, "progress", record->progress);
    cress_buf_add_member(out, ",\"log\":", record->log);
    cress_buf_add_member(out, ",\"worker\":", cress_worker_id_shown(record->worker, worker));
    cress_buf_add_member(out, ",\"batch_id\":", record->batch);
    cress_buf_add_member(out, ",\"key\":", record->key);
    cress_buf_add_member(out, ",\"unique\":", record->unique);
    add_after(out, record);
    add_embedded(out, &strays, "blocked", record->blocked);
    cress_time_add_member(out, ",\"created_at\":", record->created_ms);
    cress_time_add_member(out, ",\"run_at\":", record->run_at_ms);
    cress_time_add_member(out, ",\"started_at\":", record->started_ms);
    cress_time_add_member(out, ",\"finished_at\":", record->finished_ms);
    cress_time_add_member(out, ",\"expires_at\":", record->expires_ms);
    cress_buf_add_text(out, ",\"attempts\":");
    cress_attempts_write_json(record, out);
    add_number(out, ",\"attempts_dropped\":", cress_attempts_dropped(record));
    if (strays.size > 0) {
        cress_buf_printf(out, ",\"not_json\":[%s]", strays.text);
    }
    if (record->is_duplicate) {
        add_json(out, ",\"duplicate\":", "true");
    }
    cress_buf_add_char(out, '}');
}
