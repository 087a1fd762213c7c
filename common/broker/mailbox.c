// SPDX-License-Identifier: Apache-2.0
// The mailbox; see mailbox.h.
#include "common/broker/mailbox.h"

#include "common/broker/mail.h"

#include <stdlib.h>

void cress_mailbox_init(struct cress_mailbox *mailbox, void (*wake)(void *arg), void *arg)
{
    if (uv_mutex_init(&mailbox->lock) != 0) {
        abort();
    }
    cress_list_init(&mailbox->mail);
    mailbox->asleep = true;
    mailbox->closed = false;
    mailbox->wake = wake;
    mailbox->arg = arg;
}

void cress_mail_free_all(struct cress_list *mail)
{
    for (struct cress_list *node; (node = cress_list_shift(mail)) != NULL;) {
        cress_mail_free(CRESS_CONTAINER(node, struct cress_mail, node));
    }
}

void cress_mailbox_destroy(struct cress_mailbox *mailbox)
{
    cress_mail_free_all(&mailbox->mail);
    uv_mutex_destroy(&mailbox->lock);
}

void cress_mailbox_post(struct cress_mailbox *mailbox, struct cress_list *mail)
{
    if (cress_list_is_empty(mail)) {
        return;
    }
    uv_mutex_lock(&mailbox->lock);
    if (!mailbox->closed) {
        cress_list_splice(&mailbox->mail, mail);
        if (mailbox->asleep) {
            mailbox->asleep = false;
            mailbox->wake(mailbox->arg);
        }
    }
    uv_mutex_unlock(&mailbox->lock);
    cress_mail_free_all(mail);
}

void cress_mailbox_take(struct cress_mailbox *mailbox, struct cress_list *mail)
{
    uv_mutex_lock(&mailbox->lock);
    cress_list_splice(mail, &mailbox->mail);
    uv_mutex_unlock(&mailbox->lock);
}

bool cress_mailbox_sleep(struct cress_mailbox *mailbox)
{
    uv_mutex_lock(&mailbox->lock);
    mailbox->asleep = cress_list_is_empty(&mailbox->mail);
    const bool asleep = mailbox->asleep;
    uv_mutex_unlock(&mailbox->lock);
    return asleep;
}

void cress_mailbox_close(struct cress_mailbox *mailbox)
{
    uv_mutex_lock(&mailbox->lock);
    mailbox->closed = true;
    uv_mutex_unlock(&mailbox->lock);
}
