// SPDX-License-Identifier: Apache-2.0
// Confirms, refusals, returns and closed channels; see outcomes.h.
#include "common/broker/outcomes.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/broker/failure.h"
#include "common/broker/made.h"

#include <string.h>

enum {
    /* A refused publish is tried again for so long: an election is over by then. */
    REFUSED_TRY_MS = 3000,
    /* It is answered before its deadline is up, so that the answer says why. */
    DEADLINE_MARGIN_MS = 30,
    /* What was published within this time counts for being ready. */
    LATELY_MS = 60000,
};

/* Whether the route was ours to declare and has not been declared again for this message yet. */
static bool may_redeclare(struct cress_publisher *publisher, struct cress_operation *operation)
{
    const struct cress_message *message = operation->message;
    if (operation->redeclared || message->exchange[0] ||
        !cress_declarer_forget(&publisher->link.declarer, message->routing_key,
                               operation->delay_ms)) {
        return false;
    }
    operation->redeclared = true;
    operation->returned = false;
    cress_operation_put_first(&publisher->todo, operation);
    return true;
}

bool cress_outcome_has_time(const struct cress_operation *operation, int64_t retry_ms)
{
    const int64_t deadline_ms = operation->deadline.at_ms;
    return retry_ms - operation->refused_ms <= REFUSED_TRY_MS &&
           (!deadline_ms || retry_ms <= deadline_ms - DEADLINE_MARGIN_MS);
}

void cress_outcome_refuse(struct cress_publisher *publisher, struct cress_operation *operation)
{
    struct cress_error err;
    cress_error_set(&err, CRESS_UNAVAILABLE, "nacked",
                    "the broker does not take it: queue %s "
                    "is full or has no leader",
                    cress_operation_address(operation));
    cress_link_finish(&publisher->link, operation, &err);
}

/* What waits behind it learns of it when its own time is up: see silence.h. */
static void take_refusal(struct cress_publisher *publisher, struct cress_route *route,
                         struct cress_operation *operation, int64_t now_ms)
{
    if (route->delay_ms && !cress_route_is_sick(route)) {
        cress_route_note_sickness(route, now_ms);
    }
    cress_health_refused(&route->health, now_ms);
    if (!operation->refused_ms) {
        operation->refused_ms = now_ms;
    }
    if (cress_outcome_has_time(operation, route->health.retry_ms) && route->delay_ms) {
        cress_operation_put_first(&publisher->todo, operation); /* another delay takes it */
    } else if (cress_outcome_has_time(operation, route->health.retry_ms)) {
        cress_route_hold(publisher, route, operation, true);
    } else {
        cress_outcome_refuse(publisher, operation);
    }
    if (route->health.in_flight == 0) {
        cress_route_leave_own(publisher, route);
    }
}

static void say_unroutable(struct cress_publisher *publisher, struct cress_operation *operation)
{
    struct cress_error err;
    const char *exchange = operation->message->exchange;
    cress_error_set(&err, CRESS_NOT_FOUND, "unroutable", "there is no queue %s%s%s",
                    operation->message->routing_key, exchange[0] ? " behind exchange " : "",
                    exchange);
    cress_link_finish(&publisher->link, operation, &err);
}

static void note_recovery(struct cress_route *route)
{
    if (route->health.state == CRESS_HEALTH_SILENT ||
        (route->delay_ms && cress_route_is_sick(route))) {
        cress_log(CRESS_LOG_INFO, "queue takes messages again", CRESS_KV("queue", route->key));
    }
}

static void take_confirm(struct cress_publisher *publisher, struct cress_route *route,
                         int64_t now_ms)
{
    const bool was_new = route->health.state == CRESS_HEALTH_NEW;
    note_recovery(route);
    if (was_new && !route->exchange[0]) {
        cress_made_answered(route->key);
    }
    route->probe_ms = 0;
    cress_health_confirmed(&route->health, now_ms);
    if (was_new && route->own) {
        cress_route_join_others(publisher, route);
    }
}

/* Whether everything that was asked for lately says nothing: then a canary's confirm is not the
 * whole truth. */
static enum cress_status judge(const struct cress_publisher *publisher, int64_t now_ms,
                               struct cress_error *err)
{
    const struct cress_route *sick = NULL;
    for (struct cress_list *n = publisher->routes.next; n != &publisher->routes; n = n->next) {
        const struct cress_route *route = CRESS_CONTAINER(n, struct cress_route, node);
        if (strcmp(route->key, CRESS_CANARY_QUEUE) == 0 || route->delay_ms ||
            now_ms - route->used_ms > LATELY_MS) {
            continue;
        }
        if (!cress_route_is_sick(route)) {
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

static void settle(struct cress_publisher *publisher, struct cress_operation *operation, bool acked,
                   int64_t now_ms)
{
    struct cress_route *route = operation->route;
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
        cress_link_finish(&publisher->link, operation,
                          is_canary && judge(publisher, now_ms, &err) ? &err : NULL);
    } else if (!may_redeclare(publisher, operation)) {
        say_unroutable(publisher, operation);
    }
}

/* A probe of a route is answered, and with it the question how the route is. */
static void settle_probe(struct cress_publisher *publisher, struct cress_route *route, bool acked,
                         int64_t now_ms)
{
    if (route && acked) {
        take_confirm(publisher, route, now_ms);
    } else if (route) {
        cress_health_refused(&route->health, now_ms);
        cress_route_leave_own(publisher, route);
    }
}

static void confirm(struct cress_publisher *publisher, struct cress_outlet *outlet, uint64_t tag,
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
    const struct cress_route *owner = outlet->owner;
    if (owner && outlet != publisher->common && outlet != publisher->lone && owner->own != outlet &&
        outlet->state == CRESS_OUTLET_OPEN) {
        cress_route_give_up_outlet(publisher, outlet, true);
    }
}

/* --- frames --- */

/* The only one that was open is guilty; of several, each goes alone. */
static void channel_closed(struct cress_publisher *publisher, struct cress_outlet *outlet,
                           const amqp_channel_close_t *close)
{
    struct cress_error err;
    cress_connection_channel_closed(publisher->link.connection, outlet->number, close, &err);
    cress_failure_name_permission("write", &err);
    struct cress_list open;
    cress_list_init(&open);
    const size_t count = cress_outlet_take(outlet, NULL, false, &open);
    for (struct cress_list *n = open.next; n != &open; n = n->next) {
        struct cress_route *route = cress_operation_of(n)->route;
        cress_health_landed(&route->health);
        cress_operation_of(n)->is_suspect = true;
    }
    cress_window_reset(&outlet->window);
    outlet->returning.method = NULL;
    outlet->state = CRESS_OUTLET_CLOSED;
    struct cress_route *owner = outlet->owner;
    if (outlet == publisher->common || outlet == publisher->lone) {
        *(outlet == publisher->common ? &publisher->common : &publisher->lone) = NULL;
    } else if (owner && owner->own == outlet) {
        owner->own = NULL;
        owner->health.in_flight = 0;
        owner->probe_ms = 0;
    }
    outlet->owner = NULL;
    if (count == 1) {
        struct cress_operation *operation = cress_operation_of(cress_list_shift(&open));
        if (err.status != CRESS_NOT_FOUND || !may_redeclare(publisher, operation)) {
            cress_link_finish(&publisher->link, operation, &err);
        }
    }
    cress_operation_put_all_first(&publisher->todo, &open);
}

static void take_method(struct cress_publisher *publisher, struct cress_outlet *outlet,
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
static void take_leaving(struct cress_publisher *publisher, struct cress_outlet *outlet,
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

void cress_outcome_frame(struct cress_publisher *publisher, const amqp_frame_t *frame)
{
    const size_t index = frame->channel - CRESS_CHANNEL_FIRST;
    if (index >= CRESS_OUTLETS_MAX) {
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
        cress_connection_release(publisher->link.connection, frame->channel);
    }
}
