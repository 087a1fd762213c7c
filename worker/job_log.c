// SPDX-License-Identifier: Apache-2.0
// The log of a running job; see job_log.h.
#include "worker/job_log.h"

#include "common/base/mem.h"
#include "common/base/text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    INTERVAL_MS = 500,      /* soon enough for whoever follows it */
    PIECE_BYTES = 64 << 10, /* as much is sent at once, whatever the time */
};

struct cress_job_log {
    const struct cress_run *run;
    const char *worker;
    uv_timer_t timer;         /* until the next piece is sent */
    struct cress_buf pending; /* kept, and not sent yet */
    int64_t total_bytes;
    int64_t kept_bytes; /* from the beginning */
};

struct cress_job_log *cress_job_log_new(const struct cress_run *run, const char *worker)
{
    struct cress_job_log *log = CRESS_NEW(struct cress_job_log);
    log->run = run;
    log->worker = worker;
    log->pending = cress_buf_make(SIZE_MAX / 2); /* max_log bounds it */
    uv_timer_init(run->services->loop, &log->timer);
    log->timer.data = log;
    return log;
}

/* As UTF-8 without NUL. */
static char *clean_text(const char *text, size_t size)
{
    static const char replacement[] = "\xEF\xBF\xBD";
    struct cress_buf out = cress_buf_make(SIZE_MAX);
    for (size_t at = 0; at < size;) {
        const size_t length = cress_text_utf8_length(text + at, size - at);
        if (length > 0 && text[at] != '\0') {
            cress_buf_add(&out, text + at, length);
            at += length;
        } else {
            cress_buf_add_text(&out, replacement);
            at++;
        }
    }
    return cress_buf_take(&out);
}

/* --- the beginning, to the store --- */

static int64_t max_bytes(const struct cress_job_log *log)
{
    return log->run->services->config->job_max_log_bytes;
}

static void piece_sent_cb(const struct cress_error *err, void *arg)
{
    (void)err;
    (void)arg;
}

/* The record is kept for store.ttl from its end, which comes within the job's timeout from now. */
static int64_t ttl_ms(const struct cress_run *run)
{
    const int64_t ms = run->services->config->store_ttl_ms;
    return ms > 0 ? ms + run->job.timeout_ms : 0;
}

/* Sends the first `size` bytes of what is pending. */
static void send_piece(struct cress_job_log *log, size_t size)
{
    if (size == 0) {
        return;
    }
    char *text = clean_text(log->pending.data, size);
    const struct cress_log_piece piece = {
        .id = log->run->job.id,
        .attempt = log->run->job.attempt,
        .worker = log->worker,
        .text = text,
        .size = strlen(text),
        .full_bytes = max_bytes(log) + CRESS_RUN_LOG_MAX,
        .ttl_ms = ttl_ms(log->run),
    };
    cress_store_log_add(log->run->services->store, &piece, piece_sent_cb, NULL);
    free(text);
    cress_buf_drop(&log->pending, size);
}

/* The size of the whole lines in what is pending. */
static size_t whole_lines(const struct cress_job_log *log)
{
    size_t size = log->pending.size;
    while (size > 0 && log->pending.data[size - 1] != '\n') {
        size--;
    }
    return size;
}

static void piece_due_cb(uv_timer_t *timer)
{
    struct cress_job_log *log = timer->data;
    send_piece(log, whole_lines(log));
}

static void keep_beginning(struct cress_job_log *log, const char *text, size_t size)
{
    const int64_t room = max_bytes(log) - log->kept_bytes;
    const size_t kept = room < (int64_t)size ? (size_t)(room > 0 ? room : 0) : size;
    if (kept == 0) {
        return;
    }
    log->kept_bytes += (int64_t)kept;
    cress_buf_add(&log->pending, text, kept);
    if (log->pending.size >= PIECE_BYTES) {
        const size_t lines = whole_lines(log);
        send_piece(log, lines > 0 ? lines : log->pending.size);
    } else if (!uv_is_active((uv_handle_t *)&log->timer)) {
        uv_timer_start(&log->timer, piece_due_cb, INTERVAL_MS, 0);
    }
}

void cress_job_log_add(struct cress_job_log *log, const char *text, size_t size)
{
    log->total_bytes += (int64_t)size;
    keep_beginning(log, text, size);
}

/* --- the end of the attempt --- */

/* What follows the beginning, as far as it is still there. */
static void add_end(struct cress_job_log *log, const char *tail, size_t tail_size)
{
    const int64_t rest = log->total_bytes - log->kept_bytes;
    const size_t shown = rest < (int64_t)tail_size ? (size_t)rest : tail_size;
    if (rest > (int64_t)shown) {
        cress_buf_printf(&log->pending, "\n[%" PRId64 " bytes left out: job.max_log]\n",
                         rest - (int64_t)shown);
    }
    cress_buf_add(&log->pending, tail + tail_size - shown, shown);
}

char *cress_job_log_finish(struct cress_job_log *log)
{
    uv_timer_stop(&log->timer);
    size_t tail_size;
    const char *tail = cress_run_log_tail(log->run, &tail_size);
    if (max_bytes(log) > 0) {
        add_end(log, tail, tail_size);
        send_piece(log, log->pending.size);
    }
    return clean_text(tail, tail_size);
}

static void log_closed_cb(uv_handle_t *timer)
{
    struct cress_job_log *log = timer->data;
    cress_buf_free(&log->pending);
    free(log);
}

void cress_job_log_free(struct cress_job_log *log)
{
    if (log) {
        uv_close((uv_handle_t *)&log->timer, log_closed_cb);
    }
}
