// SPDX-License-Identifier: Apache-2.0
// The HTTP server as the gateway sees it: the one seam behind which the library (libh2o today) can
// be replaced.
//
// HTTP/1.1 (RFC 9110, RFC 9112) with keep-alive, pipelining and chunked requests. A request is
// handed over complete, body included, and is answered exactly once, now or on a later loop turn.
// It lives until it is answered, also when its client is gone, so that a handler never holds a
// dangling one.
//
// What the server answers by itself, with a problem document (RFC 9457) and a closed connection:
// 400 malformed, 408 the request stopped arriving, 413 body too large, 417, 431 header too large,
// 501 unknown transfer coding, 503 too many connections, 505. It then reads on for a moment before
// it closes, because a reset would destroy the answer.
//
// Loop thread only; nothing blocks.
#ifndef CRESS_GATEWAY_HTTP_H
#define CRESS_GATEWAY_HTTP_H

#include "common/base/status.h"

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct cress_server;

/* Texts are NUL-terminated and live as long as the request. */
struct cress_server_request {
    const char *method;
    const char *path;  /* as sent: percent-encoded, without the query */
    const char *query; /* without the "?"; "" when there is none */
    const char *host;  /* whom it is for: "name:port" as the client says */
    const char *body;  /* not NUL-terminated */
    size_t body_size;
    int64_t begun_ms; /* monotonic: when it was complete */
    void *owner;      /* cress_server_options.arg */
};

/* The value of header `name` (lower case), or NULL. Several fields of that name are joined by ", "
 * (RFC 9110, 5.3). */
const char *cress_server_request_header(struct cress_server_request *request, const char *name);

/* Zeroed memory that lives as long as the request. */
void *cress_server_request_alloc(struct cress_server_request *request, size_t size);

enum { CRESS_RESPONSE_FIELDS_MAX = 16 };

struct cress_response_field {
    const char *name;
    const char *value;
};

struct cress_response {
    int status;
    struct cress_response_field fields[CRESS_RESPONSE_FIELDS_MAX];
    size_t field_count;
    const void *body;
    size_t body_size;
};

/* Adds a field; name and value must live until cress_server_request_respond(). */
void cress_response_add(struct cress_response *response, const char *name, const char *value);

/* Sends `response` (copied) and ends the request. Content-Length, Date and Connection are the
 * server's; the body of an answer to HEAD and of a 304 is left out. */
void cress_server_request_respond(struct cress_server_request *request,
                                  const struct cress_response *response);

/* Calls `gone` once if the client closes its side before the answer. The request still wants its
 * answer: a client that only closed its sending side (RFC 9112, 9.6) will read it. */
void cress_server_request_watch(struct cress_server_request *request,
                                void (*gone)(struct cress_server_request *request, void *arg),
                                void *arg);

struct cress_server_options {
    const char *listen; /* address:port, [address]:port or name:port; port 0 takes a free one */
    int64_t max_body_bytes;
    int64_t idle_timeout_ms;
    int64_t max_connections;
    void (*on_request)(struct cress_server_request *request, void *arg);
    void *arg;
};

/* Listens. CRESS_CONFIG when `listen` cannot be read, CRESS_UNAVAILABLE when it cannot be had. */
CRESS_MUST_CHECK enum cress_status cress_server_open(uv_loop_t *loop,
                                                     const struct cress_server_options *options,
                                                     struct cress_server **out,
                                                     struct cress_error *err);

/* Where it listens: "http://127.0.0.1:8080". */
const char *cress_server_url(const struct cress_server *server);

/* Stops accepting, closes idle connections, and the others after their answer; `drained` is called
 * when none is left, on a later loop turn. */
void cress_server_drain(struct cress_server *server, void (*drained)(void *arg), void *arg);

/* Frees a drained server. Not from within a callback: it lets the loop turn once. */
void cress_server_free(struct cress_server *server);

#endif
