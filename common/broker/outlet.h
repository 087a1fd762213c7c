// SPDX-License-Identifier: Apache-2.0
// A channel that publishes with confirms: what was published on it and not confirmed, and what the
// broker has sent back. Private to common/broker.
//
// Returns. RabbitMQ sends basic.return before the basic.ack of the same publish, but other acks may
// come between, and a return carries no tag. But returns come in the order of the publishes, so a
// return belongs to the first publish in the window, after the one returned last, that has its
// exchange, routing key and message id (without an id: its body). Should two publishes be equal in
// all of these, they are the same message, and it is all the same which one is called unroutable.
//
// Opening is not waited for: RabbitMQ takes what follows in order. Nor is closing: a channel that is
// left because it hangs is not heard of until it answers, and its number is not used meanwhile.
//
// Owned by one connection's thread.
#ifndef CRESS_BROKER_OUTLET_H
#define CRESS_BROKER_OUTLET_H

#include "common/broker/connection.h"
#include "common/broker/mail.h"
#include "common/broker/window.h"

enum cress_outlet_state { CRESS_OUTLET_CLOSED, CRESS_OUTLET_OPEN, CRESS_OUTLET_LEAVING };

/* A basic.return whose content is still arriving. The pointers live until the channel's buffers are
 * released. */
struct cress_returning {
    const amqp_basic_return_t *method;
    const amqp_basic_properties_t *properties;
    struct cress_buf body;
    uint64_t body_size;
};

struct cress_outlet {
    amqp_channel_t number;
    enum cress_outlet_state state;
    struct cress_window window; /* struct cress_operation, or &cress_outlet_probe */
    uint64_t return_cursor;     /* the tag after the one that was returned last */
    struct cress_returning returning;
    void *owner; /* the publisher's */
};

/* Stands in the window for a publish that nobody waits for. */
extern char cress_outlet_probe;

void cress_outlet_init(struct cress_outlet *outlet, amqp_channel_t number);
void cress_outlet_free(struct cress_outlet *outlet);

/* Opens the channel, with confirms. */
void cress_outlet_open(struct cress_outlet *outlet, struct cress_connection *connection);

/* The window must have been emptied. */
void cress_outlet_leave(struct cress_outlet *outlet, struct cress_connection *connection);

bool cress_outlet_is_idle(const struct cress_outlet *outlet);

/* Takes the operations out of the window, in the order they were published, to the end of `to`;
 * `route` not NULL: only those of that route. With `leave_probes` a probe stays for each. Returns how
 * many. */
size_t cress_outlet_take(struct cress_outlet *outlet, const void *route, bool leave_probes,
                         struct cress_list *to);

/* A basic.return, and the content that follows it. */
void cress_outlet_returned(struct cress_outlet *outlet, const amqp_basic_return_t *method);
void cress_outlet_content(struct cress_outlet *outlet, const amqp_frame_t *frame);

/* The routing key that it is published with. */
const char *cress_operation_address(const struct cress_operation *operation);

#endif
