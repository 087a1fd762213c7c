// SPDX-License-Identifier: Apache-2.0
// One stream program; see stream_program.h.
//
// DESIGN
// Lines for the program collect in `pending` and leave in one write from a prepare handle, which
// runs once in each turn of the loop, after the callbacks and before it waits; it is active only
// while there is something to write.
//
// An end begins in one of two ways: cress_stream_program_finish(), or the program closes stdin or
// stdout. Both leave it some time to exit by itself and then kill it. The end itself is always the
// report of process.h that nothing of the program is left: what is still in the pipes is read, and
// the handles are closed; on_ended comes when the last one is.
#include "worker/handler/stream_program.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/text.h"
#include "worker/handler/command.h"
#include "worker/handler/exec_verdict.h"
#include "worker/handler/stream_said.h"
#include "worker/process/process.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

enum {
    EXIT_GRACE_MS = 5000,
    ENVELOPE_MAX = 1024,    /* of an answer, around the result that output_max bounds */
    ROOM_BYTES = 64 * 1024, /* what a pipe holds by default */
};

enum state {
    RUNNING,
    LEAVING, /* gets no more jobs; will exit, or be killed */
    ENDED,   /* gone, or never started; its handles are closing */
};

struct cress_stream_program {
    struct cress_stream_program_options options;
    enum state state;
    uv_loop_t *loop;
    struct cress_process process;
    uv_pipe_t in, out, err; /* its stdin, stdout and stderr */
    uv_timer_t timer;       /* the time that it has to exit */
    uv_prepare_t flusher;
    int open_handles;
    int writes; /* under way */

    struct cress_buf pending; /* lines of this turn */
    struct cress_lines answers;
    bool is_deaf; /* it wrote a wrong line: no further one is read */
    struct cress_said said;
    struct cress_error reason; /* of its end; CRESS_OK: none yet */
    char room[ROOM_BYTES];
};

/* --- the end --- */

static void freed_cb(uv_handle_t *handle)
{
    struct cress_stream_program *program = handle->data;
    if (--program->open_handles > 0) {
        return;
    }
    const struct cress_stream_program_options options = program->options;
    const struct cress_error reason = program->reason;
    cress_buf_free(&program->pending);
    cress_lines_free(&program->answers);
    cress_said_free(&program->said);
    free(program);
    options.on_ended(&reason, options.arg);
}

static void close_program_handle(uv_handle_t *handle)
{
    if (!uv_is_closing(handle)) {
        uv_close(handle, freed_cb);
    }
}

static void close_program(struct cress_stream_program *program)
{
    program->state = ENDED;
    close_program_handle((uv_handle_t *)&program->in);
    close_program_handle((uv_handle_t *)&program->out);
    close_program_handle((uv_handle_t *)&program->err);
    close_program_handle((uv_handle_t *)&program->timer);
    close_program_handle((uv_handle_t *)&program->flusher);
}

void cress_stream_program_kill(struct cress_stream_program *program,
                               const struct cress_error *reason)
{
    if (program->state == ENDED) {
        return;
    }
    if (program->reason.status == CRESS_OK) {
        program->reason = *reason;
    }
    program->state = LEAVING;
    cress_process_kill(&program->process);
}

void cress_stream_program_ask(const struct cress_stream_program *program)
{
    if (program->state != ENDED) {
        cress_process_ask(&program->process);
    }
}

static void overdue_cb(uv_timer_t *timer)
{
    const struct cress_stream_program *program = timer->data;
    struct cress_error err;
    cress_log(CRESS_LOG_WARN, "stream program does not exit and is killed",
              CRESS_KV("task", program->options.task),
              CRESS_KVI("pid", cress_process_pid(&program->process)));
    cress_error_set(&err, CRESS_TEMPORARY, "did_not_exit",
                    "the program closed its stdin or stdout, or was told to exit by the end of its "
                    "stdin, and was still there %d ms later",
                    EXIT_GRACE_MS);
    cress_stream_program_kill(timer->data, &err);
}

/* From now on it has EXIT_GRACE_MS to exit. */
static void leave(struct cress_stream_program *program)
{
    if (program->state == RUNNING) {
        program->state = LEAVING;
        uv_update_time(program->loop);
        uv_timer_start(&program->timer, overdue_cb, EXIT_GRACE_MS, 0);
    }
}

/* The program began it. */
static void left(struct cress_stream_program *program)
{
    if (program->state == RUNNING) {
        leave(program);
        program->options.on_leaving(program->options.arg);
    }
}

/* --- its stdin --- */

struct write {
    uv_write_t request;
    char *data;
};

static void end_stdin_if_done(struct cress_stream_program *program)
{
    if (program->state == LEAVING && program->writes == 0 && program->pending.size == 0) {
        close_program_handle((uv_handle_t *)&program->in);
    }
}

static void written_cb(uv_write_t *request, int status)
{
    struct write *write = CRESS_CONTAINER(request, struct write, request);
    struct cress_stream_program *program = request->data;
    free(write->data);
    free(write);
    program->writes--;
    if (status < 0) {
        left(program);
    }
    end_stdin_if_done(program);
}

/* What the pipe does not take at once waits in a copy. */
static void write_rest(struct cress_stream_program *program, size_t from)
{
    struct write *write = CRESS_NEW(struct write);
    const size_t size = program->pending.size - from;
    write->data = cress_strndup(program->pending.data + from, size);
    write->request.data = program;
    uv_buf_t buf = uv_buf_init(write->data, (unsigned)size);
    program->writes++;
    if (uv_write(&write->request, (uv_stream_t *)&program->in, &buf, 1, written_cb) != 0) {
        program->writes--;
        free(write->data);
        free(write);
        left(program);
    }
}

static void flush_cb(uv_prepare_t *flusher)
{
    struct cress_stream_program *program = flusher->data;
    uv_prepare_stop(flusher);
    uv_buf_t buf = uv_buf_init(program->pending.data, (unsigned)program->pending.size);
    const int written = uv_try_write((uv_stream_t *)&program->in, &buf, 1);
    if (written == UV_EAGAIN || (written >= 0 && (size_t)written < program->pending.size)) {
        write_rest(program, written > 0 ? (size_t)written : 0);
    } else if (written < 0) {
        left(program);
    }
    cress_buf_clear(&program->pending);
    end_stdin_if_done(program);
}

void cress_stream_program_send(struct cress_stream_program *program, const struct cress_job *job,
                               const char *after, int64_t deadline_ms)
{
    assert(program->state != LEAVING);
    if (program->state == RUNNING) {
        cress_stream_add_job(&program->pending, job, after, deadline_ms);
        uv_prepare_start(&program->flusher, flush_cb);
    }
}

void cress_stream_program_cancel(struct cress_stream_program *program, const char *id)
{
    if (program->state == RUNNING) {
        cress_stream_add_cancel(&program->pending, id);
        uv_prepare_start(&program->flusher, flush_cb);
    }
}

void cress_stream_program_finish(struct cress_stream_program *program)
{
    leave(program);
    end_stdin_if_done(program);
}

/* --- its stdout --- */

/* It wrote what cannot be read: nothing more is. */
static void condemn(struct cress_stream_program *program, const struct cress_error *err)
{
    program->is_deaf = true;
    left(program);
    cress_stream_program_kill(program, err);
}

static bool program_line_cb(const char *line, size_t size, void *arg)
{
    struct cress_stream_program *program = arg;
    struct cress_stream_message message;
    struct cress_error err;
    if (cress_stream_parse(line, size, &message, &err) != CRESS_OK) {
        condemn(program, &err);
        return false;
    }
    program->options.on_message(&message, program->options.arg);
    cress_stream_message_free(&message);
    return !program->is_deaf;
}

static void hear(struct cress_stream_program *program, const char *data, size_t size)
{
    if (!program->is_deaf &&
        !cress_lines_feed(&program->answers, data, size, program_line_cb, program)) {
        struct cress_error err;
        cress_error_set(&err, CRESS_TOO_LARGE, "line_too_long",
                        "the program wrote a line of more than the %lld bytes that output_max "
                        "allows",
                        (long long)program->options.config->output_max_bytes);
        condemn(program, &err);
    }
}

/* --- its stderr --- */

static void overhear(struct cress_stream_program *program, const char *data, size_t size)
{
    program->said.pid = cress_process_pid(&program->process);
    cress_said_hear(&program->said, (int64_t)uv_now(program->loop), data, size);
}

/* --- reading --- */

/* The room is free again when the read callback returns, and so one serves both pipes. */
static void room_cb(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct cress_stream_program *program = handle->data;
    *buf = uv_buf_init(program->room, sizeof program->room);
}

static void out_cb(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf)
{
    struct cress_stream_program *program = stream->data;
    if (size > 0) {
        hear(program, buf->base, (size_t)size);
    } else if (size < 0) {
        uv_read_stop(stream);
        left(program);
    }
}

static void err_cb(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf)
{
    if (size > 0) {
        overhear(stream->data, buf->base, (size_t)size);
    } else if (size < 0) {
        uv_read_stop(stream);
    }
}

/* What had been written when the program ended. */
static void read_rest(struct cress_stream_program *program, uv_pipe_t *pipe,
                      void (*take)(struct cress_stream_program *, const char *, size_t))
{
    uv_os_fd_t fd;
    if (uv_fileno((uv_handle_t *)pipe, &fd) != 0) {
        return;
    }
    for (;;) {
        const ssize_t n = read(fd, program->room, sizeof program->room);
        if (n > 0) {
            take(program, program->room, (size_t)n);
        } else if (n == 0 || errno != EINTR) {
            return;
        }
    }
}

/* --- why it ended --- */

static void explain_end(struct cress_stream_program *program, const struct cress_process_end *end)
{
    const struct cress_exec_facts facts = {
        .task = program->options.config,
        .end = *end,
        .log = program->said.last_line,
        .log_size = strlen(program->said.last_line),
    };
    struct cress_outcome outcome;
    if (program->reason.status != CRESS_OK && end->exec_errno == 0) {
        return;
    }
    cress_exec_judge(&facts, &outcome);
    program->reason = outcome.error;
    if (outcome.kind == CRESS_OUTCOME_SUCCEEDED) {
        cress_error_set(&program->reason, CRESS_TEMPORARY, "exit 0", "the program has exited");
    } else if (end->exec_errno != 0) {
        program->reason.status = CRESS_CONFIG;
    }
}

static void process_ended_cb(struct cress_process *process, const struct cress_process_end *end,
                             void *arg)
{
    (void)process;
    struct cress_stream_program *program = arg;
    left(program);
    read_rest(program, &program->out, hear);
    read_rest(program, &program->err, overhear);
    cress_said_end(&program->said);
    explain_end(program, end);
    close_program(program);
}

/* --- the start --- */

/* The environment of the worker and what the program is told beside. Free the array only. */
static const char **make_env(char *const additions[2])
{
    size_t count = 0;
    while (environ[count]) {
        count++;
    }
    const char **env = cress_alloc((count + 3) * sizeof *env);
    memcpy(env, environ, count * sizeof *env);
    env[count] = additions[0];
    env[count + 1] = additions[1];
    return env;
}

/* A pipe whose one end is `ours` and whose other end, blocking, is `*theirs`. */
static int open_pipe(uv_pipe_t *ours, bool we_write, int *theirs)
{
    uv_file ends[2];
    int status = uv_pipe(ends, we_write ? 0 : UV_NONBLOCK_PIPE, we_write ? UV_NONBLOCK_PIPE : 0);
    if (status == 0) {
        *theirs = ends[we_write ? 0 : 1];
        status = uv_pipe_open(ours, ends[we_write ? 1 : 0]);
    }
    return status;
}

static enum cress_status start_stream_process(struct cress_stream_program *program, char **argv,
                                              const int fds[3], struct cress_error *err)
{
    char *const additions[2] = {
        cress_format("CRESS_STREAM_VERSION=%d", CRESS_STREAM_VERSION),
        cress_format("CRESS_TASK=%s", program->options.task),
    };
    const char **env = make_env(additions);
    const struct cress_process_spec spec = {
        .argv = (const char *const *)argv,
        .env = env,
        .limits = cress_command_limits(program->options.config),
        .fds = fds,
        .fd_count = 3,
        .lock_fd = -1,
    };
    const enum cress_status status = cress_process_start(
        program->options.wardens, &spec, process_ended_cb, program, &program->process, err);
    free(env);
    free(additions[0]);
    free(additions[1]);
    return status;
}

static enum cress_status start_stream_program(struct cress_stream_program *program,
                                              struct cress_error *err)
{
    char **argv;
    enum cress_status status = cress_command_make(program->options.config, &argv, err);
    if (status != CRESS_OK) {
        return status;
    }
    int fds[3] = {-1, -1, -1};
    int problem = open_pipe(&program->in, true, &fds[0]);
    problem = problem ? problem : open_pipe(&program->out, false, &fds[1]);
    problem = problem ? problem : open_pipe(&program->err, false, &fds[2]);
    if (problem == 0) {
        status = start_stream_process(program, argv, fds, err);
    } else {
        status = cress_error_set(err, CRESS_TEMPORARY, "no_pipe", "cannot make a pipe: %s",
                                 uv_strerror(problem));
    }
    for (size_t i = 0; i < CRESS_COUNT(fds); i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
        }
    }
    cress_text_list_free(argv);
    return status;
}

static void init_program_handles(struct cress_stream_program *program)
{
    uv_pipe_init(program->loop, &program->in, 0);
    uv_pipe_init(program->loop, &program->out, 0);
    uv_pipe_init(program->loop, &program->err, 0);
    uv_timer_init(program->loop, &program->timer);
    uv_prepare_init(program->loop, &program->flusher);
    program->in.data = program->out.data = program->err.data = program;
    program->timer.data = program->flusher.data = program;
    program->open_handles = 5;
}

struct cress_stream_program *
cress_stream_program_start(uv_loop_t *loop, const struct cress_stream_program_options *options)
{
    struct cress_stream_program *program = CRESS_NEW(struct cress_stream_program);
    program->options = *options;
    program->loop = loop;
    program->pending = cress_buf_make(SIZE_MAX / 2); /* the jobs in flight bound it */
    program->answers = cress_lines_make((size_t)options->config->output_max_bytes + ENVELOPE_MAX);
    program->said = cress_said_make(options->task);
    init_program_handles(program);
    if (start_stream_program(program, &program->reason) != CRESS_OK) {
        close_program(program);
        return program;
    }
    uv_read_start((uv_stream_t *)&program->out, room_cb, out_cb);
    uv_read_start((uv_stream_t *)&program->err, room_cb, err_cb);
    return program;
}

int64_t cress_stream_program_memory(const struct cress_stream_program *program)
{
    char path[64];
    long long pages = 0;
    snprintf(path, sizeof path, "/proc/%d/statm", (int)cress_process_pid(&program->process));
    FILE *file = cress_process_pid(&program->process) > 0 ? fopen(path, "re") : NULL;
    if (file) {
        char line[128] = "";
        const char *second = fgets(line, sizeof line, file) ? strchr(line, ' ') : NULL;
        pages = second ? strtoll(second, NULL, 10) : 0;
        fclose(file);
    }
    return (int64_t)pages * sysconf(_SC_PAGESIZE);
}
