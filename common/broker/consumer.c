// SPDX-License-Identifier: Apache-2.0
// The thread that consumes and acknowledges.
//
// DESIGN
// Each subscription has a channel of its own, so that a queue in trouble (deleted, forbidden, its consumer timed out)
// takes no other with it. A channel's delivery tags count from 1, so the unsettled deliveries are a window over
// tags; what is settled in one turn is acknowledged together: one ack with `multiple` up to the oldest that is
// open, single acks for the rest. A channel that is opened again has a new epoch, and what belongs to the old one is dropped.
//
// A subscription that fails is tried again with backoff. It is complete when all of its consumers are.
#include "common/broker/consumer.h"

#include "common/base/backoff.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/broker/codec.h"
#include "common/broker/failure.h"
#include "common/broker/topology.h"
#include "common/broker/window.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    RETRY_BASE_MS = 250,
    /* RabbitMQ's own largest message. */
    BODY_MAX_BYTES = 512 << 20,
    CONSUMER_TAG_MAX = 256,
};

struct subscription {
    char *queue;
    bool single; /* just the one queue, and not ours to declare */
    int prefetch;
    amqp_channel_t channel;
    size_t source;
    uint64_t epoch; /* 0: the channel is not open */
    bool consuming[CRESS_PRIORITY_COUNT];
    unsigned failures; /* in a row */
    int64_t retry_at_ms;
    struct cress_window window; /* `open_mark` or `acked_mark`, by delivery tag */
    struct cress_list settled;  /* struct cress_incoming of this epoch */
    /* the delivery that is arriving */
    const amqp_basic_deliver_t *deliver; /* lives until the channel's buffers are released */
    struct cress_incoming *incoming;
    char *body_at;
    uint64_t body_left;
};

struct consumer {
    struct cress_link link;
    struct subscription **subscriptions;
    size_t subscription_count;
    uint64_t last_epoch;
    struct cress_deliveries *batch; /* NULL: nothing arrived yet in this turn */
    struct cress_list flushes;      /* struct cress_note */
    struct cress_note *stop;        /* who waits for the consumers' end; NULL: nobody */
    bool stopping;
    size_t cancels; /* basic.cancel not answered yet */
};

static char open_mark, acked_mark;

static struct consumer *consumer_of(struct cress_link *link)
{
    return CRESS_CONTAINER(link, struct consumer, link);
}

/* --- subscriptions --- */

static void add_subscription(struct consumer *consumer, struct cress_note *note)
{
    struct subscription *s = CRESS_NEW(struct subscription);
    s->queue = note->queue;
    note->queue = NULL;
    s->single = note->single;
    s->prefetch = note->prefetch;
    s->source = note->source;
    s->channel = (amqp_channel_t)(CRESS_CHANNEL_FIRST + consumer->subscription_count);
    cress_window_reset(&s->window);
    cress_list_init(&s->settled);
    consumer->subscriptions =
        cress_realloc_array(consumer->subscriptions, consumer->subscription_count + 1,
                            sizeof(struct subscription *));
    consumer->subscriptions[consumer->subscription_count++] = s;
}

static bool is_wanted(const struct subscription *s, int priority)
{
    return !s->single || priority == CRESS_PRIORITY_NORMAL;
}

static bool is_complete(const struct subscription *s)
{
    for (int i = 0; i < CRESS_PRIORITY_COUNT; i++) {
        if (is_wanted(s, i) && !s->consuming[i]) {
            return false;
        }
    }
    return true;
}

/* The channel is gone: what was delivered on it will be redelivered. */
static void forget_channel(struct subscription *s)
{
    s->epoch = 0;
    memset(s->consuming, 0, sizeof s->consuming);
    cress_window_reset(&s->window);
    cress_mail_free_all(&s->settled);
    free(s->incoming);
    s->incoming = NULL;
    s->deliver = NULL;
}

static void report(struct consumer *consumer, struct subscription *s, const struct cress_error *err)
{
    const struct cress_backoff backoff = {.base_ms = RETRY_BASE_MS,
                                          .cap_ms = consumer->link.endpoint.reconnect_max_ms};
    s->failures++;
    s->retry_at_ms =
        cress_clock_mono_ms() + cress_backoff_ms(&backoff, s->failures, cress_random());
    struct cress_note *note = CRESS_NEW(struct cress_note);
    note->mail.kind = CRESS_MAIL_PROBLEM;
    note->source = s->source;
    note->err = *err;
    cress_link_answer(&consumer->link, &note->mail);
}

static void make_tag(const struct subscription *s, enum cress_priority priority,
                     char tag[CONSUMER_TAG_MAX])
{
    snprintf(tag, CONSUMER_TAG_MAX, "%s/%s", s->queue, cress_priority_word(priority));
}

static enum cress_priority priority_of_tag(const struct subscription *s, amqp_bytes_t tag)
{
    const size_t at = strlen(s->queue) + 1;
    const char first = tag.len > at ? ((const char *)tag.bytes)[at] : 'n';
    return first == 'h'   ? CRESS_PRIORITY_HIGH
           : first == 'l' ? CRESS_PRIORITY_LOW
                          : CRESS_PRIORITY_NORMAL;
}

/* Shares of one half, a third and a sixth, by priority. */
static uint16_t prefetch_of(const struct subscription *s, enum cress_priority priority)
{
    static const int shares[CRESS_PRIORITY_COUNT] = {2, 3, 6};
    const int share = s->single ? s->prefetch : s->prefetch / shares[priority];
    return (uint16_t)(share < 1 ? 1 : share > UINT16_MAX ? UINT16_MAX : share);
}

static enum cress_status consume_one(struct consumer *consumer, struct subscription *s,
                                     enum cress_priority priority, struct cress_error *err)
{
    struct cress_connection *connection = consumer->link.connection;
    amqp_basic_qos_t qos = {.prefetch_count = prefetch_of(s, priority)};
    enum cress_status status = cress_connection_call(
        connection, s->channel, AMQP_BASIC_QOS_METHOD, &qos, AMQP_BASIC_QOS_OK_METHOD, NULL, err);
    if (status) {
        return status;
    }
    char queue[CRESS_ROUTE_NAME_MAX];
    cress_route_queue_name(s->queue, priority, queue);
    char tag[CONSUMER_TAG_MAX];
    make_tag(s, priority, tag);
    amqp_basic_consume_t request = {.queue = amqp_cstring_bytes(queue),
                                    .consumer_tag = amqp_cstring_bytes(tag)};
    status = cress_connection_call(connection, s->channel, AMQP_BASIC_CONSUME_METHOD, &request,
                                   AMQP_BASIC_CONSUME_OK_METHOD, NULL, err);
    s->consuming[priority] = !status;
    return status;
}

/* What is missing of the subscription's channel and consumers. */
static void subscribe(struct consumer *consumer, struct subscription *s)
{
    struct cress_connection *connection = consumer->link.connection;
    struct cress_error err;
    enum cress_status status = CRESS_OK;
    if (!s->single) {
        status = cress_declarer_work_queue(&consumer->link.declarer, s->queue, &err);
        if (status && !connection->broken) {
            report(consumer, s, &err);
        }
    }
    if (status || connection->broken) {
        return;
    }
    if (!s->epoch) {
        status = cress_connection_open_channel(connection, s->channel, &err);
        s->epoch = ++consumer->last_epoch;
    }
    for (int i = 0; i < CRESS_PRIORITY_COUNT && !status; i++) {
        if (is_wanted(s, i) && !s->consuming[i]) {
            status = consume_one(consumer, s, (enum cress_priority)i, &err);
        }
    }
    if (!status) {
        s->failures = 0;
    } else if (!connection->broken) {
        forget_channel(s);
        report(consumer, s, &err);
    }
}

/* Returns the milliseconds until the next try, -1 when there is none. */
static int subscribe_due(struct consumer *consumer)
{
    int wait_ms = -1;
    for (size_t i = 0; i < consumer->subscription_count && !consumer->stopping; i++) {
        struct subscription *s = consumer->subscriptions[i];
        const int64_t now = cress_clock_mono_ms();
        if (!is_complete(s) && s->retry_at_ms <= now && !consumer->link.connection->broken) {
            subscribe(consumer, s);
        }
        if (!is_complete(s)) {
            const int64_t left = s->retry_at_ms > now ? s->retry_at_ms - now : 0;
            wait_ms = wait_ms < 0 || left < wait_ms ? (int)left : wait_ms;
        }
    }
    return wait_ms;
}

/* --- deliveries --- */

static void hand_over(struct consumer *consumer, struct subscription *s)
{
    struct cress_incoming *incoming = s->incoming;
    s->incoming = NULL;
    if (cress_window_push(&s->window, &open_mark) != incoming->delivery.tag) {
        cress_connection_fail(consumer->link.connection, CRESS_INTERNAL, "delivery_tag",
                              "delivery tag %llu is out of order",
                              (unsigned long long)incoming->delivery.tag);
        free(incoming);
        return;
    }
    if (!consumer->batch) {
        consumer->batch = CRESS_NEW(struct cress_deliveries);
        consumer->batch->mail.kind = CRESS_MAIL_DELIVERIES;
        cress_list_init(&consumer->batch->list);
    }
    cress_list_append(&consumer->batch->list, &incoming->delivery.node);
}

static void begin_content(struct consumer *consumer, struct subscription *s,
                          const amqp_frame_t *frame)
{
    const uint64_t size = frame->payload.properties.body_size;
    if (!s->deliver || size > BODY_MAX_BYTES) {
        cress_connection_fail(consumer->link.connection, CRESS_INTERNAL, "content",
                              "unexpected content of %llu bytes", (unsigned long long)size);
        return;
    }
    s->incoming = cress_codec_incoming(s->deliver, frame->payload.properties.decoded, (size_t)size,
                                       &s->body_at);
    s->incoming->mail.kind = CRESS_MAIL_SETTLE;
    s->incoming->source = s->source;
    s->incoming->delivery.queue = s->queue;
    s->incoming->delivery.epoch = s->epoch;
    s->incoming->delivery.priority = priority_of_tag(s, s->deliver->consumer_tag);
    s->deliver = NULL;
    s->body_left = size;
}

static void take_content(struct consumer *consumer, struct subscription *s,
                         const amqp_frame_t *frame)
{
    if (frame->frame_type == AMQP_FRAME_HEADER) {
        begin_content(consumer, s, frame);
    } else if (s->incoming && frame->payload.body_fragment.len <= s->body_left) {
        const amqp_bytes_t part = frame->payload.body_fragment;
        memcpy(s->body_at, part.bytes, part.len);
        s->body_at += part.len;
        s->body_left -= part.len;
    }
    if (s->incoming && s->body_left == 0) {
        hand_over(consumer, s);
    }
}

static void take_method(struct consumer *consumer, struct subscription *s, amqp_method_t method)
{
    struct cress_error err;
    switch (method.id) {
    case AMQP_BASIC_DELIVER_METHOD:
        s->deliver = method.decoded;
        break;
    case AMQP_BASIC_CANCEL_OK_METHOD:
        consumer->cancels -= consumer->cancels > 0;
        break;
    case AMQP_BASIC_CANCEL_METHOD: {
        const amqp_basic_cancel_t *cancel = method.decoded;
        s->consuming[priority_of_tag(s, cancel->consumer_tag)] = false;
        if (!s->single) {
            cress_declarer_forget_work_queue(&consumer->link.declarer, s->queue);
        }
        cress_error_set(&err, CRESS_NOT_FOUND, "consumer_cancelled",
                        "the broker cancelled the consumer: the queue was deleted or has no leader");
        report(consumer, s, &err);
        break;
    }
    case AMQP_CHANNEL_CLOSE_METHOD:
        cress_connection_channel_closed(consumer->link.connection, s->channel, method.decoded,
                                        &err);
        forget_channel(s);
        report(consumer, s, &err);
        break;
    default:
        break;
    }
}

static void take_frame(struct cress_link *link, const amqp_frame_t *frame)
{
    struct consumer *consumer = consumer_of(link);
    const size_t index = frame->channel - CRESS_CHANNEL_FIRST;
    if (index >= consumer->subscription_count) {
        return;
    }
    struct subscription *s = consumer->subscriptions[index];
    if (frame->frame_type == AMQP_FRAME_METHOD) {
        take_method(consumer, s, frame->payload.method);
    } else {
        take_content(consumer, s, frame);
    }
    if (!s->deliver) {
        cress_connection_release(link->connection, frame->channel);
    }
}

/* --- settling --- */

static void take_settled(struct consumer *consumer, struct cress_incoming *incoming)
{
    struct subscription *s = NULL;
    for (size_t i = 0; i < consumer->subscription_count && !s; i++) {
        if (consumer->subscriptions[i]->source == incoming->source) {
            s = consumer->subscriptions[i];
        }
    }
    if (s && s->epoch == incoming->delivery.epoch) {
        cress_list_append(&s->settled, &incoming->mail.node);
    } else {
        cress_mail_free(&incoming->mail);
    }
}

static void send_ack(struct cress_connection *connection, amqp_channel_t channel, uint64_t tag,
                     bool multiple)
{
    amqp_basic_ack_t ack = {.delivery_tag = tag, .multiple = multiple};
    cress_connection_send(connection, channel, AMQP_BASIC_ACK_METHOD, &ack);
}

/* Refusals leave at once; acknowledgements are only marked. */
static void mark_settled(struct cress_connection *connection, struct subscription *s)
{
    for (struct cress_list *n = s->settled.next; n != &s->settled; n = n->next) {
        const struct cress_incoming *incoming = CRESS_CONTAINER(n, struct cress_incoming, mail.node);
        void **slot = cress_window_at(&s->window, incoming->delivery.tag);
        if (!slot || *slot != &open_mark) {
            continue;
        }
        *slot = &acked_mark;
        if (incoming->how != CRESS_ACK) {
            amqp_basic_reject_t reject = {.delivery_tag = incoming->delivery.tag,
                                          .requeue = incoming->how == CRESS_REQUEUE};
            cress_connection_send(connection, s->channel, AMQP_BASIC_REJECT_METHOD, &reject);
            *slot = NULL;
        }
    }
}

/* Acknowledges the run from the oldest tag on; whatever in it was refused is settled already, and not touched. */
static void ack_run(struct cress_connection *connection, struct subscription *s)
{
    uint64_t last = 0;
    size_t count = 0;
    for (uint64_t tag = s->window.low; tag < s->window.next; tag++) {
        void **slot = cress_window_at(&s->window, tag);
        if (*slot == &open_mark) {
            break;
        }
        if (*slot == &acked_mark) {
            last = tag;
            count++;
        }
        *slot = NULL;
    }
    if (last) {
        send_ack(connection, s->channel, last, count > 1);
    }
    cress_window_trim(&s->window);
}

static void settle_batch(struct consumer *consumer, struct subscription *s)
{
    struct cress_connection *connection = consumer->link.connection;
    mark_settled(connection, s);
    ack_run(connection, s);
    for (struct cress_list *node; (node = cress_list_shift(&s->settled)) != NULL;) {
        struct cress_incoming *incoming = CRESS_CONTAINER(node, struct cress_incoming, mail.node);
        void **slot = cress_window_at(&s->window, incoming->delivery.tag);
        if (slot && *slot == &acked_mark) {
            send_ack(connection, s->channel, incoming->delivery.tag, false);
            *slot = NULL;
        }
        cress_mail_free(&incoming->mail);
    }
}

static void answer_flushes(struct consumer *consumer)
{
    cress_list_splice(&consumer->link.answers, &consumer->flushes);
}

/* --- stopping --- */

static void stop_consuming(struct consumer *consumer, struct cress_note *note)
{
    consumer->stopping = true;
    consumer->stop = note;
    if (!consumer->link.connection) {
        return;
    }
    for (size_t i = 0; i < consumer->subscription_count; i++) {
        struct subscription *s = consumer->subscriptions[i];
        for (int p = 0; p < CRESS_PRIORITY_COUNT; p++) {
            if (!s->consuming[p]) {
                continue;
            }
            char tag[CONSUMER_TAG_MAX];
            make_tag(s, (enum cress_priority)p, tag);
            amqp_basic_cancel_t cancel = {.consumer_tag = amqp_cstring_bytes(tag)};
            cress_connection_send(consumer->link.connection, s->channel, AMQP_BASIC_CANCEL_METHOD,
                                  &cancel);
            s->consuming[p] = false;
            consumer->cancels++;
        }
    }
}

static void answer_stop(struct consumer *consumer)
{
    if (consumer->stop && !consumer->cancels) {
        cress_link_answer(&consumer->link, &consumer->stop->mail);
        consumer->stop = NULL;
    }
}

/* --- the role --- */

static void connected(struct cress_link *link)
{
    struct consumer *consumer = consumer_of(link);
    for (size_t i = 0; i < consumer->subscription_count; i++) {
        consumer->subscriptions[i]->retry_at_ms = 0;
    }
}

static int work(struct cress_link *link)
{
    struct consumer *consumer = consumer_of(link);
    for (size_t i = 0; i < consumer->subscription_count; i++) {
        if (!cress_list_is_empty(&consumer->subscriptions[i]->settled)) {
            settle_batch(consumer, consumer->subscriptions[i]);
        }
    }
    const int wait_ms = subscribe_due(consumer);
    if (consumer->batch) {
        cress_link_answer(link, &consumer->batch->mail);
        consumer->batch = NULL;
    }
    answer_stop(consumer);
    if (!cress_list_is_empty(&consumer->flushes)) {
        cress_connection_flush(link->connection);
        if (!cress_connection_unsent(link->connection)) {
            answer_flushes(consumer);
        }
    }
    return wait_ms;
}

static void lost(struct cress_link *link)
{
    struct consumer *consumer = consumer_of(link);
    for (size_t i = 0; i < consumer->subscription_count; i++) {
        forget_channel(consumer->subscriptions[i]);
    }
    if (consumer->batch) {
        cress_mail_free(&consumer->batch->mail);
        consumer->batch = NULL;
    }
    consumer->cancels = 0;
    answer_stop(consumer);
    answer_flushes(consumer);
}

static void take_mail(struct cress_link *link, struct cress_mail *mail)
{
    struct consumer *consumer = consumer_of(link);
    switch (mail->kind) {
    case CRESS_MAIL_SETTLE:
        take_settled(consumer, CRESS_CONTAINER(mail, struct cress_incoming, mail));
        break;
    case CRESS_MAIL_CONSUME:
        add_subscription(consumer, CRESS_CONTAINER(mail, struct cress_note, mail));
        cress_mail_free(mail);
        break;
    case CRESS_MAIL_STOP_CONSUMING:
        stop_consuming(consumer, CRESS_CONTAINER(mail, struct cress_note, mail));
        break;
    case CRESS_MAIL_FLUSH:
        cress_list_append(&consumer->flushes, &mail->node);
        break;
    case CRESS_MAIL_INSPECT:
    case CRESS_MAIL_ENSURE:
        cress_link_ask(link, CRESS_CONTAINER(mail, struct cress_operation, mail));
        break;
    default:
        cress_mail_free(mail);
        break;
    }
    if (!link->connection) {
        answer_stop(consumer);
        answer_flushes(consumer);
    }
}

static void free_consumer(struct cress_link *link)
{
    struct consumer *consumer = consumer_of(link);
    for (size_t i = 0; i < consumer->subscription_count; i++) {
        struct subscription *s = consumer->subscriptions[i];
        forget_channel(s);
        cress_window_free(&s->window);
        free(s->queue);
        free(s);
    }
    free(consumer->subscriptions);
    cress_mail_free_all(&consumer->flushes);
    free(consumer);
}

static const struct cress_link_role role = {
    .connected = connected,
    .mail = take_mail,
    .frame = take_frame,
    .work = work,
    .lost = lost,
    .free = free_consumer,
};

struct cress_link *cress_consumer_new(struct cress_endpoint endpoint,
                                      void (*outbox_wake)(void *arg), void *arg)
{
    struct consumer *consumer = CRESS_NEW(struct consumer);
    cress_list_init(&consumer->flushes);
    cress_link_init(&consumer->link, &role, endpoint, outbox_wake, arg);
    return &consumer->link;
}
