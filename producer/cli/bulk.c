// SPDX-License-Identifier: Apache-2.0
// cress enqueue --jsonl: lines in, submissions under way, outcomes out.
//
// DESIGN
//
//   input (input.c) -> line -> slot of the ring -> cress_submit() ... confirm -> slot done
//                                 ^ in order                                        |
//        stdout <- outcomes <- head of the ring while it is done  <-----------------+
//
// The ring has WINDOW slots: that many submissions are under way at most, which is what makes it
// fast (each confirm takes a disk write at the broker), and memory is constant however long the
// input is. When the ring is full, or stdout takes no more, the reader pauses. stdout is written
// only when poll(2) says that it will not block: a reader that stalls must not stall the
// connections.
#include "producer/cli/bulk.h"

#include "common/base/clock.h"
#include "common/base/error_json.h"
#include "common/base/id.h"
#include "common/base/mem.h"
#include "common/submit/submit.h"
#include "producer/cli/cli.h"
#include "producer/cli/input.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    WINDOW = 4096,
    RESUME_AT = WINDOW / 2,  /* read again when this few are under way: fewer, larger batches */
    OUT_MAX_BYTES = 4 << 20, /* of outcomes: more than a window of them */
    OUT_PAUSE_BYTES = 256 * 1024,
    OUT_RETRY_MS = 20,
    PROGRESS_MS = 100,
    LINE_OVERHEAD_BYTES = 64 * 1024, /* of a line besides its payload */
    ESCAPED_FACTOR = 6,              /* \u0001: a payload's byte as it may be written in JSON */
};

struct slot {
    struct cress_bulk *bulk;
    int64_t line;
    bool done;
    bool has_no_answer;      /* it was stopped before one came */
    struct cress_error *err; /* NULL: accepted */
    bool is_duplicate;       /* `id` is that of an earlier job with the same unique key */
    char id[CRESS_ID_MAX + 1];
};

struct cress_bulk {
    struct cress_cli *cli;
    struct cress_input_lines *lines; /* NULL until it runs */
    int fd;
    struct slot *ring;
    size_t head, count;
    bool input_ended, stopping, finished;
    struct cress_error input_failure;
    int64_t started_ms, last_line;
    int64_t accepted, bad, refused;
    int64_t unanswered, first_unanswered, last_unanswered; /* lines, after a stop */
    struct cress_buf out;
    size_t out_written;
    uv_timer_t out_retry;
    const char *batch; /* of all jobs; NULL: none */
    void (*then)(int bulk_exit_code, void *arg);
    void *then_arg;
};

/* --- outcomes --- */

/* False: nobody reads stdout any more, and the verb has ended. */
static bool write_out(struct cress_bulk *bulk)
{
    struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
    while (bulk->out_written < bulk->out.size && poll(&out, 1, 0) == 1) {
        const size_t left = bulk->out.size - bulk->out_written;
        /* What a pipe that is ready takes at once. */
        const ssize_t size = write(STDOUT_FILENO, bulk->out.data + bulk->out_written,
                                   left < PIPE_BUF ? left : PIPE_BUF);
        if (size < 0 && errno != EAGAIN && errno != EINTR) {
            struct cress_error err;
            cress_error_set(&err, CRESS_IO, NULL, "cannot write to standard output: %s",
                            strerror(errno));
            if (errno == EPIPE) {
                cress_cli_end(bulk->cli, CRESS_EXIT_PIPE);
            } else {
                cress_cli_fail(bulk->cli, &err);
            }
            return false;
        }
        bulk->out_written += size > 0 ? (size_t)size : 0;
    }
    if (bulk->out_written == bulk->out.size) {
        cress_buf_clear(&bulk->out);
        bulk->out_written = 0;
    }
    return true;
}

static void print_outcome(struct cress_bulk *bulk, const struct slot *slot)
{
    struct cress_buf *out = &bulk->out;
    if (bulk->batch) {
        return;
    }
    if (!cress_cli_json(bulk->cli)) {
        if (!slot->err) {
            cress_buf_add_text(out, slot->id);
            cress_buf_add_char(out, '\n');
        }
        return;
    }
    cress_buf_printf(out, "{\"line\":%" PRId64 ",", slot->line);
    if (slot->err) {
        cress_buf_add_text(out, "\"error\":");
        cress_error_json(out, slot->err->code, slot->err->message);
        cress_buf_add_text(out, "}\n");
    } else {
        cress_buf_add_text(out, "\"id\":");
        cress_buf_add_json(out, slot->id, strlen(slot->id));
        cress_buf_add_text(out, slot->is_duplicate ? ",\"duplicate\":true}\n" : "}\n");
    }
}

static void count_outcome(struct cress_bulk *bulk, const struct slot *slot)
{
    if (!slot->err) {
        bulk->accepted++;
        return;
    }
    if (slot->has_no_answer) {
        bulk->first_unanswered = bulk->unanswered++ ? bulk->first_unanswered : slot->line;
        bulk->last_unanswered = slot->line;
        return;
    }
    if (cress_status_is_temporary(slot->err->status) || slot->err->status == CRESS_DENIED ||
        slot->err->status == CRESS_CANCELLED) {
        bulk->refused++;
    } else {
        bulk->bad++;
    }
    cress_output_say(&bulk->cli->output, "line %" PRId64 ": %s", slot->line, slot->err->message);
}

static void print_done(struct cress_bulk *bulk)
{
    while (bulk->count > 0 && bulk->ring[bulk->head].done) {
        struct slot *slot = &bulk->ring[bulk->head];
        print_outcome(bulk, slot);
        count_outcome(bulk, slot);
        free(slot->err);
        slot->err = NULL;
        bulk->head = (bulk->head + 1) % WINDOW;
        bulk->count--;
    }
}

/* --- the end --- */

static int bulk_exit_code(const struct cress_bulk *bulk)
{
    if (bulk->cli->exit_code) {
        return bulk->cli->exit_code; /* it was stopped */
    }
    if (bulk->refused > 0 || bulk->unanswered > 0) {
        return cress_status_exit_code(CRESS_UNAVAILABLE);
    }
    if (bulk->input_failure.status) {
        return cress_status_exit_code(bulk->input_failure.status);
    }
    return bulk->bad > 0 ? cress_status_exit_code(CRESS_INVALID) : 0;
}

/* Where to go on. */
static void say_where_it_stopped(const struct cress_bulk *bulk)
{
    struct cress_output *output = &bulk->cli->output;
    if (bulk->unanswered) {
        cress_output_say(output,
                         "%" PRId64 " of the lines %" PRId64 " to %" PRId64 " have no answer: they "
                         "may or may not have been queued",
                         bulk->unanswered, bulk->first_unanswered, bulk->last_unanswered);
    }
    cress_output_say(
        output,
        "stopped at line %" PRId64 "; nothing behind it was read; go on with line %" PRId64 "%s",
        bulk->last_line, bulk->unanswered ? bulk->first_unanswered : bulk->last_line + 1,
        bulk->unanswered ? ", where a job with an id or a unique key does not become two" : "");
}

static void finish_bulk(struct cress_bulk *bulk)
{
    const int64_t took_ms = cress_clock_mono_ms() - bulk->started_ms;
    char span[CRESS_SPAN_TEXT_MAX];
    if (bulk->input_failure.status) {
        cress_output_error(&bulk->cli->output, &bulk->input_failure);
    }
    if (bulk->stopping) {
        say_where_it_stopped(bulk);
    }
    cress_output_say(&bulk->cli->output,
                     "%" PRId64 " accepted, %" PRId64 " bad, %" PRId64 " refused in %s (%.0f/s)",
                     bulk->accepted, bulk->bad, bulk->refused, cress_span_format(took_ms, span),
                     (double)bulk->accepted * 1000 / (double)(took_ms > 0 ? took_ms : 1));
    bulk->finished = true;
    if (bulk->then) {
        bulk->then(bulk_exit_code(bulk), bulk->then_arg);
    } else {
        cress_cli_end(bulk->cli, bulk_exit_code(bulk));
    }
}

/* Called after everything that may have finished a slot or made room. */
static void advance(struct cress_bulk *bulk)
{
    if (cress_cli_over(bulk->cli) || bulk->finished) {
        return;
    }
    print_done(bulk);
    if ((bulk->out.size >= OUT_PAUSE_BYTES || bulk->count == 0) && !write_out(bulk)) {
        return;
    }
    if (bulk->input_ended && bulk->count == 0 && bulk->out.size == 0) {
        finish_bulk(bulk);
    } else if (!bulk->input_ended && bulk->count <= RESUME_AT && bulk->out.size < OUT_PAUSE_BYTES) {
        cress_input_lines_resume(bulk->lines);
    }
}

static void out_retry_cb(uv_timer_t *timer)
{
    struct cress_bulk *bulk = timer->data;
    if (!cress_cli_over(bulk->cli) && write_out(bulk)) {
        advance(bulk);
    }
}

/* --- lines --- */

static void fail_slot(struct slot *slot, const struct cress_error *err)
{
    slot->err = CRESS_NEW(struct cress_error);
    *slot->err = *err;
    slot->done = true;
}

/* Whether the job is in the batch already, from an earlier try. */
static bool is_member(const struct cress_bulk *bulk, const struct cress_record *record,
                      const struct cress_error *err)
{
    return bulk->batch && record && record->batch && strcmp(err->code, "job_exists") == 0 &&
           strcmp(record->batch, bulk->batch) == 0;
}

static void on_line_submitted(const struct cress_record *record, const struct cress_error *err,
                              void *arg)
{
    struct slot *slot = arg;
    if (cress_cli_over(slot->bulk->cli) || slot->done) {
        return;
    }
    if (err && !is_member(slot->bulk, record, err)) {
        fail_slot(slot, err);
    } else {
        snprintf(slot->id, sizeof slot->id, "%s", record->id);
        slot->is_duplicate = record->is_duplicate;
        slot->done = true;
    }
    advance(slot->bulk);
}

static enum cress_status submit_line(struct slot *slot, const char *line, size_t size,
                                     struct cress_error *err)
{
    struct cress_job job;
    char *texts;
    const enum cress_status status =
        cress_job_from_request(line, size, cress_clock_wall_ms(), &job, &texts, err);
    if (status == CRESS_OK) {
        job.batch = slot->bulk->batch;
        cress_submit(cress_cli_door(slot->bulk->cli, CRESS_CLI_CONFIRM_MS), &job, on_line_submitted,
                     slot);
        free(texts);
    } else if (status == CRESS_MALFORMED) {
        /* "line 1, column 5": which line it is the caller says */
        const struct cress_error why = *err;
        const char *column = strstr(why.message, "column");
        cress_error_set(err, CRESS_MALFORMED, why.code, "not a JSON object: %s",
                        column ? column : why.message);
    }
    return status;
}

static bool is_blank_line(const char *line, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (line[i] != ' ' && line[i] != '\t') {
            return false;
        }
    }
    return true;
}

static bool on_line(const char *line, size_t size, int64_t number, void *arg)
{
    struct cress_bulk *bulk = arg;
    bulk->last_line = number;
    if (line && is_blank_line(line, size)) {
        return true;
    }
    struct slot *slot = &bulk->ring[(bulk->head + bulk->count++) % WINDOW];
    *slot = (struct slot){.bulk = bulk, .line = number};
    struct cress_error err;
    if (!line) {
        cress_error_set(&err, CRESS_TOO_LARGE, NULL,
                        "the line is longer than a job can be; see job.max_payload");
        fail_slot(slot, &err);
    } else if (submit_line(slot, line, size, &err) != CRESS_OK) {
        fail_slot(slot, &err);
    }
    print_done(bulk);
    return bulk->count < WINDOW && bulk->out.size < OUT_PAUSE_BYTES;
}

static void on_end(const struct cress_error *err, void *arg)
{
    struct cress_bulk *bulk = arg;
    bulk->input_ended = true;
    if (err) {
        bulk->input_failure = *err;
    }
    advance(bulk);
}

static void show_bulk_progress(void *arg)
{
    struct cress_bulk *bulk = arg;
    int64_t done, total;
    char text[128];
    const int64_t took_ms = cress_clock_mono_ms() - bulk->started_ms;
    cress_input_lines_position(bulk->lines, &done, &total);
    snprintf(text, sizeof text, "%" PRId64 " accepted, %" PRId64 " bad  %.0f/s", bulk->accepted,
             bulk->bad + bulk->refused,
             (double)bulk->accepted * 1000 / (double)(took_ms ? took_ms : 1));
    cress_output_progress(&bulk->cli->output, done, total, text);
}

/* --- the verb's steps --- */

enum cress_status cress_bulk_new(struct cress_cli *cli, const char *path, struct cress_bulk **out,
                                 struct cress_error *err)
{
    int fd;
    const enum cress_status status = cress_input_open(path, &fd, err);
    if (status != CRESS_OK) {
        return status;
    }
    struct cress_bulk *bulk = CRESS_NEW(struct cress_bulk);
    *bulk = (struct cress_bulk){.cli = cli, .fd = fd, .out = cress_buf_make(OUT_MAX_BYTES)};
    bulk->ring = cress_alloc(WINDOW * sizeof *bulk->ring);
    *out = bulk;
    return CRESS_OK;
}

void cress_bulk_into(struct cress_bulk *bulk, const char *batch,
                     void (*then)(int bulk_exit_code, void *arg), void *arg)
{
    bulk->batch = batch;
    bulk->then = then;
    bulk->then_arg = arg;
}

bool cress_bulk_is_running(const struct cress_bulk *bulk)
{
    return bulk->lines != NULL;
}

void cress_bulk_run(struct cress_bulk *bulk)
{
    struct cress_cli *cli = bulk->cli;
    const struct cress_input_lines_options options = {
        .max_bytes =
            (size_t)cli->config->job_max_payload_bytes * ESCAPED_FACTOR + LINE_OVERHEAD_BYTES,
        .on_line = on_line,
        .on_end = on_end,
        .arg = bulk,
    };
    bulk->started_ms = cress_clock_mono_ms();
    uv_timer_init(&cli->loop, &bulk->out_retry);
    bulk->out_retry.data = bulk;
    uv_timer_start(&bulk->out_retry, out_retry_cb, OUT_RETRY_MS, OUT_RETRY_MS);
    bulk->lines = cress_input_lines_open(&cli->loop, bulk->fd, &options);
    if (!cli->output.out_is_terminal) { /* where the ids would run through the bar */
        cress_cli_every(cli, PROGRESS_MS, show_bulk_progress, bulk);
    }
}

void cress_bulk_stop(struct cress_bulk *bulk, const struct cress_error *why)
{
    bulk->stopping = true;
    bulk->input_ended = true;
    cress_input_lines_stop(bulk->lines);
    if (why->status != CRESS_CANCELLED) {
        cress_output_error(&bulk->cli->output, why);
        struct cress_error err;
        cress_error_set(&err, CRESS_UNAVAILABLE, "unconfirmed",
                        "not confirmed: it may or may not have been queued");
        for (size_t i = 0; i < bulk->count; i++) {
            struct slot *slot = &bulk->ring[(bulk->head + i) % WINDOW];
            if (!slot->done) {
                slot->has_no_answer = true;
                fail_slot(slot, &err);
            }
        }
    }
    advance(bulk);
}

void cress_bulk_close(struct cress_bulk *bulk)
{
    cress_input_lines_close(bulk->lines);
    uv_close((uv_handle_t *)&bulk->out_retry, NULL);
}

void cress_bulk_free(struct cress_bulk *bulk)
{
    if (!bulk->lines) {
        close(bulk->fd);
    }
    for (size_t i = 0; i < WINDOW; i++) {
        free(bulk->ring[i].err);
    }
    cress_buf_free(&bulk->out);
    free(bulk->ring);
    free(bulk);
}
