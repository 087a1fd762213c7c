// SPDX-License-Identifier: Apache-2.0
// What a job's record and its messages share; see promise.h.
#include "common/job/promise.h"

#include "common/base/id.h"

#include <string.h>

const char *cress_promise_new(char promise[CRESS_PROMISE_SIZE])
{
    return cress_token_new(promise, CRESS_PROMISE_SIZE);
}

const char *cress_promise_of(const struct cress_message *message)
{
    const struct cress_header *header = cress_message_header(message, CRESS_HEADER_PROMISE);
    if (!header || header->kind != CRESS_HEADER_TEXT ||
        strlen(header->text) != CRESS_PROMISE_SIZE - 1 ||
        strspn(header->text, "0123456789abcdef") != CRESS_PROMISE_SIZE - 1) {
        return NULL;
    }
    return header->text;
}

void cress_promise_replace(struct cress_message *clone, const char *promise)
{
    char *own = (char *)cress_promise_of(clone); /* in the clone's one block */
    if (own && strlen(promise) == CRESS_PROMISE_SIZE - 1) {
        memcpy(own, promise, CRESS_PROMISE_SIZE);
    }
}
