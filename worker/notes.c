// SPDX-License-Identifier: Apache-2.0
// Progress of running jobs; see notes.h.
#include "worker/notes.h"

#include "common/base/mem.h"

#include <stdlib.h>
#include <string.h>

/* Often enough for a progress bar. Each wakes everyone who waits for the job. */
enum { PROGRESS_INTERVAL_MS = 200, MESSAGE_MAX = 256, PROGRESS_MAX = 64 + 6 * MESSAGE_MAX };

struct cress_notes {
    const struct cress_run *run;
    const char *worker;
    uv_timer_t timer; /* until the next progress may be sent */
    char *progress;   /* not sent yet; NULL: none */
};

struct cress_notes *cress_notes_new(const struct cress_run *run, const char *worker)
{
    struct cress_notes *notes = CRESS_NEW(struct cress_notes);
    notes->run = run;
    notes->worker = worker;
    uv_timer_init(run->services->loop, &notes->timer);
    notes->timer.data = notes;
    return notes;
}

static void noted_cb(const struct cress_error *err, void *arg)
{
    (void)err;
    (void)arg;
}

static void send_note(struct cress_notes *notes, const char *log)
{
    const struct cress_note note = {
        .id = notes->run->job.id,
        .attempt = notes->run->job.attempt,
        .worker = notes->worker,
        .progress = notes->progress,
        .log = log,
    };
    cress_store_note(notes->run->services->store, &note, noted_cb, NULL);
    free(notes->progress);
    notes->progress = NULL;
}

static void progress_due_cb(uv_timer_t *timer)
{
    struct cress_notes *notes = timer->data;
    if (notes->progress) {
        send_note(notes, NULL);
        uv_timer_start(timer, progress_due_cb, PROGRESS_INTERVAL_MS, 0);
    }
}

void cress_notes_progress(struct cress_notes *notes, int percent, const char *message)
{
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
        uv_timer_start(&notes->timer, progress_due_cb, PROGRESS_INTERVAL_MS, 0);
    }
}

void cress_notes_flush(struct cress_notes *notes, const char *log)
{
    if (log || notes->progress) {
        send_note(notes, log);
    }
    uv_timer_stop(&notes->timer);
}

static void notes_closed_cb(uv_handle_t *timer)
{
    struct cress_notes *notes = timer->data;
    free(notes->progress);
    free(notes);
}

void cress_notes_free(struct cress_notes *notes)
{
    if (notes) {
        uv_close((uv_handle_t *)&notes->timer, notes_closed_cb);
    }
}
