// SPDX-License-Identifier: Apache-2.0
// Starting programs under a warden; see process.h.
#define _GNU_SOURCE /* _Fork */
#include "worker/handler/process.h"

#include "worker/handler/process_child.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- reports --- */

static void closed_cb(uv_handle_t *handle)
{
    struct cress_process *process = handle->data;
    process->ended(process, &process->last.end, process->arg);
}

/* The warden has closed its end of the pipe, which is the last thing it does: the wait is over as
 * soon as it has begun. */
static void finish(struct cress_process *process)
{
    int status;
    while (waitpid(process->warden, &status, 0) < 0 && errno == EINTR) {
    }
    process->warden = 0;
    process->last.end.lost = !process->last.ended;
    uv_close((uv_handle_t *)&process->reports, closed_cb);
}

static void take(struct cress_process *process)
{
    const int exec_errno = process->last.end.exec_errno;
    process->last = process->incoming;
    process->pid = process->last.ended ? 0 : process->last.pid;
    if (exec_errno) {
        process->last.end.exec_errno = exec_errno; /* said by the program itself, before its end */
    }
}

static void buffer_cb(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct cress_process *process = handle->data;
    *buf = uv_buf_init((char *)&process->incoming + process->received,
                       (unsigned)(sizeof process->incoming - process->received));
}

static void read_cb(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf)
{
    (void)buf;
    struct cress_process *process = stream->data;
    if (size < 0) {
        finish(process);
        return;
    }
    process->received += (size_t)size;
    if (process->received == sizeof process->incoming) {
        process->received = 0;
        take(process);
    }
}

/* --- starting --- */

/* The loop's handlers of signals must not run in the fork: they write to the worker's pipes. Nor
 * must its handler of forks, which makes pipes of its own anew, over descriptors that are ours by
 * then: hence _Fork(), which runs none. */
static pid_t fork_warden(const struct cress_warden_plan *plan)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const pid_t pid = _Fork();
    if (pid == 0) {
        cress_warden_run(plan);
    }
    const int fork_errno = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = fork_errno;
    return pid;
}

static enum cress_status refuse(const char *what, const char *why, struct cress_error *err)
{
    return cress_error_set(err, CRESS_TEMPORARY, "no_process", "cannot make a %s: %s", what, why);
}

enum cress_status cress_process_start(uv_loop_t *loop, const struct cress_process_spec *spec,
                                      void (*ended)(struct cress_process *process,
                                                    const struct cress_process_end *end, void *arg),
                                      void *arg, struct cress_process *process,
                                      struct cress_error *err)
{
    uv_file pipe[2];
    const int fault = uv_pipe(pipe, UV_NONBLOCK_PIPE, 0);
    if (fault != 0) {
        return refuse("pipe", uv_strerror(fault), err);
    }
    struct cress_warden_plan plan = {.spec = spec, .worker = getpid(), .report_fd = pipe[1]};
    plan.limit_count = cress_rlimits_make(spec->limits, plan.limits);
    const pid_t warden = fork_warden(&plan);
    const int fork_errno = errno;
    close(pipe[1]);
    if (warden < 0) {
        close(pipe[0]);
        return refuse("process", strerror(fork_errno), err);
    }
    *process = (struct cress_process){.warden = warden, .ended = ended, .arg = arg};
    uv_pipe_init(loop, &process->reports, 0);
    process->reports.data = process;
    uv_pipe_open(&process->reports, pipe[0]);
    uv_read_start((uv_stream_t *)&process->reports, buffer_cb, read_cb);
    return CRESS_OK;
}

/* --- ending --- */

void cress_process_ask(const struct cress_process *process)
{
    if (process->warden) {
        kill(process->warden, SIGUSR1);
    }
}

void cress_process_kill(const struct cress_process *process)
{
    if (process->warden) {
        kill(process->warden, SIGTERM);
    }
}
