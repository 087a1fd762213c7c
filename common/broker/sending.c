// SPDX-License-Identifier: Apache-2.0
// From lists to channels; see sending.h.
#include "common/broker/sending.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/broker/codec.h"
#include "common/broker/outcomes.h"

#include <string.h>

/* No larger message is suspected of being too large. */
enum { SMALL_BYTES = 64 * 1024 };

static void reserve_entries(struct cress_publisher *publisher, size_t count)
{
    if (count > publisher->entry_capacity) {
        publisher->entries =
            cress_realloc_array(publisher->entries, count, sizeof *publisher->entries);
        publisher->entry_capacity = count;
    }
}

/* CRESS_OK, too, when the connection broke. */
static enum cress_status publish(struct cress_publisher *publisher,
                                 const struct cress_outlet *outlet,
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

static bool must_go_alone(const struct cress_publisher *publisher,
                          const struct cress_operation *operation)
{
    const size_t size = operation->message->body_size;
    return operation->is_suspect || (size > SMALL_BYTES && size > publisher->proven_bytes);
}

static struct cress_outlet *shared_outlet(struct cress_publisher *publisher,
                                          struct cress_outlet **which)
{
    if (!*which) {
        *which = cress_route_take_outlet(publisher, publisher);
    }
    return *which;
}

/* Where it can be published now; NULL: nowhere yet. */
static struct cress_outlet *place(struct cress_publisher *publisher, struct cress_route *route,
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
        route->own = cress_route_take_outlet(publisher, route);
    }
    return route->own;
}

/* False: there is no room for it now. Else it is published, or answered. */
static bool try_publish(struct cress_publisher *publisher, struct cress_route *route,
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
        cress_operation_put_first(&publisher->todo, operation);
    } else if (status) {
        cress_link_finish(&publisher->link, operation, &err);
    } else {
        cress_window_push(&outlet->window, operation);
        cress_health_sent(&route->health, now_ms);
        publisher->lone_ms = outlet == publisher->lone ? now_ms : publisher->lone_ms;
    }
    return true;
}

/* A message may have waited for a connection, or behind others: its delay is counted from now. */
static enum cress_status choose_delay(struct cress_publisher *publisher,
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
        if (index == 0 ||
            !cress_route_is_sick(cress_route_find(publisher, "", operation->delay_queue))) {
            return CRESS_OK;
        }
        operation->delay_ms = cress_delay_at(declarer->delay_steps, --index);
    }
}

void cress_sending_next(struct cress_publisher *publisher)
{
    struct cress_operation *operation = cress_operation_of(cress_list_shift(&publisher->todo));
    struct cress_error err;
    enum cress_status status = CRESS_OK;
    if (!operation->message->exchange[0]) {
        status = choose_delay(publisher, operation, &err);
    }
    if (publisher->link.connection->broken) {
        cress_operation_put_first(&publisher->todo, operation);
        return;
    }
    struct cress_route *route =
        cress_route_to(publisher, operation->message->exchange, cress_operation_address(operation));
    if (!status && !route) {
        cress_error_set(&err, CRESS_INVALID, "message_properties",
                        "an exchange or a routing key is longer than 255 bytes");
    }
    if (status || !route) {
        cress_link_finish(&publisher->link, operation, &err);
        return;
    }
    const int64_t now_ms = cress_clock_mono_ms();
    operation->route = route;
    route->used_ms = now_ms;
    if (cress_list_is_empty(&route->held) && try_publish(publisher, route, operation)) {
        return;
    }
    if (cress_health_fails_fast(&route->health, now_ms)) {
        cress_outcome_refuse(publisher, operation);
    } else {
        cress_route_hold(publisher, route, operation, false);
    }
}

static void publish_held(struct cress_publisher *publisher, struct cress_route *route)
{
    while (!cress_list_is_empty(&route->held) && !publisher->link.connection->broken &&
           cress_connection_unsent(publisher->link.connection) < CRESS_SENDING_CHUNK_BYTES) {
        struct cress_operation *operation = cress_operation_of(cress_list_shift(&route->held));
        publisher->held--;
        if (!try_publish(publisher, route, operation)) {
            cress_route_hold(publisher, route, operation, true);
            return;
        }
    }
}

void cress_sending_held(struct cress_publisher *publisher)
{
    for (struct cress_list *n = publisher->routes.next; n != &publisher->routes && publisher->held;
         n = n->next) {
        publish_held(publisher, CRESS_CONTAINER(n, struct cress_route, node));
    }
}

void cress_sending_probe(struct cress_publisher *publisher, struct cress_route *route)
{
    if (!route->own) {
        route->own = cress_route_take_outlet(publisher, route);
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
