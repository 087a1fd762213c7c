// SPDX-License-Identifier: Apache-2.0
// Starting programs under wardens; see process.h.
#define _GNU_SOURCE /* _Fork */
#include "worker/process/process.h"

#include "worker/process/warden.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* How long a warden waits for the next program. Tasks that come now and then pay for a new one, and
 * hold no memory in between. */
enum { IDLE_MS = 5000 };

struct cress_wardens {
    uv_loop_t *loop;
    struct cress_list idle;    /* struct cress_warden; the last used last */
    size_t count;              /* all of them */
    uv_timer_t timer;          /* runs while there are idle ones */
    void (*closed)(void *arg); /* NULL: open */
    void *arg;
};

struct cress_warden {
    struct cress_wardens *wardens;
    struct cress_list node; /* in `idle`, or in no list */
    uint64_t idle_since_ms;
    pid_t pid;
    uv_pipe_t socket;
    int fd; /* of the socket */
    struct cress_warden_page *page;
    struct cress_process *process; /* NULL: it is idle, or ends */
    struct cress_warden_report report;
};

/* --- wardens: their end --- */

static void wardens_closed_cb(uv_handle_t *timer)
{
    struct cress_wardens *wardens = timer->data;
    void (*closed)(void *arg) = wardens->closed;
    void *arg = wardens->arg;
    free(wardens);
    closed(arg);
}

static void close_wardens_if_empty(struct cress_wardens *wardens)
{
    if (wardens->closed && wardens->count == 0) {
        uv_close((uv_handle_t *)&wardens->timer, wardens_closed_cb);
    }
}

static void warden_closed_cb(uv_handle_t *socket)
{
    struct cress_warden *warden = socket->data;
    struct cress_wardens *wardens = warden->wardens;
    munmap(warden->page, CRESS_WARDEN_PAGE_BYTES);
    free(warden);
    wardens->count--;
    close_wardens_if_empty(wardens);
}

/* It has closed its end of the socket, which is the last thing it does: the wait is over as soon as
 * it has begun. */
static void bury_warden(struct cress_warden *warden)
{
    int status;
    while (waitpid(warden->pid, &status, 0) < 0 && errno == EINTR) {
    }
    cress_list_remove(&warden->node);
    uv_close((uv_handle_t *)&warden->socket, warden_closed_cb);
}

/* It exits at the end of its orders, which closes the socket. */
static void dismiss_warden(struct cress_warden *warden)
{
    cress_list_remove(&warden->node);
    shutdown(warden->fd, SHUT_WR);
}

static void idle_cb(uv_timer_t *timer)
{
    struct cress_wardens *wardens = timer->data;
    const uint64_t now_ms = uv_now(wardens->loop);
    while (!cress_list_is_empty(&wardens->idle)) {
        struct cress_warden *oldest =
            CRESS_CONTAINER(wardens->idle.next, struct cress_warden, node);
        if (now_ms - oldest->idle_since_ms < IDLE_MS) {
            return;
        }
        dismiss_warden(oldest);
    }
    uv_timer_stop(timer);
}

static void rest_warden(struct cress_warden *warden)
{
    struct cress_wardens *wardens = warden->wardens;
    warden->process = NULL;
    if (wardens->closed) {
        dismiss_warden(warden);
        return;
    }
    warden->idle_since_ms = uv_now(wardens->loop);
    cress_list_append(&wardens->idle, &warden->node);
    if (!uv_is_active((uv_handle_t *)&wardens->timer)) {
        uv_timer_start(&wardens->timer, idle_cb, IDLE_MS, IDLE_MS / 2);
    }
}

void cress_wardens_close(struct cress_wardens *wardens, void (*closed)(void *arg), void *arg)
{
    wardens->closed = closed;
    wardens->arg = arg;
    while (!cress_list_is_empty(&wardens->idle)) {
        dismiss_warden(CRESS_CONTAINER(wardens->idle.next, struct cress_warden, node));
    }
    close_wardens_if_empty(wardens);
}

/* --- reports --- */

static void end_process(struct cress_process *process, const struct cress_process_end *end)
{
    if (process) {
        process->warden = NULL;
        process->ended(process, end, process->arg);
    }
}

static void buffer_cb(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct cress_warden *warden = handle->data;
    *buf = uv_buf_init((char *)&warden->report, sizeof warden->report);
}

static void report_cb(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf)
{
    (void)buf;
    struct cress_warden *warden = stream->data;
    struct cress_process *process = warden->process;
    if (size == (ssize_t)sizeof warden->report) {
        const struct cress_process_end end = warden->report.end;
        rest_warden(warden);
        end_process(process, &end);
    } else if (size < 0) {
        const struct cress_process_end end = {.lost = true};
        bury_warden(warden);
        end_process(process, &end);
    }
}

/* --- wardens: their beginning --- */

struct cress_wardens *cress_wardens_open(uv_loop_t *loop)
{
    struct cress_wardens *wardens = CRESS_NEW(struct cress_wardens);
    wardens->loop = loop;
    cress_list_init(&wardens->idle);
    uv_timer_init(loop, &wardens->timer);
    wardens->timer.data = wardens;
    return wardens;
}

/* The loop's handlers of signals must not run in the fork: they write to the worker's pipes. Nor
 * must its handler of forks, which makes pipes of its own anew, over descriptors that are ours by
 * then: hence _Fork(), which runs none. */
static pid_t fork_warden(struct cress_warden_page *page, int socket)
{
    sigset_t all;
    sigset_t before;
    const pid_t worker = getpid();
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const pid_t pid = _Fork();
    if (pid == 0) {
        cress_warden_run(page, socket, worker);
    }
    const int fork_errno = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = fork_errno;
    return pid;
}

static enum cress_status refuse_process(const char *what, struct cress_error *err)
{
    return cress_error_set(err, CRESS_TEMPORARY, "no_process", "cannot make a %s: %s", what,
                           strerror(errno));
}

static void attach_warden(struct cress_warden *warden)
{
    uv_pipe_init(warden->wardens->loop, &warden->socket, 0);
    warden->socket.data = warden;
    uv_pipe_open(&warden->socket, warden->fd);
    uv_read_start((uv_stream_t *)&warden->socket, buffer_cb, report_cb);
    cress_list_init(&warden->node);
    warden->wardens->count++;
}

static struct cress_warden *make_warden(struct cress_wardens *wardens, struct cress_error *err)
{
    int ends[2];
    struct cress_warden_page *page = mmap(NULL, CRESS_WARDEN_PAGE_BYTES, PROT_READ | PROT_WRITE,
                                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) {
        refuse_process("shared page", err);
        return NULL;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) {
        refuse_process("socket", err);
        munmap(page, CRESS_WARDEN_PAGE_BYTES);
        return NULL;
    }
    const pid_t pid = fork_warden(page, ends[1]);
    close(ends[1]);
    if (pid < 0) {
        refuse_process("process", err);
        close(ends[0]);
        munmap(page, CRESS_WARDEN_PAGE_BYTES);
        return NULL;
    }
    struct cress_warden *warden = CRESS_NEW(struct cress_warden);
    *warden = (struct cress_warden){.wardens = wardens, .pid = pid, .fd = ends[0], .page = page};
    attach_warden(warden);
    return warden;
}

/* --- orders --- */

/* Where the next text goes in a page. */
struct page_room {
    char *at, *end;
};

static void *take_room(struct page_room *room, size_t size)
{
    if (!room->at || size > (size_t)(room->end - room->at)) {
        room->at = NULL;
        return NULL;
    }
    char *taken = room->at;
    room->at += size;
    return taken;
}

static char *put_text(struct page_room *room, const char *text)
{
    const size_t size = strlen(text) + 1;
    char *copy = take_room(room, size);
    return copy ? memcpy(copy, text, size) : NULL;
}

/* The pointers are taken first, while the room is aligned for them. */
static char **take_list(struct page_room *room, const char *const *list, size_t *count)
{
    *count = 0;
    while (list[*count]) {
        (*count)++;
    }
    return take_room(room, (*count + 1) * sizeof(char *));
}

static void put_list(struct page_room *room, char **copy, const char *const *list, size_t count)
{
    for (size_t i = 0; copy && i < count; i++) {
        copy[i] = put_text(room, list[i]);
    }
    if (copy) {
        copy[count] = NULL;
    }
}

/* False: the texts do not fit, which no program could be given anyway. */
static bool fill_page(struct cress_warden_page *page, const struct cress_process_spec *spec)
{
    struct page_room room = {page->text, (char *)page + CRESS_WARDEN_PAGE_BYTES};
    size_t argc, envc;
    page->argv = take_list(&room, spec->argv, &argc);
    page->env = take_list(&room, spec->env, &envc);
    put_list(&room, page->argv, spec->argv, argc);
    put_list(&room, page->env, spec->env, envc);
    page->folder = spec->folder ? put_text(&room, spec->folder) : NULL;
    page->limit_count = cress_rlimits_make(&spec->limits, page->limits);
    page->fd_count = spec->fd_count;
    page->has_lock = spec->lock_fd >= 0;
    page->pid = 0;
    for (size_t i = 0; i < spec->fd_count; i++) {
        page->given[i] = spec->fds[i] >= 0;
    }
    return room.at != NULL;
}

static bool send_order(const struct cress_warden *warden, enum cress_warden_order order,
                       const int *fds, size_t fd_count)
{
    char text = (char)order;
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE((CRESS_PROCESS_FDS_MAX + 1) * sizeof(int))];
    } control = {.room = {0}};
    struct iovec body = {.iov_base = &text, .iov_len = 1};
    struct msghdr message = {.msg_iov = &body, .msg_iovlen = 1};
    if (fd_count > 0) {
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        struct cmsghdr *part = CMSG_FIRSTHDR(&message);
        part->cmsg_level = SOL_SOCKET;
        part->cmsg_type = SCM_RIGHTS;
        part->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
        memcpy(CMSG_DATA(part), fds, fd_count * sizeof(int));
    }
    return sendmsg(warden->fd, &message, MSG_NOSIGNAL) == 1;
}

static bool order_start(struct cress_warden *warden, const struct cress_process_spec *spec)
{
    int fds[CRESS_PROCESS_FDS_MAX + 1];
    size_t count = 0;
    for (size_t i = 0; i < spec->fd_count; i++) {
        if (spec->fds[i] >= 0) {
            fds[count++] = spec->fds[i];
        }
    }
    if (spec->lock_fd >= 0) {
        fds[count++] = spec->lock_fd;
    }
    return send_order(warden, CRESS_WARDEN_START, fds, count);
}

/* Hands the program to `warden`. One that does not take it has been killed by somebody, and its end
 * is about to be seen; or the system has no descriptor left. */
static bool give_process(struct cress_warden *warden, const struct cress_process_spec *spec,
                         struct cress_process *process)
{
    cress_list_remove(&warden->node);
    if (!order_start(warden, spec)) {
        dismiss_warden(warden);
        return false;
    }
    warden->process = process;
    process->warden = warden;
    return true;
}

enum cress_status cress_process_start(
    struct cress_wardens *wardens, const struct cress_process_spec *spec,
    void (*ended)(struct cress_process *process, const struct cress_process_end *end, void *arg),
    void *arg, struct cress_process *process, struct cress_error *err)
{
    *process = (struct cress_process){.ended = ended, .arg = arg};
    while (!process->warden) {
        const bool is_fresh = cress_list_is_empty(&wardens->idle);
        struct cress_warden *warden =
            is_fresh ? make_warden(wardens, err)
                     : CRESS_CONTAINER(wardens->idle.prev, struct cress_warden, node);
        if (!warden) {
            return CRESS_TEMPORARY;
        }
        if (!fill_page(warden->page, spec)) {
            cress_list_remove(&warden->node);
            rest_warden(warden);
            return cress_error_set(err, CRESS_TOO_LARGE, "no_process",
                                   "its arguments and environment have more than %d bytes",
                                   (int)CRESS_WARDEN_PAGE_BYTES);
        }
        if (!give_process(warden, spec, process) && is_fresh) {
            return refuse_process("process", err);
        }
    }
    return CRESS_OK;
}

pid_t cress_process_pid(const struct cress_process *process)
{
    return process->warden ? process->warden->page->pid : 0;
}

void cress_process_ask(const struct cress_process *process)
{
    if (process->warden) { /* one that does not hear it is killed soon */
        (void)send_order(process->warden, CRESS_WARDEN_ASK, NULL, 0);
    }
}

void cress_process_kill(const struct cress_process *process)
{
    if (process->warden && !send_order(process->warden, CRESS_WARDEN_KILL, NULL, 0)) {
        kill(process->warden->pid,
             SIGTERM); /* as when the worker dies: all of it, and the warden */
    }
}
