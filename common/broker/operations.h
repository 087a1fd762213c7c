// SPDX-License-Identifier: Apache-2.0
// What the loop is owed an answer for: publishes, inspections, declarations; and their deadlines.
// Private to common/broker.
//
// DESIGN
//   waiting --(connection ready)--> outgoing --(end of the loop's turn)--> the thread --> answered
//      ^                                                                      |
//      +--------------- handed back: the connection is lost or blocked -------+
//
// An operation whose deadline passes is answered at once. If it is with the thread then, it is
// freed when it comes back. The loop's thread only.
#ifndef CRESS_BROKER_OPERATIONS_H
#define CRESS_BROKER_OPERATIONS_H

#include "common/broker/deadline.h"
#include "common/broker/link.h"

struct cress_operations {
    struct cress_list waiting;  /* struct cress_operation */
    struct cress_list outgoing; /* likewise */
    bool ready;                 /* the connection takes them */
    struct cress_deadlines deadlines;
    size_t open;            /* not answered */
    size_t in_flight;       /* of these, publishes */
    uv_timer_t timer;       /* runs while something is open */
    struct cress_error why; /* while not ready: the reason, for the answers */
};

void cress_operations_init(struct cress_operations *operations, uv_loop_t *loop);

void cress_operations_add(struct cress_operations *operations, struct cress_operation *operation,
                          int64_t timeout_ms);

/* The connection takes operations, or does not: `why`. */
void cress_operations_set_ready(struct cress_operations *operations, bool ready,
                                const struct cress_error *why);

/* Once a turn: gives the thread what is outgoing. */
void cress_operations_send(struct cress_operations *operations, struct cress_link *link);

/* An operation comes back from the thread. */
void cress_operations_receive(struct cress_operations *operations,
                              struct cress_operation *operation);

/* Answers everything that is open with CRESS_CANCELLED, and frees what is not with the thread. */
void cress_operations_cancel(struct cress_operations *operations);

#endif
