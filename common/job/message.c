// SPDX-License-Identifier: Apache-2.0
// AMQP messages as plain structs: the deep copy, and looking a header up.
#include "common/job/message.h"

#include "common/base/mem.h"
#include "common/job/pack.h"

#include <string.h>

const struct cress_header *cress_message_header(const struct cress_message *message,
                                                const char *name)
{
    for (size_t i = 0; i < message->header_count; i++) {
        if (strcmp(message->headers[i].name, name) == 0) {
            return &message->headers[i];
        }
    }
    return NULL;
}

/* The block: struct | headers | texts | body. The headers come first because they need alignment.
 */
struct cress_message *cress_message_clone(const struct cress_message *message)
{
    struct cress_message view = *message;
    const char **const texts[] = {&view.exchange,   &view.routing_key,  &view.type,
                                  &view.message_id, &view.content_type, &view.correlation_id,
                                  &view.reply_to,   &view.app_id};
    const size_t headers_size = view.header_count * sizeof(*view.headers);
    size_t size = sizeof(view) + headers_size + view.body_size;
    for (size_t i = 0; i < CRESS_COUNT(texts); i++) {
        size += cress_pack_size(*texts[i]);
    }
    for (size_t i = 0; i < view.header_count; i++) {
        size += cress_pack_size(view.headers[i].name) + cress_pack_size(view.headers[i].text);
    }

    struct cress_message *clone = cress_alloc(size);
    struct cress_header *headers = (struct cress_header *)(clone + 1);
    char *at = (char *)(headers + view.header_count);
    for (size_t i = 0; i < CRESS_COUNT(texts); i++) {
        *texts[i] = cress_pack(&at, *texts[i]);
    }
    for (size_t i = 0; i < view.header_count; i++) {
        headers[i] = view.headers[i];
        headers[i].name = cress_pack(&at, view.headers[i].name);
        headers[i].text = cress_pack(&at, view.headers[i].text);
    }
    if (view.body_size > 0) {
        view.body = memcpy(at, view.body, view.body_size);
    } else {
        view.body = NULL;
    }
    view.headers = view.header_count > 0 ? headers : NULL;
    *clone = view;
    return clone;
}
