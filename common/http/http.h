// SPDX-License-Identifier: Apache-2.0
// The HTTP client: libcurl's multi interface on the loop, connections reused.
//
// Loop thread only; nothing blocks; callbacks never run from within the call that started them.
#ifndef CRESS_HTTP_HTTP_H
#define CRESS_HTTP_HTTP_H

#include "common/base/buf.h"
#include "common/http/guard.h"

#include <stdint.h>
#include <uv.h>

struct cress_http;
struct cress_http_call;

/* `per_host` bounds the connections to one host at once; further requests wait (and their time
 * counts). Connections are reused only among requests with the same guard, and `per_host` holds for
 * each guard. HTTP/1.1 only. */
struct cress_http *cress_http_open(uv_loop_t *loop, int per_host);

/* Fails what is under way with CRESS_CANCELLED and calls `closed` when no handle is left on the
 * loop. */
void cress_http_close(struct cress_http *http, void (*closed)(void *arg), void *arg);

struct cress_http_header {
    const char *name;
    const char *value;
};

struct cress_http_request {
    const char *method; /* GET, HEAD, PUT, POST, DELETE */
    const char *url;    /* sent as it is: the path is not normalised */
    const struct cress_http_header *headers;
    size_t header_count;
    const void *body; /* must live until the end; NULL: none */
    size_t body_size;
    int body_fd; /* when `body` is NULL and body_size > 0: read from here with pread(2), from offset
                    0 */
    const char *user_agent;
    bool accept_encoding; /* ask for gzip and decode; the body is then the decoded one */
    int64_t timeout_ms;   /* of the whole */
    int64_t max_bytes;    /* of the decoded body; more is CRESS_TOO_LARGE */
    int max_redirects;    /* 0: none are followed, a 3xx is the response */
    /* Not NULL for every URL that comes from a job: asked before each connection is made, and only
     * http and https are spoken, and no URL with user and password is taken. It must outlive the
     * client. NULL for endpoints that the operator configured. Environment proxies are never used.
     */
    const struct cress_guard *guard;
    /* Not NULL: gets the body piece by piece instead of having it collected; false ends the call
     * with CRESS_CANCELLED. Called only for a 2xx response. */
    bool (*on_data)(const void *data, size_t size, void *arg);
};

struct cress_http_response {
    int status;
    const char *url; /* the last one, after redirects */
    int redirects;
    struct cress_http_call *call; /* for cress_http_header_value() */
    const char *body;             /* "" with on_data */
    size_t body_size;
    int64_t total_ms;
};

/* `err` not NULL: there was no complete response, and `response` is NULL. CRESS_UNAVAILABLE with
 * the codes "dns", "connect", "tls", "reset", "http"; CRESS_TIMEOUT; CRESS_TOO_LARGE; CRESS_DENIED
 * "address_refused" (the guard; permanent) or "scheme_refused"; CRESS_INVALID "bad_url";
 * CRESS_TEMPORARY "too_many_redirects"; CRESS_CANCELLED. Any HTTP status is a response, not an
 * error. */
typedef void (*cress_http_cb)(const struct cress_http_response *response,
                              const struct cress_error *err, void *arg);

/* The request is copied, its body is not. The returned call is valid until `done` is called,
 * exactly once. */
struct cress_http_call *cress_http_start(struct cress_http *http,
                                         const struct cress_http_request *request,
                                         cress_http_cb done, void *arg);

/* Ends it: `done` gets CRESS_CANCELLED, on a later loop turn. */
void cress_http_cancel(struct cress_http_call *call);

/* Stops and resumes reading (flow control for on_data). */
void cress_http_pause(struct cress_http_call *call, bool paused);

/* How long a response asks to be left alone at `now_ms` (wall clock): the value of its
 * Retry-After, which is seconds or a date (RFC 9110, section 10.2.3). 0: NULL, the past, or
 * nonsense. At most CRESS_HTTP_RETRY_AFTER_MAX_MS: whoever asks for more is asked again after
 * that. Pure; any thread. */
#define CRESS_HTTP_RETRY_AFTER_MAX_MS (INT64_C(24) * 3600 * 1000)
int64_t cress_http_retry_after_ms(const char *value, int64_t now_ms);

/* The value of header `name` of the last response, or NULL. Until `done` has returned. */
const char *cress_http_header_value(const struct cress_http_response *response, const char *name);

#endif
