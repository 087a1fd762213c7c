// SPDX-License-Identifier: Apache-2.0
// A connection's thread; see link.h.
#include "common/broker/link.h"

#include "common/base/backoff.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/text.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    RECONNECT_BASE_MS = 100,
    /* Frames handled before the mail and the answers get their turn. */
    FRAMES_PER_TURN = 1024,
    /* How long the connection's end may take. */
    GOODBYE_MS = 400,
};

static void wake_thread(void *arg)
{
    const struct cress_link *link = arg;
    const uint64_t one = 1;
    /* It only fails when the counter is full, and then the thread wakes all the same. */
    const ssize_t n = write(link->wake_fd, &one, sizeof one);
    (void)n;
}

void cress_link_init(struct cress_link *link, const struct cress_link_role *role,
                     struct cress_endpoint endpoint, void (*outbox_wake)(void *arg), void *arg)
{
    link->role = role;
    link->endpoint = endpoint;
    link->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (link->wake_fd < 0 || uv_mutex_init(&link->lock) != 0) {
        abort();
    }
    cress_mailbox_init(&link->inbox, wake_thread, link);
    cress_mailbox_init(&link->outbox, outbox_wake, arg);
    link->quit_mail.kind = CRESS_MAIL_QUIT;
    link->exit_mail.kind = CRESS_MAIL_EXITED;
    link->socket = -1;
    cress_declarer_init(&link->declarer);
    cress_list_init(&link->answers);
}

static void free_link(struct cress_link *link)
{
    cress_mailbox_destroy(&link->inbox);
    cress_mailbox_destroy(&link->outbox);
    cress_declarer_free(&link->declarer);
    uv_mutex_destroy(&link->lock);
    close(link->wake_fd);
    cress_text_list_free(link->endpoint.urls);
    free(link->endpoint.ca_file);
    free(link->endpoint.name);
    link->role->free(link);
}

/* --- answers --- */

void cress_link_answer(struct cress_link *link, struct cress_mail *mail)
{
    cress_list_append(&link->answers, &mail->node);
}

void cress_link_finish(struct cress_link *link, struct cress_operation *operation,
                       const struct cress_error *err)
{
    operation->handed_back = false;
    if (err) {
        operation->err = CRESS_NEW(struct cress_error);
        *operation->err = *err;
    }
    cress_link_answer(link, &operation->mail);
}

void cress_link_hand_back(struct cress_link *link, struct cress_operation *operation)
{
    operation->handed_back = true;
    cress_link_answer(link, &operation->mail);
}

static void tell_state(struct cress_link *link, enum cress_broker_state state,
                       const struct cress_error *err)
{
    struct cress_state_note *note = CRESS_NEW(struct cress_state_note);
    note->mail.kind = CRESS_MAIL_STATE;
    note->state = state;
    if (err) {
        note->err = *err;
    }
    if (link->connection) {
        cress_connection_server(link->connection, note->server, sizeof note->server);
    }
    cress_link_answer(link, &note->mail);
    cress_mailbox_post(&link->outbox, &link->answers);
}

static enum cress_status ensure(struct cress_declarer *declarer,
                                const struct cress_operation *operation, struct cress_error *err)
{
    switch (operation->ensure) {
    case CRESS_ENSURE_WORK_QUEUE:
        return cress_declarer_work_queue(declarer, operation->name, err);
    case CRESS_ENSURE_CLAIM:
        return cress_declarer_claim(declarer, operation->name, err);
    case CRESS_ENSURE_READABLE:
        return cress_declarer_readable(declarer, operation->name, err);
    case CRESS_ENSURE_QUEUE:
        break;
    }
    return cress_declarer_ensure(declarer, operation->name, err);
}

void cress_link_ask(struct cress_link *link, struct cress_operation *operation)
{
    if (!link->connection || link->connection->blocked) {
        cress_link_hand_back(link, operation);
        return;
    }
    struct cress_error err;
    enum cress_status status = CRESS_OK;
    if (operation->mail.kind == CRESS_MAIL_ENSURE) {
        status = ensure(&link->declarer, operation, &err);
    }
    for (size_t i = 0; i < operation->stat_count && !status; i++) {
        status = cress_declarer_inspect(&link->declarer, &operation->stats[i], &err);
    }
    if (link->connection->broken) {
        cress_link_hand_back(link, operation);
    } else {
        cress_link_finish(link, operation, status ? &err : NULL);
    }
}

/* --- mail --- */

static void take_mail(struct cress_link *link)
{
    struct cress_list batch;
    cress_list_init(&batch);
    cress_mailbox_take(&link->inbox, &batch);
    for (struct cress_list *node; (node = cress_list_shift(&batch)) != NULL;) {
        struct cress_mail *mail = CRESS_CONTAINER(node, struct cress_mail, node);
        if (mail->kind == CRESS_MAIL_QUIT) {
            link->quitting = true;
        } else {
            link->role->mail(link, mail);
        }
    }
}

static void clear_wake_up(const struct cress_link *link)
{
    uint64_t count;
    const ssize_t n = read(link->wake_fd, &count, sizeof count);
    (void)n;
}

/* --- connecting --- */

/* Makes the socket known to cress_link_shut_down(); -1: it is gone. A duplicate, because rabbitmq-c
 * may close its own at any time, and the number would soon belong to something else. */
static void register_socket(struct cress_link *link, int socket)
{
    uv_mutex_lock(&link->lock);
    if (link->socket >= 0) {
        close(link->socket);
    }
    link->socket = socket < 0 ? -1 : fcntl(socket, F_DUPFD_CLOEXEC, 0);
    if (link->socket >= 0 && link->shut_down) {
        shutdown(link->socket, SHUT_RDWR);
    }
    uv_mutex_unlock(&link->lock);
}

static void drop_connection(struct cress_link *link)
{
    register_socket(link, -1);
    cress_connection_free(link->connection);
    link->connection = NULL;
    cress_declarer_attach(&link->declarer, NULL);
}

static enum cress_status connect_now(struct cress_link *link, struct cress_error *err)
{
    const int64_t begin_ms = cress_clock_mono_ms();
    enum cress_status status = cress_connection_dial(&link->endpoint, &link->connection, err);
    if (status) {
        return status;
    }
    register_socket(link, link->connection->fd);
    status = cress_connection_login(link->connection, &link->endpoint, begin_ms, err);
    if (!status) {
        cress_declarer_attach(&link->declarer, link->connection);
        link->role->connected(link);
        if (link->connection->broken) {
            *err = link->connection->error;
            status = err->status;
        }
    }
    if (status) {
        drop_connection(link);
    }
    return status;
}

/* Waits before the next attempt, which goes to the next node; mail is answered meanwhile. The wait
 * grows with each round, so that the nodes that are up are found at once. */
static void wait_disconnected(struct cress_link *link)
{
    const size_t nodes = link->endpoint.count;
    const unsigned rounds = (unsigned)((link->failures + nodes - 1) / nodes);
    const struct cress_backoff backoff = {.base_ms = RECONNECT_BASE_MS,
                                          .cap_ms = link->endpoint.reconnect_max_ms};
    const int64_t end = cress_clock_mono_ms() + cress_backoff_ms(&backoff, rounds, cress_random());
    link->endpoint.at = (link->endpoint.at + 1) % nodes;
    for (;;) {
        take_mail(link);
        cress_mailbox_post(&link->outbox, &link->answers);
        const int64_t left = end - cress_clock_mono_ms();
        if (link->quitting || left <= 0) {
            return;
        }
        if (cress_mailbox_sleep(&link->inbox)) {
            struct pollfd wake = {.fd = link->wake_fd, .events = POLLIN};
            poll(&wake, 1, (int)left);
            clear_wake_up(link);
        }
    }
}

/* --- serving --- */

static void take_frames(struct cress_link *link, bool readable)
{
    struct cress_connection *connection = link->connection;
    amqp_frame_t frame;
    for (int i = 0; i < FRAMES_PER_TURN; i++) {
        if (!readable && !cress_connection_has_buffered(connection)) {
            return;
        }
        if (!cress_connection_next(connection, &frame)) {
            return;
        }
        readable = false;
        if (frame.channel == 0) {
            cress_connection_control(connection, &frame);
            cress_connection_release(connection, 0);
        } else if (frame.channel >= CRESS_CHANNEL_FIRST) {
            link->role->frame(link, &frame);
        }
    }
}

static void tell_if_blocked(struct cress_link *link)
{
    const bool blocked = link->connection->blocked;
    if (blocked != link->told_blocked) {
        link->told_blocked = blocked;
        tell_state(link, blocked ? CRESS_BROKER_BLOCKED : CRESS_BROKER_READY, NULL);
    }
}

/* Sleeps until mail, the socket or the time; returns whether the socket is readable. */
static bool wait_connected(struct cress_link *link, int timeout_ms)
{
    struct cress_connection *connection = link->connection;
    if (cress_connection_has_buffered(connection) || !cress_mailbox_sleep(&link->inbox)) {
        timeout_ms = 0;
    }
    struct pollfd fds[] = {
        {.fd = connection->fd, .events = POLLIN},
        {.fd = link->wake_fd, .events = POLLIN},
    };
    if (cress_connection_unsent(connection)) {
        fds[0].events |= POLLOUT;
    }
    poll(fds, CRESS_COUNT(fds), timeout_ms);
    if (fds[1].revents) {
        clear_wake_up(link);
    }
    return fds[0].revents & (POLLIN | POLLHUP | POLLERR);
}

/* Until the connection breaks or the thread is to end. */
static void serve(struct cress_link *link)
{
    struct cress_connection *connection = link->connection;
    bool readable = false;
    while (!connection->broken && !link->quitting) {
        take_mail(link);
        take_frames(link, readable);
        int wait_ms = link->role->work(link);
        cress_connection_flush(connection);
        tell_if_blocked(link);
        cress_mailbox_post(&link->outbox, &link->answers);
        const int tick_ms = cress_connection_tick(connection, cress_clock_mono_ms(), readable);
        if (wait_ms < 0 || wait_ms > tick_ms) {
            wait_ms = tick_ms;
        }
        if (link->quitting) {
            return; /* nothing is waited for any more: closing is prompt */
        }
        readable = !connection->broken && wait_connected(link, wait_ms);
    }
}

/* What was queued leaves, what the broker says until its goodbye is heard: confirms, above all. */
static void end_connection(struct cress_link *link)
{
    struct cress_connection *connection = link->connection;
    const int64_t end = cress_clock_mono_ms() + GOODBYE_MS;
    cress_connection_flush(connection);
    while (!connection->broken && cress_connection_unsent(connection) &&
           cress_clock_mono_ms() < end) {
        struct pollfd socket = {.fd = connection->fd, .events = POLLOUT};
        poll(&socket, 1, 20);
        cress_connection_flush(connection);
    }
    if (!cress_connection_unsent(connection)) {
        cress_connection_goodbye(connection, end - cress_clock_mono_ms());
        while (amqp_frames_enqueued(connection->amqp)) {
            take_frames(link, false);
        }
    }
}

static void end_thread(struct cress_link *link)
{
    cress_link_answer(link, &link->exit_mail);
    uv_mutex_lock(&link->lock);
    const bool abandoned = link->abandoned;
    link->exited = !abandoned;
    if (!abandoned) {
        cress_mailbox_post(&link->outbox, &link->answers);
    }
    uv_mutex_unlock(&link->lock);
    if (abandoned) {
        cress_mail_free_all(&link->answers);
        free_link(link);
    }
}

static void run(void *arg)
{
    struct cress_link *link = arg;
    while (!link->quitting) {
        struct cress_error err = {0};
        if (connect_now(link, &err) == CRESS_OK) {
            link->failures = 0;
            link->told_blocked = false;
            tell_state(link, CRESS_BROKER_READY, NULL);
            serve(link);
            if (!link->connection->broken) {
                end_connection(link);
            }
            err = link->connection->error;
            link->role->lost(link);
            drop_connection(link);
        }
        link->failures++;
        take_mail(link);
        if (!link->quitting) {
            tell_state(link, CRESS_BROKER_CONNECTING, &err);
            wait_disconnected(link);
        }
    }
    end_thread(link);
}

/* --- the loop's side --- */

void cress_link_start(struct cress_link *link)
{
    /* Signals belong to the loop's thread. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (uv_thread_create(&link->thread, run, link) != 0) {
        abort();
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void cress_link_post(struct cress_link *link, struct cress_list *mail)
{
    cress_mailbox_post(&link->inbox, mail);
}

void cress_link_post_one(struct cress_link *link, struct cress_mail *mail)
{
    struct cress_list batch;
    cress_list_init(&batch);
    cress_list_append(&batch, &mail->node);
    cress_mailbox_post(&link->inbox, &batch);
}

void cress_link_quit(struct cress_link *link)
{
    cress_link_post_one(link, &link->quit_mail);
}

void cress_link_shut_down(struct cress_link *link)
{
    uv_mutex_lock(&link->lock);
    link->shut_down = true;
    if (link->socket >= 0) {
        shutdown(link->socket, SHUT_RDWR);
    }
    uv_mutex_unlock(&link->lock);
}

void cress_link_release(struct cress_link *link)
{
    cress_mailbox_close(&link->outbox);
    uv_mutex_lock(&link->lock);
    const bool exited = link->exited;
    link->abandoned = !exited;
    if (!exited) {
        pthread_detach(link->thread);
    }
    uv_mutex_unlock(&link->lock);
    if (exited) {
        uv_thread_join(&link->thread);
        free_link(link);
    }
}
