// SPDX-License-Identifier: Apache-2.0
// Operations and their deadlines; see operations.h.
#include "common/broker/operations.h"

#include "common/base/clock.h"

static struct cress_operation *operation_of(struct cress_list *node)
{
    return CRESS_CONTAINER(node, struct cress_operation, mail.node);
}

static void answer(struct cress_operations *operations, struct cress_operation *operation,
                   const struct cress_error *err)
{
    cress_list_remove(&operation->deadline.node);
    operation->answered = true;
    operations->open--;
    if (operation->mail.kind == CRESS_MAIL_PUBLISH) {
        operations->in_flight--;
    }
    if (operation->mail.kind == CRESS_MAIL_INSPECT) {
        operation->done.inspect(err ? NULL : operation->stats, err ? 0 : operation->stat_count, err,
                                operation->arg);
    } else {
        operation->done.publish(err, operation->arg);
    }
}

/* Answers it, and frees it unless the thread has it: then it is freed when it comes back. */
static void answer_early(struct cress_operations *operations, struct cress_operation *operation,
                         const struct cress_error *err)
{
    if (operation->away) {
        answer(operations, operation, err);
        return;
    }
    cress_list_remove(&operation->mail.node);
    answer(operations, operation, err);
    cress_mail_free(&operation->mail);
}

static void expire(struct cress_operations *operations, struct cress_operation *operation)
{
    const char *because = operations->ready ? "" : ": ";
    const char *why = operations->ready ? "" : operations->why.message;
    struct cress_error err;
    if (!operation->tried && !operations->ready) {
        err = operations->why;
    } else if (operation->mail.kind == CRESS_MAIL_PUBLISH) {
        cress_error_set(&err, CRESS_UNAVAILABLE, "unconfirmed",
                        "the broker has not confirmed the message in time%s%s", because, why);
    } else {
        cress_error_set(&err, CRESS_UNAVAILABLE, "no_answer",
                        "the broker has not answered in time%s%s", because, why);
    }
    answer_early(operations, operation, &err);
}

static void tick(uv_timer_t *timer)
{
    struct cress_operations *operations = CRESS_CONTAINER(timer, struct cress_operations, timer);
    struct cress_list due;
    cress_list_init(&due);
    cress_deadlines_pass(&operations->deadlines, cress_clock_mono_ms(), &due);
    for (struct cress_list *node; (node = cress_list_shift(&due)) != NULL;) {
        expire(operations, CRESS_CONTAINER(node, struct cress_operation, deadline.node));
    }
    if (!operations->open) {
        uv_timer_stop(timer);
    }
}

void cress_operations_init(struct cress_operations *operations, uv_loop_t *loop)
{
    cress_list_init(&operations->waiting);
    cress_list_init(&operations->outgoing);
    cress_deadlines_init(&operations->deadlines, cress_clock_mono_ms());
    uv_timer_init(loop, &operations->timer);
}

void cress_operations_add(struct cress_operations *operations, struct cress_operation *operation,
                          int64_t timeout_ms)
{
    const int64_t now = cress_clock_mono_ms();
    if (!operations->open++) {
        /* Nothing is in the wheel: it need not be turned through the time that went by. */
        struct cress_list none;
        cress_list_init(&none);
        cress_deadlines_pass(&operations->deadlines, now, &none);
        uv_timer_start(&operations->timer, tick, CRESS_DEADLINE_TICK_MS, CRESS_DEADLINE_TICK_MS);
    }
    operations->in_flight += operation->mail.kind == CRESS_MAIL_PUBLISH;
    cress_deadlines_add(&operations->deadlines, &operation->deadline,
                        timeout_ms > 0 ? now + timeout_ms : 0);
    cress_list_append(operations->ready ? &operations->outgoing : &operations->waiting,
                      &operation->mail.node);
}

void cress_operations_set_ready(struct cress_operations *operations, bool ready,
                                const struct cress_error *why)
{
    operations->ready = ready;
    if (ready) {
        cress_list_splice(&operations->outgoing, &operations->waiting);
    } else {
        operations->why = *why;
        cress_list_splice(&operations->outgoing, &operations->waiting);
        cress_list_splice(&operations->waiting, &operations->outgoing);
    }
}

void cress_operations_send(struct cress_operations *operations, struct cress_link *link)
{
    struct cress_list *outgoing = &operations->outgoing;
    if (cress_list_is_empty(outgoing)) {
        return;
    }
    for (struct cress_list *n = outgoing->next; n != outgoing; n = n->next) {
        operation_of(n)->away = operation_of(n)->tried = true;
    }
    cress_link_post(link, outgoing);
}

void cress_operations_receive(struct cress_operations *operations,
                              struct cress_operation *operation)
{
    operation->away = false;
    if (!operation->answered && operation->handed_back) {
        cress_list_append(&operations->waiting, &operation->mail.node);
        return;
    }
    if (!operation->answered) {
        answer(operations, operation, operation->err);
    }
    cress_mail_free(&operation->mail);
}

void cress_operations_cancel(struct cress_operations *operations)
{
    struct cress_error err;
    cress_error_set(&err, CRESS_CANCELLED, NULL, "the broker connection is being closed");
    struct cress_list all;
    cress_list_init(&all);
    cress_deadlines_clear(&operations->deadlines, &all);
    for (struct cress_list *node; (node = cress_list_shift(&all)) != NULL;) {
        answer_early(operations, CRESS_CONTAINER(node, struct cress_operation, deadline.node),
                     &err);
    }
    uv_timer_stop(&operations->timer);
}
