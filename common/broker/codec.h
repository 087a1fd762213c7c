// SPDX-License-Identifier: Apache-2.0
// Messages to and from rabbitmq-c's structs. Private to common/broker; pure but for memory.
#ifndef CRESS_BROKER_CODEC_H
#define CRESS_BROKER_CODEC_H

#include "common/broker/mail.h"
#include "common/job/message.h"

#include <amqp.h>
#include <amqp_framing.h>
#include <stdbool.h>

/* The properties of `message` with its headers in `entries`, which has room for one more than
 * header_count, and, unless it is NULL, the header due_queue.
 * Everything borrows from the message. Left out are headers that are not carried and those that the
 * broker writes: before 4.0 RabbitMQ takes a republished x-death for a cycle and drops the message.
 */
void cress_codec_properties(const struct cress_message *message, const char *due_queue,
                            amqp_table_entry_t *entries, amqp_basic_properties_t *properties);

/* A delivery with its message in one block of memory, with room for a body of `body_size` at
 * `*body`, still to be filled in. Queue, priority, epoch and lane are left to the caller. */
struct cress_incoming *cress_codec_incoming(const amqp_basic_deliver_t *deliver,
                                            const amqp_basic_properties_t *properties,
                                            size_t body_size, char **body);

bool cress_bytes_equal(amqp_bytes_t bytes, const char *text);

#endif
