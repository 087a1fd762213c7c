// SPDX-License-Identifier: Apache-2.0
// Routes and channels; see routes.h.
#include "common/broker/routes.h"

#include "common/base/log.h"
#include "common/base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUTES_MAX = 256 };

struct cress_operation *cress_operation_of(struct cress_list *node)
{
    return CRESS_CONTAINER(node, struct cress_operation, mail.node);
}

void cress_operation_put_first(struct cress_list *list, struct cress_operation *operation)
{
    cress_list_append(list->next, &operation->mail.node);
}

void cress_operation_put_all_first(struct cress_list *to, struct cress_list *from)
{
    cress_list_splice(from, to);
    cress_list_splice(to, from);
}

/* --- routes --- */

bool cress_route_is_sick(const struct cress_route *route)
{
    return route && (route->health.state == CRESS_HEALTH_SILENT ||
                     route->health.state == CRESS_HEALTH_REFUSING);
}

struct cress_route *cress_route_find(struct cress_publisher *publisher, const char *exchange,
                                     const char *key)
{
    for (struct cress_list *n = publisher->routes.next; n != &publisher->routes; n = n->next) {
        struct cress_route *route = CRESS_CONTAINER(n, struct cress_route, node);
        if (strcmp(route->key, key) == 0 && strcmp(route->exchange, exchange) == 0) {
            return route;
        }
    }
    return NULL;
}

/* Replies go to queues of any number of names: those that were not used for longest are forgotten, when
 * nothing is wrong with them. */
static void forget_route(struct cress_publisher *publisher)
{
    struct cress_route *route = CRESS_CONTAINER(publisher->routes.prev, struct cress_route, node);
    if (publisher->route_count > ROUTES_MAX && !cress_route_is_sick(route) &&
        !route->health.in_flight && !route->own && cress_list_is_empty(&route->held)) {
        cress_list_remove(&route->node);
        free(route);
        publisher->route_count--;
    }
}

struct cress_route *cress_route_to(struct cress_publisher *publisher, const char *exchange,
                                   const char *key)
{
    struct cress_route *route = cress_route_find(publisher, exchange, key);
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
    route = CRESS_NEW(struct cress_route);
    snprintf(route->exchange, sizeof route->exchange, "%s", exchange);
    snprintf(route->key, sizeof route->key, "%s", key);
    route->delay_ms = exchange[0] ? 0 : cress_delay_of(key);
    cress_list_init(&route->held);
    cress_list_append(publisher->routes.next, &route->node);
    publisher->route_count++;
    forget_route(publisher);
    return route;
}

void cress_route_hold(struct cress_publisher *publisher, struct cress_route *route,
                      struct cress_operation *operation, bool first)
{
    publisher->held++;
    if (first) {
        cress_operation_put_first(&route->held, operation);
    } else {
        cress_list_append(&route->held, &operation->mail.node);
    }
}

void cress_route_note_sickness(const struct cress_route *route, int64_t now_ms)
{
    cress_log(CRESS_LOG_WARN,
              route->delay_ms ? "delay queue takes nothing, a shorter one is used"
                              : "queue confirms nothing, trying on",
              CRESS_KV("queue", route->key), CRESS_KVI("ms", now_ms - route->health.heard_ms));
}

/* --- channels --- */

struct cress_outlet *cress_route_take_outlet(struct cress_publisher *publisher, void *owner)
{
    struct cress_outlet *closed = NULL;
    for (size_t i = 0; i < CRESS_OUTLETS_MAX; i++) {
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

void cress_route_give_up_outlet(struct cress_publisher *publisher, struct cress_outlet *outlet,
                                bool is_well)
{
    if (is_well && cress_outlet_is_idle(outlet)) {
        outlet->owner = NULL;
    } else if (!is_well) {
        cress_outlet_leave(outlet, publisher->link.connection);
    }
}

/* What was open waits on: for another delay, or for this queue. */
static void wait_on(struct cress_publisher *publisher, struct cress_route *route,
                    struct cress_list *open)
{
    for (struct cress_list *n = open->next; n != open; n = n->next) {
        cress_health_landed(&route->health);
        publisher->held += route->delay_ms == 0;
    }
    cress_operation_put_all_first(route->delay_ms ? &publisher->todo : &route->held, open);
}

void cress_route_leave_own(struct cress_publisher *publisher, struct cress_route *route)
{
    if (route->own) {
        struct cress_list open;
        cress_list_init(&open);
        cress_outlet_take(route->own, NULL, false, &open);
        wait_on(publisher, route, &open);
        cress_route_give_up_outlet(publisher, route->own, false);
        route->own = NULL;
        route->probe_ms = 0;
    }
}

void cress_route_take_back(struct cress_publisher *publisher, struct cress_route *route,
                           bool leave_probes)
{
    struct cress_list open;
    cress_list_init(&open);
    for (size_t i = 0; i < CRESS_OUTLETS_MAX; i++) {
        struct cress_outlet *outlet = &publisher->outlets[i];
        cress_outlet_take(outlet, route, leave_probes && outlet == route->own, &open);
    }
    wait_on(publisher, route, &open);
}

void cress_route_join_others(struct cress_publisher *publisher, struct cress_route *route)
{
    struct cress_outlet *outlet = route->own;
    route->own = NULL;
    cress_route_give_up_outlet(publisher, outlet, true);
}
