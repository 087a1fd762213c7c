// SPDX-License-Identifier: Apache-2.0
// The thread that publishes, with confirms: its turns, the end of its connection, and the delay
// queues that are declared before they are needed. What it knows is in routes.h.
#include "common/broker/publisher.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/broker/made.h"
#include "common/broker/outcomes.h"
#include "common/broker/routes.h"
#include "common/broker/sending.h"
#include "common/broker/silence.h"

#include <stdlib.h>

enum { CHUNKS_PER_TURN = 4 };

static struct cress_publisher *publisher_of(struct cress_link *link)
{
    return CRESS_CONTAINER(link, struct cress_publisher, link);
}

/* --- the end of a connection --- */

static void hand_back_all(struct cress_publisher *publisher, struct cress_list *list)
{
    for (struct cress_list *node; (node = cress_list_shift(list)) != NULL;) {
        cress_operation_of(node)->redeclared = cress_operation_of(node)->is_suspect = false;
        cress_operation_of(node)->refused_ms = 0;
        cress_link_hand_back(&publisher->link, cress_operation_of(node));
    }
}

/* What has not been published. */
static void hand_back_waiting(struct cress_publisher *publisher)
{
    hand_back_all(publisher, &publisher->todo);
    for (struct cress_list *n = publisher->routes.next; n != &publisher->routes; n = n->next) {
        hand_back_all(publisher, &CRESS_CONTAINER(n, struct cress_route, node)->held);
    }
    publisher->held = 0;
}

static void lost(struct cress_link *link)
{
    struct cress_publisher *publisher = publisher_of(link);
    struct cress_list all;
    cress_list_init(&all);
    for (size_t i = 0; i < CRESS_OUTLETS_MAX; i++) {
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
        struct cress_route *route = CRESS_CONTAINER(n, struct cress_route, node);
        route->own = NULL;
        route->probe_ms = 0;
        cress_health_reset(&route->health);
    }
}

/* --- delay queues, beforehand --- */

/* One delay a turn, so that what is to be published meanwhile does not wait. Returns whether there
 * are more. */
static bool declare_next_delay(struct cress_publisher *publisher)
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
    struct cress_route *route = cress_route_to(publisher, "", name);
    if (cress_made_is_doubtful(name) && !route->health.in_flight) {
        cress_sending_probe(publisher, route);
    }
    return true;
}

/* Those that the end of the last connection may have interrupted. */
static void probe_doubtful(struct cress_publisher *publisher)
{
    for (struct cress_list *n = publisher->routes.next; n != &publisher->routes; n = n->next) {
        struct cress_route *route = CRESS_CONTAINER(n, struct cress_route, node);
        if (route->delay_ms && cress_made_is_doubtful(route->key)) {
            cress_sending_probe(publisher, route);
        }
    }
}

/* --- the role --- */

static void connected(struct cress_link *link)
{
    struct cress_publisher *publisher = publisher_of(link);
    publisher->heard_ms = cress_clock_mono_ms();
    probe_doubtful(publisher);
}

static bool may_publish(const struct cress_publisher *publisher)
{
    return !publisher->link.connection->broken && !cress_list_is_empty(&publisher->todo);
}

static int work(struct cress_link *link)
{
    struct cress_publisher *publisher = publisher_of(link);
    struct cress_connection *connection = link->connection;
    int wait_ms = cress_silence_check(publisher);
    if (connection->blocked) {
        hand_back_waiting(publisher);
        return wait_ms;
    }
    cress_sending_held(publisher);
    for (int i = 0; i < CHUNKS_PER_TURN; i++) {
        while (may_publish(publisher) &&
               cress_connection_unsent(connection) < CRESS_SENDING_CHUNK_BYTES) {
            cress_sending_next(publisher);
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
    return wait_ms < 0 ? cress_silence_check(publisher) : wait_ms;
}

static void take_mail(struct cress_link *link, struct cress_mail *mail)
{
    struct cress_publisher *publisher = publisher_of(link);
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

static void take_frame(struct cress_link *link, const amqp_frame_t *frame)
{
    cress_outcome_frame(publisher_of(link), frame);
}

static void free_publisher(struct cress_link *link)
{
    struct cress_publisher *publisher = publisher_of(link);
    cress_mail_free_all(&publisher->todo);
    for (size_t i = 0; i < CRESS_OUTLETS_MAX; i++) {
        cress_outlet_free(&publisher->outlets[i]);
    }
    for (struct cress_list *node; (node = cress_list_shift(&publisher->routes)) != NULL;) {
        struct cress_route *route = CRESS_CONTAINER(node, struct cress_route, node);
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
    struct cress_publisher *publisher = CRESS_NEW(struct cress_publisher);
    cress_list_init(&publisher->todo);
    cress_list_init(&publisher->routes);
    for (size_t i = 0; i < CRESS_OUTLETS_MAX; i++) {
        cress_outlet_init(&publisher->outlets[i], (amqp_channel_t)(CRESS_CHANNEL_FIRST + i));
    }
    publisher->declares_ladder = declares_delays;
    cress_link_init(&publisher->link, &role, endpoint, outbox_wake, arg);
    publisher->link.declarer.delay_steps = delay_steps;
    return &publisher->link;
}
