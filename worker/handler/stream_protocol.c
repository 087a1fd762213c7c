// SPDX-License-Identifier: Apache-2.0
// The lines between the worker and a stream program; see stream_protocol.h.
#include "worker/handler/stream_protocol.h"

#include "common/base/mem.h"
#include "common/base/text.h"

#include <string.h>

enum { SHOWN_MAX = 80 }; /* of a wrong line, in an error */

#define RETRY_AFTER_MAX_MS CRESS_JOB_TIMEOUT_MAX_MS

/* --- jobs --- */

static void add_text(struct cress_buf *out, const char *name, const char *text)
{
    cress_buf_printf(out, "\"%s\":", name);
    cress_buf_add_json(out, text, strlen(text));
    cress_buf_add_char(out, ',');
}

/* Inside a JSON string a line break is an escape; those that stand here are between tokens. */
static void add_on_one_line(struct cress_buf *out, const char *json, size_t size)
{
    const size_t start = out->size;
    if (!cress_buf_add(out, json, size)) {
        return;
    }
    char *at = out->data + start;
    const char *end = at + size;
    while ((at = memchr(at, '\n', (size_t)(end - at)))) {
        *at++ = ' ';
    }
}

bool cress_stream_add_job(struct cress_buf *out, const struct cress_job *job, const char *after,
                          int64_t deadline_ms)
{
    const size_t start = out->size;
    cress_buf_add_char(out, '{');
    add_text(out, "id", job->id);
    add_text(out, "task", job->task);
    cress_buf_printf(out, "\"attempt\":%d,\"max_attempts\":%d,\"deadline_ms\":%lld,", job->attempt,
                     job->max_attempts, (long long)deadline_ms);
    if (job->traceparent) {
        add_text(out, "traceparent", job->traceparent);
    }
    if (after) {
        cress_buf_add_text(out, "\"after\":");
        add_on_one_line(out, after, strlen(after));
        cress_buf_add_char(out, ',');
    }
    cress_buf_add_text(out, "\"payload\":");
    add_on_one_line(out, job->payload, job->payload_size);
    cress_buf_add_text(out, "}\n");
    if (out->overflowed) {
        out->size = start;
        out->overflowed = false;
        return false;
    }
    return true;
}

/* --- messages --- */

/* `line` as far as it can be shown: its beginning, when it is text. */
static enum cress_status complain(struct cress_error *err, const char *line, size_t size,
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

/* Each reads one kind of message and returns what is wrong with it, or NULL. */

static const char *read_hello(struct cress_stream_message *message)
{
    const json_t *version = json_object_get(message->line, "cress");
    if (json_integer_value(version) != CRESS_STREAM_VERSION) {
        return "it asks for a version of the protocol that this worker does not speak";
    }
    const json_t *concurrency = json_object_get(message->line, "concurrency");
    const json_int_t number = json_integer_value(concurrency);
    if (concurrency && (number < 1 || number > CRESS_STREAM_CONCURRENCY_MAX)) {
        return "`concurrency` is not a number from 1 to 10000";
    }
    message->kind = CRESS_STREAM_HELLO;
    message->concurrency = (int)number;
    return NULL;
}

static const char *read_progress(struct cress_stream_message *message)
{
    const json_t *progress = json_object_get(message->line, "progress");
    if (!json_is_number(progress)) {
        return "`progress` is not a number";
    }
    const double percent = json_number_value(progress);
    message->kind = CRESS_STREAM_PROGRESS;
    message->percent = percent > 100 ? 100 : percent > 0 ? (int)percent : 0;
    message->text = json_string_value(json_object_get(message->line, "message"));
    return NULL;
}

static const char *read_log(struct cress_stream_message *message)
{
    message->kind = CRESS_STREAM_LOG;
    message->text = json_string_value(json_object_get(message->line, "log"));
    return message->text ? NULL : "`log` is not a text";
}

static const char *read_result(struct cress_stream_message *message)
{
    message->kind = CRESS_STREAM_RESULT;
    message->result = json_object_get(message->line, "result");
    return NULL;
}

static const char *read_error(struct cress_stream_message *message)
{
    const json_t *error = json_object_get(message->line, "error");
    if (!json_is_object(error)) {
        return "`error` is not an object";
    }
    const char *code = json_string_value(json_object_get(error, "code"));
    const char *text = json_string_value(json_object_get(error, "message"));
    const json_t *retry = json_object_get(error, "retry");
    const json_int_t after_ms = json_integer_value(json_object_get(error, "retry_after_ms"));
    if (retry && !json_is_boolean(retry)) {
        return "`retry` is neither true nor false";
    }
    message->kind = CRESS_STREAM_ERROR;
    message->code = code && code[0] ? code : "task_failed";
    message->message = text && text[0] ? text : "the program gave no reason";
    message->retry = !json_is_false(retry);
    message->retry_after_ms = after_ms < 0                    ? 0
                              : after_ms < RETRY_AFTER_MAX_MS ? after_ms
                                                              : RETRY_AFTER_MAX_MS;
    return NULL;
}

static const struct {
    const char *member;
    const char *(*read)(struct cress_stream_message *message);
} readers[] = {
    {"result", read_result}, {"error", read_error}, {"progress", read_progress},
    {"log", read_log},       {"cress", read_hello},
};

static const char *read_message(struct cress_stream_message *message)
{
    message->id = json_string_value(json_object_get(message->line, "id"));
    for (size_t i = 0; i < CRESS_COUNT(readers); i++) {
        if (json_object_get(message->line, readers[i].member)) {
            const bool is_hello = readers[i].read == read_hello;
            return message->id || is_hello ? readers[i].read(message) : "there is no `id`";
        }
    }
    return "there is neither `result` nor `error` nor `progress` nor `log`";
}

enum cress_status cress_stream_parse(const char *line, size_t size,
                                     struct cress_stream_message *message, struct cress_error *err)
{
    json_error_t where = {.text = ""};
    struct cress_stream_message found = {
        .line = json_loadb(line, size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &where),
    };
    const char *problem = !found.line                  ? where.text
                          : json_is_object(found.line) ? read_message(&found)
                                                       : "it is not an object";
    if (problem) {
        json_decref(found.line);
        return complain(err, line, size, problem);
    }
    *message = found;
    return CRESS_OK;
}

void cress_stream_message_free(struct cress_stream_message *message)
{
    json_decref(message->line);
    message->line = NULL;
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
