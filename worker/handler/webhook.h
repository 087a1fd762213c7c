// SPDX-License-Identifier: Apache-2.0
// What an HTTP task sends and understands beside plain HTTP: the signature of Standard Webhooks
// 1.0.0 (https://github.com/standard-webhooks/standard-webhooks), and what a response's status
// means for the job. Pure functions; any thread.
#ifndef CRESS_WORKER_HANDLER_WEBHOOK_H
#define CRESS_WORKER_HANDLER_WEBHOOK_H

#include "common/base/buf.h"
#include "worker/handler/handler.h"

#include <stdint.h>

/* The specification's bounds of a key: 192 to 512 bits. Two keys are a rotation; more are rare. */
enum { CRESS_WEBHOOK_KEY_MIN = 24, CRESS_WEBHOOK_KEY_MAX = 64, CRESS_WEBHOOK_KEYS_MAX = 8 };

struct cress_webhook_keys {
    size_t count;
    struct cress_webhook_key {
        unsigned char bytes[CRESS_WEBHOOK_KEY_MAX];
        size_t size;
    } keys[CRESS_WEBHOOK_KEYS_MAX];
};

/* Reads one or several secrets, each `whsec_` and base64 (RFC 4648, section 4, padded), separated
 * by commas, blanks or line ends. CRESS_CONFIG says which one is wrong and how, without showing it.
 */
CRESS_MUST_CHECK enum cress_status cress_webhook_keys_parse(const char *text,
                                                            struct cress_webhook_keys *keys,
                                                            struct cress_error *err);

/* Appends the value of the header webhook-signature: "v1,<base64>" for each key, separated by
 * blanks, so that a receiver that knows any of them accepts. Signed is `id.timestamp_s.body`. */
void cress_webhook_sign(const struct cress_webhook_keys *keys, const char *id, int64_t timestamp_s,
                        const void *body, size_t size, struct cress_buf *out);

/* SUCCEEDED for 2xx; RETRY for 408, 425, 429 and 5xx; FAILED for all others: a redirect of a POST
 * is an error of the configuration, and so is a request that the receiver calls wrong. */
enum cress_outcome_kind cress_webhook_judge(int http_status);

#endif
