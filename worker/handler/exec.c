// SPDX-License-Identifier: Apache-2.0
// The handler kind `exec`: a program for each job. docs/handlers.md says what it gets and gives.
//
// DESIGN
//
//   payload --stdin--> program --stdout--> result
//                              --fd 3----> progress, a line each
//                              --stderr--> the job's log
//
// Four pipes and a process (process.h), each of which ends in its own time; the run is over when
// the last of them has, and the job's folder is gone. What the worker wants of the program before
// that (its end, for a reason) is kept in `stop`, and the first reason stays.
#include "worker/handler/exec_verdict.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/config/config.h"
#include "worker/handler/command.h"
#include "worker/handler/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PIPE_COUNT = CRESS_PROCESS_FDS, /* by the descriptor that the program has */
    PROGRESS_FD = 3,
    PROGRESS_LINE_MAX = 256, /* the rest of a longer line is dropped */
    READ_SIZE = 65536,
    SHUTDOWN_GRACE_MS = 1000, /* less than what the worker waits for its handlers */
};

struct exec {
    struct cress_run *run;
    struct cress_process process;
    struct cress_process_end end;
    enum cress_exec_stop stop;
    uv_pipe_t pipes[PIPE_COUNT];
    uv_write_t write;
    uv_timer_t timer; /* of the soft timeout, then of the kill after it was asked to end */
    int open;         /* pipes, timer and process that have not ended */
    struct cress_buf output;
    char line[PROGRESS_LINE_MAX];
    size_t line_size;
    char *folder;
    uv_work_t removal;
    struct cress_error removal_error;
    enum cress_status removal_status;
};

/* --- the end --- */

static void finish(struct exec *exec)
{
    struct cress_run *run = exec->run;
    struct cress_exec_facts facts = {
        .task = run->task->config, .end = exec->end, .stop = exec->stop};
    struct cress_outcome outcome;
    facts.log = cress_run_log_tail(run, &facts.log_size);
    cress_exec_judge(&facts, &outcome);
    if (outcome.kind == CRESS_OUTCOME_SUCCEEDED) {
        outcome.result = cress_exec_result(cress_buf_text(&exec->output), exec->output.size);
        outcome.result_size = outcome.result ? strlen(outcome.result) : 0;
    }
    cress_buf_free(&exec->output);
    free(exec->folder);
    free(exec);
    run->state = NULL;
    cress_run_done(run, outcome);
}

static void remove_cb(uv_work_t *work)
{
    struct exec *exec = work->data;
    exec->removal_status = cress_folder_remove(exec->folder, &exec->removal_error);
}

static void removed_cb(uv_work_t *work, int status)
{
    (void)status;
    struct exec *exec = work->data;
    if (exec->removal_status != CRESS_OK) {
        cress_log(CRESS_LOG_WARN, "a job's folder is left behind",
                  CRESS_KV("job", exec->run->job.id), CRESS_KV_ERROR(&exec->removal_error));
    }
    finish(exec);
}

/* Most jobs leave their folder empty, and need no thread to remove it. */
static void remove_folder(struct exec *exec)
{
    if (rmdir(exec->folder) == 0) {
        finish(exec);
        return;
    }
    exec->removal.data = exec;
    uv_queue_work(exec->run->services->loop, &exec->removal, remove_cb, removed_cb);
}

static void part_ended(struct exec *exec)
{
    if (--exec->open == 0) {
        remove_folder(exec);
    }
}

static void part_closed_cb(uv_handle_t *handle)
{
    part_ended(handle->data);
}

static void close_part(uv_handle_t *handle)
{
    if (!uv_is_closing(handle)) {
        uv_close(handle, part_closed_cb);
    }
}

static void ended_cb(struct cress_process *process, const struct cress_process_end *end, void *arg)
{
    (void)process;
    struct exec *exec = arg;
    exec->end = *end;
    close_part((uv_handle_t *)&exec->timer);
    close_part((uv_handle_t *)&exec->pipes[STDIN_FILENO]); /* what it has not read, nobody will */
    part_ended(exec);
}

static void stop_because(struct exec *exec, enum cress_exec_stop reason)
{
    if (exec->stop < CRESS_EXEC_TIMED_OUT) {
        exec->stop = reason;
    }
}

static void kill_because(struct exec *exec, enum cress_exec_stop reason)
{
    stop_because(exec, reason);
    cress_process_kill(&exec->process);
}

/* --- what it says --- */

static void take_progress(struct exec *exec, const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (text[i] != '\n') {
            if (exec->line_size < sizeof exec->line - 1) {
                exec->line[exec->line_size++] = text[i];
            }
            continue;
        }
        exec->line[exec->line_size] = '\0';
        exec->line_size = 0;
        int percent;
        const char *message;
        cress_exec_progress(exec->line, &percent, &message);
        cress_run_progress(exec->run, percent, message);
    }
}

static void take(struct exec *exec, ptrdiff_t fd, const char *text, size_t size)
{
    if (fd == PROGRESS_FD) {
        take_progress(exec, text, size);
    } else if (fd == STDERR_FILENO) {
        cress_run_log(exec->run, text, size);
    } else if (!exec->output.overflowed && !cress_buf_add(&exec->output, text, size)) {
        kill_because(exec, CRESS_EXEC_OVERFLOWED);
    }
}

static void buffer_cb(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    static char room[READ_SIZE]; /* taken out of before the next read */
    (void)handle;
    (void)suggested;
    *buf = uv_buf_init(room, sizeof room);
}

static void read_cb(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf)
{
    struct exec *exec = stream->data;
    if (size < 0) {
        close_part((uv_handle_t *)stream);
    } else {
        take(exec, (uv_pipe_t *)stream - exec->pipes, buf->base, (size_t)size);
    }
}

/* A program need not read what it is given. */
static void written_cb(uv_write_t *write, int status)
{
    (void)status;
    close_part((uv_handle_t *)write->handle);
}

/* --- the start --- */

static const char *const own_names[] = {"CRESS_JOB_ID=",      "CRESS_TASK=",  "CRESS_ATTEMPT=",
                                        "CRESS_DEADLINE_MS=", "TRACEPARENT=", "CRESS_AFTER="};

/* In the job's folder: how the jobs ended that it waited for. */
#define AFTER_FILE "after.json"

static bool is_own(const char *variable)
{
    for (size_t i = 0; i < CRESS_COUNT(own_names); i++) {
        if (cress_text_starts_with(variable, own_names[i])) {
            return true;
        }
    }
    return false;
}

/* The worker's environment and what is said of the job. Freed by cress_text_list_free(). */
static char **make_environment(const struct exec *exec)
{
    const struct cress_job *job = &exec->run->job;
    extern char **environ;
    size_t count = 0;
    while (environ[count]) {
        count++;
    }
    char **list = cress_alloc((count + CRESS_COUNT(own_names) + 1) * sizeof(*list));
    char **next = list;
    for (char **at = environ; *at; at++) {
        if (!is_own(*at)) {
            *next++ = cress_strdup(*at);
        }
    }
    *next++ = cress_format("CRESS_JOB_ID=%s", job->id);
    *next++ = cress_format("CRESS_TASK=%s", job->task);
    *next++ = cress_format("CRESS_ATTEMPT=%d", job->attempt);
    *next++ = cress_format("CRESS_DEADLINE_MS=%" PRId64, cress_clock_wall_ms() + job->timeout_ms);
    if (job->traceparent) {
        *next++ = cress_format("TRACEPARENT=%s", job->traceparent);
    }
    if (exec->run->after) {
        *next++ = cress_format("CRESS_AFTER=%s/" AFTER_FILE, exec->folder);
    }
    return list;
}

/* Pipes for the program's descriptors; `ours` does not block. Of stdin we have the writing end. */
static enum cress_status make_pipes(int ours[PIPE_COUNT], int theirs[PIPE_COUNT],
                                    struct cress_error *err)
{
    for (int i = 0; i < PIPE_COUNT; i++) {
        uv_file ends[2];
        const bool is_input = i == STDIN_FILENO;
        const int fault =
            uv_pipe(ends, is_input ? 0 : UV_NONBLOCK_PIPE, is_input ? UV_NONBLOCK_PIPE : 0);
        if (fault != 0) {
            while (i-- > 0) {
                close(ours[i]);
                close(theirs[i]);
            }
            return cress_error_set(err, CRESS_TEMPORARY, "no_pipe", "cannot make a pipe: %s",
                                   uv_strerror(fault));
        }
        ours[i] = ends[is_input];
        theirs[i] = ends[!is_input];
    }
    return CRESS_OK;
}

static void close_all(const int fds[PIPE_COUNT])
{
    for (int i = 0; i < PIPE_COUNT; i++) {
        close(fds[i]);
    }
}

static enum cress_status start_process(struct exec *exec, char **argv, int ours[PIPE_COUNT],
                                       struct cress_error *err)
{
    int theirs[PIPE_COUNT] = {-1, -1, -1, -1};
    const enum cress_status status = make_pipes(ours, theirs, err);
    if (status != CRESS_OK) {
        return status;
    }
    char **env = make_environment(exec);
    struct cress_process_spec spec = {
        .argv = (const char *const *)argv,
        .env = (const char *const *)env,
        .folder = exec->folder,
        .limits = exec->run->task->config,
    };
    memcpy(spec.fds, theirs, sizeof spec.fds);
    const enum cress_status started =
        cress_process_start(exec->run->services->loop, &spec, ended_cb, exec, &exec->process, err);
    cress_text_list_free(env);
    close_all(theirs);
    if (started != CRESS_OK) {
        close_all(ours);
    }
    return started;
}

/* Takes no longer than a copy of it: nothing is waited for until it is on a disk. */
static enum cress_status write_after(const struct exec *exec, struct cress_error *err)
{
    const struct cress_run *run = exec->run;
    if (!run->after) {
        return CRESS_OK;
    }
    char *path = cress_format("%s/" AFTER_FILE, exec->folder);
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
    free(path);
    bool written = fd >= 0;
    for (size_t at = 0; written && at < run->after_size;) {
        const ssize_t size = write(fd, run->after + at, run->after_size - at);
        written = size > 0 || (size < 0 && errno == EINTR);
        at += size > 0 ? (size_t)size : 0;
    }
    if (!written) {
        cress_error_set(err, CRESS_TEMPORARY, "no_folder", "cannot write %s/" AFTER_FILE ": %s",
                        exec->folder, strerror(errno));
    }
    if (fd >= 0) {
        close(fd);
    }
    return written ? CRESS_OK : CRESS_TEMPORARY;
}

static enum cress_status prepare(struct exec *exec, int ours[PIPE_COUNT], struct cress_error *err)
{
    char **argv;
    enum cress_status status = cress_command_make(exec->run->task->config, &argv, err);
    if (status != CRESS_OK) {
        err->status = CRESS_TEMPORARY; /* it was there when the worker began: it may come back */
        return err->status;
    }
    status = cress_folder_make(&exec->folder, err);
    if (status == CRESS_OK) {
        status = write_after(exec, err);
    }
    if (status == CRESS_OK) {
        status = start_process(exec, argv, ours, err);
    }
    if (status != CRESS_OK && exec->folder) {
        struct cress_error ignored; /* the first error says more */
        (void)!cress_folder_remove(exec->folder, &ignored);
    }
    cress_text_list_free(argv);
    return status;
}

static void soft_timeout_cb(uv_timer_t *timer)
{
    struct exec *exec = timer->data;
    stop_because(exec, CRESS_EXEC_ASKED);
    cress_process_ask(&exec->process);
}

static void attach(struct exec *exec, const int ours[PIPE_COUNT])
{
    struct cress_run *run = exec->run;
    for (int i = 0; i < PIPE_COUNT; i++) {
        uv_pipe_init(run->services->loop, &exec->pipes[i], 0);
        exec->pipes[i].data = exec;
        uv_pipe_open(&exec->pipes[i], ours[i]);
        if (i != STDIN_FILENO) {
            uv_read_start((uv_stream_t *)&exec->pipes[i], buffer_cb, read_cb);
        }
    }
    uv_timer_init(run->services->loop, &exec->timer);
    exec->timer.data = exec;
    exec->open = PIPE_COUNT + 2;
    if (run->task->config->soft_timeout_ms) {
        uv_timer_start(&exec->timer, soft_timeout_cb, (uint64_t)run->task->config->soft_timeout_ms,
                       0);
    }
    const uv_buf_t payload = uv_buf_init((char *)run->job.payload, (unsigned)run->job.payload_size);
    uv_write(&exec->write, (uv_stream_t *)&exec->pipes[STDIN_FILENO], &payload, 1, written_cb);
}

static void exec_start(struct cress_run *run)
{
    struct exec *exec = CRESS_NEW(struct exec);
    exec->run = run;
    exec->output = cress_buf_make((size_t)run->task->config->output_max_bytes);
    int ours[PIPE_COUNT] = {-1, -1, -1, -1};
    struct cress_error err;
    if (prepare(exec, ours, &err) != CRESS_OK) {
        free(exec->folder);
        free(exec);
        cress_run_fail(run, &err);
        return;
    }
    run->state = exec;
    attach(exec, ours);
}

static void grace_over_cb(uv_timer_t *timer)
{
    struct exec *exec = timer->data;
    cress_process_kill(&exec->process);
}

static void exec_stop(struct cress_run *run, enum cress_stop_reason reason)
{
    struct exec *exec = run->state;
    if (reason == CRESS_STOP_TIMED_OUT) {
        kill_because(exec, CRESS_EXEC_TIMED_OUT);
        return;
    }
    stop_because(exec, CRESS_EXEC_STOPPED);
    cress_process_ask(&exec->process);
    if (!uv_is_closing((uv_handle_t *)&exec->timer)) {
        const bool is_shutdown = reason == CRESS_STOP_SHUTDOWN;
        uv_timer_start(&exec->timer, grace_over_cb,
                       is_shutdown ? SHUTDOWN_GRACE_MS : CRESS_STOP_GRACE_MS, 0);
    }
}

static enum cress_status exec_check(const struct cress_task_config *config, struct cress_error *err)
{
    char **argv;
    const enum cress_status status = cress_command_make(config, &argv, err);
    if (status == CRESS_OK) {
        cress_text_list_free(argv);
    }
    return status;
}

const struct cress_handler cress_exec_handler = {
    .task = "exec",
    .start = exec_start,
    .stop = exec_stop,
    .check = exec_check,
};
