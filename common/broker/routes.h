// SPDX-License-Identifier: Apache-2.0
// What a publishing connection knows: the queues that it publishes to, and its channels. Private to
// common/broker.
//
// DESIGN
//   todo --> its route --(room, see health.h)--> an outlet's window --basic.ack--> answered
//     ^        held <--refused, silent--------------|
//     +-----unroutable, and its queue may be declared again; a delay that does not answer
//
// A *route* is a queue that is published to. All routes that are well share one channel. RabbitMQ
// can hang a channel, or make it refuse for ever, that is first published on while a queue has no
// leader; the next channel is well. So the first publishes to a queue go on a channel of their own,
// few at a time, and so does all for a queue that refuses or says nothing: on a fresh channel each
// time it is tried again. Nobody else waits for it.
//
//   sending.h    what leaves: todo and held into the windows
//   outcomes.h   what comes back: confirms, refusals, returns, closed channels
//   silence.h    what does not come back
//   publisher.h  the thread, which has them take turns
//
// Owned by a connection's thread.
#ifndef CRESS_BROKER_ROUTES_H
#define CRESS_BROKER_ROUTES_H

#include "common/broker/health.h"
#include "common/broker/link.h"
#include "common/broker/outlet.h"

enum { CRESS_OUTLETS_MAX = 64 };

/* A queue that is published to. */
struct cress_route {
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

struct cress_publisher {
    struct cress_link link;
    struct cress_list todo;   /* struct cress_operation */
    struct cress_list routes; /* the one used last is the first */
    size_t route_count;
    size_t held; /* operations that routes hold */
    struct cress_outlet outlets[CRESS_OUTLETS_MAX];
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

/* --- operations --- */

/* The one that is linked by `node`: in todo, held, or taken out of an outlet. */
struct cress_operation *cress_operation_of(struct cress_list *node);

void cress_operation_put_first(struct cress_list *list, struct cress_operation *operation);

/* All of `from` before all of `to`. */
void cress_operation_put_all_first(struct cress_list *to, struct cress_list *from);

/* --- routes --- */

/* False for NULL. */
bool cress_route_is_sick(const struct cress_route *route);

/* NULL: there is none. */
struct cress_route *cress_route_find(struct cress_publisher *publisher, const char *exchange,
                                     const char *key);

/* A new one, if need be, which the publisher owns; it may be forgotten when nothing of it is open or
 * held. NULL, when a name is longer than AMQP allows. */
struct cress_route *cress_route_to(struct cress_publisher *publisher, const char *exchange,
                                   const char *key);

/* Keeps the operation until there is room for it: at the head or the end of what waits. */
void cress_route_hold(struct cress_publisher *publisher, struct cress_route *route,
                      struct cress_operation *operation, bool first);

/* Logs that it has fallen sick. */
void cress_route_note_sickness(const struct cress_route *route, int64_t now_ms);

/* --- channels --- */

/* `owner`: a route, or the publisher for those that routes share. NULL: all are in use. */
struct cress_outlet *cress_route_take_outlet(struct cress_publisher *publisher, void *owner);

/* One that is well and waits for nothing may be another's; one that is not well is left. */
void cress_route_give_up_outlet(struct cress_publisher *publisher, struct cress_outlet *outlet,
                                bool is_well);

/* Leaves the route's own channel, if it has one: nothing that is open there is answered any more,
 * and all of it waits on, for this queue or for another delay. */
void cress_route_leave_own(struct cress_publisher *publisher, struct cress_route *route);

/* Everything that is open of it, on whatever channel, waits on. With `leave_probes` late answers on
 * its own channel are heard as those of probes. */
void cress_route_take_back(struct cress_publisher *publisher, struct cress_route *route,
                           bool leave_probes);

/* Gives up the route's own channel: a queue that was never sick shares the common one from now on.
 */
void cress_route_join_others(struct cress_publisher *publisher, struct cress_route *route);

#endif
