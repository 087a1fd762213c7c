// SPDX-License-Identifier: Apache-2.0
// Progress and log of running jobs; see notes.h.
#include "worker/notes.h"

#include "common/base/clock.h"
#include "common/base/text.h"

#include <stdlib.h>
#include <string.h>

/* Often enough for a progress bar. Each wakes everyone who waits for the job. */
enum { PROGRESS_INTERVAL_MS = 200, MESSAGE_MAX = 256, PROGRESS_MAX = 64 + 6 * MESSAGE_MAX };

struct cress_notes {
    struct cress_attempt *attempt;
    uv_timer_t timer; /* until the next progress may be sent */
    char *progress;   /* not sent yet; NULL: none */
    bool log_is_sent;
    size_t log_size;
    char log[CRESS_RUN_LOG_MAX]; /* as it came */
};

static struct cress_notes *notes_of(struct cress_run *run)
{
    struct cress_attempt *attempt = CRESS_CONTAINER(run, struct cress_attempt, run);
    if (!attempt->notes) {
        attempt->notes = CRESS_NEW(struct cress_notes);
        attempt->notes->attempt = attempt;
        attempt->notes->log_is_sent = true;
        uv_timer_init(run->services->loop, &attempt->notes->timer);
        attempt->notes->timer.data = attempt->notes;
    }
    return attempt->notes;
}

static void ignore_cb(const struct cress_error *err, void *arg)
{
    (void)err;
    (void)arg;
}

static void send_note(struct cress_notes *notes, const char *log)
{
    const struct cress_attempt *attempt = notes->attempt;
    const struct cress_note note = {
        .id = attempt->run.job.id,
        .attempt = attempt->run.job.attempt,
        .worker = attempt->worker->name,
        .progress = notes->progress,
        .log = log,
    };
    cress_store_note(attempt->worker->services.store, &note, ignore_cb, NULL);
    free(notes->progress);
    notes->progress = NULL;
}

/* --- progress --- */

static void interval_over_cb(uv_timer_t *timer)
{
    struct cress_notes *notes = timer->data;
    if (notes->progress) {
        send_note(notes, NULL);
        uv_timer_start(timer, interval_over_cb, PROGRESS_INTERVAL_MS, 0);
    }
}

void cress_run_progress(struct cress_run *run, int percent, const char *message)
{
    struct cress_notes *notes = notes_of(run);
    struct cress_buf json = cress_buf_make(PROGRESS_MAX);
    if (percent < 0) {
        cress_buf_add_text(&json, "{\"percent\":null,\"message\":");
    } else {
        cress_buf_printf(&json, "{\"percent\":%d,\"message\":", percent < 100 ? percent : 100);
    }
    if (message) {
        cress_buf_add_json(&json, message, strnlen(message, MESSAGE_MAX));
    } else {
        cress_buf_add_text(&json, "null");
    }
    cress_buf_add_char(&json, '}');
    free(notes->progress);
    notes->progress = cress_buf_take(&json);
    if (!uv_is_active((uv_handle_t *)&notes->timer)) {
        send_note(notes, NULL);
        uv_timer_start(&notes->timer, interval_over_cb, PROGRESS_INTERVAL_MS, 0);
    }
}

/* --- log --- */

void cress_run_log(struct cress_run *run, const char *text, size_t size)
{
    struct cress_notes *notes = notes_of(run);
    if (size > CRESS_RUN_LOG_MAX) {
        text += size - CRESS_RUN_LOG_MAX;
        size = CRESS_RUN_LOG_MAX;
    }
    const size_t kept =
        notes->log_size + size > CRESS_RUN_LOG_MAX ? CRESS_RUN_LOG_MAX - size : notes->log_size;
    memmove(notes->log, notes->log + notes->log_size - kept, kept);
    memcpy(notes->log + kept, text, size);
    notes->log_size = kept + size;
    notes->log_is_sent = false;
}

const char *cress_run_log_tail(const struct cress_run *run, size_t *size)
{
    const struct cress_attempt *attempt = CRESS_CONTAINER((void *)run, struct cress_attempt, run);
    *size = attempt->notes ? attempt->notes->log_size : 0;
    return attempt->notes ? attempt->notes->log : "";
}

/* As UTF-8 without NUL. */
static char *clean(const char *text, size_t size)
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

/* --- the end --- */

void cress_notes_flush(struct cress_attempt *attempt)
{
    struct cress_notes *notes = attempt->notes;
    if (!notes || (notes->log_is_sent && !notes->progress)) {
        return;
    }
    char *log = notes->log_is_sent ? NULL : clean(notes->log, notes->log_size);
    notes->log_is_sent = true;
    send_note(notes, log);
    free(log);
}

static void free_cb(uv_handle_t *timer)
{
    struct cress_notes *notes = timer->data;
    free(notes->progress);
    free(notes);
}

void cress_notes_end(struct cress_attempt *attempt)
{
    if (attempt->notes) {
        uv_close((uv_handle_t *)&attempt->notes->timer, free_cb);
        attempt->notes = NULL;
    }
}
