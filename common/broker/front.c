// SPDX-License-Identifier: Apache-2.0
// The broker as the loop sees it; see broker.h. What runs on the threads is in publisher.c and
// consumer.c.
#include "common/broker/broker.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/broker/consumer.h"
#include "common/broker/operations.h"
#include "common/broker/publisher.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    /* A thread that has not ended by then is cut short, and as much later left behind. */
    CLOSE_STEP_MS = 500,
    LOG_INTERVAL_MS = 10000,
    /* Acknowledgements wait at most this long to become a batch of prefetch / SETTLE_PARTS. */
    SETTLE_DELAY_MS = 2,
    SETTLE_PARTS = 16,
    HANDLES = 5,
};

/* A connection, and what the loop knows about it. */
struct side {
    struct cress_link *link; /* NULL: not wanted, or released */
    enum cress_broker_state state;
    struct cress_log_limit log_limit;
};

/* A subscription. */
struct source {
    char *queue;
    size_t group; /* whose */
};

struct cress_broker {
    struct cress_broker_options options;
    uv_loop_t *loop;
    struct side publisher, consumer;
    struct side *main; /* the one whose state counts */
    struct cress_error why;
    char server[128];
    struct cress_operations operations;
    struct cress_list settled; /* struct cress_incoming, struct cress_mail_note: for the consumer */
    bool settle_now;           /* at the end of this turn */
    uv_timer_t settle_timer;   /* or then */
    size_t settled_count;      /* deliveries in `settled` */
    size_t prefetch;           /* over all subscriptions */

    struct source *sources; /* what is subscribed to */
    size_t source_count;
    struct cress_consumer consumers[CRESS_CONSUMERS_MAX];
    size_t consumer_count;

    uv_async_t wake;       /* a thread has posted something */
    uv_prepare_t turn_end; /* before the loop sleeps */
    uv_timer_t close_timer;
    bool closing;
    int close_step;
    int open_handles;
    void (*closed)(void *arg);
    void *closed_arg;
};

/* --- mail from the threads --- */

static void log_loss(struct side *side, const char *name, const struct cress_error *err)
{
    uint64_t suppressed;
    if (cress_log_allow(&side->log_limit, LOG_INTERVAL_MS, &suppressed)) {
        cress_log(CRESS_LOG_WARN, "broker connection lost, trying again",
                  CRESS_KV("connection", name), CRESS_KV_ERROR(err),
                  CRESS_KVI("suppressed", suppressed));
    }
}

static void change_state(struct cress_broker *broker, struct side *side,
                         const struct cress_state_note *note)
{
    side->state = note->state;
    if (note->server[0]) {
        snprintf(broker->server, sizeof broker->server, "%s", note->server);
    }
    if (side != broker->main) {
        if (note->state == CRESS_BROKER_CONNECTING && !broker->closing) {
            log_loss(side, "consume", &note->err);
        }
        return;
    }
    broker->why = note->err;
    if (note->state == CRESS_BROKER_BLOCKED) {
        cress_error_set(&broker->why, CRESS_UNAVAILABLE, "broker_blocked",
                        "RabbitMQ takes no messages now: it is short of memory or disk space");
    }
    cress_operations_set_ready(&broker->operations, note->state == CRESS_BROKER_READY,
                               &broker->why);
    if (broker->options.on_state && !broker->closing) {
        broker->options.on_state(note->state, broker->why.status ? &broker->why : NULL,
                                 broker->options.arg);
    } else if (note->state != CRESS_BROKER_READY && !broker->closing) {
        log_loss(side, "main", &broker->why);
    }
}

static void take_deliveries(struct cress_broker *broker, struct cress_deliveries *deliveries)
{
    if (!broker->closing) {
        const struct cress_consumer *told = &broker->consumers[deliveries->group];
        told->on_deliveries(&deliveries->list, told->arg);
    }
}

static void tell_about_queue(struct cress_broker *broker, const struct cress_mail_note *note)
{
    const char *queue = broker->sources[note->source].queue;
    const struct cress_consumer *told = &broker->consumers[broker->sources[note->source].group];
    if (broker->closing) {
        return;
    }
    if (note->mail.kind == CRESS_MAIL_PROBLEM && told->on_problem) {
        told->on_problem(queue, &note->err, told->arg);
    } else if (note->mail.kind == CRESS_MAIL_CONSUMING && told->on_consuming) {
        told->on_consuming(queue, told->arg);
    }
}

static void release_side(struct cress_broker *broker, struct side *side);

static void take_mail(struct cress_broker *broker, struct side *side, struct cress_mail *mail)
{
    switch (mail->kind) {
    case CRESS_MAIL_PUBLISH:
    case CRESS_MAIL_INSPECT:
    case CRESS_MAIL_ENSURE:
        cress_operations_receive(&broker->operations,
                                 CRESS_CONTAINER(mail, struct cress_operation, mail));
        return;
    case CRESS_MAIL_DELIVERIES:
        take_deliveries(broker, CRESS_CONTAINER(mail, struct cress_deliveries, mail));
        break;
    case CRESS_MAIL_STATE:
        change_state(broker, side, CRESS_CONTAINER(mail, struct cress_state_note, mail));
        break;
    case CRESS_MAIL_CONSUMING:
    case CRESS_MAIL_PROBLEM:
        tell_about_queue(broker, CRESS_CONTAINER(mail, struct cress_mail_note, mail));
        break;
    case CRESS_MAIL_FLUSH:
    case CRESS_MAIL_STOP_CONSUMING: {
        const struct cress_mail_note *note = CRESS_CONTAINER(mail, struct cress_mail_note, mail);
        note->done(note->arg);
        break;
    }
    case CRESS_MAIL_EXITED:
        release_side(broker, side);
        return;
    default:
        break;
    }
    cress_mail_free(mail);
}

static void take_all(struct cress_broker *broker, struct side *side)
{
    if (!side->link) {
        return;
    }
    struct cress_list batch;
    cress_list_init(&batch);
    do {
        cress_mailbox_take(&side->link->outbox, &batch);
        for (struct cress_list *node; (node = cress_list_shift(&batch)) != NULL;) {
            take_mail(broker, side, CRESS_CONTAINER(node, struct cress_mail, node));
        }
    } while (side->link && !cress_mailbox_sleep(&side->link->outbox));
}

static void on_wake(uv_async_t *wake)
{
    struct cress_broker *broker = CRESS_CONTAINER(wake, struct cress_broker, wake);
    take_all(broker, &broker->publisher);
    take_all(broker, &broker->consumer);
}

/* Called by the threads, under the mailbox's lock. */
static void wake_loop(void *arg)
{
    uv_async_send(arg);
}

/* --- mail to the threads: one batch for each turn of the loop --- */

static void on_settle_time(uv_timer_t *timer)
{
    CRESS_CONTAINER(timer, struct cress_broker, settle_timer)->settle_now = true;
}

/* Each acknowledgement that leaves is an entry in a quorum queue's log, however many deliveries it
 * covers. So they are held for a moment, until they are a sizable part of the prefetch: early
 * enough for RabbitMQ to send on without a pause. */
static void send_settled(struct cress_broker *broker)
{
    if (cress_list_is_empty(&broker->settled) || !broker->consumer.link) {
        return;
    }
    if (!broker->settle_now && broker->settled_count * SETTLE_PARTS < broker->prefetch) {
        if (!uv_is_active((uv_handle_t *)&broker->settle_timer)) {
            uv_timer_start(&broker->settle_timer, on_settle_time, SETTLE_DELAY_MS, 0);
        }
        return;
    }
    broker->settle_now = false;
    uv_timer_stop(&broker->settle_timer);
    broker->settled_count = 0;
    cress_link_post(broker->consumer.link, &broker->settled);
}

static void on_turn_end(uv_prepare_t *prepare)
{
    struct cress_broker *broker = CRESS_CONTAINER(prepare, struct cress_broker, turn_end);
    if (broker->main->link) {
        cress_operations_send(&broker->operations, broker->main->link);
    }
    send_settled(broker);
}

/* --- opening --- */

static struct cress_endpoint endpoint_of(const struct cress_broker_options *options,
                                         const char *purpose)
{
    const struct cress_config *config = options->config;
    struct cress_endpoint endpoint = {
        .ca_file = cress_strdup(config->broker_ca_file ? config->broker_ca_file : ""),
        .name = cress_format("%s (%s)", options->name ? options->name : "cress", purpose),
        .heartbeat_ms = config->broker_heartbeat_ms,
        .connect_timeout_ms = config->broker_connect_timeout_ms,
        .reconnect_max_ms = config->broker_reconnect_max_ms,
    };
    cress_endpoint_set_url(&endpoint, config->broker_url);
    return endpoint;
}

static void post_queue(struct cress_link *link, enum cress_mail_kind kind, const char *queue)
{
    struct cress_mail_note *note = CRESS_NEW(struct cress_mail_note);
    note->mail.kind = kind;
    note->queue = cress_strdup(queue);
    cress_link_post_one(link, &note->mail);
}

static void allow_queue(struct cress_broker *broker, const char *queue)
{
    if (broker->publisher.link && !cress_config_is_passive(broker->options.config, queue)) {
        post_queue(broker->publisher.link, CRESS_MAIL_ALLOW, queue);
    }
}

static void init_handles(struct cress_broker *broker)
{
    cress_operations_init(&broker->operations, broker->loop);
    uv_timer_init(broker->loop, &broker->settle_timer);
    uv_timer_init(broker->loop, &broker->close_timer);
    uv_prepare_init(broker->loop, &broker->turn_end);
    uv_prepare_start(&broker->turn_end, on_turn_end);
    uv_unref((uv_handle_t *)&broker->turn_end);
    broker->open_handles = HANDLES;
}

static void start_links(struct cress_broker *broker)
{
    const struct cress_broker_options *options = &broker->options;
    if (options->roles & CRESS_BROKER_CONSUME) {
        broker->consumer.link =
            cress_consumer_new(endpoint_of(options, "consume"), wake_loop, &broker->wake);
        broker->main = &broker->consumer;
    }
    if (options->roles & CRESS_BROKER_PUBLISH) {
        broker->publisher.link = cress_publisher_new(
            endpoint_of(options, "publish"), cress_delay_steps(options->config->broker_delay_steps),
            options->declares_delays, wake_loop, &broker->wake);
        broker->main = &broker->publisher;
        for (size_t i = 0; i < options->config->queue_count; i++) {
            allow_queue(broker, options->config->queues[i].name);
        }
        cress_link_start(broker->publisher.link);
    }
    if (broker->consumer.link) {
        cress_link_start(broker->consumer.link);
    }
}

enum cress_status cress_broker_open(uv_loop_t *loop, const struct cress_broker_options *options,
                                    struct cress_broker **out, struct cress_error *err)
{
    assert(options->roles);
    const enum cress_status status = cress_endpoint_check(options->config->broker_url, err);
    if (status) {
        return status;
    }
    struct cress_broker *broker = CRESS_NEW(struct cress_broker);
    if (uv_async_init(loop, &broker->wake, on_wake) != 0) {
        free(broker);
        return cress_error_set(err, CRESS_INTERNAL, NULL, "no file descriptor for the event loop");
    }
    broker->options = *options;
    broker->loop = loop;
    cress_list_init(&broker->settled);
    init_handles(broker);
    cress_error_set(&broker->why, CRESS_UNAVAILABLE, "connecting", "not connected yet");
    broker->operations.why = broker->why;
    start_links(broker);
    *out = broker;
    return CRESS_OK;
}

/* --- closing --- */

static void free_broker(struct cress_broker *broker)
{
    cress_mail_free_all(&broker->settled);
    for (size_t i = 0; i < broker->source_count; i++) {
        free(broker->sources[i].queue);
    }
    free(broker->sources);
    free(broker);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct cress_broker *broker = handle->data;
    if (--broker->open_handles > 0) {
        return;
    }
    void (*closed)(void *arg) = broker->closed;
    void *arg = broker->closed_arg;
    free_broker(broker);
    if (closed) {
        closed(arg);
    }
}

static void close_handle(struct cress_broker *broker, void *handle)
{
    uv_handle_t *h = handle;
    h->data = broker;
    uv_close(h, on_handle_closed);
}

static void release_side(struct cress_broker *broker, struct side *side)
{
    if (side->link) {
        /* What is with the thread goes with it: it is answered while it is still there. */
        if (side == broker->main) {
            cress_operations_cancel(&broker->operations);
        }
        cress_link_release(side->link);
        side->link = NULL;
    }
    if (broker->publisher.link || broker->consumer.link) {
        return;
    }
    cress_operations_cancel(&broker->operations);
    close_handle(broker, &broker->operations.timer);
    close_handle(broker, &broker->settle_timer);
    close_handle(broker, &broker->close_timer);
    close_handle(broker, &broker->turn_end);
    close_handle(broker, &broker->wake);
}

static void on_close_step(uv_timer_t *timer)
{
    struct cress_broker *broker = CRESS_CONTAINER(timer, struct cress_broker, close_timer);
    struct side *sides[] = {&broker->publisher, &broker->consumer};
    const bool last = broker->close_step++ > 0;
    for (size_t i = 0; i < CRESS_COUNT(sides); i++) {
        if (!sides[i]->link) {
            continue;
        }
        if (last) {
            release_side(broker, sides[i]);
        } else {
            cress_link_shut_down(sides[i]->link);
        }
    }
}

void cress_broker_close(struct cress_broker *broker, void (*closed)(void *arg), void *arg)
{
    assert(!broker->closing);
    broker->closing = true;
    broker->closed = closed;
    broker->closed_arg = arg;
    broker->settle_now = true;
    on_turn_end(&broker->turn_end);
    struct side *sides[] = {&broker->publisher, &broker->consumer};
    for (size_t i = 0; i < CRESS_COUNT(sides); i++) {
        if (sides[i]->link) {
            cress_link_quit(sides[i]->link);
        }
    }
    uv_timer_start(&broker->close_timer, on_close_step, CLOSE_STEP_MS, CLOSE_STEP_MS);
}

enum cress_broker_state cress_broker_state(const struct cress_broker *broker,
                                           struct cress_error *why)
{
    if (why) {
        *why = broker->why;
    }
    return broker->main->state;
}

void cress_broker_server(const struct cress_broker *broker, char *text, size_t size)
{
    snprintf(text, size, "%s", broker->server);
}

/* --- operations --- */

static struct cress_operation *new_operation(enum cress_mail_kind kind, void *arg)
{
    struct cress_operation *operation = CRESS_NEW(struct cress_operation);
    operation->mail.kind = kind;
    operation->arg = arg;
    return operation;
}

void cress_broker_publish(struct cress_broker *broker, const struct cress_message *message,
                          int64_t timeout_ms, cress_publish_cb done, void *arg)
{
    assert(broker->options.roles & CRESS_BROKER_PUBLISH);
    struct cress_operation *operation = new_operation(CRESS_MAIL_PUBLISH, arg);
    operation->done.publish = done;
    operation->message = cress_message_clone(message);
    cress_operations_add(&broker->operations, operation, timeout_ms);
}

void cress_broker_probe(struct cress_broker *broker, int64_t timeout_ms, cress_publish_cb done,
                        void *arg)
{
    const struct cress_message canary = {
        .exchange = "", .routing_key = CRESS_CANARY_QUEUE, .type = CRESS_CANARY_TYPE};
    cress_broker_publish(broker, &canary, timeout_ms, done, arg);
}

size_t cress_broker_in_flight(const struct cress_broker *broker)
{
    return broker->operations.in_flight;
}

void cress_broker_inspect(struct cress_broker *broker, const char *const *names, int64_t timeout_ms,
                          void (*done)(const struct cress_queue_stats *stats, size_t count,
                                       const struct cress_error *err, void *arg),
                          void *arg)
{
    struct cress_operation *operation = new_operation(CRESS_MAIL_INSPECT, arg);
    operation->done.inspect = done;
    while (names[operation->stat_count]) {
        operation->stat_count++;
    }
    operation->stats = cress_alloc(operation->stat_count * sizeof *operation->stats);
    for (size_t i = 0; i < operation->stat_count; i++) {
        snprintf(operation->stats[i].name, sizeof operation->stats[i].name, "%s", names[i]);
    }
    cress_operations_add(&broker->operations, operation, timeout_ms);
}

static void ask_for(struct cress_broker *broker, enum cress_ensure ensure, const char *name,
                    int64_t timeout_ms, cress_publish_cb done, void *arg)
{
    struct cress_operation *operation = new_operation(CRESS_MAIL_ENSURE, arg);
    operation->done.publish = done;
    operation->name = cress_strdup(name);
    operation->ensure = ensure;
    cress_operations_add(&broker->operations, operation, timeout_ms);
}

void cress_broker_ensure_queue(struct cress_broker *broker, const char *name, int64_t timeout_ms,
                               cress_publish_cb done, void *arg)
{
    ask_for(broker, CRESS_ENSURE_QUEUE, name, timeout_ms, done, arg);
}

void cress_broker_declare(struct cress_broker *broker, const char *queue, int64_t timeout_ms,
                          cress_publish_cb done, void *arg)
{
    ask_for(broker, CRESS_ENSURE_WORK_QUEUE, queue, timeout_ms, done, arg);
}

void cress_broker_claim(struct cress_broker *broker, const char *name, int64_t timeout_ms,
                        cress_publish_cb done, void *arg)
{
    ask_for(broker, CRESS_ENSURE_CLAIM, name, timeout_ms, done, arg);
}

void cress_broker_may_consume(struct cress_broker *broker, const char *name, int64_t timeout_ms,
                              cress_publish_cb done, void *arg)
{
    ask_for(broker, CRESS_ENSURE_READABLE, name, timeout_ms, done, arg);
}

/* --- consuming --- */

static enum cress_lane_declares declares(const struct cress_broker *broker,
                                         const struct cress_subscription *subscription)
{
    if (strcmp(subscription->queue, CRESS_DUE_QUEUE) == 0) {
        return CRESS_LANE_DUE;
    }
    const bool as_is =
        subscription->raw || cress_config_is_passive(broker->options.config, subscription->queue);
    return as_is ? CRESS_LANE_AS_IS : CRESS_LANE_WORK_QUEUE;
}

static void subscribe(struct cress_broker *broker, const struct cress_subscription *subscription)
{
    const char *queue = subscription->queue;
    const size_t source = broker->source_count++;
    broker->sources[source].queue = cress_strdup(queue);
    broker->sources[source].group = broker->consumer_count;
    struct cress_mail_note *note = CRESS_NEW(struct cress_mail_note);
    note->mail.kind = CRESS_MAIL_CONSUME;
    note->queue = cress_strdup(queue);
    note->declares = declares(broker, subscription);
    note->group = broker->consumer_count;
    note->paced = subscription->paced;
    note->paused = subscription->paused;
    note->prefetch = subscription->prefetch;
    note->each = subscription->each;
    note->source = source;
    cress_link_post_one(broker->consumer.link, &note->mail);
    if (!subscription->raw) {
        allow_queue(broker, queue);
    }
}

void cress_broker_consume(struct cress_broker *broker,
                          const struct cress_subscription *subscriptions, size_t count,
                          const struct cress_consumer *consumer)
{
    assert(broker->consumer.link && broker->consumer_count < CRESS_CONSUMERS_MAX);
    broker->consumers[broker->consumer_count] = *consumer;
    broker->sources =
        cress_realloc_array(broker->sources, broker->source_count + count, sizeof *broker->sources);
    for (size_t i = 0; i < count; i++) {
        subscribe(broker, &subscriptions[i]);
        /* Of its own; what is acknowledged early for the others' sake costs little there. */
        const bool is_due = strcmp(subscriptions[i].queue, CRESS_DUE_QUEUE) == 0;
        broker->prefetch += is_due ? 0 : (size_t)subscriptions[i].prefetch;
    }
    broker->consumer_count++;
}

static void post_number(struct cress_broker *broker, const char *queue, enum cress_mail_kind kind,
                        int number)
{
    for (size_t i = 0; i < broker->source_count; i++) {
        if (strcmp(broker->sources[i].queue, queue) == 0) {
            struct cress_mail_note *note = CRESS_NEW(struct cress_mail_note);
            note->mail.kind = kind;
            note->source = i;
            note->prefetch = number;
            cress_link_post_one(broker->consumer.link, &note->mail);
        }
    }
}

static void post_about(struct cress_broker *broker, const char *queue, enum cress_mail_kind kind)
{
    post_number(broker, queue, kind, 0);
}

void cress_broker_more(struct cress_broker *broker, const char *queue)
{
    post_about(broker, queue, CRESS_MAIL_MORE);
}

void cress_broker_pause(struct cress_broker *broker, const char *queue)
{
    post_about(broker, queue, CRESS_MAIL_PAUSE);
}

void cress_broker_resume(struct cress_broker *broker, const char *queue)
{
    post_about(broker, queue, CRESS_MAIL_RESUME);
}

/* With one work queue at a time - the usual case - the newest number is what acknowledgements must
 * keep up with. */
void cress_broker_set_prefetch(struct cress_broker *broker, const char *queue, int prefetch)
{
    broker->prefetch = (size_t)prefetch;
    post_number(broker, queue, CRESS_MAIL_PREFETCH, prefetch);
}

void cress_delivery_leave(struct cress_delivery *delivery)
{
    free(CRESS_CONTAINER(delivery, struct cress_incoming, delivery));
}

static void post_settled(struct cress_broker *broker, struct cress_incoming *incoming,
                         enum cress_settlement how)
{
    incoming->how = how;
    broker->settled_count++;
    cress_list_append(&broker->settled, &incoming->mail.node);
}

void cress_delivery_settle(struct cress_broker *broker, struct cress_delivery *delivery,
                           enum cress_settlement how)
{
    struct cress_incoming *incoming = CRESS_CONTAINER(delivery, struct cress_incoming, delivery);
    if (delivery->tag == 0) {
        cress_mail_free(&incoming->mail);
    } else {
        post_settled(broker, incoming, how);
    }
}

/* The thread needs to know only where the delivery came from. */
void cress_delivery_ack_now(struct cress_broker *broker, struct cress_delivery *delivery)
{
    const struct cress_incoming *incoming =
        CRESS_CONTAINER(delivery, struct cress_incoming, delivery);
    struct cress_incoming *shell = CRESS_NEW(struct cress_incoming);
    shell->mail.kind = incoming->mail.kind;
    shell->lane = incoming->lane;
    shell->delivery.tag = delivery->tag;
    shell->delivery.epoch = delivery->epoch;
    delivery->tag = 0;
    post_settled(broker, shell, CRESS_ACK);
}

/* A question that the consumer's thread answers by sending it back, after all that was settled
 * before. */
static void post_call(struct cress_broker *broker, enum cress_mail_kind kind,
                      void (*done)(void *arg), void *arg)
{
    assert(broker->consumer.link);
    struct cress_mail_note *note = CRESS_NEW(struct cress_mail_note);
    note->mail.kind = kind;
    note->done = done;
    note->arg = arg;
    cress_list_append(&broker->settled, &note->mail.node);
    broker->settle_now = true;
}

void cress_broker_stop_consuming(struct cress_broker *broker, void (*stopped)(void *arg), void *arg)
{
    post_call(broker, CRESS_MAIL_STOP_CONSUMING, stopped, arg);
}

void cress_broker_flush(struct cress_broker *broker, void (*done)(void *arg), void *arg)
{
    post_call(broker, CRESS_MAIL_FLUSH, done, arg);
}
