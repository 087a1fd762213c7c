// SPDX-License-Identifier: Apache-2.0
// Watching routes; see silence.h.
#include "common/broker/silence.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/broker/made.h"
#include "common/broker/outcomes.h"
#include "common/broker/sending.h"

#include <stdlib.h>

enum {
    CHECK_INTERVAL_MS = 100,
    /* For a lone message that is on its way, and for all together. */
    SILENCE_MS = 5000,
    /* More channels that do not say that they are closed leave too few for the others. */
    LEAVING_MAX = 32,
    /* A delay queue that has said nothing for so long is replaced, and so is one that was interrupted
       in its making. */
    REPLACE_MS = 15000,
};

/* A delay queue that says nothing keeps its channel: a late answer shows that it is well. */
static void fall_silent(struct cress_publisher *publisher, struct cress_route *route,
                        int64_t now_ms)
{
    if (!cress_route_is_sick(route)) {
        cress_route_note_sickness(route, now_ms);
    }
    cress_route_take_back(publisher, route, route->delay_ms != 0);
    route->probe_ms = 0;
    cress_health_silent(&route->health, now_ms);
    if (!route->delay_ms) {
        cress_route_leave_own(publisher, route);
    }
}

/* A delay queue of the next generation takes its place. Should this one come back, what is in it
 * comes out. */
static void replace_delay(struct cress_publisher *publisher, struct cress_route *route)
{
    cress_log(CRESS_LOG_WARN, "delay queue has said nothing for long and is replaced",
              CRESS_KV("queue", route->key));
    cress_route_take_back(publisher, route, false); /* nothing points to it any more */
    cress_route_leave_own(publisher, route);
    cress_declarer_replace_delay(&publisher->link.declarer, route->delay_ms);
    for (struct cress_list *n = route->held.next; n != &route->held; n = n->next) {
        publisher->held--;
    }
    cress_operation_put_all_first(&publisher->todo, &route->held);
    cress_list_remove(&route->node);
    publisher->route_count--;
    free(route);
}

/* A queue other than a delay queue: its name is the one that all know. */
static bool is_stillborn(struct cress_publisher *publisher, const struct cress_route *route,
                         int64_t now_ms)
{
    struct cress_declarer *declarer = &publisher->link.declarer;
    return !route->exchange[0] && route->health.state == CRESS_HEALTH_SILENT &&
           now_ms - route->health.sick_ms >= REPLACE_MS &&
           now_ms - publisher->heard_ms < SILENCE_MS && cress_made_is_doubtful(route->key) &&
           cress_declarer_is_stillborn(declarer, route->key);
}

/* What was for it waits until it has been made again. */
static void remake_queue(struct cress_publisher *publisher, struct cress_route *route)
{
    struct cress_outlet *outlet = cress_route_take_outlet(publisher, publisher);
    if (!outlet) {
        return;
    }
    cress_declarer_discard(&publisher->link.declarer, outlet->number, route->key);
    cress_outlet_leave(outlet, publisher->link.connection);
    cress_declarer_forget(&publisher->link.declarer, route->key, 0);
    cress_route_take_back(publisher, route, false);
    cress_route_leave_own(publisher, route);
    route->health = (struct cress_health){0};
}

/* Nothing at all is confirmed, although others are waited for, too. */
static bool is_all_silent(const struct cress_publisher *publisher, const struct cress_route *route,
                          int64_t now_ms)
{
    return route->health.state == CRESS_HEALTH_GOOD && now_ms - publisher->heard_ms >= SILENCE_MS;
}

static void check_route(struct cress_publisher *publisher, struct cress_route *route,
                        int64_t now_ms)
{
    const bool is_delay = route->delay_ms != 0;
    if (is_delay && cress_route_is_sick(route) && now_ms - route->health.sick_ms >= REPLACE_MS) {
        replace_delay(publisher, route);
        return;
    }
    if (!is_delay && is_stillborn(publisher, route, now_ms)) {
        remake_queue(publisher, route);
        return;
    }
    if (is_delay && cress_route_is_sick(route) && !route->probe_ms &&
        now_ms >= route->health.retry_ms) {
        cress_sending_probe(publisher, route); /* nothing else is sent to it */
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
static bool has_waited_enough(const struct cress_route *route, struct cress_operation *operation,
                              int64_t now_ms)
{
    if (route->health.state != CRESS_HEALTH_REFUSING) {
        return operation->deadline.at_ms && now_ms > operation->deadline.at_ms;
    }
    if (!operation->refused_ms) {
        operation->refused_ms = now_ms;
    }
    return !cress_outcome_has_time(operation, now_ms);
}

static void check_held(struct cress_publisher *publisher, struct cress_route *route, int64_t now_ms)
{
    if (cress_list_is_empty(&route->held)) {
        return;
    }
    struct cress_list kept;
    cress_list_init(&kept);
    for (struct cress_list *node; (node = cress_list_shift(&route->held)) != NULL;) {
        struct cress_operation *operation = cress_operation_of(node);
        if (!has_waited_enough(route, operation, now_ms)) {
            cress_list_append(&kept, node);
        } else {
            publisher->held--;
            cress_outcome_refuse(publisher, operation);
        }
    }
    cress_list_splice(&route->held, &kept);
}

/* A channel that hangs never says that it is closed. When that many do, only a new connection has
 * channels enough for those queues that are well. */
static void check_leaving(struct cress_publisher *publisher)
{
    size_t leaving = 0;
    for (size_t i = 0; i < CRESS_OUTLETS_MAX; i++) {
        leaving += publisher->outlets[i].state == CRESS_OUTLET_LEAVING;
    }
    if (leaving > LEAVING_MAX) {
        cress_connection_fail(publisher->link.connection, CRESS_UNAVAILABLE, "channels_hang",
                              "%zu channels to queues that say nothing were not closed", leaving);
    }
}

static void check_lone(struct cress_publisher *publisher, int64_t now_ms)
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
            struct cress_route *route = cress_operation_of(n)->route;
            cress_health_landed(&route->health);
        }
        cress_operation_put_all_first(&publisher->todo, &open);
        cress_outlet_leave(lone, publisher->link.connection);
        publisher->lone = NULL;
    }
}

int cress_silence_check(struct cress_publisher *publisher)
{
    const int64_t now_ms = cress_clock_mono_ms();
    if (now_ms < publisher->check_ms) {
        return (int)(publisher->check_ms - now_ms);
    }
    bool is_waiting = publisher->held > 0;
    for (struct cress_list *n = publisher->routes.next, *next; n != &publisher->routes; n = next) {
        struct cress_route *route = CRESS_CONTAINER(n, struct cress_route, node);
        next = n->next;
        if (publisher->link.connection->blocked) {
            route->health.heard_ms = publisher->heard_ms = now_ms;
        }
        is_waiting =
            is_waiting || route->health.in_flight || route->probe_ms || cress_route_is_sick(route);
        check_held(publisher, route, now_ms);
        check_route(publisher, route, now_ms);
    }
    check_lone(publisher, now_ms);
    check_leaving(publisher);
    publisher->check_ms = now_ms + CHECK_INTERVAL_MS;
    return is_waiting ? CHECK_INTERVAL_MS : -1;
}
