// SPDX-License-Identifier: Apache-2.0
// AMQP messages as members of a JSON object.
#ifndef CRESS_CLI_MESSAGE_JSON_H
#define CRESS_CLI_MESSAGE_JSON_H

#include "common/base/buf.h"
#include "common/job/message.h"

/* Appends ,"name":"text"; nothing when `text` is NULL. */
void cress_message_add_member(struct cress_buf *json, const char *name, const char *text);

/* Appends ,"headers":{…}, but for headers that are not carried. */
void cress_message_add_headers(struct cress_buf *json, const struct cress_message *message);

/* Appends the body on one line: ,"payload":… when it is JSON, ,"body":"…" when it is other text,
 * ,"body_base64":"…" else. */
void cress_message_add_body(struct cress_buf *json, const struct cress_message *message);

#endif
