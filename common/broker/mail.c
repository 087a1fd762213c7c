// SPDX-License-Identifier: Apache-2.0
// What crosses between the threads; see mail.h.
#include "common/broker/mail.h"

#include <stdlib.h>

static void free_operation(struct cress_operation *operation)
{
    free(operation->message);
    free(operation->err);
    free(operation->name);
    free(operation->stats);
    free(operation);
}

static void free_deliveries(struct cress_deliveries *deliveries)
{
    for (struct cress_list *node; (node = cress_list_shift(&deliveries->list)) != NULL;) {
        free(CRESS_CONTAINER(node, struct cress_incoming, delivery.node));
    }
    free(deliveries);
}

void cress_mail_free(struct cress_mail *mail)
{
    switch (mail->kind) {
    case CRESS_MAIL_PUBLISH:
    case CRESS_MAIL_INSPECT:
    case CRESS_MAIL_ENSURE:
        free_operation(CRESS_CONTAINER(mail, struct cress_operation, mail));
        break;
    case CRESS_MAIL_FLUSH:
    case CRESS_MAIL_STOP_CONSUMING:
    case CRESS_MAIL_ALLOW:
    case CRESS_MAIL_CONSUME:
    case CRESS_MAIL_MORE:
    case CRESS_MAIL_PAUSE:
    case CRESS_MAIL_PREFETCH:
    case CRESS_MAIL_RESUME:
    case CRESS_MAIL_CONSUMING:
    case CRESS_MAIL_PROBLEM:
        free(CRESS_CONTAINER(mail, struct cress_mail_note, mail)->queue);
        free(CRESS_CONTAINER(mail, struct cress_mail_note, mail));
        break;
    case CRESS_MAIL_SETTLE:
        free(CRESS_CONTAINER(mail, struct cress_incoming, mail));
        break;
    case CRESS_MAIL_DELIVERIES:
        free_deliveries(CRESS_CONTAINER(mail, struct cress_deliveries, mail));
        break;
    case CRESS_MAIL_STATE:
        free(CRESS_CONTAINER(mail, struct cress_state_note, mail));
        break;
    case CRESS_MAIL_QUIT:
    case CRESS_MAIL_EXITED:
        break;
    }
}
