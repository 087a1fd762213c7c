// SPDX-License-Identifier: Apache-2.0
// Amazon's signature version 4, in the Authorization header and in presigned URLs. Pure functions;
// any thread. Source: "Authenticating Requests (AWS Signature Version 4)", Amazon S3 API Reference.
#ifndef CRESS_OBJECT_SIGV4_H
#define CRESS_OBJECT_SIGV4_H

#include "common/base/buf.h"
#include "common/http/http.h"

#include <stdint.h>

enum { CRESS_SIGV4_DATE_SIZE = 17 };

/* What proves who asks. `service` is "s3". */
struct cress_sigv4_identity {
    const char *access_key_id;
    const char *secret;
    const char *session_token; /* NULL: none. Only presigning uses it: else it is a signed header */
    const char *region;
    const char *service;
};

/* A request exactly as it is sent: what the server sees must be what was signed. */
struct cress_sigv4_request {
    const char *method;
    const char *path;  /* encoded by cress_sigv4_encode() */
    const char *query; /* made by cress_sigv4_query(), or "" */
    /* Every header that is to be signed, names in lower case; `host` must be there, with a port
     * that is not the scheme's own. Sorted in place. */
    struct cress_http_header *headers;
    size_t header_count;
    const char *payload_sha256; /* hexadecimal, or "UNSIGNED-PAYLOAD" */
};

/* "20130524T000000Z", for x-amz-date. Returns `text`. */
const char *cress_sigv4_date(int64_t wall_ms, char text[CRESS_SIGV4_DATE_SIZE]);

/* Appends `text` with every byte but A-Z a-z 0-9 - _ . ~ (and '/', when `keep_slash`) as %XX. */
void cress_sigv4_encode(const char *text, bool keep_slash, struct cress_buf *out);

/* Appends the canonical query string of the parameters: encoded and sorted. At most 16. */
enum { CRESS_SIGV4_QUERY_MAX = 16 };
void cress_sigv4_query(const struct cress_http_header *parameters, size_t count,
                       struct cress_buf *out);

/* Appends the value of the Authorization header. `date` must also be sent, as the signed header
 * x-amz-date. */
void cress_sigv4_authorize(const struct cress_sigv4_identity *identity,
                           const struct cress_sigv4_request *request, const char *date,
                           struct cress_buf *authorization);

/* Appends the query string of a URL that lets its holder GET `path` at `host` for `expires_s`. */
void cress_sigv4_presign(const struct cress_sigv4_identity *identity, const char *host,
                         const char *path, const char *date, int64_t expires_s,
                         struct cress_buf *query);

#endif
