// SPDX-License-Identifier: Apache-2.0
// The thread that consumes. Private to common/broker.
#ifndef CRESS_BROKER_CONSUMER_H
#define CRESS_BROKER_CONSUMER_H

#include "common/broker/link.h"

/* A link, not started yet; owned by whoever calls cress_link_release() on it. */
struct cress_link *cress_consumer_new(struct cress_endpoint endpoint,
                                      void (*outbox_wake)(void *arg), void *arg);

#endif
