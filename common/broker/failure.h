// SPDX-License-Identifier: Apache-2.0
// What goes wrong with AMQP, as Cress's errors: the broker's reply codes and rabbitmq-c's status
// codes. Private to common/broker.
#ifndef CRESS_BROKER_FAILURE_H
#define CRESS_BROKER_FAILURE_H

#include "common/base/status.h"

#include <amqp.h>
#include <amqp_framing.h>
#include <stdint.h>

/* The code of AMQP's INTERNAL_ERROR (541). */
#define CRESS_FAILURE_INTERNAL "broker_failed"

/* The error for an AMQP reply code (0-9-1, section 1.1 constants) with the server's text. */
enum cress_status cress_failure_by_code(int reply_code, amqp_bytes_t text, struct cress_error *err);

/* Adds to a CRESS_DENIED which permission is lacking, which RabbitMQ 3 does not say: "configure",
 * "write" or "read". Other errors stay as they are. */
void cress_failure_name_permission(const char *permission, struct cress_error *err);

/* RabbitMQ's `max_message_size`, when `text` is its refusal of a message that is larger; else 0. */
uint64_t cress_failure_size_limit(amqp_bytes_t text);

/* CRESS_TOO_LARGE "too_large_for_broker": for good, whoever sends it again. */
enum cress_status cress_failure_too_large(uint64_t limit_bytes, struct cress_error *err);

/* The error for what rabbitmq-c answered to a login or a request; it is not AMQP_RESPONSE_NORMAL.
 */
enum cress_status cress_failure_by_reply(amqp_rpc_reply_t reply, struct cress_error *err);

/* The error for a negative status code of rabbitmq-c. */
enum cress_status cress_failure_by_status(int status, struct cress_error *err);

#endif
