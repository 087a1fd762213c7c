// SPDX-License-Identifier: Apache-2.0
// The thread that publishes, with confirms.
//
// DESIGN
//   todo --basic.publish--> window (by delivery tag) --basic.ack--> answered
//    ^                          | channel closed, or unroutable and its queue may be declared again
//    +--------------------------+
//
// Returns. RabbitMQ sends basic.return before the basic.ack of the same publish, but other acks may
// come between, and a return carries no tag. But returns come in the order of the publishes, so a
// return belongs to the first publish in the window, after the one returned last, that has its
// exchange, routing key and message id (without an id: its body). Should two publishes be equal in
// all of these, they are the same message, and it is all the same which one is called unroutable.
//
// Errors. A publish that RabbitMQ refuses altogether (too large, forbidden, no such exchange)
// closes the channel, and nothing says which one it was. So the whole window is published again one
// by one, each waiting for its confirm, until the channel has closed on the guilty one.
#include "common/broker/publisher.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/broker/codec.h"
#include "common/broker/failure.h"
#include "common/broker/window.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHANNEL = CRESS_CHANNEL_FIRST,
    /* Encoded at once: large enough to make system calls rare, small enough to stay in the cache.
     */
    CHUNK_BYTES = 64 * 1024,
    CHUNKS_PER_TURN = 4,
    RETURNED_BODY_MAX = 1 << 30,
    /* Confirms take milliseconds. The upper bound is for a queue that has no quorum: being published
       to again and again does not help it. */
    SILENCE_MS = 5000,
    REFUSAL_MS = 1000,
    PATIENCE_MAX_MS = 60000,
};

/* A basic.return whose content is still arriving. The pointers live until the channel's buffers are
 * released. */
struct returning {
    const amqp_basic_return_t *method;
    const amqp_basic_properties_t *properties;
    struct cress_buf body;
    uint64_t body_size;
};

struct publisher {
    struct cress_link link;
    struct cress_list todo;     /* struct cress_operation */
    struct cress_window window; /* published, not confirmed */
    uint64_t return_cursor;     /* the tag after the one that was returned last */
    uint64_t suspects;          /* so many to go one by one */
    int64_t heard_ms;           /* monotonic: of the last confirm, or when one was last not due */
    int64_t patience_ms;        /* for the next one */
    char refused_key[CRESS_ROUTE_NAME_MAX]; /* a queue that refuses; "": none does */
    int64_t refused_ms;                     /* monotonic: since when */
    int64_t refusal_patience_ms;
    struct returning returning;
    amqp_table_entry_t *entries; /* room for a message's headers */
    size_t entry_capacity;
};

static struct publisher *publisher_of(struct cress_link *link)
{
    return CRESS_CONTAINER(link, struct publisher, link);
}

static struct cress_operation *operation_of(struct cress_list *node)
{
    return CRESS_CONTAINER(node, struct cress_operation, mail.node);
}

/* --- the channel --- */

static void open_channel(struct publisher *publisher)
{
    struct cress_connection *connection = publisher->link.connection;
    cress_window_reset(&publisher->window);
    publisher->return_cursor = 1;
    struct cress_error err;
    enum cress_status status = cress_connection_open_channel(connection, CHANNEL, &err);
    if (!status) {
        amqp_confirm_select_t request = {0};
        status = cress_connection_call(connection, CHANNEL, AMQP_CONFIRM_SELECT_METHOD, &request,
                                       AMQP_CONFIRM_SELECT_OK_METHOD, NULL, &err);
    }
    if (status) {
        cress_connection_fail(connection, err.status, err.code, "%s", err.message);
    }
}

static void connected(struct cress_link *link)
{
    struct publisher *publisher = publisher_of(link);
    publisher->heard_ms = cress_clock_mono_ms();
    open_channel(publisher);
}

/* Takes everything out of the window, in the order it was published. */
static size_t empty_window(struct publisher *publisher, struct cress_list *to)
{
    struct cress_window *window = &publisher->window;
    size_t count = 0;
    for (uint64_t tag = window->low; tag < window->next; tag++) {
        struct cress_operation *operation = *cress_window_at(window, tag);
        if (operation) {
            operation->returned = false;
            cress_list_append(to, &operation->mail.node);
            count++;
        }
    }
    cress_window_reset(window);
    return count;
}

/* To the front of `todo`. */
static void put_back(struct publisher *publisher, struct cress_operation *operation)
{
    operation->returned = false;
    cress_list_append(publisher->todo.next, &operation->mail.node);
}

static void lost(struct cress_link *link)
{
    struct publisher *publisher = publisher_of(link);
    struct cress_list all;
    cress_list_init(&all);
    empty_window(publisher, &all);
    cress_list_splice(&all, &publisher->todo);
    for (struct cress_list *node; (node = cress_list_shift(&all)) != NULL;) {
        operation_of(node)->redeclared = false;
        cress_link_hand_back(link, operation_of(node));
    }
    publisher->suspects = 0;
    publisher->returning.method = NULL;
}

/* --- outcomes --- */

static void finish(struct publisher *publisher, struct cress_operation *operation,
                   const struct cress_error *err)
{
    if (publisher->suspects) {
        publisher->suspects--;
    }
    cress_link_finish(&publisher->link, operation, err);
}

/* Whether the route was ours to declare and has not been declared again for this message yet. */
static bool may_redeclare(struct publisher *publisher, struct cress_operation *operation)
{
    const struct cress_message *message = operation->message;
    if (operation->redeclared || message->exchange[0] ||
        !cress_declarer_forget(&publisher->link.declarer, message->routing_key,
                               operation->delay_ms)) {
        return false;
    }
    operation->redeclared = true;
    put_back(publisher, operation);
    return true;
}

static int64_t longer(int64_t patience_ms)
{
    return 2 * patience_ms < PATIENCE_MAX_MS ? 2 * patience_ms : PATIENCE_MAX_MS;
}

/* A channel of RabbitMQ that is first published on while a queue elects its leader can come to refuse
 * everything for that queue, for ever; the next channel does not. A queue that is full refuses, too:
 * hence the growing patience. */
static void note_refusal(struct publisher *publisher, const char *key)
{
    const int64_t now_ms = cress_clock_mono_ms();
    if (!publisher->refused_key[0]) {
        snprintf(publisher->refused_key, sizeof publisher->refused_key, "%s", key);
        publisher->refused_ms = now_ms;
    } else if (now_ms - publisher->refused_ms >= publisher->refusal_patience_ms) {
        cress_connection_fail(publisher->link.connection, CRESS_UNAVAILABLE, "refused",
                              "queue %s has taken nothing for %lld ms", publisher->refused_key,
                              (long long)(now_ms - publisher->refused_ms));
        publisher->refused_ms = now_ms;
        publisher->refusal_patience_ms = longer(publisher->refusal_patience_ms);
    }
}

static void note_success(struct publisher *publisher, const char *key)
{
    if (publisher->refused_key[0] && strcmp(publisher->refused_key, key) == 0) {
        publisher->refused_key[0] = '\0';
        publisher->refusal_patience_ms = REFUSAL_MS;
    }
}

static void settle(struct publisher *publisher, struct cress_operation *operation, bool acked)
{
    struct cress_error err;
    if (!acked) {
        cress_error_set(&err, CRESS_UNAVAILABLE, "nacked",
                        "the broker could not store the message");
        note_refusal(publisher, operation->message->routing_key);
    } else if (!operation->returned) {
        note_success(publisher, operation->message->routing_key);
        finish(publisher, operation, NULL);
        return;
    } else if (may_redeclare(publisher, operation)) {
        return;
    } else {
        const char *exchange = operation->message->exchange;
        cress_error_set(&err, CRESS_NOT_FOUND, "unroutable", "there is no queue %s%s%s",
                        operation->message->routing_key, exchange[0] ? " behind exchange " : "",
                        exchange);
    }
    finish(publisher, operation, &err);
}

static void confirm(struct publisher *publisher, uint64_t tag, bool multiple, bool acked)
{
    struct cress_window *window = &publisher->window;
    publisher->heard_ms = cress_clock_mono_ms();
    publisher->patience_ms = SILENCE_MS;
    /* Tag 0 with `multiple` means all (0-9-1, basic.ack). */
    const uint64_t last = multiple && tag == 0 ? window->next - 1 : tag;
    for (uint64_t t = multiple ? window->low : last; t <= last && t < window->next; t++) {
        void **slot = cress_window_at(window, t);
        if (slot && *slot) {
            struct cress_operation *operation = *slot;
            *slot = NULL;
            settle(publisher, operation, acked);
        }
    }
    cress_window_trim(window);
}

/* --- returns --- */

static bool is_same_text(amqp_bytes_t bytes, bool present, const char *text)
{
    return present ? text && cress_bytes_equal(bytes, text) : !text;
}

/* The routing key that it was published with. */
static const char *address_of(const struct cress_operation *operation)
{
    return operation->delay_ms ? operation->delay_queue : operation->message->routing_key;
}

static bool is_returned(const struct returning *returning, const struct cress_operation *operation)
{
    const struct cress_message *message = operation->message;
    const amqp_basic_return_t *method = returning->method;
    const amqp_basic_properties_t *properties = returning->properties;
    if (!cress_bytes_equal(method->routing_key, address_of(operation)) ||
        !cress_bytes_equal(method->exchange, message->exchange) ||
        !is_same_text(properties->message_id, properties->_flags & AMQP_BASIC_MESSAGE_ID_FLAG,
                      message->message_id)) {
        return false;
    }
    return message->message_id ||
           (message->body_size == returning->body.size &&
            memcmp(message->body ? message->body : "", cress_buf_text(&returning->body),
                   message->body_size) == 0);
}

static void mark_returned(struct publisher *publisher)
{
    struct cress_window *window = &publisher->window;
    for (uint64_t tag = publisher->return_cursor; tag < window->next; tag++) {
        void **slot = cress_window_at(window, tag);
        struct cress_operation *operation = slot ? *slot : NULL;
        if (operation && is_returned(&publisher->returning, operation)) {
            operation->returned = true;
            publisher->return_cursor = tag + 1;
            break;
        }
    }
    publisher->returning.method = NULL;
    cress_buf_free(&publisher->returning.body);
}

/* The content of a basic.return: a header, then body frames. */
static void take_content(struct publisher *publisher, const amqp_frame_t *frame)
{
    struct returning *returning = &publisher->returning;
    if (!returning->method) {
        return;
    }
    if (frame->frame_type == AMQP_FRAME_HEADER) {
        returning->properties = frame->payload.properties.decoded;
        returning->body_size = frame->payload.properties.body_size;
    } else {
        const amqp_bytes_t part = frame->payload.body_fragment;
        cress_buf_add(&returning->body, part.bytes, part.len);
    }
    if (returning->body.size >= returning->body_size) {
        mark_returned(publisher);
    }
}

/* --- frames --- */

static void channel_closed(struct publisher *publisher, const amqp_channel_close_t *close)
{
    struct cress_error err;
    cress_connection_channel_closed(publisher->link.connection, CHANNEL, close, &err);
    publisher->returning.method = NULL;
    struct cress_list pending;
    cress_list_init(&pending);
    const size_t count = empty_window(publisher, &pending);
    if (count == 1) {
        struct cress_operation *operation = operation_of(cress_list_shift(&pending));
        if (err.status != CRESS_NOT_FOUND || !may_redeclare(publisher, operation)) {
            finish(publisher, operation, &err);
        }
    } else {
        publisher->suspects = count;
        cress_list_splice(&pending, &publisher->todo);
        cress_list_splice(&publisher->todo, &pending);
    }
    open_channel(publisher);
}

static void take_method(struct publisher *publisher, amqp_method_t method)
{
    switch (method.id) {
    case AMQP_BASIC_ACK_METHOD: {
        const amqp_basic_ack_t *ack = method.decoded;
        confirm(publisher, ack->delivery_tag, ack->multiple, true);
        break;
    }
    case AMQP_BASIC_NACK_METHOD: {
        const amqp_basic_nack_t *nack = method.decoded;
        confirm(publisher, nack->delivery_tag, nack->multiple, false);
        break;
    }
    case AMQP_BASIC_RETURN_METHOD:
        publisher->returning.method = method.decoded;
        cress_buf_clear(&publisher->returning.body);
        break;
    case AMQP_CHANNEL_CLOSE_METHOD:
        channel_closed(publisher, method.decoded);
        break;
    default:
        break;
    }
}

static void take_frame(struct cress_link *link, const amqp_frame_t *frame)
{
    struct publisher *publisher = publisher_of(link);
    if (frame->channel != CHANNEL) {
        return;
    }
    if (frame->frame_type == AMQP_FRAME_METHOD) {
        take_method(publisher, frame->payload.method);
    } else {
        take_content(publisher, frame);
    }
    if (!publisher->returning.method) {
        cress_connection_release(link->connection, CHANNEL);
    }
}

/* --- publishing --- */

static void reserve_entries(struct publisher *publisher, size_t count)
{
    if (count > publisher->entry_capacity) {
        publisher->entries =
            cress_realloc_array(publisher->entries, count, sizeof *publisher->entries);
        publisher->entry_capacity = count;
    }
}

static enum cress_status publish(struct publisher *publisher,
                                 const struct cress_operation *operation, struct cress_error *err)
{
    const struct cress_message *message = operation->message;
    enum cress_status status = CRESS_OK;
    if (!message->exchange[0]) {
        status = cress_declarer_route(&publisher->link.declarer, message->routing_key,
                                      operation->delay_ms, err);
    }
    if (status) {
        return status;
    }
    amqp_basic_publish_t method = {.exchange = amqp_cstring_bytes(message->exchange),
                                   .routing_key = amqp_cstring_bytes(address_of(operation)),
                                   .mandatory = 1};
    amqp_basic_properties_t properties;
    reserve_entries(publisher, message->header_count + 1);
    cress_codec_properties(message, operation->delay_ms ? message->routing_key : NULL,
                           publisher->entries, &properties);
    const amqp_bytes_t body = {.len = message->body_size, .bytes = (void *)message->body};
    return cress_connection_publish(publisher->link.connection, CHANNEL, &method, &properties, body,
                                    err);
}

/* A message may have waited for a connection, or behind others: its delay is counted from now. */
static void choose_delay(const struct publisher *publisher, struct cress_operation *operation)
{
    const int64_t due_ms = operation->message->due_ms;
    const int steps = publisher->link.declarer.delay_steps;
    operation->delay_ms = due_ms ? cress_delay_for(steps, due_ms - cress_clock_wall_ms()) : 0;
    if (operation->delay_ms) {
        cress_delay_queue_name(operation->delay_ms, 1, operation->delay_queue);
    }
}

static void publish_next(struct publisher *publisher)
{
    struct cress_operation *operation = operation_of(cress_list_shift(&publisher->todo));
    struct cress_error err;
    choose_delay(publisher, operation);
    const enum cress_status status = publish(publisher, operation, &err);
    if (publisher->link.connection->broken) {
        put_back(publisher, operation);
    } else if (status) {
        finish(publisher, operation, &err);
    } else {
        cress_window_push(&publisher->window, operation);
    }
}

static bool may_publish(const struct publisher *publisher)
{
    const bool is_window_empty = publisher->window.low == publisher->window.next;
    return !publisher->link.connection->broken && !cress_list_is_empty(&publisher->todo) &&
           (!publisher->suspects || is_window_empty);
}

static void hand_back_todo(struct publisher *publisher)
{
    for (struct cress_list *node; (node = cress_list_shift(&publisher->todo)) != NULL;) {
        cress_link_hand_back(&publisher->link, operation_of(node));
    }
}

/* A channel of RabbitMQ can hang for a minute and more when it is first published on while a queue
 * has no leader, although all else is well; the next one does not. So a connection on which nothing
 * is confirmed for long is given up, and what was published there is published again. Returns the
 * milliseconds until that would be due, -1: nothing is waited for. */
static int check_silence(struct publisher *publisher)
{
    struct cress_connection *connection = publisher->link.connection;
    const int64_t now_ms = cress_clock_mono_ms();
    if (publisher->window.low == publisher->window.next || connection->blocked) {
        publisher->heard_ms = now_ms;
        return -1;
    }
    const int64_t left_ms = publisher->heard_ms + publisher->patience_ms - now_ms;
    if (left_ms > 0) {
        return (int)left_ms;
    }
    cress_connection_fail(connection, CRESS_UNAVAILABLE, "no_confirms",
                          "the broker has confirmed nothing for %lld ms",
                          (long long)publisher->patience_ms);
    publisher->patience_ms = longer(publisher->patience_ms);
    return -1;
}

static int work(struct cress_link *link)
{
    struct publisher *publisher = publisher_of(link);
    struct cress_connection *connection = link->connection;
    check_silence(publisher); /* before there is something to wait for, perhaps */
    if (connection->blocked) {
        hand_back_todo(publisher);
        return -1;
    }
    for (int i = 0; i < CHUNKS_PER_TURN; i++) {
        while (may_publish(publisher) && cress_connection_unsent(connection) < CHUNK_BYTES) {
            publish_next(publisher);
        }
        cress_connection_flush(connection);
        if (!may_publish(publisher) || cress_connection_unsent(connection)) {
            return check_silence(publisher);
        }
    }
    return 0;
}

static void take_mail(struct cress_link *link, struct cress_mail *mail)
{
    struct publisher *publisher = publisher_of(link);
    switch (mail->kind) {
    case CRESS_MAIL_PUBLISH:
        cress_list_append(&publisher->todo, &mail->node);
        if (!link->connection) {
            hand_back_todo(publisher);
        }
        break;
    case CRESS_MAIL_INSPECT:
    case CRESS_MAIL_ENSURE:
        cress_link_ask(link, CRESS_CONTAINER(mail, struct cress_operation, mail));
        break;
    case CRESS_MAIL_ALLOW:
        cress_declarer_allow(&link->declarer,
                             CRESS_CONTAINER(mail, struct cress_note, mail)->queue);
        cress_mail_free(mail);
        break;
    default:
        cress_mail_free(mail);
        break;
    }
}

static void free_publisher(struct cress_link *link)
{
    struct publisher *publisher = publisher_of(link);
    cress_mail_free_all(&publisher->todo);
    cress_window_free(&publisher->window);
    cress_buf_free(&publisher->returning.body);
    free(publisher->entries);
    free(publisher);
}

static const struct cress_link_role role = {
    .connected = connected,
    .mail = take_mail,
    .frame = take_frame,
    .work = work,
    .lost = lost,
    .free = free_publisher,
};

struct cress_link *cress_publisher_new(struct cress_endpoint endpoint, int delay_steps,
                                       void (*outbox_wake)(void *arg), void *arg)
{
    struct publisher *publisher = CRESS_NEW(struct publisher);
    cress_list_init(&publisher->todo);
    cress_window_reset(&publisher->window);
    publisher->patience_ms = SILENCE_MS;
    publisher->refusal_patience_ms = REFUSAL_MS;
    publisher->returning.body = cress_buf_make(RETURNED_BODY_MAX);
    cress_link_init(&publisher->link, &role, endpoint, outbox_wake, arg);
    publisher->link.declarer.delay_steps = delay_steps;
    return &publisher->link;
}
