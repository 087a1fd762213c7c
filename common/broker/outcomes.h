// SPDX-License-Identifier: Apache-2.0
// What becomes of what was published: confirmed, refused, returned, or its channel closed. Private
// to common/broker.
//
// Errors. A publish that RabbitMQ refuses altogether (too large, forbidden) closes the channel, and
// nothing says which one it was. What is larger than anything that was confirmed so far therefore
// goes alone, on a channel for such, and so does, one by one, what was open on a channel that was
// closed all the same.
#ifndef CRESS_BROKER_OUTCOMES_H
#define CRESS_BROKER_OUTCOMES_H

#include "common/broker/routes.h"

/* A frame of a publishing channel. */
void cress_outcome_frame(struct cress_publisher *publisher, const amqp_frame_t *frame);

/* Answers that the queue does not take it. */
void cress_outcome_refuse(struct cress_publisher *publisher, struct cress_operation *operation);

/* Whether there is still time to try a refused publish again at `retry_ms` (monotonic). */
bool cress_outcome_has_time(const struct cress_operation *operation, int64_t retry_ms);

#endif
