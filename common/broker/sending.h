// SPDX-License-Identifier: Apache-2.0
// Publishing what waits. Private to common/broker.
//
// Delays. A delay queue that does not answer is not waited for: its messages take the next shorter
// one, which gives them back early, to be sent on.
#ifndef CRESS_BROKER_SENDING_H
#define CRESS_BROKER_SENDING_H

#include "common/broker/routes.h"

enum {
    /* Encoded at once: large enough to make system calls rare, small enough to stay in the cache.
     */
    CRESS_SENDING_CHUNK_BYTES = 64 * 1024,
};

/* Publishes the first of `todo`, or has its route hold it, or answers it. */
void cress_sending_next(struct cress_publisher *publisher);

/* Publishes what routes hold, as far as there is room. */
void cress_sending_held(struct cress_publisher *publisher);

/* Publishes, to see whether the queue answers, an empty message that is due at once, and that
 * whoever gets it drops. */
void cress_sending_probe(struct cress_publisher *publisher, struct cress_route *route);

#endif
