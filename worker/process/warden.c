// SPDX-License-Identifier: Apache-2.0
// The warden of programs, and a program until exec; see process.h and warden.h. Nothing here may
// allocate, lock or use stdio: other threads of the worker may have held any lock when it was
// forked. Linux only: subreapers, close_range(), signalfd().
#define _GNU_SOURCE /* clone, close_range, MSG_CMSG_CLOEXEC */
#include "worker/process/warden.h"

#include "worker/process/family.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    SOCKET_FD = 3,  /* 0 to 2 are /dev/null */
    SIGNALS_FD = 4, /* SIGCHLD; and SIGTERM, which the death of the worker sends */
    HIGH_FD = 64,   /* above all that descriptors are moved to */
    FDS_MAX = CRESS_PROCESS_FDS_MAX + 1, /* and the lock */
    STACK_BYTES = 64 * 1024,
    EXEC_FAILED = 127,
};

static struct warden {
    struct cress_warden_page *page;
    bool is_over;  /* the worker is gone, or wants no more */
    pid_t program; /* 0: none */
    bool ended;
    struct cress_process_end end;
    int64_t cpu_us;
    volatile int exec_errno; /* written by the program's process, which shares this memory */
    int fds[FDS_MAX];        /* that came with the order */
    size_t fd_count;
} warden;

/* A program's process leaves its stack without returning, and the next one begins on the same: what
 * AddressSanitizer notes about frames there would be about others. */
#define ON_OWN_STACK __attribute__((no_sanitize_address))

/* --- limits --- */

static void add_rlimit(struct cress_rlimit *limits, size_t *count, int resource, int64_t soft,
                       int64_t hard)
{
    if (soft > 0) {
        limits[(*count)++] = (struct cress_rlimit){resource, {(rlim_t)soft, (rlim_t)hard}};
    }
}

size_t cress_rlimits_make(const struct cress_process_limits *wanted,
                          struct cress_rlimit limits[CRESS_RLIMITS_MAX])
{
    const int64_t cpu_s = (wanted->cpu_max_ms + 999) / 1000;
    size_t count = 0;
    limits[count++] = (struct cress_rlimit){RLIMIT_CORE, {0, 0}};
    add_rlimit(limits, &count, RLIMIT_AS, wanted->memory_max_bytes, wanted->memory_max_bytes);
    /* SIGXCPU at the soft limit names the reason; SIGKILL at the hard one, should it be ignored */
    add_rlimit(limits, &count, RLIMIT_CPU, cpu_s, cpu_s + 1);
    add_rlimit(limits, &count, RLIMIT_NOFILE, wanted->files_max, wanted->files_max);
    add_rlimit(limits, &count, RLIMIT_FSIZE, wanted->file_size_max_bytes,
               wanted->file_size_max_bytes);
    add_rlimit(limits, &count, RLIMIT_NPROC, wanted->processes_max, wanted->processes_max);
    return count;
}

ON_OWN_STACK
static bool apply_limits(const struct cress_warden_page *page)
{
    for (size_t i = 0; i < page->limit_count; i++) {
        struct rlimit limit = page->limits[i].limit;
        struct rlimit now;
        /* the worker's own hard limit cannot be passed, and is at least as strict */
        if (getrlimit(page->limits[i].resource, &now) == 0 && now.rlim_max < limit.rlim_max) {
            limit.rlim_max = now.rlim_max;
            limit.rlim_cur = limit.rlim_cur < now.rlim_max ? limit.rlim_cur : now.rlim_max;
        }
        if (setrlimit(page->limits[i].resource, &limit) != 0) {
            return false;
        }
    }
    return true;
}

/* --- the program, until execve() --- */

/* Descriptors 0, 1, 2, … as the order says; all others close themselves. All are first moved out of
 * the way, since any of them may have a number that another is to get. */
ON_OWN_STACK
static bool arrange_descriptors(const struct cress_warden_page *page)
{
    int high[CRESS_PROCESS_FDS_MAX];
    size_t next = 0;
    for (size_t i = 0; i < page->fd_count; i++) {
        high[i] = page->given[i] ? fcntl(warden.fds[next++], F_DUPFD_CLOEXEC, HIGH_FD) : -1;
        if (page->given[i] && high[i] < 0) {
            return false;
        }
    }
    for (size_t i = 0; i < page->fd_count; i++) { /* the warden's 0 to 2 are /dev/null already */
        if (page->given[i] && dup2(high[i], (int)i) < 0) {
            return false;
        }
    }
    return true;
}

ON_OWN_STACK
static int become_program(void *arg)
{
    const struct cress_warden_page *page = arg;
    setsid();
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* should someone kill the warden */
    if (arrange_descriptors(page) && (!page->folder || chdir(page->folder) == 0) &&
        apply_limits(page)) {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        execve(page->argv[0], page->argv, page->env);
    }
    warden.exec_errno = errno;
    _exit(EXEC_FAILED);
}

/* As posix_spawn(3) does, which knows no resource limits: the program's process uses the warden's
 * memory, with a stack of its own, and the warden stands still until it has executed. A second copy
 * of the worker's memory map would cost as much as all the rest together. */
static pid_t clone_program(void)
{
    static char stack[STACK_BYTES] __attribute__((aligned(16)));
    return clone(become_program, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD,
                 warden.page);
}

/* --- watching it --- */

static void count_use(const struct rusage *used)
{
    const int64_t rss_bytes = (int64_t)used->ru_maxrss * 1024;
    warden.cpu_us += (int64_t)(used->ru_utime.tv_sec + used->ru_stime.tv_sec) * 1000000 +
                     used->ru_utime.tv_usec + used->ru_stime.tv_usec;
    if (rss_bytes > warden.end.rss_bytes) {
        warden.end.rss_bytes = rss_bytes;
    }
}

/* Reaps what has ended; true when no child is left. */
static bool reap_children(void)
{
    int status;
    pid_t pid;
    struct rusage used;
    while ((pid = wait4(-1, &status, WNOHANG, &used)) > 0) {
        count_use(&used);
        if (pid == warden.program) {
            warden.end.status = status;
            warden.ended = true;
        }
    }
    return pid < 0 && errno == ECHILD;
}

/* Orphans of those killed become our children, and those that were forked meanwhile are found in
 * the next pass. */
static void kill_all(void)
{
    if (!warden.ended) {
        kill(-warden.program, SIGKILL); /* while it is not reaped, the number is its group's */
    }
    const struct timespec pause = {.tv_nsec = 1000000};
    while (!reap_children()) {
        cress_family_kill();
        nanosleep(&pause, NULL);
    }
}

/* --- orders --- */

static void close_fds(void)
{
    for (size_t i = 0; i < warden.fd_count; i++) {
        close(warden.fds[i]);
    }
    warden.fd_count = 0;
}

static void report_end(void)
{
    const struct cress_warden_report what = {.end = warden.end};
    ssize_t written;
    do {
        written = send(SOCKET_FD, &what, sizeof what, MSG_NOSIGNAL);
    } while (written < 0 && errno == EINTR);
}

static void end_program(void)
{
    kill_all();  /* what it has left behind */
    close_fds(); /* the lock, of which nobody has need now */
    warden.end.cpu_ms = warden.cpu_us / 1000;
    warden.page->pid = 0;
    warden.program = 0;
    report_end();
}

static size_t expected_fds(const struct cress_warden_page *page)
{
    size_t count = page->has_lock;
    for (size_t i = 0; i < page->fd_count; i++) {
        count += page->given[i];
    }
    return count;
}

/* All but the lock, or the worker would wait for the end of what the warden never writes. */
static void close_all_but_lock(void)
{
    const size_t kept = warden.page->has_lock;
    for (size_t i = 0; i + kept < warden.fd_count; i++) {
        close(warden.fds[i]);
    }
    if (kept) {
        warden.fds[0] = warden.fds[warden.fd_count - 1];
    }
    warden.fd_count = kept;
}

static void spawn_program(void)
{
    warden.end = (struct cress_process_end){.status = 0};
    warden.cpu_us = 0;
    warden.ended = false;
    warden.exec_errno = 0;
    if (warden.fd_count != expected_fds(warden.page)) {
        errno = EMFILE; /* the system had no room for more of them */
        warden.program = -1;
    } else {
        warden.program = clone_program();
        close_all_but_lock();
    }
    if (warden.program < 0) {
        warden.end.exec_errno = errno;
        warden.ended = true; /* and reported before anything else is looked at */
    } else {
        warden.end.exec_errno = warden.exec_errno;
        warden.page->pid = warden.program;
    }
}

static void keep_fds(struct msghdr *message)
{
    const struct cmsghdr *part = CMSG_FIRSTHDR(message);
    if (part && part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_RIGHTS) {
        warden.fd_count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(warden.fds, CMSG_DATA(part), warden.fd_count * sizeof(int));
    }
}

static void take_order(void)
{
    char order = 0;
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(FDS_MAX * sizeof(int))];
    } control;
    struct iovec body = {.iov_base = &order, .iov_len = 1};
    struct msghdr message = {.msg_iov = &body,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    const ssize_t size = recvmsg(SOCKET_FD, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (size < 0) {
        warden.is_over = errno != EINTR && errno != EAGAIN;
    } else if (size == 0) {
        warden.is_over = true;
    } else if (order == CRESS_WARDEN_START) {
        keep_fds(&message);
        spawn_program();
    } else if (warden.program && order == CRESS_WARDEN_ASK) {
        if (!warden.ended) { /* else its number may be another's already */
            kill(-warden.program, SIGTERM);
        }
    } else if (warden.program) {
        kill_all();
    }
}

static void take_signal(void)
{
    struct signalfd_siginfo info;
    while (read(SIGNALS_FD, &info, sizeof info) == sizeof info) {
        warden.is_over |= info.ssi_signo == SIGTERM;
    }
    if (warden.program) {
        reap_children();
    }
}

static void serve_worker(void)
{
    struct pollfd sources[] = {{.fd = SOCKET_FD, .events = POLLIN},
                               {.fd = SIGNALS_FD, .events = POLLIN}};
    while (!warden.is_over) {
        if (poll(sources, 2, -1) < 0) {
            continue; /* EINTR: all signals are blocked, but a debugger may stop it */
        }
        if (sources[1].revents) {
            take_signal();
        }
        if (sources[0].revents) {
            take_order();
        }
        if (warden.program && warden.ended) {
            end_program();
        }
    }
    if (warden.program) {
        end_program();
    }
}

/* --- the start --- */

static void reset_signals(void)
{
    struct sigaction standard = {.sa_handler = SIG_DFL};
    for (int number = 1; number < NSIG; number++) {
        sigaction(number, &standard, NULL); /* refused for a few, which have no handler anyway */
    }
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

static bool take_descriptors(int socket)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    sigaddset(&signals, SIGTERM);
    const int high = fcntl(socket, F_DUPFD, HIGH_FD);
    if (high < 0 || dup2(high, SOCKET_FD) < 0) {
        return false;
    }
    close_from(SOCKET_FD + 1);
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd < SOCKET_FD; fd++) {
        if (dup2(null, fd) < 0) {
            return false;
        }
    }
    close(null);
    fcntl(SOCKET_FD, F_SETFD, FD_CLOEXEC);
    return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK) == SIGNALS_FD;
}

_Noreturn void cress_warden_run(struct cress_warden_page *page, int socket, pid_t worker)
{
    warden.page = page;
    reset_signals();
    /* Whoever kills the worker's group does not kill what cleans up after it. A session of its own would
     * be a group of its own to the scheduler too, which then lets each order wait for its turn. */
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (getppid() == worker && take_descriptors(socket)) { /* else it died before the line above */
        serve_worker();
    }
    _exit(0);
}
