// SPDX-License-Identifier: Apache-2.0
// The warden of a program, and the program until exec; see process.h. From the fork on, nothing
// here may allocate, lock or use stdio: other threads of the worker may have held any lock when it
// was forked. Linux only: subreapers, close_range(), /proc.
#define _GNU_SOURCE /* clone, close_range, getdents64 */
#include "worker/handler/process_child.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    REPORT_FD = CRESS_PROCESS_FDS,
    HIGH_FD = 16,       /* above all that descriptors are moved to */
    FAMILY_MAX = 32768, /* processes looked at in one pass; the next pass sees the others */
    STACK_BYTES = 64 * 1024,
    EXEC_FAILED = 127,
};

/* --- before the fork --- */

static void add_limit(struct cress_rlimit *limits, size_t *count, int resource, int64_t soft,
                      int64_t hard)
{
    if (soft > 0) {
        limits[(*count)++] = (struct cress_rlimit){resource, {(rlim_t)soft, (rlim_t)hard}};
    }
}

size_t cress_rlimits_make(const struct cress_task_config *task,
                          struct cress_rlimit limits[CRESS_RLIMITS_MAX])
{
    const int64_t cpu_s = (task->cpu_max_ms + 999) / 1000;
    size_t count = 0;
    limits[count++] = (struct cress_rlimit){RLIMIT_CORE, {0, 0}};
    add_limit(limits, &count, RLIMIT_AS, task->memory_max_bytes, task->memory_max_bytes);
    /* SIGXCPU at the soft limit names the reason; SIGKILL at the hard one, should it be ignored */
    add_limit(limits, &count, RLIMIT_CPU, cpu_s, cpu_s + 1);
    add_limit(limits, &count, RLIMIT_NOFILE, task->files_max, task->files_max);
    add_limit(limits, &count, RLIMIT_FSIZE, task->file_size_max_bytes, task->file_size_max_bytes);
    add_limit(limits, &count, RLIMIT_NPROC, task->processes_max, task->processes_max);
    return count;
}

/* --- both --- */

static void report(const struct cress_process_report *what)
{
    ssize_t written;
    do {
        written = write(REPORT_FD, what, sizeof *what);
    } while (written < 0 && errno == EINTR);
}

/* Nobody could read what happened: the worker sees the report pipe close without an end. */
static _Noreturn void give_up(void)
{
    _exit(EXEC_FAILED);
}

static void close_from(int first)
{
    if (close_range((unsigned)first, ~0U, 0) == 0) {
        return;
    }
    struct rlimit open_files; /* before Linux 5.9 */
    if (getrlimit(RLIMIT_NOFILE, &open_files) == 0) {
        for (int fd = first; fd < (int)open_files.rlim_cur; fd++) {
            close(fd);
        }
    }
}

/* Descriptors 0 to 3 as the plan says, the report pipe behind them, and nothing else. All are first
 * moved out of the way, since any of them may have a number that another is to get. */
static void arrange_descriptors(const struct cress_warden_plan *plan)
{
    int high[CRESS_PROCESS_FDS + 1];
    for (int i = 0; i <= CRESS_PROCESS_FDS; i++) {
        int fd = i == REPORT_FD ? plan->report_fd : plan->spec->fds[i];
        if (fd < 0 && i <= STDERR_FILENO) {
            fd = open("/dev/null", O_RDWR);
        }
        high[i] = fd < 0 ? -1 : fcntl(fd, F_DUPFD, HIGH_FD);
    }
    for (int i = 0; i <= CRESS_PROCESS_FDS; i++) {
        if (high[i] < 0) {
            close(i);
        } else if (dup2(high[i], i) < 0) {
            give_up();
        }
    }
    close_from(REPORT_FD + 1);
    fcntl(REPORT_FD, F_SETFD, FD_CLOEXEC);
}

static void reset_signals(void)
{
    struct sigaction standard = {.sa_handler = SIG_DFL};
    for (int number = 1; number < NSIG; number++) {
        sigaction(number, &standard, NULL); /* refused for a few, which have no handler anyway */
    }
}

/* --- the program, until execve() --- */

static bool apply_limits(const struct cress_warden_plan *plan)
{
    for (size_t i = 0; i < plan->limit_count; i++) {
        struct rlimit limit = plan->limits[i].limit;
        struct rlimit now;
        /* the worker's own hard limit cannot be passed, and is at least as strict */
        if (getrlimit(plan->limits[i].resource, &now) == 0 && now.rlim_max < limit.rlim_max) {
            limit.rlim_max = now.rlim_max;
            limit.rlim_cur = limit.rlim_cur < now.rlim_max ? limit.rlim_cur : now.rlim_max;
        }
        if (setrlimit(plan->limits[i].resource, &limit) != 0) {
            return false;
        }
    }
    return true;
}

static _Noreturn int become_program(void *arg)
{
    const struct cress_warden_plan *plan = arg;
    const struct cress_process_spec *spec = plan->spec;
    setsid();
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* should someone kill the warden */
    if ((!spec->folder || chdir(spec->folder) == 0) && apply_limits(plan)) {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        execve(spec->argv[0], (char *const *)spec->argv, (char *const *)spec->env);
    }
    const struct cress_process_report failure = {.pid = getpid(), .end.exec_errno = errno};
    report(&failure);
    _exit(EXEC_FAILED);
}

/* As posix_spawn(3) does, which knows no resource limits: the program's process uses the warden's
 * memory, with a stack of its own, and the warden stands still until it has executed. A second copy
 * of the worker's memory map would cost as much as all the rest together. */
static pid_t start_program(const struct cress_warden_plan *plan)
{
    static char stack[STACK_BYTES] __attribute__((aligned(16)));
    return clone(become_program, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD,
                 (void *)plan);
}

/* --- killing a family --- */

/* The parent of process `name` by /proc/<name>/stat, "pid (any text) state ppid …"; 0 when it is
 * gone. */
static pid_t parent_of(int proc, const char *name)
{
    char text[512];
    const int folder = openat(proc, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
    const int fd = openat(folder, "stat", O_RDONLY | O_CLOEXEC);
    const ssize_t size = read(fd, text, sizeof text - 1);
    close(fd);
    close(folder);
    text[size > 0 ? size : 0] = '\0';
    const char *at = strrchr(text, ')');
    pid_t parent = 0;
    for (at = at && strlen(at) > 4 ? at + 4 : ""; *at >= '0' && *at <= '9'; at++) {
        parent = parent * 10 + (*at - '0');
    }
    return parent;
}

static pid_t to_pid(const char *name)
{
    pid_t pid = 0;
    for (; *name >= '0' && *name <= '9'; name++) {
        pid = pid * 10 + (*name - '0');
    }
    return *name == '\0' ? pid : 0;
}

struct relation {
    pid_t pid, parent;
    bool ours;
};

static size_t list_processes(struct relation *all)
{
    size_t count = 0;
    char room[8192] __attribute__((aligned(8)));
    const int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ssize_t size;
    while (proc >= 0 && (size = getdents64(proc, room, sizeof room)) > 0) {
        for (ssize_t at = 0; at < size;) {
            const struct dirent64 *entry = (const void *)(room + at);
            const pid_t pid = to_pid(entry->d_name);
            if (pid > 0 && count < FAMILY_MAX) {
                all[count++] =
                    (struct relation){.pid = pid, .parent = parent_of(proc, entry->d_name)};
            }
            at += entry->d_reclen;
        }
    }
    if (proc >= 0) {
        close(proc);
    }
    return count;
}

/* Marks those whose parent is the warden or marked already. True: the pass has found some. */
static bool mark_children(struct relation *all, size_t count, pid_t self)
{
    bool found = false;
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; !all[i].ours && j < count; j++) {
            all[i].ours = all[i].parent == self || (all[j].ours && all[j].pid == all[i].parent);
            found |= all[i].ours;
        }
    }
    return found;
}

/* Kills all descendants that can be seen now. */
static void kill_family(void)
{
    static struct relation all[FAMILY_MAX];
    const pid_t self = getpid();
    const size_t count = list_processes(all);
    while (mark_children(all, count, self)) {
    }
    for (size_t i = 0; i < count; i++) {
        if (all[i].ours) {
            kill(all[i].pid, SIGKILL);
        }
    }
}

/* --- the warden --- */

struct warden {
    pid_t program;
    bool ended;
    int status;
};

/* Reaps what has ended; true when no child is left. */
static bool reap(struct warden *warden)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == warden->program) {
            warden->status = status;
            warden->ended = true;
        }
    }
    return pid < 0 && errno == ECHILD;
}

/* Orphans of those killed become our children, and those that were forked meanwhile are found in
 * the next pass. */
static void kill_all(struct warden *warden)
{
    if (!warden->ended) {
        kill(-warden->program, SIGKILL); /* while it is not reaped, the number is its group's */
    }
    const struct timespec pause = {.tv_nsec = 1000000};
    while (!reap(warden)) {
        kill_family();
        nanosleep(&pause, NULL);
    }
}

/* A program that has just been forked may have no group yet. */
static void ask(pid_t program)
{
    if (kill(-program, SIGTERM) != 0) {
        kill(program, SIGTERM);
    }
}

static void watch(struct warden *warden)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGUSR1);
    while (!warden->ended) {
        switch (sigwaitinfo(&signals, NULL)) {
        case SIGCHLD:
            reap(warden);
            break;
        case SIGUSR1:
            ask(warden->program);
            break;
        case SIGTERM: /* the worker's order, or its death */
            kill_all(warden);
            break;
        default:
            break;
        }
    }
    kill_all(warden); /* what it has left behind */
}

static void report_end(const struct warden *warden)
{
    struct rusage used;
    getrusage(RUSAGE_CHILDREN, &used);
    const struct cress_process_report end = {
        .pid = warden->program,
        .ended = true,
        .end = {.status = warden->status,
                .cpu_ms = (int64_t)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000 +
                          (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1000,
                .rss_bytes = (int64_t)used.ru_maxrss * 1024},
    };
    report(&end);
}

_Noreturn void cress_warden_run(const struct cress_warden_plan *plan)
{
    reset_signals();
    setsid();
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (getppid() != plan->worker) {
        give_up(); /* it died before the first of these two lines */
    }
    arrange_descriptors(plan);
    struct warden warden = {.program = start_program(plan)};
    if (warden.program < 0) {
        const struct cress_process_report failure = {.ended = true, .end.exec_errno = errno};
        report(&failure);
        _exit(EXEC_FAILED);
    }
    for (int fd = 0; fd < CRESS_PROCESS_FDS; fd++) {
        close(fd); /* or the worker would wait for the end of what the warden never writes */
    }
    const struct cress_process_report started = {.pid = warden.program};
    report(&started);
    watch(&warden);
    report_end(&warden);
    _exit(0);
}
