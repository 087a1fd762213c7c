// SPDX-License-Identifier: Apache-2.0
// What a request's path, query and headers ask for. Pure functions; any thread.
#ifndef CRESS_GATEWAY_PARAMS_H
#define CRESS_GATEWAY_PARAMS_H

#include "common/base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decodes percent-encoding (RFC 3986, 2.1) of `size` bytes into `out`, NUL-terminated. False when
 * it is broken, holds a NUL or does not fit. */
bool cress_params_decode(const char *text, size_t size, char *out, size_t out_size);

/* Finds `name` in a query string ("wait=10s&x=1"); true when it is there and its value could be
 * decoded. */
bool cress_params_query(const char *query, const char *name, char *out, size_t out_size);

/* How long a client will wait for an answer: ?wait=10 or ?wait=10s, else `Prefer: wait=10` (RFC
 * 7240, 4.3). 0 when it asks for none. More than `max_ms` becomes `max_ms`. `*preferred` says that
 * the header was applied. A ?wait= that cannot be read is CRESS_MALFORMED; a preference that cannot
 * be read is ignored, as the RFC demands. */
CRESS_MUST_CHECK enum cress_status cress_params_wait(const char *query, const char *prefer,
                                                     int64_t max_ms, int64_t *wait_ms,
                                                     bool *preferred, struct cress_error *err);

/* Whether If-None-Match (RFC 9110, 13.1.2: "*", or a list of tags, compared weakly) covers `etag`,
 * which has its quotes. `header` may be NULL. */
bool cress_params_etag_matches(const char *header, const char *etag);

/* The value of the header Idempotency-Key (draft-ietf-httpapi-idempotency-key-header-07): a
 * Structured Field string in its quotes (RFC 8941, 3.3.3), or the bare key, which is what most
 * clients send. `out` has room for CRESS_IDEMPOTENCY_KEY_SIZE. CRESS_MALFORMED "bad_idempotency_key"
 * when it is neither, empty or too long. */
enum { CRESS_IDEMPOTENCY_KEY_SIZE = 257 };
CRESS_MUST_CHECK enum cress_status cress_params_idempotency_key(const char *header, char *out,
                                                                struct cress_error *err);

/* Whether Content-Type is application/json or application/…+json, whatever its parameters. */
bool cress_params_is_json(const char *content_type);

#endif
