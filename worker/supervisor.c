// SPDX-License-Identifier: Apache-2.0
// Several worker processes under one parent; see supervisor.h.
#include "worker/supervisor.h"

#include "common/base/backoff.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LONG_LIFE_MS = 10000 };

struct child {
    pid_t pid; /* 0: dead */
    int64_t born_ms;
    int64_t revive_ms; /* dead: when it is forked again */
    unsigned deaths;   /* short lives in a row */
};

struct supervisor {
    struct child *children;
    int count;
    int (*worker)(int parent_fd, void *arg);
    void *arg;
    int pipe[2];
    sigset_t signals, outer_signals;
    bool stopping;
    bool ended_badly;
};

int64_t cress_supervisor_pause_ms(int64_t lived_ms, unsigned deaths, uint64_t random)
{
    static const struct cress_backoff backoff = {.base_ms = 200, .cap_ms = 10000};
    return lived_ms >= LONG_LIFE_MS ? 0 : cress_backoff_ms(&backoff, deaths, random);
}

static void become_worker(struct supervisor *supervisor)
{
    setpgid(0, 0);
    close(supervisor->pipe[1]);
    sigprocmask(SIG_SETMASK, &supervisor->outer_signals, NULL);
    exit(supervisor->worker(supervisor->pipe[0], supervisor->arg));
}

static void bear(struct supervisor *supervisor, struct child *child)
{
    const pid_t pid = fork();
    if (pid == 0) {
        become_worker(supervisor);
    }
    child->born_ms = cress_clock_mono_ms();
    if (pid < 0) {
        child->deaths++;
        child->revive_ms =
            child->born_ms + cress_supervisor_pause_ms(0, child->deaths, cress_random());
        cress_log(CRESS_LOG_ERROR, "cannot start a worker process, trying on",
                  CRESS_KV("error", strerror(errno)));
        return;
    }
    child->pid = pid;
    cress_log(CRESS_LOG_INFO, "worker process started", CRESS_KVI("pid", pid));
}

static void bury(struct supervisor *supervisor, struct child *child, int status)
{
    const int64_t now = cress_clock_mono_ms();
    const int64_t lived_ms = now - child->born_ms;
    /* SIGTERM itself ends a worker only before it listens, when it has nothing in hand */
    const bool well = WIFEXITED(status) ? WEXITSTATUS(status) == 0 : WTERMSIG(status) == SIGTERM;
    const pid_t pid = child->pid;
    child->pid = 0;
    if (supervisor->stopping) {
        supervisor->ended_badly |= !well;
        return;
    }
    child->deaths = lived_ms >= LONG_LIFE_MS ? 1 : child->deaths + 1;
    const int64_t pause_ms = cress_supervisor_pause_ms(lived_ms, child->deaths, cress_random());
    child->revive_ms = now + pause_ms;
    cress_log(CRESS_LOG_WARN, "worker process died, starting another", CRESS_KVI("pid", pid),
              CRESS_KVI(WIFSIGNALED(status) ? "signal" : "exit_status",
                        WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status)),
              CRESS_KVI("lived_ms", lived_ms), CRESS_KVI("in_ms", pause_ms));
}

static void reap(struct supervisor *supervisor)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (int i = 0; i < supervisor->count; i++) {
            if (supervisor->children[i].pid == pid) {
                bury(supervisor, &supervisor->children[i], status);
            }
        }
    }
}

static void pass_on(const struct supervisor *supervisor, int signal_number)
{
    for (int i = 0; i < supervisor->count; i++) {
        if (supervisor->children[i].pid) {
            kill(supervisor->children[i].pid, signal_number);
        }
    }
}

/* Forks what is due, and returns how long until the next is: 1 s when nothing is dead. */
static int64_t revive(struct supervisor *supervisor)
{
    int64_t wait_ms = 1000;
    for (int i = 0; i < supervisor->count && !supervisor->stopping; i++) {
        struct child *child = &supervisor->children[i];
        const int64_t due_in_ms = child->revive_ms - cress_clock_mono_ms();
        if (!child->pid && due_in_ms <= 0) {
            bear(supervisor, child);
        } else if (!child->pid && due_in_ms < wait_ms) {
            wait_ms = due_in_ms;
        }
    }
    return wait_ms;
}

static bool any_alive(const struct supervisor *supervisor)
{
    for (int i = 0; i < supervisor->count; i++) {
        if (supervisor->children[i].pid) {
            return true;
        }
    }
    return false;
}

static void supervise(struct supervisor *supervisor)
{
    while (!supervisor->stopping || any_alive(supervisor)) {
        const int64_t wait_ms = revive(supervisor);
        const struct timespec timeout = {.tv_sec = wait_ms / 1000,
                                         .tv_nsec = wait_ms % 1000 * 1000000};
        const int signal_number = sigtimedwait(&supervisor->signals, NULL, &timeout);
        if (signal_number == SIGTERM || signal_number == SIGINT) {
            supervisor->stopping = true;
            pass_on(supervisor, SIGTERM);
        } else if (signal_number == SIGHUP) {
            pass_on(supervisor, SIGHUP);
        }
        reap(supervisor);
    }
}

int cress_supervise(int processes, int (*worker)(int parent_fd, void *arg), void *arg)
{
    struct supervisor supervisor = {.count = processes, .worker = worker, .arg = arg};
    if (pipe(supervisor.pipe) != 0) {
        cress_log(CRESS_LOG_ERROR, "cannot make a pipe", CRESS_KV("error", strerror(errno)));
        return 1;
    }
    fcntl(supervisor.pipe[0], F_SETFD, FD_CLOEXEC);
    fcntl(supervisor.pipe[1], F_SETFD, FD_CLOEXEC);
    sigemptyset(&supervisor.signals);
    sigaddset(&supervisor.signals, SIGTERM);
    sigaddset(&supervisor.signals, SIGINT);
    sigaddset(&supervisor.signals, SIGHUP);
    sigaddset(&supervisor.signals, SIGCHLD);
    sigprocmask(SIG_BLOCK, &supervisor.signals, &supervisor.outer_signals);
    supervisor.children = cress_alloc((size_t)processes * sizeof(*supervisor.children));
    supervise(&supervisor);
    free(supervisor.children);
    close(supervisor.pipe[0]);
    close(supervisor.pipe[1]);
    return supervisor.ended_badly ? 1 : 0;
}
