// SPDX-License-Identifier: Apache-2.0
// The handler kind `exec`: a program for each job. docs/handlers.md says what it gets and gives.
//
// DESIGN
//
//   payload --stdin--> program --stdout--> result
//                              --fd 3----> progress, a line each
//                              --stderr--> the job's log
//
// Pipes and a process (process.h), which ends in its own time; then what is left in the pipes is
// read, for nobody writes to them any more, and the run is over when the last of them is closed and
// the job's folder is gone. What the worker wants of the program before that (its end, for a
// reason) is kept in `stop`, and the first reason stays.
#include "worker/handler/exec_verdict.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/config/config.h"
#include "worker/handler/command.h"
#include "worker/process/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PIPE_COUNT = 4, /* by the descriptor that the program has */
    PROGRESS_FD = 3,
    PROGRESS_LINE_MAX = 256, /* the rest of a longer line is dropped */
    READ_SIZE = 65536,
    SHUTDOWN_GRACE_MS = 1000, /* less than what the worker waits for its handlers */
    SWEEP_MS = 60000,
};

/* What a task keeps: task->state. */
struct exec_task {
    struct cress_task *task;
    struct cress_wardens *wardens;
    uv_timer_t sweep_timer; /* when folders that workers left behind are looked for again */
    uv_work_t sweep;
    bool sweeps, closing;
    size_t swept;
};

/* One run: run->state. */
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
    struct cress_folder folder;
    uv_work_t removal;
    struct cress_error removal_error;
    enum cress_status removal_status;
};

/* Taken out of before the next read, whoever reads. */
static char read_room[READ_SIZE];

/* --- the end --- */

static void exec_finish(struct exec *exec)
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
    free(exec);
    run->state = NULL;
    cress_run_done(run, outcome);
}

static void remove_folder_cb(uv_work_t *work)
{
    struct exec *exec = work->data;
    exec->removal_status = cress_folder_remove(&exec->folder, &exec->removal_error);
}

static void folder_removed_cb(uv_work_t *work, int status)
{
    (void)status;
    struct exec *exec = work->data;
    if (exec->removal_status != CRESS_OK) {
        cress_log(CRESS_LOG_WARN, "a job's folder is left behind",
                  CRESS_KV("job", exec->run->job.id), CRESS_KV_ERROR(&exec->removal_error));
    }
    exec_finish(exec);
}

/* Most jobs leave their folder empty, and need no thread to remove it. */
static void remove_job_folder(struct exec *exec)
{
    if (cress_folder_remove_empty(&exec->folder)) {
        exec_finish(exec);
        return;
    }
    exec->removal.data = exec;
    uv_queue_work(exec->run->services->loop, &exec->removal, remove_folder_cb, folder_removed_cb);
}

static void part_ended(struct exec *exec)
{
    if (--exec->open == 0) {
        remove_job_folder(exec);
    }
}

static void part_closed_cb(uv_handle_t *handle)
{
    part_ended(handle->data);
}

/* One that was never opened is all zero. */
static void close_part(uv_handle_t *handle)
{
    if (handle->type != UV_UNKNOWN_HANDLE && !uv_is_closing(handle)) {
        uv_close(handle, part_closed_cb);
    }
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

static void take_output(struct exec *exec, ptrdiff_t fd, const char *text, size_t size)
{
    if (fd == PROGRESS_FD) {
        take_progress(exec, text, size);
    } else if (fd == STDERR_FILENO) {
        cress_run_log(exec->run, text, size);
    } else if (!exec->output.overflowed && !cress_buf_add(&exec->output, text, size)) {
        kill_because(exec, CRESS_EXEC_OVERFLOWED);
    }
}

static void exec_room_cb(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)handle;
    (void)suggested;
    *buf = uv_buf_init(read_room, sizeof read_room);
}

static void exec_read_cb(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf)
{
    struct exec *exec = stream->data;
    if (size < 0) {
        close_part((uv_handle_t *)stream);
    } else {
        take_output(exec, (uv_pipe_t *)stream - exec->pipes, buf->base, (size_t)size);
    }
}

/* What had been written when the last process of the program ended. */
static void read_what_is_left(struct exec *exec, int fd_of_program)
{
    uv_os_fd_t fd;
    ssize_t size = 1;
    if (uv_fileno((uv_handle_t *)&exec->pipes[fd_of_program], &fd) != 0) {
        return;
    }
    while (size > 0 || (size < 0 && errno == EINTR)) {
        size = read(fd, read_room, sizeof read_room);
        if (size > 0) {
            take_output(exec, fd_of_program, read_room, (size_t)size);
        }
    }
}

static void process_over_cb(struct cress_process *process, const struct cress_process_end *end,
                            void *arg)
{
    (void)process;
    struct exec *exec = arg;
    exec->end = *end;
    for (int i = 0; i < PIPE_COUNT; i++) {
        if (i != STDIN_FILENO) {
            read_what_is_left(exec, i);
        }
        close_part((uv_handle_t *)&exec->pipes[i]);
    }
    close_part((uv_handle_t *)&exec->timer);
    part_ended(exec);
}

/* A program need not read what it is given. */
static void payload_written_cb(uv_write_t *write, int status)
{
    (void)status;
    close_part((uv_handle_t *)write->handle);
}

/* --- the start --- */

static const char *const own_names[] = {"CRESS_JOB_ID=",      "CRESS_TASK=",  "CRESS_ATTEMPT=",
                                        "CRESS_DEADLINE_MS=", "TRACEPARENT=", "CRESS_AFTER="};

/* In the job's folder: how the jobs ended that it waited for. */
#define AFTER_FILE "after.json"

static bool is_own_variable(const char *variable)
{
    for (size_t i = 0; i < CRESS_COUNT(own_names); i++) {
        if (cress_text_starts_with(variable, own_names[i])) {
            return true;
        }
    }
    return false;
}

/* The worker's environment and what is said of the job. Free the array, and the texts that `own`
 * counts, which come first. */
static char **make_environment(const struct exec *exec, size_t *own)
{
    const struct cress_job *job = &exec->run->job;
    extern char **environ;
    size_t count = 0;
    while (environ[count]) {
        count++;
    }
    char **list = cress_alloc((count + CRESS_COUNT(own_names) + 1) * sizeof(*list));
    char **next = list;
    *next++ = cress_format("CRESS_JOB_ID=%s", job->id);
    *next++ = cress_format("CRESS_TASK=%s", job->task);
    *next++ = cress_format("CRESS_ATTEMPT=%d", job->attempt);
    *next++ = cress_format("CRESS_DEADLINE_MS=%" PRId64, cress_clock_own_ms() + job->timeout_ms);
    if (job->traceparent) {
        *next++ = cress_format("TRACEPARENT=%s", job->traceparent);
    }
    if (exec->run->after) {
        *next++ = cress_format("CRESS_AFTER=%s/" AFTER_FILE, exec->folder.path);
    }
    *own = (size_t)(next - list);
    for (char **at = environ; *at; at++) {
        if (!is_own_variable(*at)) {
            *next++ = *at;
        }
    }
    return list;
}

static void free_environment(char **list, size_t own)
{
    for (size_t i = 0; i < own; i++) {
        free(list[i]);
    }
    free(list);
}

/* Pipes for the program's descriptors. Of stdin we have the writing end. */
static enum cress_status make_pipes(int ours[PIPE_COUNT], int theirs[PIPE_COUNT],
                                    struct cress_error *err)
{
    for (int i = 0; i < PIPE_COUNT; i++) {
        uv_file ends[2];
        const bool is_input = i == STDIN_FILENO;
        const int fault = uv_pipe(ends, 0, 0);
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

static void close_pipe_ends(const int fds[PIPE_COUNT])
{
    for (int i = 0; i < PIPE_COUNT; i++) {
        close(fds[i]);
    }
}

static enum cress_status start_exec_process(struct exec *exec, char **argv, int ours[PIPE_COUNT],
                                            struct cress_error *err)
{
    int theirs[PIPE_COUNT] = {-1, -1, -1, -1};
    const enum cress_status status = make_pipes(ours, theirs, err);
    if (status != CRESS_OK) {
        return status;
    }
    size_t own;
    char **env = make_environment(exec, &own);
    const struct exec_task *state = exec->run->task->state;
    const struct cress_process_spec spec = {
        .argv = (const char *const *)argv,
        .env = (const char *const *)env,
        .folder = exec->folder.path,
        .limits = cress_command_limits(exec->run->task->config),
        .fds = theirs,
        .fd_count = PIPE_COUNT,
        .lock_fd = exec->folder.lock,
    };
    const enum cress_status started =
        cress_process_start(state->wardens, &spec, process_over_cb, exec, &exec->process, err);
    free_environment(env, own);
    close_pipe_ends(theirs);
    if (started != CRESS_OK) {
        close_pipe_ends(ours);
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
    char *path = cress_format("%s/" AFTER_FILE, exec->folder.path);
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
                        exec->folder.path, strerror(errno));
    }
    if (fd >= 0) {
        close(fd);
    }
    return written ? CRESS_OK : CRESS_TEMPORARY;
}

static enum cress_status prepare_exec(struct exec *exec, int ours[PIPE_COUNT],
                                      struct cress_error *err)
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
        status = start_exec_process(exec, argv, ours, err);
    }
    if (status != CRESS_OK && exec->folder.path) {
        struct cress_error ignored; /* the first error says more */
        (void)!cress_folder_remove(&exec->folder, &ignored);
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

static void open_part(struct exec *exec, int fd_of_program, int fd)
{
    uv_pipe_t *pipe = &exec->pipes[fd_of_program];
    uv_pipe_init(exec->run->services->loop, pipe, 0);
    pipe->data = exec;
    uv_pipe_open(pipe, fd); /* does not block from now on */
    exec->open++;
}

/* A new pipe takes so much without blocking (pipe(7)), and most payloads are smaller: they need
 * nobody who waits. */
static void give_payload(struct exec *exec, int fd)
{
    const struct cress_job *job = &exec->run->job;
    uv_buf_t buf = uv_buf_init((char *)job->payload, (unsigned)job->payload_size);
    if (job->payload_size <= PIPE_BUF) {
        (void)!write(fd, buf.base, buf.len); /* a program need not read it */
        close(fd);
        return;
    }
    open_part(exec, STDIN_FILENO, fd);
    uv_stream_t *in = (uv_stream_t *)&exec->pipes[STDIN_FILENO];
    if (uv_write(&exec->write, in, &buf, 1, payload_written_cb) != 0) {
        close_part((uv_handle_t *)in);
    }
}

static void attach_exec(struct exec *exec, const int ours[PIPE_COUNT])
{
    struct cress_run *run = exec->run;
    exec->open = 2; /* process and timer */
    for (int i = STDOUT_FILENO; i < PIPE_COUNT; i++) {
        open_part(exec, i, ours[i]);
        uv_read_start((uv_stream_t *)&exec->pipes[i], exec_room_cb, exec_read_cb);
    }
    uv_timer_init(run->services->loop, &exec->timer);
    exec->timer.data = exec;
    if (run->task->config->soft_timeout_ms) {
        uv_timer_start(&exec->timer, soft_timeout_cb, (uint64_t)run->task->config->soft_timeout_ms,
                       0);
    }
    give_payload(exec, ours[STDIN_FILENO]);
}

static void exec_start(struct cress_run *run)
{
    struct exec *exec = CRESS_NEW(struct exec);
    exec->run = run;
    exec->output = cress_buf_make((size_t)run->task->config->output_max_bytes);
    int ours[PIPE_COUNT] = {-1, -1, -1, -1};
    struct cress_error err;
    if (prepare_exec(exec, ours, &err) != CRESS_OK) {
        free(exec);
        cress_run_fail(run, &err);
        return;
    }
    run->state = exec;
    attach_exec(exec, ours);
}

static void exec_grace_over_cb(uv_timer_t *timer)
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
        uv_timer_start(&exec->timer, exec_grace_over_cb,
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

/* --- the task --- */

static void wardens_gone_cb(void *arg)
{
    struct cress_task *task = arg;
    free(task->state);
    task->state = NULL;
    cress_task_closed(task);
}

static void sweep_timer_closed_cb(uv_handle_t *timer)
{
    struct exec_task *state = timer->data;
    cress_wardens_close(state->wardens, wardens_gone_cb, state->task);
}

static void sweep_cb(uv_work_t *work)
{
    struct exec_task *state = work->data;
    state->swept = cress_folder_sweep();
}

static void swept_cb(uv_work_t *work, int status)
{
    (void)status;
    struct exec_task *state = work->data;
    state->sweeps = false;
    if (state->swept > 0) {
        cress_log(CRESS_LOG_INFO, "folders removed that killed workers had left behind",
                  CRESS_KVI("folders", state->swept));
    }
    if (state->closing) {
        uv_close((uv_handle_t *)&state->sweep_timer, sweep_timer_closed_cb);
    }
}

static void sweep_timer_cb(uv_timer_t *timer)
{
    struct exec_task *state = timer->data;
    if (!state->sweeps) {
        state->sweeps = true;
        uv_queue_work(timer->loop, &state->sweep, sweep_cb, swept_cb);
    }
}

static void exec_open(struct cress_task *task)
{
    uv_loop_t *loop = task->services->loop;
    struct exec_task *state = CRESS_NEW(struct exec_task);
    state->task = task;
    state->wardens = cress_wardens_open(loop);
    state->sweep.data = state->sweep_timer.data = state;
    uv_timer_init(loop, &state->sweep_timer);
    uv_timer_start(&state->sweep_timer, sweep_timer_cb, 0, SWEEP_MS);
    task->state = state;
}

static void exec_close(struct cress_task *task)
{
    struct exec_task *state = task->state;
    state->closing = true;
    uv_timer_stop(&state->sweep_timer);
    if (!state->sweeps) {
        uv_close((uv_handle_t *)&state->sweep_timer, sweep_timer_closed_cb);
    }
}

const struct cress_handler cress_exec_handler = {
    .task = "exec",
    .start = exec_start,
    .stop = exec_stop,
    .check = exec_check,
    .open = exec_open,
    .close = exec_close,
};
