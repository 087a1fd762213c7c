// SPDX-License-Identifier: Apache-2.0
// The thread that publishes, with confirms.
//
// DESIGN
//   todo --> its route --(room, see health.h)--> an outlet's window --basic.ack--> answered
//     ^        held <--refused, silent--------------|
//     +-----unroutable, and its queue may be declared again; a delay that does not answer
//
// A *route* is a queue that is published to. All routes that are well share one channel. RabbitMQ
// can hang a channel, or make it refuse for ever, that is first published on while a queue has no
// leader; the next channel is well. So the first publishes to a queue go on a channel of their own,
// few at a time, and so does all for a queue that refuses or says nothing, from a fresh channel each
// time it is tried again. Nobody else waits for it. Only when nothing at all is confirmed any more,
// the connection is given up.
//
// Errors. A publish that RabbitMQ refuses altogether (too large, forbidden) closes the channel, and
// nothing says which one it was. What is larger than anything that was confirmed so far therefore
// goes alone, on a channel for such, and so does, one by one, what was open on a channel that was
// closed all the same.
//
// Delays. A delay queue that does not answer is not waited for: its messages take the next shorter
// one, which gives them back early, to be sent on. One that goes on saying nothing is replaced by a
// queue of the next generation.
#include "common/broker/publisher.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/broker/codec.h"
#include "common/broker/failure.h"
#include "common/broker/health.h"
#include "common/broker/made.h"
#include "common/broker/outlet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    /* Encoded at once: large enough to make system calls rare, small enough to stay in the cache.
     */
    CHUNK_BYTES = 64 * 1024,
    CHUNKS_PER_TURN = 4,
    OUTLETS_MAX = 64,
    LEAVING_MAX = 32,
    ROUTES_MAX = 256,
    /* No larger message is suspected of being too large. */
    SMALL_BYTES = 64 * 1024,
    CHECK_INTERVAL_MS = 100,
    /* For a lone message that is on its way, and for all together. */
    SILENCE_MS = 5000,
    /* A refused publish is tried again for so long: an election is over by then. */
    REFUSED_TRY_MS = 3000,
    /* It is answered before its deadline is up, so that the answer says why. */
    DEADLINE_MARGIN_MS = 30,
    /* A delay queue that has said nothing for so long is replaced, and so is one that was interrupted
       in its making. */
    REPLACE_MS = 15000,
    /* What was published within this time counts for being ready. */
    LATELY_MS = 60000,
};

/* A queue that is published to. */
struct route {
    struct cress_list node;
    char exchange[CRESS_ROUTE_NAME_MAX];
    char key[CRESS_ROUTE_NAME_MAX];
    int64_t delay_ms; /* of a delay queue; 0: another */
    struct cress_health health;
    struct cress_outlet *own; /* NULL: it uses the common one */
    struct cress_list held;   /* struct cress_operation: for which there is no room */
    int64_t used_ms;          /* monotonic */
    int64_t probe_ms; /* monotonic: when a probe was sent that is not answered; 0: none is */
};

struct publisher {
    struct cress_link link;
    struct cress_list todo;   /* struct cress_operation */
    struct cress_list routes; /* the one used last is the first */
    size_t route_count;
    size_t held; /* operations that routes hold */
    struct cress_outlet outlets[OUTLETS_MAX];
    struct cress_outlet *common, *lone; /* NULL: not open yet */
    int64_t lone_ms;                    /* monotonic: when the lone one was sent */
    size_t proven_bytes;                /* the largest body that was confirmed */
    int64_t heard_ms;                   /* of the last confirm of any */
    int64_t check_ms;                   /* when the routes are looked at next */
    unsigned ladder_at;                 /* the next delay to be declared beforehand */
    bool declares_ladder;
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

static void put_first(struct cress_list *list, struct cress_operation *operation)
{
    cress_list_append(list->next, &operation->mail.node);
}

/* All of `from` before all of `to`. */
static void splice_first(struct cress_list *to, struct cress_list *from)
{
    cress_list_splice(from, to);
    cress_list_splice(to, from);
}

/* --- routes --- */

static bool is_sick(const struct route *route)
{
    return route && (route->health.state == CRESS_HEALTH_SILENT ||
                     route->health.state == CRESS_HEALTH_REFUSING);
}

static struct route *find_route(struct publisher *publisher, const char *exchange, const char *key)
{
    for (struct cress_list *n = publisher->routes.next; n != &publisher->routes; n = n->next) {
        struct route *route = CRESS_CONTAINER(n, struct route, node);
        if (strcmp(route->key, key) == 0 && strcmp(route->exchange, exchange) == 0) {
            return route;
        }
    }
    return NULL;
}

/* Replies go to queues of any number of names: those that were not used for longest are forgotten, when
 * nothing is wrong with them. */
static void forget_route(struct publisher *publisher)
{
    struct route *route = CRESS_CONTAINER(publisher->routes.prev, struct route, node);
    if (publisher->route_count > ROUTES_MAX && !is_sick(route) && !route->health.in_flight &&
        !route->own && cress_list_is_empty(&route->held)) {
        cress_list_remove(&route->node);
        free(route);
        publisher->route_count--;
    }
}

/* NULL, when a name is longer than AMQP allows. */
static struct route *route_to(struct publisher *publisher, const char *exchange, const char *key)
{
    struct route *route = find_route(publisher, exchange, key);
    if (route) {
        if (publisher->routes.next != &route->node) {
            cress_list_remove(&route->node);
            cress_list_append(publisher->routes.next, &route->node);
        }
        return route;
    }
    if (strlen(key) >= CRESS_ROUTE_NAME_MAX || strlen(exchange) >= CRESS_ROUTE_NAME_MAX) {
        return NULL;
    }
    route = CRESS_NEW(struct route);
    snprintf(route->exchange, sizeof route->exchange, "%s", exchange);
    snprintf(route->key, sizeof route->key, "%s", key);
    route->delay_ms = exchange[0] ? 0 : cress_delay_of(key);
    cress_list_init(&route->held);
    cress_list_append(publisher->routes.next, &route->node);
    publisher->route_count++;
    forget_route(publisher);
    return route;
}

/* --- outlets --- */

/* NULL: all are in use. */
static struct cress_outlet *take_outlet(struct publisher *publisher, void *owner)
{
    struct cress_outlet *closed = NULL;
    for (size_t i = 0; i < OUTLETS_MAX; i++) {
        struct cress_outlet *outlet = &publisher->outlets[i];
        if (outlet->state == CRESS_OUTLET_OPEN && !outlet->owner) {
            outlet->owner = owner;
            return outlet;
        }
        if (outlet->state == CRESS_OUTLET_CLOSED && !closed) {
            closed = outlet;
        }
    }
    if (closed) {
        cress_outlet_open(closed, publisher->link.connection);
        closed->owner = owner;
    }
    return closed;
}

/* One that waits for nothing may be another's, unless something is wrong with it. */
static void give_up_outlet(struct publisher *publisher, struct cress_outlet *outlet, bool is_well)
{
    if (is_well && cress_outlet_is_idle(outlet)) {
        outlet->owner = NULL;
    } else if (!is_well) {
        cress_outlet_leave(outlet, publisher->link.connection);
    }
}

/* What was open waits on: for another delay, or for this queue. */
static void wait_on(struct publisher *publisher, struct route *route, struct cress_list *open)
{
    for (struct cress_list *n = open->next; n != open; n = n->next) {
        cress_health_landed(&route->health);
        publisher->held += route->delay_ms == 0;
    }
    splice_first(route->delay_ms ? &publisher->todo : &route->held, open);
}

/* Nothing that is open on it is answered any more. */
static void leave_own(struct publisher *publisher, struct route *route)
{
    if (route->own) {
        struct cress_list open;
        cress_list_init(&open);
        cress_outlet_take(route->own, NULL, false, &open);
        wait_on(publisher, route, &open);
        give_up_outlet(publisher, route->own, false);
        route->own = NULL;
        route->probe_ms = 0;
    }
}

/* A queue that was never sick joins the others. */
static void join_others(struct publisher *publisher, struct route *route)
{
    struct cress_outlet *outlet = route->own;
    route->own = NULL;
    give_up_outlet(publisher, outlet, true);
}

/* --- the connection --- */

static void hand_back_all(struct publisher *publisher, struct cress_list *list)
{
    for (struct cress_list *node; (node = cress_list_shift(list)) != NULL;) {
        operation_of(node)->redeclared = operation_of(node)->is_suspect = false;
        operation_of(node)->refused_ms = 0;
        cress_link_hand_back(&publisher->link, operation_of(node));
    }
}

/* What has not been published. */
static void hand_back_waiting(struct publisher *publisher)
{
    hand_back_all(publisher, &publisher->todo);
    for (struct cress_list *n = publisher->routes.next; n != &publisher->routes; n = n->next) {
        hand_back_all(publisher, &CRESS_CONTAINER(n, struct route, node)->held);
    }
    publisher->held = 0;
}

static void lost(struct cress_link *link)
{
    struct publisher *publisher = publisher_of(link);
    struct cress_list all;
    cress_list_init(&all);
    for (size_t i = 0; i < OUTLETS_MAX; i++) {
        cress_outlet_take(&publisher->outlets[i], NULL, false, &all);
        cress_window_reset(&publisher->outlets[i].window);
        publisher->outlets[i].returning.method = NULL;
        publisher->outlets[i].state = CRESS_OUTLET_CLOSED;
        publisher->outlets[i].owner = NULL;
    }
    hand_back_all(publisher, &all);
    hand_back_waiting(publisher);
    publisher->common = publisher->lone = NULL;
    for (struct cress_list *n = publisher->routes.next; n != &publisher->routes; n = n->next) {
        struct route *route = CRESS_CONTAINER(n, struct route, node);
        route->own = NULL;
        route->probe_ms = 0;
        cress_health_reset(&route->health);
    }
}

/* --- outcomes --- */

static void answer(struct publisher *publisher, struct cress_operation *operation,
                   const struct cress_error *err)
{
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
    operation->returned = false;
    put_first(&publisher->todo, operation);
    return true;
}

/* Whether there is still time to try a publish again at `retry_ms`. */
static bool has_time(const struct cress_operation *operation, int64_t retry_ms)
{
    const int64_t deadline_ms = operation->deadline.at_ms;
    return retry_ms - operation->refused_ms <= REFUSED_TRY_MS &&
           (!deadline_ms || retry_ms <= deadline_ms - DEADLINE_MARGIN_MS);
}

static void refuse(struct publisher *publisher, struct cress_operation *operation)
{
    struct cress_error err;
    cress_error_set(&err, CRESS_UNAVAILABLE, "nacked",
                    "the broker does not take it: queue %s "
                    "is full or has no leader",
                    cress_operation_address(operation));
    answer(publisher, operation, &err);
}

static void hold(struct publisher *publisher, struct route *route,
                 struct cress_operation *operation, bool first)
{
    publisher->held++;
    if (first) {
        put_first(&route->held, operation);
    } else {
        cress_list_append(&route->held, &operation->mail.node);
    }
}

static void note_sickness(const struct route *route, int64_t now_ms)
{
    cress_log(CRESS_LOG_WARN,
              route->delay_ms ? "delay queue takes nothing, a shorter one is used"
                              : "queue confirms nothing, trying on",
              CRESS_KV("queue", route->key), CRESS_KVI("ms", now_ms - route->health.heard_ms));
}

/* What waits behind it learns of it when its own time is up: see check_held(). */
static void take_refusal(struct publisher *publisher, struct route *route,
                         struct cress_operation *operation, int64_t now_ms)
{
    if (route->delay_ms && !is_sick(route)) {
        note_sickness(route, now_ms);
    }
    cress_health_refused(&route->health, now_ms);
    if (!operation->refused_ms) {
        operation->refused_ms = now_ms;
    }
    if (has_time(operation, route->health.retry_ms) && route->delay_ms) {
        put_first(&publisher->todo, operation); /* another delay takes it */
    } else if (has_time(operation, route->health.retry_ms)) {
        hold(publisher, route, operation, true);
    } else {
        refuse(publisher, operation);
    }
    if (route->health.in_flight == 0) {
        leave_own(publisher, route);
    }
}

static void say_unroutable(struct publisher *publisher, struct cress_operation *operation)
{
    struct cress_error err;
    const char *exchange = operation->message->exchange;
    cress_error_set(&err, CRESS_NOT_FOUND, "unroutable", "there is no queue %s%s%s",
                    operation->message->routing_key, exchange[0] ? " behind exchange " : "",
                    exchange);
    answer(publisher, operation, &err);
}

static void note_recovery(struct route *route)
{
    if (route->health.state == CRESS_HEALTH_SILENT || (route->delay_ms && is_sick(route))) {
        cress_log(CRESS_LOG_INFO, "queue takes messages again", CRESS_KV("queue", route->key));
    }
}

static void take_confirm(struct publisher *publisher, struct route *route, int64_t now_ms)
{
    const bool was_new = route->health.state == CRESS_HEALTH_NEW;
    note_recovery(route);
    if (was_new && !route->exchange[0]) {
        cress_made_answered(route->key);
    }
    route->probe_ms = 0;
    cress_health_confirmed(&route->health, now_ms);
    if (was_new && route->own) {
        join_others(publisher, route);
    }
}

/* Whether everything that was asked for lately says nothing: then a canary's confirm is not the
 * whole truth. */
static enum cress_status judge(const struct publisher *publisher, int64_t now_ms,
                               struct cress_error *err)
{
    const struct route *sick = NULL;
    for (struct cress_list *n = publisher->routes.next; n != &publisher->routes; n = n->next) {
        const struct route *route = CRESS_CONTAINER(n, struct route, node);
        if (strcmp(route->key, CRESS_CANARY_QUEUE) == 0 || route->delay_ms ||
            now_ms - route->used_ms > LATELY_MS) {
            continue;
        }
        if (!is_sick(route)) {
            return CRESS_OK;
        }
        sick = route;
    }
    if (!sick) {
        return CRESS_OK;
    }
    return cress_error_set(err, CRESS_UNAVAILABLE, "queues_sick",
                           "no queue that was published to lately takes anything: %s has %s for "
                           "%lld s",
                           sick->key,
                           sick->health.state == CRESS_HEALTH_SILENT ? "said nothing" : "refused",
                           (long long)(now_ms - sick->health.sick_ms) / 1000);
}

static void settle(struct publisher *publisher, struct cress_operation *operation, bool acked,
                   int64_t now_ms)
{
    struct route *route = operation->route;
    cress_health_landed(&route->health);
    if (!acked) {
        take_refusal(publisher, route, operation, now_ms);
        return;
    }
    take_confirm(publisher, route, now_ms);
    if (operation->message->body_size > publisher->proven_bytes) {
        publisher->proven_bytes = operation->message->body_size;
    }
    struct cress_error err;
    if (!operation->returned) {
        const bool is_canary = strcmp(route->key, CRESS_CANARY_QUEUE) == 0;
        answer(publisher, operation, is_canary && judge(publisher, now_ms, &err) ? &err : NULL);
    } else if (!may_redeclare(publisher, operation)) {
        say_unroutable(publisher, operation);
    }
}

/* A probe of a route is answered, and with it the question how the route is. */
static void settle_probe(struct publisher *publisher, struct route *route, bool acked,
                         int64_t now_ms)
{
    if (route && acked) {
        take_confirm(publisher, route, now_ms);
    } else if (route) {
        cress_health_refused(&route->health, now_ms);
        leave_own(publisher, route);
    }
}

static void confirm(struct publisher *publisher, struct cress_outlet *outlet, uint64_t tag,
                    bool multiple, bool acked)
{
    struct cress_window *window = &outlet->window;
    const int64_t now_ms = publisher->heard_ms = cress_clock_mono_ms();
    /* Tag 0 with `multiple` means all (0-9-1, basic.ack). */
    const uint64_t last = multiple && tag == 0 ? window->next - 1 : tag;
    for (uint64_t t = multiple ? window->low : last; t <= last && t < window->next; t++) {
        void **slot = cress_window_at(window, t);
        void *value = slot ? *slot : NULL;
        if (value) {
            *slot = NULL;
        }
        if (value == &cress_outlet_probe) {
            settle_probe(publisher, outlet->owner, acked, now_ms);
        } else if (value) {
            settle(publisher, value, acked, now_ms);
        }
    }
    cress_window_trim(window);
    const struct route *owner = outlet->owner;
    if (owner && outlet != publisher->common && outlet != publisher->lone && owner->own != outlet &&
        outlet->state == CRESS_OUTLET_OPEN) {
        give_up_outlet(publisher, outlet, true);
    }
}

/* --- frames --- */

/* The only one that was open is guilty; of several, each goes alone. */
static void channel_closed(struct publisher *publisher, struct cress_outlet *outlet,
                           const amqp_channel_close_t *close)
{
    struct cress_error err;
    cress_connection_channel_closed(publisher->link.connection, outlet->number, close, &err);
    cress_failure_name_permission("write", &err);
    struct cress_list open;
    cress_list_init(&open);
    const size_t count = cress_outlet_take(outlet, NULL, false, &open);
    for (struct cress_list *n = open.next; n != &open; n = n->next) {
        struct route *route = operation_of(n)->route;
        cress_health_landed(&route->health);
        operation_of(n)->is_suspect = true;
    }
    cress_window_reset(&outlet->window);
    outlet->returning.method = NULL;
    outlet->state = CRESS_OUTLET_CLOSED;
    struct route *owner = outlet->owner;
    if (outlet == publisher->common || outlet == publisher->lone) {
        *(outlet == publisher->common ? &publisher->common : &publisher->lone) = NULL;
    } else if (owner && owner->own == outlet) {
        owner->own = NULL;
        owner->health.in_flight = 0;
        owner->probe_ms = 0;
    }
    outlet->owner = NULL;
    if (count == 1) {
        struct cress_operation *operation = operation_of(cress_list_shift(&open));
        if (err.status != CRESS_NOT_FOUND || !may_redeclare(publisher, operation)) {
            answer(publisher, operation, &err);
        }
    }
    splice_first(&publisher->todo, &open);
}

static void take_method(struct publisher *publisher, struct cress_outlet *outlet,
                        amqp_method_t method)
{
    switch (method.id) {
    case AMQP_BASIC_ACK_METHOD: {
        const amqp_basic_ack_t *ack = method.decoded;
        confirm(publisher, outlet, ack->delivery_tag, ack->multiple, true);
        break;
    }
    case AMQP_BASIC_NACK_METHOD: {
        const amqp_basic_nack_t *nack = method.decoded;
        confirm(publisher, outlet, nack->delivery_tag, nack->multiple, false);
        break;
    }
    case AMQP_BASIC_RETURN_METHOD:
        cress_outlet_returned(outlet, method.decoded);
        break;
    case AMQP_CHANNEL_CLOSE_METHOD:
        channel_closed(publisher, outlet, method.decoded);
        break;
    default:
        break;
    }
}

/* On its way out it may still be told that the broker has closed it, too. */
static void take_leaving(struct publisher *publisher, struct cress_outlet *outlet,
                         const amqp_frame_t *frame)
{
    if (frame->frame_type != AMQP_FRAME_METHOD) {
        return;
    }
    if (frame->payload.method.id == AMQP_CHANNEL_CLOSE_METHOD) {
        struct cress_error err;
        cress_connection_channel_closed(publisher->link.connection, outlet->number,
                                        frame->payload.method.decoded, &err);
    } else if (frame->payload.method.id == AMQP_CHANNEL_CLOSE_OK_METHOD) {
        outlet->state = CRESS_OUTLET_CLOSED;
    }
}

static void take_frame(struct cress_link *link, const amqp_frame_t *frame)
{
    struct publisher *publisher = publisher_of(link);
    const size_t index = frame->channel - CRESS_CHANNEL_FIRST;
    if (index >= OUTLETS_MAX) {
        return;
    }
    struct cress_outlet *outlet = &publisher->outlets[index];
    if (outlet->state == CRESS_OUTLET_LEAVING) {
        take_leaving(publisher, outlet, frame);
    } else if (frame->frame_type == AMQP_FRAME_METHOD) {
        take_method(publisher, outlet, frame->payload.method);
    } else {
        cress_outlet_content(outlet, frame);
    }
    if (!outlet->returning.method) {
        cress_connection_release(link->connection, frame->channel);
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

/* CRESS_OK, too, when the connection broke. */
static enum cress_status publish(struct publisher *publisher, const struct cress_outlet *outlet,
                                 const struct cress_operation *operation, struct cress_error *err)
{
    const struct cress_message *message = operation->message;
    amqp_basic_publish_t method = {.exchange = amqp_cstring_bytes(message->exchange),
                                   .routing_key =
                                       amqp_cstring_bytes(cress_operation_address(operation)),
                                   .mandatory = 1};
    amqp_basic_properties_t properties;
    reserve_entries(publisher, message->header_count + 1);
    cress_codec_properties(message, operation->delay_ms ? message->routing_key : NULL,
                           publisher->entries, &properties);
    const amqp_bytes_t body = {.len = message->body_size, .bytes = (void *)message->body};
    return cress_connection_publish(publisher->link.connection, outlet->number, &method,
                                    &properties, body, err);
}

static bool must_go_alone(const struct publisher *publisher,
                          const struct cress_operation *operation)
{
    const size_t size = operation->message->body_size;
    return operation->is_suspect || (size > SMALL_BYTES && size > publisher->proven_bytes);
}

static struct cress_outlet *shared_outlet(struct publisher *publisher, struct cress_outlet **which)
{
    if (!*which) {
        *which = take_outlet(publisher, publisher);
    }
    return *which;
}

/* Where it can be published now; NULL: nowhere yet. */
static struct cress_outlet *place(struct publisher *publisher, struct route *route,
                                  const struct cress_operation *operation, int64_t now_ms)
{
    const bool goes_alone = must_go_alone(publisher, operation);
    if (route->health.state == CRESS_HEALTH_GOOD && !route->own) {
        if (!goes_alone) {
            return shared_outlet(publisher, &publisher->common);
        }
        struct cress_outlet *lone = shared_outlet(publisher, &publisher->lone);
        return lone && cress_outlet_is_idle(lone) ? lone : NULL;
    }
    const bool is_busy = route->own && !cress_outlet_is_idle(route->own);
    if (cress_health_room(&route->health, now_ms) == 0 || (goes_alone && is_busy)) {
        return NULL;
    }
    if (!route->own) {
        route->own = take_outlet(publisher, route);
    }
    return route->own;
}

/* False: there is no room for it now. Else it is published, or answered. */
static bool try_publish(struct publisher *publisher, struct route *route,
                        struct cress_operation *operation)
{
    const int64_t now_ms = cress_clock_mono_ms();
    struct cress_outlet *outlet = place(publisher, route, operation, now_ms);
    if (!outlet) {
        return false;
    }
    struct cress_error err;
    const enum cress_status status = publish(publisher, outlet, operation, &err);
    if (publisher->link.connection->broken) {
        put_first(&publisher->todo, operation);
    } else if (status) {
        answer(publisher, operation, &err);
    } else {
        cress_window_push(&outlet->window, operation);
        cress_health_sent(&route->health, now_ms);
        publisher->lone_ms = outlet == publisher->lone ? now_ms : publisher->lone_ms;
    }
    return true;
}

/* A message may have waited for a connection, or behind others: its delay is counted from now. */
static enum cress_status choose_delay(struct publisher *publisher,
                                      struct cress_operation *operation, struct cress_error *err)
{
    struct cress_declarer *declarer = &publisher->link.declarer;
    const struct cress_message *message = operation->message;
    const int64_t due_ms = message->due_ms;
    const int64_t longest_ms =
        due_ms ? cress_delay_for(declarer->delay_steps, due_ms - cress_clock_wall_ms()) : 0;
    unsigned index = longest_ms ? cress_delay_index(declarer->delay_steps, longest_ms) : 0;
    operation->delay_ms = longest_ms;
    for (;;) {
        const enum cress_status status =
            cress_declarer_route(declarer, message->routing_key, operation->delay_ms, err);
        if (status || !operation->delay_ms) {
            return status;
        }
        cress_declarer_delay_name(declarer, operation->delay_ms, operation->delay_queue);
        if (index == 0 || !is_sick(find_route(publisher, "", operation->delay_queue))) {
            return CRESS_OK;
        }
        operation->delay_ms = cress_delay_at(declarer->delay_steps, --index);
    }
}

static void publish_next(struct publisher *publisher)
{
    struct cress_operation *operation = operation_of(cress_list_shift(&publisher->todo));
    struct cress_error err;
    enum cress_status status = CRESS_OK;
    if (!operation->message->exchange[0]) {
        status = choose_delay(publisher, operation, &err);
    }
    if (publisher->link.connection->broken) {
        put_first(&publisher->todo, operation);
        return;
    }
    struct route *route =
        route_to(publisher, operation->message->exchange, cress_operation_address(operation));
    if (!status && !route) {
        status = cress_error_set(&err, CRESS_INVALID, "message_properties",
                                 "an exchange or a routing key is longer than 255 bytes");
    }
    if (status) {
        answer(publisher, operation, &err);
        return;
    }
    const int64_t now_ms = cress_clock_mono_ms();
    operation->route = route;
    route->used_ms = now_ms;
    if (cress_list_is_empty(&route->held) && try_publish(publisher, route, operation)) {
        return;
    }
    if (cress_health_fails_fast(&route->health, now_ms)) {
        refuse(publisher, operation);
    } else {
        hold(publisher, route, operation, false);
    }
}

static void publish_held(struct publisher *publisher, struct route *route)
{
    while (!cress_list_is_empty(&route->held) && !publisher->link.connection->broken &&
           cress_connection_unsent(publisher->link.connection) < CHUNK_BYTES) {
        struct cress_operation *operation = operation_of(cress_list_shift(&route->held));
        publisher->held--;
        if (!try_publish(publisher, route, operation)) {
            hold(publisher, route, operation, true);
            return;
        }
    }
}

static void publish_all_held(struct publisher *publisher)
{
    for (struct cress_list *n = publisher->routes.next; n != &publisher->routes && publisher->held;
         n = n->next) {
        publish_held(publisher, CRESS_CONTAINER(n, struct route, node));
    }
}

/* --- silence --- */

/* An empty message that is due at once, and that whoever gets it drops. */
static void publish_probe(struct publisher *publisher, struct route *route)
{
    if (!route->own) {
        route->own = take_outlet(publisher, route);
    }
    if (!route->own) {
        return;
    }
    amqp_basic_publish_t method = {.exchange = amqp_cstring_bytes(""),
                                   .routing_key = amqp_cstring_bytes(route->key),
                                   .mandatory = 1};
    amqp_basic_properties_t properties = {
        ._flags = AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_TYPE_FLAG | AMQP_BASIC_EXPIRATION_FLAG,
        .delivery_mode = AMQP_DELIVERY_PERSISTENT,
        .type = amqp_cstring_bytes(CRESS_CANARY_TYPE),
        .expiration = amqp_cstring_bytes("1")};
    struct cress_error err;
    if (!cress_connection_publish(publisher->link.connection, route->own->number, &method,
                                  &properties, amqp_empty_bytes, &err)) {
        cress_window_push(&route->own->window, &cress_outlet_probe);
        route->probe_ms = cress_clock_mono_ms();
    }
}

/* Everything that is open of it, on whatever channel, waits on. With `leave_probes` late answers are
 * heard as those of probes. */
static void take_back(struct publisher *publisher, struct route *route, bool leave_probes)
{
    struct cress_list open;
    cress_list_init(&open);
    for (size_t i = 0; i < OUTLETS_MAX; i++) {
        struct cress_outlet *outlet = &publisher->outlets[i];
        cress_outlet_take(outlet, route, leave_probes && outlet == route->own, &open);
    }
    wait_on(publisher, route, &open);
}

/* A delay queue that says nothing keeps its channel: a late answer shows that it is well. */
static void fall_silent(struct publisher *publisher, struct route *route, int64_t now_ms)
{
    if (!is_sick(route)) {
        note_sickness(route, now_ms);
    }
    take_back(publisher, route, route->delay_ms != 0);
    route->probe_ms = 0;
    cress_health_silent(&route->health, now_ms);
    if (!route->delay_ms) {
        leave_own(publisher, route);
    }
}

/* A delay queue of the next generation takes its place. Should this one come back, what is in it
 * comes out. */
static void replace_delay(struct publisher *publisher, struct route *route)
{
    cress_log(CRESS_LOG_WARN, "delay queue has said nothing for long and is replaced",
              CRESS_KV("queue", route->key));
    take_back(publisher, route, false); /* nothing points to it any more */
    leave_own(publisher, route);
    cress_declarer_replace_delay(&publisher->link.declarer, route->delay_ms);
    for (struct cress_list *n = route->held.next; n != &route->held; n = n->next) {
        publisher->held--;
    }
    splice_first(&publisher->todo, &route->held);
    cress_list_remove(&route->node);
    publisher->route_count--;
    free(route);
}

/* A queue other than a delay queue: its name is the one that all know. */
static bool is_stillborn(struct publisher *publisher, const struct route *route, int64_t now_ms)
{
    struct cress_declarer *declarer = &publisher->link.declarer;
    return !route->exchange[0] && route->health.state == CRESS_HEALTH_SILENT &&
           now_ms - route->health.sick_ms >= REPLACE_MS &&
           now_ms - publisher->heard_ms < SILENCE_MS && cress_made_is_doubtful(route->key) &&
           cress_declarer_is_stillborn(declarer, route->key);
}

/* What was for it waits until it has been made again. */
static void remake_queue(struct publisher *publisher, struct route *route)
{
    struct cress_outlet *outlet = take_outlet(publisher, publisher);
    if (!outlet) {
        return;
    }
    cress_declarer_discard(&publisher->link.declarer, outlet->number, route->key);
    cress_outlet_leave(outlet, publisher->link.connection);
    cress_declarer_forget(&publisher->link.declarer, route->key, 0);
    take_back(publisher, route, false);
    leave_own(publisher, route);
    route->health = (struct cress_health){0};
}

/* Nothing at all is confirmed, although others are waited for, too. */
static bool is_all_silent(const struct publisher *publisher, const struct route *route,
                          int64_t now_ms)
{
    return route->health.state == CRESS_HEALTH_GOOD && now_ms - publisher->heard_ms >= SILENCE_MS;
}

static void check_route(struct publisher *publisher, struct route *route, int64_t now_ms)
{
    const bool is_delay = route->delay_ms != 0;
    if (is_delay && is_sick(route) && now_ms - route->health.sick_ms >= REPLACE_MS) {
        replace_delay(publisher, route);
        return;
    }
    if (!is_delay && is_stillborn(publisher, route, now_ms)) {
        remake_queue(publisher, route);
        return;
    }
    if (is_delay && is_sick(route) && !route->probe_ms && now_ms >= route->health.retry_ms) {
        publish_probe(publisher, route); /* nothing else is sent to it */
    }
    const bool is_probed_in_vain = route->probe_ms && now_ms - route->probe_ms >= SILENCE_MS;
    if (!is_probed_in_vain && cress_health_patience_ms(&route->health, is_delay, now_ms) != 0) {
        return;
    }
    if (is_all_silent(publisher, route, now_ms)) {
        cress_connection_fail(publisher->link.connection, CRESS_UNAVAILABLE, "no_confirms",
                              "the broker has confirmed nothing for %lld ms",
                              (long long)(now_ms - publisher->heard_ms));
        return;
    }
    fall_silent(publisher, route, now_ms);
}

/* What waits at a queue that refuses is answered before its time is up; what waits at one that is
 * silent has been answered when it is. */
static bool has_waited_enough(const struct route *route, struct cress_operation *operation,
                              int64_t now_ms)
{
    if (route->health.state != CRESS_HEALTH_REFUSING) {
        return operation->deadline.at_ms && now_ms > operation->deadline.at_ms;
    }
    if (!operation->refused_ms) {
        operation->refused_ms = now_ms;
    }
    return !has_time(operation, now_ms);
}

static void check_held(struct publisher *publisher, struct route *route, int64_t now_ms)
{
    if (cress_list_is_empty(&route->held)) {
        return;
    }
    struct cress_list kept;
    cress_list_init(&kept);
    for (struct cress_list *node; (node = cress_list_shift(&route->held)) != NULL;) {
        struct cress_operation *operation = operation_of(node);
        if (!has_waited_enough(route, operation, now_ms)) {
            cress_list_append(&kept, node);
        } else {
            publisher->held--;
            refuse(publisher, operation);
        }
    }
    cress_list_splice(&route->held, &kept);
}

/* A channel that hangs never says that it is closed. When that many do, only a new connection has
 * channels enough for those queues that are well. */
static void check_leaving(struct publisher *publisher)
{
    size_t leaving = 0;
    for (size_t i = 0; i < OUTLETS_MAX; i++) {
        leaving += publisher->outlets[i].state == CRESS_OUTLET_LEAVING;
    }
    if (leaving > LEAVING_MAX) {
        cress_connection_fail(publisher->link.connection, CRESS_UNAVAILABLE, "channels_hang",
                              "%zu channels to queues that say nothing were not closed", leaving);
    }
}

static void check_lone(struct publisher *publisher, int64_t now_ms)
{
    struct cress_outlet *lone = publisher->lone;
    if (!lone || cress_outlet_is_idle(lone) ||
        cress_connection_unsent(publisher->link.connection)) {
        publisher->lone_ms = now_ms;
    } else if (now_ms - publisher->lone_ms >= SILENCE_MS) {
        struct cress_list open;
        cress_list_init(&open);
        cress_outlet_take(lone, NULL, false, &open);
        for (struct cress_list *n = open.next; n != &open; n = n->next) {
            struct route *route = operation_of(n)->route;
            cress_health_landed(&route->health);
        }
        splice_first(&publisher->todo, &open);
        cress_outlet_leave(lone, publisher->link.connection);
        publisher->lone = NULL;
    }
}

/* Returns the milliseconds until it is due again; -1: nothing is waited for. */
static int check_routes(struct publisher *publisher)
{
    const int64_t now_ms = cress_clock_mono_ms();
    if (now_ms < publisher->check_ms) {
        return (int)(publisher->check_ms - now_ms);
    }
    bool is_waiting = publisher->held > 0;
    for (struct cress_list *n = publisher->routes.next, *next; n != &publisher->routes; n = next) {
        struct route *route = CRESS_CONTAINER(n, struct route, node);
        next = n->next;
        if (publisher->link.connection->blocked) {
            route->health.heard_ms = publisher->heard_ms = now_ms;
        }
        is_waiting = is_waiting || route->health.in_flight || route->probe_ms || is_sick(route);
        check_held(publisher, route, now_ms);
        check_route(publisher, route, now_ms);
    }
    check_lone(publisher, now_ms);
    check_leaving(publisher);
    publisher->check_ms = now_ms + CHECK_INTERVAL_MS;
    return is_waiting ? CHECK_INTERVAL_MS : -1;
}

/* --- the ladder, beforehand --- */

/* One delay a turn, so that what is to be published meanwhile does not wait. Returns whether there
 * are more. */
static bool declare_next_delay(struct publisher *publisher)
{
    struct cress_declarer *declarer = &publisher->link.declarer;
    if (!publisher->declares_ladder ||
        publisher->ladder_at >= cress_delay_count(declarer->delay_steps)) {
        return false;
    }
    const int64_t delay_ms = cress_delay_at(declarer->delay_steps, publisher->ladder_at);
    char name[CRESS_DELAY_NAME_MAX];
    struct cress_error err;
    const enum cress_status status = cress_declarer_delay(declarer, delay_ms, &err);
    if (publisher->link.connection->broken) {
        return false;
    }
    publisher->ladder_at++;
    if (status) {
        cress_log(CRESS_LOG_WARN, "delay queue cannot be declared", CRESS_KVI("ms", delay_ms),
                  CRESS_KV_ERROR(&err));
        publisher->declares_ladder = status != CRESS_DENIED; /* so are the others */
        return publisher->declares_ladder;
    }
    cress_declarer_delay_name(declarer, delay_ms, name);
    struct route *route = route_to(publisher, "", name);
    if (cress_made_is_doubtful(name) && !route->health.in_flight) {
        publish_probe(publisher, route);
    }
    return true;
}

/* Those that the end of the last connection may have interrupted. */
static void probe_doubtful(struct publisher *publisher)
{
    for (struct cress_list *n = publisher->routes.next; n != &publisher->routes; n = n->next) {
        struct route *route = CRESS_CONTAINER(n, struct route, node);
        if (route->delay_ms && cress_made_is_doubtful(route->key)) {
            publish_probe(publisher, route);
        }
    }
}

/* --- the role --- */

static void connected(struct cress_link *link)
{
    struct publisher *publisher = publisher_of(link);
    publisher->heard_ms = cress_clock_mono_ms();
    probe_doubtful(publisher);
}

static bool may_publish(const struct publisher *publisher)
{
    return !publisher->link.connection->broken && !cress_list_is_empty(&publisher->todo);
}

static int work(struct cress_link *link)
{
    struct publisher *publisher = publisher_of(link);
    struct cress_connection *connection = link->connection;
    int wait_ms = check_routes(publisher);
    if (connection->blocked) {
        hand_back_waiting(publisher);
        return wait_ms;
    }
    publish_all_held(publisher);
    for (int i = 0; i < CHUNKS_PER_TURN; i++) {
        while (may_publish(publisher) && cress_connection_unsent(connection) < CHUNK_BYTES) {
            publish_next(publisher);
        }
        cress_connection_flush(connection);
        if (!may_publish(publisher) || cress_connection_unsent(connection)) {
            break;
        }
    }
    if (may_publish(publisher) && !cress_connection_unsent(connection)) {
        return 0;
    }
    if (!connection->broken && declare_next_delay(publisher)) {
        return 0;
    }
    return wait_ms < 0 ? check_routes(publisher) : wait_ms;
}

static void take_mail(struct cress_link *link, struct cress_mail *mail)
{
    struct publisher *publisher = publisher_of(link);
    switch (mail->kind) {
    case CRESS_MAIL_PUBLISH:
        cress_list_append(&publisher->todo, &mail->node);
        if (!link->connection) {
            hand_back_waiting(publisher);
        }
        break;
    case CRESS_MAIL_INSPECT:
    case CRESS_MAIL_ENSURE:
        cress_link_ask(link, CRESS_CONTAINER(mail, struct cress_operation, mail));
        break;
    case CRESS_MAIL_ALLOW:
        cress_declarer_allow(&link->declarer,
                             CRESS_CONTAINER(mail, struct cress_mail_note, mail)->queue);
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
    for (size_t i = 0; i < OUTLETS_MAX; i++) {
        cress_outlet_free(&publisher->outlets[i]);
    }
    for (struct cress_list *node; (node = cress_list_shift(&publisher->routes)) != NULL;) {
        struct route *route = CRESS_CONTAINER(node, struct route, node);
        cress_mail_free_all(&route->held);
        free(route);
    }
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
                                       bool declares_delays, void (*outbox_wake)(void *arg),
                                       void *arg)
{
    struct publisher *publisher = CRESS_NEW(struct publisher);
    cress_list_init(&publisher->todo);
    cress_list_init(&publisher->routes);
    for (size_t i = 0; i < OUTLETS_MAX; i++) {
        cress_outlet_init(&publisher->outlets[i], (amqp_channel_t)(CRESS_CHANNEL_FIRST + i));
    }
    publisher->declares_ladder = declares_delays;
    cress_link_init(&publisher->link, &role, endpoint, outbox_wake, arg);
    publisher->link.declarer.delay_steps = delay_steps;
    return &publisher->link;
}
