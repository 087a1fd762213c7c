// SPDX-License-Identifier: Apache-2.0
// Progress of running jobs; see notes.h.
#include "worker/notes.h"

#include "common/base/clock.h"
#include "worker/job_log.h"

#include <stdlib.h>
#include <string.h>

/* Often enough for a progress bar. Each wakes everyone who waits for the job. */
enum { PROGRESS_INTERVAL_MS = 200, MESSAGE_MAX = 256, PROGRESS_MAX = 64 + 6 * MESSAGE_MAX };

struct cress_notes {
    struct cress_attempt *attempt;
    uv_timer_t timer; /* until the next progress may be sent */
    char *progress;   /* not sent yet; NULL: none */
};

static struct cress_notes *notes_of(struct cress_attempt *attempt)
{
    if (!attempt->notes) {
        attempt->notes = CRESS_NEW(struct cress_notes);
        attempt->notes->attempt = attempt;
        uv_timer_init(attempt->worker->services.loop, &attempt->notes->timer);
        attempt->notes->timer.data = attempt->notes;
    }
    return attempt->notes;
}

static void ignore_cb(const struct cress_error *err, void *arg)
{
    (void)err;
    (void)arg;
}

static void send_note(const struct cress_attempt *attempt, const char *progress, const char *log)
{
    const struct cress_note note = {
        .id = attempt->run.job.id,
        .attempt = attempt->run.job.attempt,
        .worker = attempt->worker->id,
        .progress = progress,
        .log = log,
    };
    cress_store_note(attempt->worker->services.store, &note, ignore_cb, NULL);
}

static void send_progress(struct cress_notes *notes)
{
    send_note(notes->attempt, notes->progress, NULL);
    free(notes->progress);
    notes->progress = NULL;
}

/* --- progress --- */

static void interval_over_cb(uv_timer_t *timer)
{
    struct cress_notes *notes = timer->data;
    if (notes->progress) {
        send_progress(notes);
        uv_timer_start(timer, interval_over_cb, PROGRESS_INTERVAL_MS, 0);
    }
}

void cress_notes_progress(struct cress_attempt *attempt, int percent, const char *message)
{
    struct cress_notes *notes = notes_of(attempt);
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
        send_progress(notes);
        uv_timer_start(&notes->timer, interval_over_cb, PROGRESS_INTERVAL_MS, 0);
    }
}

/* --- the end --- */

void cress_notes_flush(struct cress_attempt *attempt)
{
    struct cress_notes *notes = attempt->notes;
    char *log = cress_job_log_finish(attempt);
    if (log || (notes && notes->progress)) {
        send_note(attempt, notes ? notes->progress : NULL, log);
    }
    free(log);
    if (notes) {
        uv_timer_stop(&notes->timer);
    }
}

static void free_cb(uv_handle_t *timer)
{
    struct cress_notes *notes = timer->data;
    free(notes->progress);
    free(notes);
}

void cress_notes_end(struct cress_attempt *attempt)
{
    cress_job_log_end(attempt);
    if (attempt->notes) {
        uv_close((uv_handle_t *)&attempt->notes->timer, free_cb);
        attempt->notes = NULL;
    }
}
