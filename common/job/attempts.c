// SPDX-License-Identifier: Apache-2.0
// The attempts of a job; see attempts.h.
#include "common/job/attempts.h"

#include "common/base/clock.h"
#include "common/base/json.h"
#include "common/job/worker_id.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A piece of a line, not terminated. Empty: not known. */
struct piece {
    const char *text;
    size_t size;
};

struct line {
    int64_t attempt, started_ms, ended_ms;
    struct piece worker, outcome, error;
};

/* --- reading --- */

/* The text up to the next blank or line end; `*at` moves behind the blank. */
static struct piece take_word(const char **at)
{
    const struct piece word = {*at, strcspn(*at, " \n")};
    *at += word.size + ((*at)[word.size] == ' ');
    return word;
}

static int64_t take_number(const char **at)
{
    const struct piece word = take_word(at);
    char *end;
    const long long number = strtoll(word.text, &end, 10);
    return end == word.text + word.size ? number : 0;
}

/* Reads a line, and moves `*at` behind it. */
static struct line take_line(const char **at)
{
    struct line line;
    line.attempt = take_number(at);
    line.worker = take_word(at);
    line.started_ms = take_number(at);
    line.ended_ms = take_number(at);
    line.outcome = take_word(at);
    line.error = (struct piece){*at, strcspn(*at, "\n")};
    *at += line.error.size;
    *at += **at == '\n';
    return line;
}

static const char *first_line(const struct cress_record *record)
{
    const char *end = record->attempts ? strchr(record->attempts, '\n') : NULL;
    return end ? end + 1 : "";
}

int64_t cress_attempts_dropped(const struct cress_record *record)
{
    return record->attempts ? strtoll(record->attempts, NULL, 10) : 0;
}

/* --- the last one --- */

static struct piece piece_of(const char *text)
{
    return text ? (struct piece){text, strlen(text)} : (struct piece){NULL, 0};
}

static struct line last_line(const struct cress_record *record)
{
    const bool is_over = cress_state_is_terminal(record->state);
    const bool is_good = record->state == CRESS_STATE_SUCCEEDED;
    return (struct line){
        .attempt = record->attempt,
        .worker = piece_of(record->worker),
        .started_ms = record->started_ms,
        .ended_ms = record->finished_ms,
        .outcome = piece_of(is_over ? cress_state_word(record->state) : NULL),
        .error = piece_of(is_over && !is_good ? record->error : NULL),
    };
}

/* A job that waits, or ended while it waited, has its last attempt among the lines. */
static bool is_told(const struct cress_record *record, const struct line *newest)
{
    const bool has_begun = record->attempt > 0 && record->started_ms > 0;
    const bool may_be_last =
        record->state == CRESS_STATE_RUNNING || cress_state_is_terminal(record->state);
    return !has_begun || !may_be_last ||
           (newest->attempt == record->attempt && newest->started_ms == record->started_ms);
}

/* --- writing --- */

static void add_text(struct cress_buf *out, const char *name, struct piece text)
{
    cress_buf_add_text(out, name);
    if (text.size > 0) {
        cress_buf_add_json(out, text.text, text.size);
    } else {
        cress_buf_add_text(out, "null");
    }
}

static void add_line(struct cress_buf *out, const struct line *line, bool is_first)
{
    cress_buf_printf(out, "%s{\"attempt\":%" PRId64, is_first ? "" : ",", line->attempt);
    const size_t shown = cress_worker_id_shown_size(line->worker.text, line->worker.size);
    add_text(out, ",\"worker\":", (struct piece){line->worker.text, shown});
    cress_time_add_member(out, ",\"started_at\":", line->started_ms);
    cress_time_add_member(out, ",\"ended_at\":", line->ended_ms);
    add_text(out, ",\"outcome\":", line->outcome);
    cress_buf_add_text(out, ",\"error\":");
    if (line->error.size > 0 &&
        cress_json_find_fault(line->error.text, line->error.size, NULL, NULL)) {
        cress_buf_add(out, line->error.text, line->error.size);
    } else {
        cress_buf_add_text(out, "null");
    }
    cress_buf_add_char(out, '}');
}

void cress_attempts_write_json(const struct cress_record *record, struct cress_buf *out)
{
    struct line newest = {.attempt = 0};
    bool is_first = true;
    cress_buf_add_char(out, '[');
    for (const char *at = first_line(record); *at;) {
        const struct line line = take_line(&at);
        if (line.attempt > 0) {
            add_line(out, &line, is_first);
            newest = line;
            is_first = false;
        }
    }
    if (!is_told(record, &newest)) {
        const struct line last = last_line(record);
        add_line(out, &last, is_first);
    }
    cress_buf_add_char(out, ']');
}
