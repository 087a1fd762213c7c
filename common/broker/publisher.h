// SPDX-License-Identifier: Apache-2.0
// The thread that publishes. Private to common/broker.
#ifndef CRESS_BROKER_PUBLISHER_H
#define CRESS_BROKER_PUBLISHER_H

#include "common/broker/link.h"

/* `declares_delays`: all delay queues at once, before they are needed. A link, not started yet; owned by whoever calls cress_link_release() on it. */
struct cress_link *cress_publisher_new(struct cress_endpoint endpoint, int delay_steps,
                                       bool declares_delays, void (*outbox_wake)(void *arg),
                                       void *arg);

#endif
