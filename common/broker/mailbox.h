// SPDX-License-Identifier: Apache-2.0
// A mailbox: batches of mail for one reader, which is woken only when it sleeps. Private to
// common/broker.
//
// Any thread may post. The wake-up is called under the lock, so that after cress_mailbox_close() it
// is never called again.
#ifndef CRESS_BROKER_MAILBOX_H
#define CRESS_BROKER_MAILBOX_H

#include "common/base/list.h"

#include <stdbool.h>
#include <uv.h>

struct cress_mailbox {
    uv_mutex_t lock;
    struct cress_list mail;
    bool asleep;
    bool closed;
    void (*wake)(void *arg);
    void *arg;
};

void cress_mailbox_init(struct cress_mailbox *mailbox, void (*wake)(void *arg), void *arg);

/* Frees the mail in it. */
void cress_mailbox_destroy(struct cress_mailbox *mailbox);

/* Moves all of `mail` into the mailbox; once it is closed, frees it instead. */
void cress_mailbox_post(struct cress_mailbox *mailbox, struct cress_list *mail);

/* Moves everything in the mailbox to the end of `mail`. */
void cress_mailbox_take(struct cress_mailbox *mailbox, struct cress_list *mail);

/* The reader is about to wait for a wake-up: false when there is mail, and it must not. */
bool cress_mailbox_sleep(struct cress_mailbox *mailbox);

/* No more wake-ups. */
void cress_mailbox_close(struct cress_mailbox *mailbox);

/* Frees all of `mail`. */
void cress_mail_free_all(struct cress_list *mail);

#endif
