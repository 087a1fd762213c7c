// SPDX-License-Identifier: Apache-2.0
// Routing what is due; see due.h.
#include "worker/due.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/text.h"
#include "common/broker/topology.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    /* A queue that has confirmed nothing by then, or refused for so long, makes way for others. */
    PUBLISH_MS = 3000,
    DELAY_BASE_MS = 1000,
    /* So many are tried at once with a queue that was shut. */
    PROBES_MAX = 8,
    /* What can go nowhere at all is tried again so often. */
    AGAIN_MS = 500,
    HEADERS_MAX = 256,
    LOG_INTERVAL_MS = 10000,
    /* Queues that nothing is wrong with are forgotten beyond this. */
    TARGETS_MAX = 1024,
};

/* What is known about an AMQP queue that messages are due for. */
struct target {
    struct cress_list node;
    char queue[CRESS_ROUTE_NAME_MAX];
    size_t in_flight;
    unsigned failures;    /* in a row, each after the delay of the one before; 0: it is open */
    int64_t open_mono_ms; /* when it is tried again */
    int64_t since_ms, held;
    char code[CRESS_ERROR_CODE_MAX];
};

/* A message in hand. */
struct due_message {
    struct cress_list node; /* in `again` */
    struct cress_due *due;
    struct cress_delivery *delivery;
    struct target *target; /* NULL: on its way to a delay queue */
    int64_t started_mono_ms;
};

struct cress_due {
    uv_loop_t *loop;
    struct cress_broker *broker;
    int delay_steps;
    struct cress_list targets; /* the one used last is the first */
    size_t target_count;
    struct cress_list again; /* struct due_message: to be tried again */
    uv_timer_t again_timer, close_timer;
    size_t in_hand;
    struct cress_log_limit problem_log;
    bool closing;
    bool given_up; /* what is in hand is left to the end of the connection */
    int open_handles;
    void (*closed)(void *arg);
    void *arg;
};

/* --- targets --- */

static void forget_oldest(struct cress_due *due)
{
    struct target *target = CRESS_CONTAINER(due->targets.prev, struct target, node);
    if (due->target_count > TARGETS_MAX && !target->in_flight && !target->failures) {
        cress_list_remove(&target->node);
        free(target);
        due->target_count--;
    }
}

static struct target *target_of(struct cress_due *due, const char *queue)
{
    for (struct cress_list *n = due->targets.next; n != &due->targets; n = n->next) {
        struct target *target = CRESS_CONTAINER(n, struct target, node);
        if (strcmp(target->queue, queue) == 0) {
            cress_list_remove(n);
            cress_list_append(due->targets.next, n);
            return target;
        }
    }
    struct target *target = CRESS_NEW(struct target);
    snprintf(target->queue, sizeof target->queue, "%s", queue);
    cress_list_append(due->targets.next, &target->node);
    due->target_count++;
    forget_oldest(due);
    return target;
}

/* Whether it can be published to now. One that was shut is tried with a few first. */
static bool is_open(const struct target *target)
{
    return target->failures == 0 ||
           (cress_clock_mono_ms() >= target->open_mono_ms && target->in_flight < PROBES_MAX);
}

static void open_target(struct target *target)
{
    if (target->failures) {
        cress_log(CRESS_LOG_INFO, "queue takes what is due again", CRESS_KV("queue", target->queue),
                  CRESS_KVI("held", target->held));
    }
    target->failures = 0;
    target->held = 0;
}

/* `started_mono_ms`: of the publish that failed. One that began before the last failure says nothing
 * new. */
static void shut_target(struct target *target, int64_t started_mono_ms,
                        const struct cress_error *err)
{
    if (target->failures && started_mono_ms < target->open_mono_ms) {
        return;
    }
    if (target->failures++ == 0) {
        target->since_ms = cress_clock_wall_ms();
        cress_log(CRESS_LOG_WARN, "queue does not take what is due: its jobs wait on",
                  CRESS_KV("queue", target->queue), CRESS_KV_ERROR(err));
    }
    snprintf(target->code, sizeof target->code, "%s", err->code);
    int64_t delay_ms = DELAY_BASE_MS;
    for (unsigned i = 1; i < target->failures && delay_ms < CRESS_DUE_DELAY_MAX_MS; i++) {
        delay_ms *= 2;
    }
    target->open_mono_ms = cress_clock_mono_ms() + delay_ms;
}

/* --- messages --- */

static void route(struct due_message *message);
static void close_when_empty(struct cress_due *due);

static void drop_message(struct due_message *message)
{
    struct cress_due *due = message->due;
    free(message);
    due->in_hand--;
    close_when_empty(due);
}

static void settle_due(struct due_message *message, enum cress_settlement how)
{
    cress_delivery_settle(message->due->broker, message->delivery, how);
    drop_message(message);
}

static const char *header_text(const struct cress_message *message, const char *name)
{
    const struct cress_header *header = cress_message_header(message, name);
    return header && header->kind == CRESS_HEADER_TEXT ? header->text : NULL;
}

static int64_t not_before_ms(const struct cress_message *message)
{
    const struct cress_header *header = cress_message_header(message, "not_before_ms");
    int64_t ms = 0;
    if (header && header->kind == CRESS_HEADER_INT) {
        ms = header->number;
    } else if (header && header->kind == CRESS_HEADER_TEXT) {
        cress_text_to_int(header->text, &ms);
    }
    return ms;
}

/* All headers but what the broker and the delay queues have added. */
static size_t copy_headers(const struct cress_message *from, struct cress_header *to)
{
    size_t count = 0;
    for (size_t i = 0; i < from->header_count && count < HEADERS_MAX - 1; i++) {
        const char *name = from->headers[i].name;
        if (strcmp(name, CRESS_HEADER_DUE_QUEUE) != 0 && strcmp(name, CRESS_HEADER_DUE_FROM) != 0) {
            to[count++] = from->headers[i];
        }
    }
    return count;
}

/* Publishes a copy to `queue`: at once when `due_ms` is 0, else by the delay queues. */
static void publish_copy(struct due_message *message, const char *queue, int64_t due_ms,
                         cress_publish_cb done)
{
    const struct cress_message *original = message->delivery->message;
    const char *from = header_text(original, "x-first-death-queue");
    struct cress_header headers[HEADERS_MAX];
    struct cress_message copy = *original;
    copy.exchange = "";
    copy.routing_key = queue;
    copy.transient = false;
    copy.due_ms = due_ms;
    copy.headers = headers;
    copy.header_count = copy_headers(original, headers);
    if (!due_ms) {
        headers[copy.header_count++] =
            (struct cress_header){.name = CRESS_HEADER_DUE_FROM, .text = from ? from : ""};
    }
    message->started_mono_ms = cress_clock_mono_ms();
    cress_broker_publish(message->due->broker, &copy, PUBLISH_MS, done, message);
}

static void again_cb(uv_timer_t *timer)
{
    struct cress_due *due = timer->data;
    struct cress_list list;
    cress_list_init(&list);
    cress_list_splice(&list, &due->again);
    for (struct cress_list *node; (node = cress_list_shift(&list)) != NULL;) {
        route(CRESS_CONTAINER(node, struct due_message, node));
    }
}

/* Neither its queue nor the delay queues take it, or there is no connection. It keeps its place. */
static void try_again(struct due_message *message)
{
    struct cress_due *due = message->due;
    if (due->given_up) {
        cress_delivery_leave(message->delivery);
        drop_message(message);
        return;
    }
    if (due->closing) {
        settle_due(message, CRESS_REQUEUE);
        return;
    }
    cress_list_append(&due->again, &message->node);
    if (!uv_is_active((uv_handle_t *)&due->again_timer)) {
        uv_timer_start(&due->again_timer, again_cb, AGAIN_MS, 0);
    }
}

/* It cannot be published whatever its queue does. */
static bool is_hopeless(const struct cress_error *err)
{
    return err->status == CRESS_TOO_LARGE || err->status == CRESS_INVALID;
}

static void held_cb(const struct cress_error *err, void *arg)
{
    struct due_message *message = arg;
    if (!err || is_hopeless(err)) {
        settle_due(message, err ? CRESS_DEAD : CRESS_ACK);
    } else {
        try_again(message);
    }
}

/* Back to the delay queues, until its queue is tried again. */
static void hold(struct due_message *message, struct target *target)
{
    const int64_t left_ms = target->open_mono_ms - cress_clock_mono_ms();
    target->held++;
    publish_copy(message, target->queue,
                 cress_clock_wall_ms() + (left_ms > DELAY_BASE_MS ? left_ms : DELAY_BASE_MS),
                 held_cb);
}

/* No connection: that is not the queue's fault. */
static bool is_away(const struct cress_due *due)
{
    return cress_broker_state(due->broker, NULL) != CRESS_BROKER_READY;
}

static void routed_cb(const struct cress_error *err, void *arg)
{
    struct due_message *message = arg;
    struct target *target = message->target;
    target->in_flight--;
    if (!err) {
        open_target(target);
        settle_due(message, CRESS_ACK);
    } else if (is_hopeless(err)) {
        settle_due(message, CRESS_DEAD);
    } else if (err->status == CRESS_CANCELLED || is_away(message->due)) {
        try_again(message);
    } else {
        shut_target(target, message->started_mono_ms, err);
        hold(message, target);
    }
}

static void route(struct due_message *message)
{
    const struct cress_message *original = message->delivery->message;
    const char *queue = header_text(original, CRESS_HEADER_DUE_QUEUE);
    const char *from = header_text(original, "x-first-death-queue");
    if (original->type && strcmp(original->type, CRESS_CANARY_TYPE) == 0) {
        settle_due(message, CRESS_ACK);
        return;
    }
    if (!queue || !queue[0] || strlen(queue) >= CRESS_ROUTE_NAME_MAX) {
        settle_due(message, CRESS_DEAD);
        return;
    }
    int64_t due_ms = not_before_ms(original);
    int64_t due_in_ms = due_ms - cress_clock_wall_ms();
    if (from) {
        const int64_t excess_ms = cress_delay_excess_ms(message->due->delay_steps, from, due_in_ms);
        due_ms -= excess_ms;
        due_in_ms -= excess_ms;
    }
    struct target *target = target_of(message->due, queue);
    if (due_in_ms >= CRESS_DELAY_MIN_MS) {
        publish_copy(message, queue, due_ms, held_cb);
    } else if (is_open(target)) {
        message->target = target;
        target->in_flight++;
        publish_copy(message, queue, 0, routed_cb);
    } else {
        hold(message, target);
    }
}

/* --- consuming --- */

static void due_deliveries_cb(struct cress_list *deliveries, void *arg)
{
    struct cress_due *due = arg;
    for (struct cress_list *node; (node = cress_list_shift(deliveries)) != NULL;) {
        struct due_message *message = CRESS_NEW(struct due_message);
        message->due = due;
        message->delivery = CRESS_CONTAINER(node, struct cress_delivery, node);
        due->in_hand++;
        route(message);
    }
}

/* It is declared again with the next try. */
static void due_problem_cb(const char *queue, const struct cress_error *err, void *arg)
{
    struct cress_due *due = arg;
    uint64_t suppressed;
    if (!due->closing && cress_log_allow(&due->problem_log, LOG_INTERVAL_MS, &suppressed)) {
        cress_log(CRESS_LOG_WARN, "what is due cannot be consumed, trying on",
                  CRESS_KV("queue", queue), CRESS_KV_ERROR(err),
                  CRESS_KVI("suppressed", suppressed));
    }
}

struct cress_due *cress_due_open(uv_loop_t *loop, struct cress_broker *broker,
                                 const struct cress_config *config)
{
    struct cress_due *due = CRESS_NEW(struct cress_due);
    due->loop = loop;
    due->broker = broker;
    due->delay_steps = cress_delay_steps(config->broker_delay_steps);
    cress_list_init(&due->targets);
    cress_list_init(&due->again);
    uv_timer_init(loop, &due->again_timer);
    uv_timer_init(loop, &due->close_timer);
    due->again_timer.data = due->close_timer.data = due;
    due->open_handles = 2;
    const struct cress_subscription subscription = {
        .queue = CRESS_DUE_QUEUE, .raw = true, .prefetch = CRESS_DUE_PREFETCH};
    const struct cress_consumer consumer = {
        .on_deliveries = due_deliveries_cb,
        .on_problem = due_problem_cb,
        .arg = due,
    };
    cress_broker_consume(broker, &subscription, 1, &consumer);
    return due;
}

/* --- closing --- */

/* Publishes that are open when it is closed are answered when the broker is. */
static void free_when_empty(struct cress_due *due)
{
    if (due->in_hand || due->open_handles) {
        return;
    }
    for (struct cress_list *node; (node = cress_list_shift(&due->targets)) != NULL;) {
        free(CRESS_CONTAINER(node, struct target, node));
    }
    free(due);
}

static void due_handle_closed_cb(uv_handle_t *handle)
{
    struct cress_due *due = handle->data;
    if (--due->open_handles == 0) {
        due->closed(due->arg);
        free_when_empty(due);
    }
}

static void close_handles(struct cress_due *due)
{
    uv_close((uv_handle_t *)&due->again_timer, due_handle_closed_cb);
    uv_close((uv_handle_t *)&due->close_timer, due_handle_closed_cb);
}

static void close_when_empty(struct cress_due *due)
{
    if (!due->closing || due->in_hand) {
        return;
    }
    if (!uv_is_closing((uv_handle_t *)&due->close_timer)) {
        close_handles(due);
    } else {
        free_when_empty(due);
    }
}

static void close_limit_cb(uv_timer_t *timer)
{
    struct cress_due *due = timer->data;
    due->given_up = true;
    close_handles(due);
}

void cress_due_close(struct cress_due *due, int64_t limit_ms, void (*closed)(void *arg), void *arg)
{
    due->closing = true;
    due->closed = closed;
    due->arg = arg;
    uv_timer_stop(&due->again_timer);
    uv_timer_start(&due->close_timer, close_limit_cb, (uint64_t)limit_ms, 0);
    due->in_hand++; /* not before all have been looked at */
    for (struct cress_list *node; (node = cress_list_shift(&due->again)) != NULL;) {
        settle_due(CRESS_CONTAINER(node, struct due_message, node), CRESS_REQUEUE);
    }
    due->in_hand--;
    close_when_empty(due);
}

/* --- what is shut --- */

void cress_due_each_shut(const struct cress_due *due,
                         void (*each)(const struct cress_due_shut *shut, void *arg), void *arg)
{
    for (const struct cress_list *n = due->targets.next; n != &due->targets; n = n->next) {
        const struct target *target = CRESS_CONTAINER(n, struct target, node);
        if (target->failures) {
            const struct cress_due_shut shut = {
                .queue = target->queue,
                .code = target->code,
                .since_ms = target->since_ms,
                .until_ms = cress_clock_wall_ms() + target->open_mono_ms - cress_clock_mono_ms(),
                .held = target->held,
            };
            each(&shut, arg);
        }
    }
}
