// SPDX-License-Identifier: Apache-2.0
// AMQP messages as JSON; see message_json.h.
#include "producer/cli/message_json.h"

#include "common/base/json.h"
#include "common/base/mem.h"
#include "common/base/text.h"

#include <inttypes.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

void cress_message_add_member(struct cress_buf *json, const char *name, const char *text)
{
    if (text) {
        cress_buf_printf(json, ",\"%s\":", name);
        cress_buf_add_json(json, text, strlen(text));
    }
}

void cress_message_add_headers(struct cress_buf *json, const struct cress_message *message)
{
    const char *separator = "";
    cress_buf_add_text(json, ",\"headers\":{");
    for (size_t i = 0; i < message->header_count; i++) {
        const struct cress_header *header = &message->headers[i];
        if (header->kind == CRESS_HEADER_OTHER) {
            continue;
        }
        cress_buf_add_text(json, separator);
        separator = ",";
        cress_buf_add_json(json, header->name, strlen(header->name));
        cress_buf_add_char(json, ':');
        if (header->kind == CRESS_HEADER_TEXT) {
            cress_buf_add_json(json, header->text, strlen(header->text));
        } else if (header->kind == CRESS_HEADER_BOOL) {
            cress_buf_add_text(json, header->number ? "true" : "false");
        } else {
            cress_buf_printf(json, "%" PRId64, header->number);
        }
    }
    cress_buf_add_char(json, '}');
}

static void add_base64(struct cress_buf *json, const struct cress_message *message)
{
    unsigned char *text = cress_alloc(4 * (message->body_size / 3 + 1) + 1);
    EVP_EncodeBlock(text, message->body, (int)message->body_size);
    cress_buf_printf(json, ",\"body_base64\":\"%s\"", (const char *)text);
    free(text);
}

void cress_message_add_body(struct cress_buf *json, const struct cress_message *message)
{
    if (message->body_size == 0 || message->body_size > INT_MAX) {
        cress_buf_add_text(json, ",\"body\":\"\"");
        return;
    }
    struct cress_json payload;
    if (cress_json_find_fault(message->body, message->body_size, &payload, NULL)) {
        cress_buf_add_text(json, ",\"payload\":");
        cress_json_add_line(json, payload);
    } else if (cress_text_is_utf8(message->body, message->body_size)) {
        cress_buf_add_text(json, ",\"body\":");
        cress_buf_add_json(json, message->body, message->body_size);
    } else {
        add_base64(json, message);
    }
}
