// SPDX-License-Identifier: Apache-2.0
// The lines between the worker and a stream program; see stream_protocol.h.
#include "worker/handler/stream_protocol.h"

#include "common/base/decimal.h"
#include "common/base/mem.h"
#include "common/base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN_MAX = 80 }; /* of a wrong line, in an error */

#define RETRY_AFTER_MAX_MS CRESS_JOB_TIMEOUT_MAX_MS

/* --- jobs --- */

static void add_job_text(struct cress_buf *out, const char *name, const char *text)
{
    cress_buf_add_char(out, '"');
    cress_buf_add_text(out, name);
    cress_buf_add_text(out, "\":");
    cress_buf_add_json(out, text, strlen(text));
    cress_buf_add_char(out, ',');
}

static void add_job_number(struct cress_buf *out, const char *name, int64_t number)
{
    char digits[CRESS_DECIMAL_MAX];
    const size_t size = cress_decimal(number, digits);
    cress_buf_add_char(out, '"');
    cress_buf_add_text(out, name);
    cress_buf_add_text(out, "\":");
    cress_buf_add(out, digits, size);
    cress_buf_add_char(out, ',');
}

bool cress_stream_add_job(struct cress_buf *out, const struct cress_job *job, const char *after,
                          int64_t deadline_ms)
{
    const size_t start = out->size;
    cress_buf_add_char(out, '{');
    add_job_text(out, "id", job->id);
    add_job_text(out, "task", job->task);
    add_job_number(out, "attempt", job->attempt);
    add_job_number(out, "max_attempts", job->max_attempts);
    add_job_number(out, "deadline_ms", deadline_ms);
    if (job->traceparent) {
        add_job_text(out, "traceparent", job->traceparent);
    }
    if (after) {
        cress_buf_add_text(out, "\"after\":");
        cress_json_add_line(out, (struct cress_json){after, strlen(after)});
        cress_buf_add_char(out, ',');
    }
    cress_buf_add_text(out, "\"payload\":");
    cress_json_add_line(out, (struct cress_json){job->payload, job->payload_size});
    cress_buf_add_text(out, "}\n");
    if (out->overflowed) {
        out->size = start;
        out->overflowed = false;
        return false;
    }
    return true;
}

void cress_stream_add_cancel(struct cress_buf *out, const char *id)
{
    cress_buf_add_text(out, "{\"cancel\":");
    cress_buf_add_json(out, id, strlen(id));
    cress_buf_add_text(out, "}\n");
}

/* --- messages --- */

/* `line` as far as it can be shown: its beginning, when it is text. */
static enum cress_status refuse_line(struct cress_error *err, const char *line, size_t size,
                                     const char *problem)
{
    size_t shown = 0;
    while (shown < size && shown < SHOWN_MAX) {
        const size_t length = cress_text_utf8_length(line + shown, size - shown);
        if (length == 0 || (unsigned char)line[shown] < ' ') {
            break;
        }
        shown += length;
    }
    return cress_error_set(err, CRESS_MALFORMED, "bad_line",
                           "the program wrote a wrong line (%s): %.*s%s - stdout is for answers as "
                           "JSON objects, everything else belongs on stderr",
                           problem, (int)shown, line, shown < size ? "…" : "");
}

/* Each reads one kind of message from the value of its member, and returns what is wrong with it, or
 * NULL. `line` is the whole of it. */

static bool is_kind(struct cress_json value, enum cress_json_kind kind)
{
    return cress_json_kind(value) == kind;
}

/* Keeps what a string says. */
static bool keep_text(struct cress_stream_message *message, struct cress_json string)
{
    message->room = cress_buf_make(string.size + 1);
    if (!cress_json_add_string(&message->room, string)) {
        return false;
    }
    message->text = cress_buf_text(&message->room);
    message->text_size = message->room.size;
    return true;
}

/* Copies what a string says if it fits, and has no NUL. */
static bool copy_member(struct cress_json object, const char *name, char *out, size_t out_size)
{
    struct cress_json value;
    struct cress_buf text = cress_buf_make(out_size - 1);
    const bool good = cress_json_member(object, name, &value) &&
                      is_kind(value, CRESS_JSON_STRING) && cress_json_add_string(&text, value) &&
                      text.size > 0 && strlen(text.data) == text.size;
    if (good) {
        memcpy(out, text.data, text.size + 1);
    }
    cress_buf_free(&text);
    return good;
}

static const char *read_hello(struct cress_json line, struct cress_json version,
                              struct cress_stream_message *message)
{
    struct cress_json concurrency, cancel;
    int64_t number = 0;
    if (!cress_json_int(version, &number) || number != CRESS_STREAM_VERSION) {
        return "it asks for a version of the protocol that this worker does not speak";
    }
    number = 0;
    if (cress_json_member(line, "concurrency", &concurrency) &&
        (!cress_json_int(concurrency, &number) || number < 1 ||
         number > CRESS_STREAM_CONCURRENCY_MAX)) {
        return "`concurrency` is not a number from 1 to 10000";
    }
    message->kind = CRESS_STREAM_HELLO;
    message->knows_cancel = cress_json_member(line, "cancel", &cancel) && cancel.text[0] == 't';
    message->concurrency = (int)number;
    return NULL;
}

static const char *read_progress(struct cress_json line, struct cress_json progress,
                                 struct cress_stream_message *message)
{
    struct cress_json text;
    if (!is_kind(progress, CRESS_JSON_NUMBER)) {
        return "`progress` is not a number";
    }
    const double percent = strtod(progress.text, NULL); /* another character ends it */
    message->kind = CRESS_STREAM_PROGRESS;
    message->percent = percent > 100 ? 100 : percent > 0 ? (int)percent : 0;
    if (cress_json_member(line, "message", &text) && is_kind(text, CRESS_JSON_STRING)) {
        (void)keep_text(message, text);
    }
    return NULL;
}

static const char *read_log(struct cress_json line, struct cress_json log,
                            struct cress_stream_message *message)
{
    (void)line;
    message->kind = CRESS_STREAM_LOG;
    return is_kind(log, CRESS_JSON_STRING) && keep_text(message, log) ? NULL
                                                                      : "`log` is not a text";
}

static const char *read_result(struct cress_json line, struct cress_json result,
                               struct cress_stream_message *message)
{
    (void)line;
    message->kind = CRESS_STREAM_RESULT;
    message->result = result;
    return NULL;
}

static const char *read_error(struct cress_json line, struct cress_json error,
                              struct cress_stream_message *message)
{
    (void)line;
    struct cress_json value;
    int64_t after_ms = 0;
    if (!is_kind(error, CRESS_JSON_OBJECT)) {
        return "`error` is not an object";
    }
    message->kind = CRESS_STREAM_ERROR;
    message->retry = true;
    if (cress_json_member(error, "retry", &value)) {
        if (!is_kind(value, CRESS_JSON_BOOL)) {
            return "`retry` is neither true nor false";
        }
        message->retry = value.text[0] == 't';
    }
    if (!copy_member(error, "code", message->code, sizeof message->code)) {
        snprintf(message->code, sizeof message->code, "task_failed");
    }
    if (!cress_json_member(error, "message", &value) || !is_kind(value, CRESS_JSON_STRING) ||
        !keep_text(message, value) || message->text_size == 0) {
        message->text = "the program gave no reason";
        message->text_size = strlen(message->text);
    }
    if (cress_json_member(error, "retry_after_ms", &value) && cress_json_int(value, &after_ms)) {
        message->retry_after_ms = after_ms < 0                    ? 0
                                  : after_ms < RETRY_AFTER_MAX_MS ? after_ms
                                                                  : RETRY_AFTER_MAX_MS;
    }
    return NULL;
}

static const struct {
    const char *member;
    const char *(*read)(struct cress_json line, struct cress_json value,
                        struct cress_stream_message *message);
} readers[] = {
    {"result", read_result}, {"error", read_error}, {"progress", read_progress},
    {"log", read_log},       {"cress", read_hello},
};

static const char *read_message(struct cress_json line, struct cress_stream_message *message)
{
    struct cress_json value;
    const bool has_id = copy_member(line, "id", message->id, sizeof message->id);
    for (size_t i = 0; i < CRESS_COUNT(readers); i++) {
        if (cress_json_member(line, readers[i].member, &value)) {
            return has_id || readers[i].read == read_hello ? readers[i].read(line, value, message)
                                                           : "there is no `id` of a job";
        }
    }
    return "there is neither `result` nor `error` nor `progress` nor `log`";
}

enum cress_status cress_stream_parse(const char *line, size_t size,
                                     struct cress_stream_message *message, struct cress_error *err)
{
    struct cress_json value;
    struct cress_json_fault fault;
    struct cress_stream_message found = {.percent = 0};
    const char *problem = !cress_json_find_fault(line, size, &value, &fault) ? fault.reason
                          : is_kind(value, CRESS_JSON_OBJECT) ? read_message(value, &found)
                                                              : "it is not an object";
    if (problem) {
        cress_stream_message_free(&found);
        return refuse_line(err, line, size, problem);
    }
    *message = found;
    return CRESS_OK;
}

void cress_stream_message_free(struct cress_stream_message *message)
{
    cress_buf_free(&message->room);
}

/* --- lines --- */

struct cress_lines cress_lines_make(size_t max_bytes)
{
    return (struct cress_lines){.partial = cress_buf_make(max_bytes)};
}

void cress_lines_free(struct cress_lines *lines)
{
    cress_buf_free(&lines->partial);
}

bool cress_lines_feed(struct cress_lines *lines, const char *data, size_t size,
                      bool (*each_cb)(const char *line, size_t size, void *arg), void *arg)
{
    struct cress_buf *partial = &lines->partial;
    const char *end = data + size;
    const char *feed;
    bool wants_more = true;
    while (wants_more && data < end && (feed = memchr(data, '\n', (size_t)(end - data)))) {
        const size_t length = (size_t)(feed - data);
        if (partial->size == 0 && length <= partial->max_bytes) {
            wants_more = each_cb(data, length, arg);
        } else if (cress_buf_add(partial, data, length)) {
            wants_more = each_cb(partial->data, partial->size, arg);
            cress_buf_clear(partial);
        } else {
            return false;
        }
        data = feed + 1;
    }
    return !wants_more || cress_buf_add(partial, data, (size_t)(end - data));
}
