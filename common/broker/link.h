// SPDX-License-Identifier: Apache-2.0
// A connection's thread: connects, serves, reconnects with backoff, and ends. Private to
// common/broker.
//
// DESIGN
//   the loop's thread                           this thread
//   cress_link_post() -- inbox, eventfd ----->  role->mail()
//                                               role->frame()  for each frame that arrived
//                                               role->work()   then, once a turn
//   outbox_wake()   <--- outbox --------------  cress_link_answer(), collected, posted once a turn
//
// The thread sleeps in poll() on {socket, eventfd}. While there is no connection, role->mail()
// still gets the mail.
//
// rabbitmq-c blocks while it connects, logs in and waits for replies. So that closing is prompt all
// the same, the loop first asks the thread to quit, then shuts its socket down, and at last leaves
// it behind: such a thread frees the link itself when it returns from whatever it hangs in (a
// resolver, as a rule).
#ifndef CRESS_BROKER_LINK_H
#define CRESS_BROKER_LINK_H

#include "common/broker/connection.h"
#include "common/broker/declare.h"
#include "common/broker/mail.h"
#include "common/broker/mailbox.h"

struct cress_link;

/* What a connection is for: publisher.c and consumer.c. All are called on the thread. */
struct cress_link_role {
    /* A new connection is logged in. May break it. */
    void (*connected)(struct cress_link *link);
    /* Owns `mail` from now on. link->connection is NULL while there is none. */
    void (*mail)(struct cress_link *link, struct cress_mail *mail);
    /* A frame of a channel from CRESS_CHANNEL_FIRST on. */
    void (*frame)(struct cress_link *link, const amqp_frame_t *frame);
    /* After mail and frames. Returns the milliseconds until it wants to be called again; -1: when
     * something happens. */
    int (*work)(struct cress_link *link);
    /* The connection is lost: hand back what it was to carry. */
    void (*lost)(struct cress_link *link);
    void (*free)(struct cress_link *link);
};

/* Embedded as the first member in the role's own struct. */
struct cress_link {
    const struct cress_link_role *role;
    struct cress_endpoint endpoint; /* owned */
    struct cress_mailbox inbox;     /* to the thread */
    struct cress_mailbox outbox;    /* to the loop */
    int wake_fd;                    /* eventfd */
    uv_thread_t thread;
    struct cress_mail quit_mail;

    uv_mutex_t lock; /* over these four */
    int socket;      /* to be shut down; -1: none */
    bool shut_down;  /* a socket that comes later, too */
    bool exited;
    bool abandoned;
    struct cress_mail exit_mail;

    /* the thread's own */
    bool quitting;
    unsigned failures; /* connection attempts in a row */
    struct cress_connection *connection;
    struct cress_declarer declarer;
    struct cress_list answers;
    bool told_blocked; /* what the loop was told last */
};

/* Prepares `link`, whose memory is zeroed and will be freed by role->free(). Takes over the
 * endpoint's texts. */
void cress_link_init(struct cress_link *link, const struct cress_link_role *role,
                     struct cress_endpoint endpoint, void (*outbox_wake)(void *arg), void *arg);

/* --- the loop's side --- */

void cress_link_start(struct cress_link *link);
void cress_link_post(struct cress_link *link, struct cress_list *mail);
void cress_link_post_one(struct cress_link *link, struct cress_mail *mail);

/* Asks the thread to close its connection and end; CRESS_MAIL_EXITED is its last mail. */
void cress_link_quit(struct cress_link *link);

/* Cuts short what the thread waits for. */
void cress_link_shut_down(struct cress_link *link);

/* After CRESS_MAIL_EXITED, or when there is no more time for it: frees the link, or leaves it to
 * its thread. */
void cress_link_release(struct cress_link *link);

/* --- the thread's side --- */

/* Collects `mail` for the loop. */
void cress_link_answer(struct cress_link *link, struct cress_mail *mail);

/* Answers an operation: with success (NULL), or with a copy of `err`. */
void cress_link_finish(struct cress_link *link, struct cress_operation *operation,
                       const struct cress_error *err);

/* Answers "not done": the loop asks again when it is worth it. */
void cress_link_hand_back(struct cress_link *link, struct cress_operation *operation);

/* INSPECT and ENSURE, which every role serves. */
void cress_link_ask(struct cress_link *link, struct cress_operation *operation);

#endif
