// SPDX-License-Identifier: Apache-2.0
// The thread that consumes and acknowledges.
//
// DESIGN
// Each AMQP queue, so each priority of a subscription, is consumed on a channel of its own: a queue
// in trouble (deleted, forbidden, without a leader) takes no other with it. For the same reason
// basic.consume is not waited for: RabbitMQ answers it only once the queue has a leader, and its
// channel does nothing else until then.
//
// A channel's delivery tags count from 1, so the unsettled deliveries are a window over tags; what
// is settled in one turn is acknowledged together: one ack with `multiple` up to the oldest that is
// open, single acks for the rest. A channel that is opened again has a new epoch, and what belongs
// to the old one is dropped.
//
// A queue that cannot be consumed is tried again with backoff. RabbitMQ ends the whole connection
// (INTERNAL_ERROR) when the process of a queue is not there: whoever waited for an answer then is
// suspected, and asked for again alone, and more and more rarely. A queue that this process has made
// and that does not answer is deleted, and made again: see made.h.
//
// A paused lane has no consumer. To pause one that is not consuming yet waits for that: RabbitMQ's
// channel crashes when a consumer is cancelled before basic.consume was answered (seen with 3.10).
//
// A paced lane gets more by a consumer of another name: the one before is cancelled, and what it has
// delivered stays unsettled on the channel, beside the new one's prefetch.
//
// Each consumer of a channel has a name of its own. One that is cancelled lives on in a quorum queue
// while it has unsettled deliveries; another of that name then takes over its count of deliveries,
// and the channel, which begins to count anew, crashes (seen with 3.10).
#include "common/broker/consumer.h"

#include "common/base/backoff.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/broker/codec.h"
#include "common/broker/failure.h"
#include "common/broker/made.h"
#include "common/broker/topology.h"
#include "common/broker/window.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    RETRY_BASE_MS = 250,
    /* How long basic.consume may go unanswered before that is reported. */
    ANSWER_MS = 5000,
    /* A queue that this process has made and that has not answered for so long is made again. */
    REMAKE_MS = 15000,
    /* The same of one that ended the connection so often while nothing else was asked for. */
    CRASHES_REMAKE = 2,
    /* One that did is tried again after this, twice this, … */
    CRASH_BASE_MS = 1000,
    CRASH_MAX_MS = 60000,
    SUSPECT_MS = 100,
    /* RabbitMQ's own largest message. */
    BODY_MAX_BYTES = 512 << 20,
};

enum lane_state {
    LANE_IDLE,  /* not consuming; to be tried at retry_at_ms */
    LANE_ASKED, /* basic.consume is sent; to be reported at retry_at_ms */
    LANE_ACTIVE,
    LANE_CANCELLING, /* basic.cancel is sent, and waited for */
    LANE_LEAVING,    /* its queue is made again; channel.close is sent, and waited for */
};

/* One AMQP queue that is consumed. */
struct lane {
    size_t source; /* the subscription */
    char *queue;   /* as subscribed */
    enum cress_priority priority;
    char name[CRESS_ROUTE_NAME_MAX];     /* of the AMQP queue */
    char tag[CRESS_ROUTE_NAME_MAX + 16]; /* of the consumer */
    unsigned consumers;                  /* so far */
    enum cress_lane_declares declares;
    size_t group;     /* of consumers: who gets its deliveries */
    unsigned crashes; /* how often the connection ended while it waited for an answer, in a row */
    bool paused;      /* by the loop; else the lane consumes, or tries to */
    bool paced;
    bool wants_more;     /* paced: as soon as basic.consume is answered */
    bool wants_prefetch; /* as it is written here now: likewise */
    unsigned rounds;     /* paced: how often more was asked for; 0: it is not to consume yet */
    uint16_t prefetch;
    amqp_channel_t channel;
    enum lane_state state;
    uint64_t epoch;    /* 0: the channel is not open */
    unsigned failures; /* in a row */
    int64_t retry_at_ms;
    int64_t asked_ms;           /* LANE_ASKED: since when; monotonic */
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
    struct lane **lanes;
    size_t lane_count;
    uint64_t last_epoch;
    struct cress_deliveries *batches[CRESS_CONSUMERS_MAX]; /* NULL: nothing came in this turn */
    struct cress_list flushes;                             /* struct cress_mail_note */
    struct cress_mail_note *stop; /* who waits for the consumers' end; NULL: nobody */
    bool stopping;
    size_t cancels; /* basic.cancel not answered yet */
};

static char open_mark, acked_mark;

static struct consumer *consumer_of(struct cress_link *link)
{
    return CRESS_CONTAINER(link, struct consumer, link);
}

/* --- lanes --- */

/* AMQP's field has 16 bits, and 0 would be no limit at all. */
static uint16_t prefetch_of(int number)
{
    return (uint16_t)(number < 1 ? 1 : number > UINT16_MAX ? UINT16_MAX : number);
}

/* The queue's name lives as long as the link: deliveries point to it. */
static void add_lane(struct consumer *consumer, const struct cress_mail_note *note,
                     enum cress_priority priority, int prefetch)
{
    struct lane *lane = CRESS_NEW(struct lane);
    lane->source = note->source;
    lane->queue = cress_strdup(note->queue);
    lane->priority = priority;
    cress_route_queue_name(note->queue, priority, lane->name);
    lane->declares = note->declares;
    lane->group = note->group;
    lane->paced = note->paced;
    lane->paused = note->paused;
    lane->prefetch = prefetch_of(prefetch);
    lane->channel = (amqp_channel_t)(CRESS_CHANNEL_FIRST + consumer->lane_count);
    cress_window_reset(&lane->window);
    cress_list_init(&lane->settled);
    consumer->lanes =
        cress_realloc_array(consumer->lanes, consumer->lane_count + 1, sizeof(struct lane *));
    consumer->lanes[consumer->lane_count++] = lane;
}

static void add_subscription(struct consumer *consumer, const struct cress_mail_note *note)
{
    if (note->declares != CRESS_LANE_WORK_QUEUE) {
        add_lane(consumer, note, CRESS_PRIORITY_NORMAL, note->prefetch);
        return;
    }
    if (note->each) {
        for (int i = 0; i < CRESS_PRIORITY_COUNT; i++) {
            add_lane(consumer, note, (enum cress_priority)i, note->prefetch);
        }
        return;
    }
    add_lane(consumer, note, CRESS_PRIORITY_HIGH, note->prefetch / 2);
    add_lane(consumer, note, CRESS_PRIORITY_NORMAL, note->prefetch / 3);
    add_lane(consumer, note, CRESS_PRIORITY_LOW, note->prefetch / 6);
}

/* The channel is gone: what was delivered on it will be redelivered. */
static void forget_channel(struct lane *lane)
{
    lane->epoch = 0;
    lane->state = LANE_IDLE;
    lane->wants_prefetch = false;
    cress_window_reset(&lane->window);
    cress_mail_free_all(&lane->settled);
    free(lane->incoming);
    lane->incoming = NULL;
    lane->deliver = NULL;
}

static void note_source(struct consumer *consumer, const struct lane *lane,
                        enum cress_mail_kind kind, const struct cress_error *err)
{
    struct cress_mail_note *note = CRESS_NEW(struct cress_mail_note);
    note->mail.kind = kind;
    note->source = lane->source;
    if (err) {
        note->err = *err;
    }
    cress_link_answer(&consumer->link, &note->mail);
}

static void report(struct consumer *consumer, struct lane *lane, const struct cress_error *err)
{
    const struct cress_backoff backoff = {.base_ms = RETRY_BASE_MS,
                                          .cap_ms = consumer->link.endpoint.reconnect_max_ms};
    lane->failures++;
    lane->retry_at_ms =
        cress_clock_mono_ms() + cress_backoff_ms(&backoff, lane->failures, cress_random());
    note_source(consumer, lane, CRESS_MAIL_PROBLEM, err);
}

static void forget_queue(struct consumer *consumer, const struct lane *lane)
{
    if (lane->declares == CRESS_LANE_WORK_QUEUE) {
        cress_declarer_forget_work_queue(&consumer->link.declarer, lane->queue);
    } else if (lane->declares == CRESS_LANE_DUE) {
        cress_declarer_forget_due(&consumer->link.declarer);
    }
}

static void ask_to_consume(struct consumer *consumer, struct lane *lane)
{
    struct cress_connection *connection = consumer->link.connection;
    amqp_basic_qos_t qos = {.prefetch_count = lane->prefetch};
    cress_connection_send(connection, lane->channel, AMQP_BASIC_QOS_METHOD, &qos);
    snprintf(lane->tag, sizeof lane->tag, "%s:%u", lane->name, ++lane->consumers);
    amqp_basic_consume_t consume = {.queue = amqp_cstring_bytes(lane->name),
                                    .consumer_tag = amqp_cstring_bytes(lane->tag)};
    cress_connection_send(connection, lane->channel, AMQP_BASIC_CONSUME_METHOD, &consume);
    lane->state = LANE_ASKED;
    lane->asked_ms = cress_clock_mono_ms();
    lane->retry_at_ms = lane->asked_ms + ANSWER_MS;
}

static void subscribe(struct consumer *consumer, struct lane *lane)
{
    struct cress_connection *connection = consumer->link.connection;
    struct cress_error err;
    enum cress_status status = CRESS_OK;
    if (lane->crashes >= CRASHES_REMAKE &&
        cress_declarer_is_stillborn(&consumer->link.declarer, lane->name)) {
        cress_declarer_discard(&consumer->link.declarer, CRESS_CHANNEL_DECLARE, lane->name);
        forget_queue(consumer, lane);
        lane->crashes = 0;
    }
    if (lane->declares == CRESS_LANE_WORK_QUEUE) {
        status = cress_declarer_work_queue(&consumer->link.declarer, lane->queue, &err);
    } else if (lane->declares == CRESS_LANE_DUE) {
        status = cress_declarer_due(&consumer->link.declarer, &err);
    }
    if (!status && !lane->epoch) {
        status = cress_connection_open_channel(connection, lane->channel, &err);
        lane->epoch = status ? 0 : ++consumer->last_epoch;
    }
    if (connection->broken) {
        return;
    }
    if (status) {
        report(consumer, lane, &err);
    } else {
        ask_to_consume(consumer, lane);
    }
}

/* Whether RabbitMQ answers for another queue: then a silent one is not waiting for an election of
 * all. */
static bool others_answer(const struct consumer *consumer)
{
    for (size_t i = 0; i < consumer->lane_count; i++) {
        if (consumer->lanes[i]->state == LANE_ACTIVE) {
            return true;
        }
    }
    return false;
}

static bool is_stillborn(struct consumer *consumer, const struct lane *lane)
{
    return cress_clock_mono_ms() - lane->asked_ms >= REMAKE_MS && others_answer(consumer) &&
           cress_declarer_is_stillborn(&consumer->link.declarer, lane->name);
}

static void remake_queue(struct consumer *consumer, struct lane *lane)
{
    cress_declarer_discard(&consumer->link.declarer, CRESS_CHANNEL_DECLARE, lane->name);
    forget_queue(consumer, lane);
    amqp_channel_close_t close = {.reply_code = AMQP_REPLY_SUCCESS};
    cress_connection_send(consumer->link.connection, lane->channel, AMQP_CHANNEL_CLOSE_METHOD,
                          &close);
    lane->state = LANE_LEAVING;
}

static void complain_about_silence(struct consumer *consumer, struct lane *lane)
{
    if (is_stillborn(consumer, lane)) {
        remake_queue(consumer, lane);
        return;
    }
    struct cress_error err;
    cress_error_set(&err, CRESS_TIMEOUT, "no_answer",
                    "the broker does not answer for queue %s: it may have no leader", lane->name);
    report(consumer, lane, &err);
}

/* Whether another queue's answer is waited for: a suspect goes alone. */
static bool has_to_wait(const struct consumer *consumer, const struct lane *lane, int64_t now_ms)
{
    for (size_t i = 0; i < consumer->lane_count && lane->crashes; i++) {
        const struct lane *other = consumer->lanes[i];
        if (other != lane && other->state == LANE_ASKED && now_ms - other->asked_ms < ANSWER_MS) {
            return true;
        }
    }
    return false;
}

/* Returns the milliseconds until the next try, -1 when there is none. */
static int subscribe_due(struct consumer *consumer)
{
    int wait_ms = -1;
    for (size_t i = 0; i < consumer->lane_count && !consumer->stopping; i++) {
        struct lane *lane = consumer->lanes[i];
        if (lane->paused || (lane->paced && lane->rounds == 0)) {
            continue;
        }
        const int64_t now = cress_clock_mono_ms();
        const bool is_due = lane->retry_at_ms <= now && !consumer->link.connection->broken;
        if (lane->state == LANE_IDLE && is_due && has_to_wait(consumer, lane, now)) {
            lane->retry_at_ms = now + SUSPECT_MS;
        } else if (lane->state == LANE_IDLE && is_due) {
            subscribe(consumer, lane);
        } else if (lane->state == LANE_ASKED && is_due) {
            complain_about_silence(consumer, lane);
        }
        if (lane->state == LANE_IDLE || lane->state == LANE_ASKED) {
            const int64_t left = lane->retry_at_ms > now ? lane->retry_at_ms - now : 0;
            wait_ms = wait_ms < 0 || left < wait_ms ? (int)left : wait_ms;
        }
    }
    return wait_ms;
}

/* --- pausing --- */

static void cancel(struct consumer *consumer, struct lane *lane)
{
    amqp_basic_cancel_t cancel = {.consumer_tag = amqp_cstring_bytes(lane->tag)};
    cress_connection_send(consumer->link.connection, lane->channel, AMQP_BASIC_CANCEL_METHOD,
                          &cancel);
    lane->state = LANE_CANCELLING;
    consumer->cancels++;
}

/* It has answered after all were said to have stopped: what it delivers goes back. */
static void cancel_late(struct consumer *consumer, struct lane *lane)
{
    amqp_basic_cancel_t cancel = {.consumer_tag = amqp_cstring_bytes(lane->tag), .nowait = 1};
    cress_connection_send(consumer->link.connection, lane->channel, AMQP_BASIC_CANCEL_METHOD,
                          &cancel);
    lane->state = LANE_IDLE;
}

static void pause_lane(struct consumer *consumer, struct lane *lane)
{
    lane->paused = true;
    if (lane->state == LANE_ACTIVE) {
        cancel(consumer, lane);
    }
}

/* One that is still being cancelled is subscribed when that has been answered. */
static void resume_lane(struct lane *lane)
{
    lane->paused = false;
    if (lane->state == LANE_IDLE || lane->state == LANE_CANCELLING) {
        lane->retry_at_ms = 0;
    }
}

static void pause_source(struct consumer *consumer, size_t source, bool pause)
{
    for (size_t i = 0; i < consumer->lane_count && !consumer->stopping; i++) {
        struct lane *lane = consumer->lanes[i];
        if (lane->source == source && lane->paused != pause) {
            if (pause) {
                pause_lane(consumer, lane);
            } else {
                resume_lane(lane);
            }
        }
    }
}

/* --- more of a paced lane --- */

/* Another consumer takes the place of this one. */
static void replace_consumer(struct consumer *consumer, struct lane *lane)
{
    amqp_basic_cancel_t cancel = {.consumer_tag = amqp_cstring_bytes(lane->tag), .nowait = 1};
    cress_connection_send(consumer->link.connection, lane->channel, AMQP_BASIC_CANCEL_METHOD,
                          &cancel);
    ask_to_consume(consumer, lane);
}

/* As for pausing, this waits for the answer to basic.consume. */
static void next_round(struct consumer *consumer, struct lane *lane)
{
    lane->wants_more = lane->state == LANE_ASKED;
    if (lane->state == LANE_ACTIVE) {
        lane->rounds++;
        replace_consumer(consumer, lane);
    }
}

static void consume_more(struct consumer *consumer, size_t source)
{
    for (size_t i = 0; i < consumer->lane_count && !consumer->stopping; i++) {
        struct lane *lane = consumer->lanes[i];
        if (lane->source == source && lane->rounds == 0) {
            lane->rounds = 1; /* it is subscribed in this turn */
        } else if (lane->source == source) {
            next_round(consumer, lane);
        }
    }
}

/* --- another prefetch --- */

/* Likewise. One that does not consume now will begin with the new number. */
static void use_prefetch(struct consumer *consumer, struct lane *lane)
{
    lane->wants_prefetch = lane->state == LANE_ASKED;
    if (lane->state == LANE_ACTIVE) {
        replace_consumer(consumer, lane);
    }
}

static void set_prefetch(struct consumer *consumer, const struct cress_mail_note *note)
{
    for (size_t i = 0; i < consumer->lane_count && !consumer->stopping; i++) {
        struct lane *lane = consumer->lanes[i];
        if (lane->source == note->source && lane->prefetch != prefetch_of(note->prefetch)) {
            lane->prefetch = prefetch_of(note->prefetch);
            use_prefetch(consumer, lane);
        }
    }
}

/* --- deliveries --- */

/* It came after the consumers were said to have stopped. */
static void give_back(struct lane *lane, struct cress_incoming *incoming)
{
    incoming->how = CRESS_REQUEUE;
    cress_list_append(&lane->settled, &incoming->mail.node);
}

static void hand_over(struct consumer *consumer, struct lane *lane)
{
    struct cress_incoming *incoming = lane->incoming;
    lane->incoming = NULL;
    if (cress_window_push(&lane->window, &open_mark) != incoming->delivery.tag) {
        cress_connection_fail(consumer->link.connection, CRESS_INTERNAL, "delivery_tag",
                              "delivery tag %llu is out of order",
                              (unsigned long long)incoming->delivery.tag);
        free(incoming);
        return;
    }
    if (consumer->stopping && lane->state != LANE_CANCELLING) {
        give_back(lane, incoming);
        return;
    }
    struct cress_deliveries **batch = &consumer->batches[lane->group];
    if (!*batch) {
        *batch = CRESS_NEW(struct cress_deliveries);
        (*batch)->mail.kind = CRESS_MAIL_DELIVERIES;
        (*batch)->group = lane->group;
        cress_list_init(&(*batch)->list);
    }
    cress_list_append(&(*batch)->list, &incoming->delivery.node);
}

static void begin_content(struct consumer *consumer, struct lane *lane, const amqp_frame_t *frame)
{
    const uint64_t size = frame->payload.properties.body_size;
    if (!lane->deliver || size > BODY_MAX_BYTES) {
        cress_connection_fail(consumer->link.connection, CRESS_INTERNAL, "content",
                              "unexpected content of %llu bytes", (unsigned long long)size);
        return;
    }
    lane->incoming = cress_codec_incoming(lane->deliver, frame->payload.properties.decoded,
                                          (size_t)size, &lane->body_at);
    lane->incoming->mail.kind = CRESS_MAIL_SETTLE;
    lane->incoming->lane = (size_t)(lane->channel - CRESS_CHANNEL_FIRST);
    lane->incoming->delivery.queue = lane->queue;
    lane->incoming->delivery.epoch = lane->epoch;
    lane->incoming->delivery.priority = lane->priority;
    lane->deliver = NULL;
    lane->body_left = size;
}

static void take_content(struct consumer *consumer, struct lane *lane, const amqp_frame_t *frame)
{
    if (frame->frame_type == AMQP_FRAME_HEADER) {
        begin_content(consumer, lane, frame);
    } else if (lane->incoming && frame->payload.body_fragment.len <= lane->body_left) {
        const amqp_bytes_t part = frame->payload.body_fragment;
        memcpy(lane->body_at, part.bytes, part.len);
        lane->body_at += part.len;
        lane->body_left -= part.len;
    }
    if (lane->incoming && lane->body_left == 0) {
        hand_over(consumer, lane);
    }
}

static void end_cancelling(struct consumer *consumer, struct lane *lane)
{
    if (lane->state == LANE_CANCELLING) {
        lane->state = LANE_IDLE;
        consumer->cancels--;
    }
}

/* The last priority of a subscription makes it whole. */
static void activate(struct consumer *consumer, struct lane *lane)
{
    lane->state = LANE_ACTIVE;
    lane->failures = lane->crashes = 0;
    cress_made_answered(lane->name);
    for (size_t i = 0; i < consumer->lane_count; i++) {
        const struct lane *other = consumer->lanes[i];
        if (other->source == lane->source && other->state != LANE_ACTIVE) {
            return;
        }
    }
    note_source(consumer, lane, CRESS_MAIL_CONSUMING, NULL);
}

static void take_method(struct consumer *consumer, struct lane *lane, amqp_method_t method)
{
    struct cress_error err;
    switch (method.id) {
    case AMQP_BASIC_DELIVER_METHOD:
        lane->deliver = method.decoded;
        break;
    case AMQP_BASIC_CANCEL_OK_METHOD:
        end_cancelling(consumer, lane);
        break;
    case AMQP_BASIC_CONSUME_OK_METHOD:
        if (consumer->stopping) {
            cancel_late(consumer, lane);
            break;
        }
        if (lane->state == LANE_ASKED) {
            activate(consumer, lane);
        }
        if (lane->wants_more) {
            next_round(consumer, lane);
        }
        if (lane->paused && lane->state == LANE_ACTIVE) {
            cancel(consumer, lane);
        } else if (lane->wants_prefetch) {
            use_prefetch(consumer, lane);
        }
        break;
    case AMQP_BASIC_CANCEL_METHOD:
        end_cancelling(consumer, lane);
        lane->state = LANE_IDLE;
        forget_queue(consumer, lane);
        cress_error_set(
            &err, CRESS_NOT_FOUND, "consumer_cancelled",
            "the broker cancelled the consumer: the queue was deleted or has no leader");
        report(consumer, lane, &err);
        if (lane->declares == CRESS_LANE_DUE && lane->failures == 1) {
            lane->retry_at_ms = 0; /* what expires while it is gone waits for minutes in 3.10 */
        }
        break;
    case AMQP_CHANNEL_CLOSE_OK_METHOD:
        forget_channel(lane);
        lane->retry_at_ms = 0;
        break;
    case AMQP_CHANNEL_CLOSE_METHOD:
        cress_connection_channel_closed(consumer->link.connection, lane->channel, method.decoded,
                                        &err);
        cress_failure_name_permission("read", &err);
        end_cancelling(consumer, lane);
        forget_channel(lane);
        report(consumer, lane, &err);
        break;
    default:
        break;
    }
}

static void take_frame(struct cress_link *link, const amqp_frame_t *frame)
{
    struct consumer *consumer = consumer_of(link);
    const size_t index = frame->channel - CRESS_CHANNEL_FIRST;
    if (index >= consumer->lane_count) {
        return;
    }
    struct lane *lane = consumer->lanes[index];
    if (frame->frame_type == AMQP_FRAME_METHOD) {
        take_method(consumer, lane, frame->payload.method);
    } else {
        take_content(consumer, lane, frame);
    }
    if (!lane->deliver) {
        cress_connection_release(link->connection, frame->channel);
    }
}

/* --- settling --- */

static void take_settled(struct consumer *consumer, struct cress_incoming *incoming)
{
    struct lane *lane = consumer->lanes[incoming->lane];
    if (lane->epoch == incoming->delivery.epoch) {
        cress_list_append(&lane->settled, &incoming->mail.node);
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

/* Refusals leave at once; acknowledgements are only marked. What is handed back was not tried: since
 * 4.3 RabbitMQ counts a reject towards the delivery limit, but no nack. */
static void mark_settled(struct cress_connection *connection, struct lane *lane)
{
    for (struct cress_list *n = lane->settled.next; n != &lane->settled; n = n->next) {
        const struct cress_incoming *incoming =
            CRESS_CONTAINER(n, struct cress_incoming, mail.node);
        void **slot = cress_window_at(&lane->window, incoming->delivery.tag);
        if (!slot || *slot != &open_mark) {
            continue;
        }
        *slot = &acked_mark;
        if (incoming->how != CRESS_ACK) {
            amqp_basic_nack_t nack = {.delivery_tag = incoming->delivery.tag,
                                      .requeue = incoming->how == CRESS_REQUEUE};
            cress_connection_send(connection, lane->channel, AMQP_BASIC_NACK_METHOD, &nack);
            *slot = NULL;
        }
    }
}

/* Acknowledges the run from the oldest tag on; whatever in it was refused is settled already, and
 * not touched. */
static void ack_run(struct cress_connection *connection, struct lane *lane)
{
    uint64_t last = 0;
    size_t count = 0;
    for (uint64_t tag = lane->window.low; tag < lane->window.next; tag++) {
        void **slot = cress_window_at(&lane->window, tag);
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
        send_ack(connection, lane->channel, last, count > 1);
    }
    cress_window_trim(&lane->window);
}

static void settle_batch(struct consumer *consumer, struct lane *lane)
{
    struct cress_connection *connection = consumer->link.connection;
    mark_settled(connection, lane);
    ack_run(connection, lane);
    for (struct cress_list *node; (node = cress_list_shift(&lane->settled)) != NULL;) {
        struct cress_incoming *incoming = CRESS_CONTAINER(node, struct cress_incoming, mail.node);
        void **slot = cress_window_at(&lane->window, incoming->delivery.tag);
        if (slot && *slot == &acked_mark) {
            send_ack(connection, lane->channel, incoming->delivery.tag, false);
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

static void stop_consuming(struct consumer *consumer, struct cress_mail_note *note)
{
    consumer->stopping = true;
    consumer->stop = note;
    if (!consumer->link.connection) {
        return;
    }
    for (size_t i = 0; i < consumer->lane_count; i++) {
        struct lane *lane = consumer->lanes[i];
        /* One that has not answered basic.consume yet is cancelled when it has, and not waited for. */
        if (lane->state == LANE_ACTIVE) {
            cancel(consumer, lane);
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
    for (size_t i = 0; i < consumer->lane_count; i++) {
        struct lane *lane = consumer->lanes[i];
        const struct cress_backoff backoff = {
            .kind = CRESS_BACKOFF_LINEAR, .base_ms = CRASH_BASE_MS, .cap_ms = CRASH_MAX_MS};
        lane->retry_at_ms =
            lane->crashes
                ? cress_clock_mono_ms() + cress_backoff_ms(&backoff, lane->crashes, cress_random())
                : 0;
    }
}

/* RabbitMQ's own failure, not the network's: see DESIGN. */
static void suspect_waiting(struct consumer *consumer)
{
    if (strcmp(consumer->link.connection->error.code, CRESS_FAILURE_INTERNAL) != 0) {
        return;
    }
    for (size_t i = 0; i < consumer->lane_count; i++) {
        struct lane *lane = consumer->lanes[i];
        if (lane->state == LANE_ASKED) {
            struct cress_error err;
            lane->crashes++;
            cress_error_set(
                &err, CRESS_UNAVAILABLE, "no_process",
                "RabbitMQ fails when queue %s is consumed: it may have been interrupted in "
                "its making",
                lane->name);
            report(consumer, lane, &err);
        }
    }
}

static int work(struct cress_link *link)
{
    struct consumer *consumer = consumer_of(link);
    for (size_t i = 0; i < consumer->lane_count; i++) {
        if (!cress_list_is_empty(&consumer->lanes[i]->settled)) {
            settle_batch(consumer, consumer->lanes[i]);
        }
    }
    const int wait_ms = subscribe_due(consumer);
    for (size_t i = 0; i < CRESS_CONSUMERS_MAX; i++) {
        if (consumer->batches[i]) {
            cress_link_answer(link, &consumer->batches[i]->mail);
            consumer->batches[i] = NULL;
        }
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
    suspect_waiting(consumer);
    for (size_t i = 0; i < consumer->lane_count; i++) {
        forget_channel(consumer->lanes[i]);
    }
    for (size_t i = 0; i < CRESS_CONSUMERS_MAX; i++) {
        if (consumer->batches[i]) {
            cress_mail_free(&consumer->batches[i]->mail);
            consumer->batches[i] = NULL;
        }
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
        add_subscription(consumer, CRESS_CONTAINER(mail, struct cress_mail_note, mail));
        cress_mail_free(mail);
        break;
    case CRESS_MAIL_MORE:
        consume_more(consumer, CRESS_CONTAINER(mail, struct cress_mail_note, mail)->source);
        cress_mail_free(mail);
        break;
    case CRESS_MAIL_PAUSE:
    case CRESS_MAIL_RESUME:
        pause_source(consumer, CRESS_CONTAINER(mail, struct cress_mail_note, mail)->source,
                     mail->kind == CRESS_MAIL_PAUSE);
        cress_mail_free(mail);
        break;
    case CRESS_MAIL_PREFETCH:
        set_prefetch(consumer, CRESS_CONTAINER(mail, struct cress_mail_note, mail));
        cress_mail_free(mail);
        break;
    case CRESS_MAIL_STOP_CONSUMING:
        stop_consuming(consumer, CRESS_CONTAINER(mail, struct cress_mail_note, mail));
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
    for (size_t i = 0; i < consumer->lane_count; i++) {
        struct lane *lane = consumer->lanes[i];
        forget_channel(lane);
        cress_window_free(&lane->window);
        free(lane->queue);
        free(lane);
    }
    free(consumer->lanes);
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
