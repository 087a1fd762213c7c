// SPDX-License-Identifier: Apache-2.0
// One AMQP 0-9-1 connection on rabbitmq-c: dialling, login, TLS, heartbeats, frames out and in, and
// error texts.
//
// DESIGN
// Incoming frames come one at a time from cress_connection_next(), which never waits. Outgoing ones
// are encoded into a buffer and leave by cress_connection_flush() as far as the socket takes them,
// so that a batch is one system call and a broker that stops reading cannot stop us from reading.
// rabbitmq-c gives no access to its TLS stream; there each frame is sent at once, and a full socket
// blocks for at most two heartbeats.
//
// rabbitmq-c would send its heartbeats in the middle of a frame that is half sent, so over plain
// TCP they are done here, from cress_connection_tick(); the library's are on only while it waits
// for the reply to a call, with nothing half sent.
//
// A connection that failed is `broken` for good, with the reason in `error`; calls on it do
// nothing. Private to common/broker. Owned by one thread.
#ifndef CRESS_BROKER_CONNECTION_H
#define CRESS_BROKER_CONNECTION_H

#include "common/base/buf.h"
#include "common/base/status.h"

#include <amqp.h>
#include <amqp_framing.h>
#include <stdbool.h>
#include <stdint.h>

/* Where and how to connect. The texts are owned. */
struct cress_endpoint {
    char **urls;   /* one for each node of the cluster; ends with NULL */
    size_t count;  /* of urls */
    size_t at;     /* the one to use now */
    char *ca_file; /* "": the system's */
    char *name;
    int64_t heartbeat_ms;
    int64_t connect_timeout_ms;
    int64_t reconnect_max_ms;
};

struct cress_connection {
    amqp_connection_state_t amqp;
    int fd;
    bool tls;
    bool blocked; /* RabbitMQ takes no publishes now */
    bool broken;
    struct cress_error error;
    struct cress_buf out; /* encoded frames; the first `sent` bytes have left */
    size_t sent;
    uint64_t message_max; /* RabbitMQ's own limit, learned from a refusal; 0: not known */
    char *scratch;        /* room to encode one frame */
    int64_t heartbeat_ms;
    int64_t written_ms, heard_ms; /* monotonic: when something was last sent and received */
};

/* Checks that `url`, which may name several hosts, can be read. CRESS_CONFIG. */
CRESS_MUST_CHECK enum cress_status cress_endpoint_check(const char *url, struct cress_error *err);

/* The nodes of `url`, to be begun with a random one: many clients spread over a cluster. */
void cress_endpoint_set_url(struct cress_endpoint *endpoint, const char *url);

/* Connects the socket; blocks for connect_timeout_ms at most, not counting the resolver.
 * CRESS_UNAVAILABLE. */
CRESS_MUST_CHECK enum cress_status cress_connection_dial(const struct cress_endpoint *endpoint,
                                                         struct cress_connection **out,
                                                         struct cress_error *err);

/* Logs in, in what is left of connect_timeout_ms after `dialled_ms`. CRESS_DENIED when refused. */
CRESS_MUST_CHECK enum cress_status cress_connection_login(struct cress_connection *connection,
                                                          const struct cress_endpoint *endpoint,
                                                          int64_t dialled_ms,
                                                          struct cress_error *err);

/* Says goodbye, waiting `wait_ms` for the answer; 0: just closes the socket. Frees nothing. */
void cress_connection_goodbye(struct cress_connection *connection, int64_t wait_ms);
void cress_connection_free(struct cress_connection *connection);

/* Product and version of the server. */
void cress_connection_server(const struct cress_connection *connection, char *text, size_t size);

/* --- frames out --- */

/* Queues a method without content. */
void cress_connection_send(struct cress_connection *connection, amqp_channel_t channel,
                           amqp_method_number_t id, void *method);

/* Queues a mandatory publish. CRESS_INVALID: a property or the headers are too long for AMQP.
 * CRESS_TOO_LARGE "too_large_for_broker": it is known that RabbitMQ would refuse it, and close the
 * channel. Then nothing was queued. */
CRESS_MUST_CHECK enum cress_status
cress_connection_publish(struct cress_connection *connection, amqp_channel_t channel,
                         amqp_basic_publish_t *method, amqp_basic_properties_t *properties,
                         amqp_bytes_t body, struct cress_error *err);

/* Sends what the socket takes now. */
void cress_connection_flush(struct cress_connection *connection);
/* Bytes that wait for the socket. */
size_t cress_connection_unsent(const struct cress_connection *connection);

/* --- frames in --- */

/* The next frame, false when there is none now or the connection broke. It lives until
 * cress_connection_release(). */
bool cress_connection_next(struct cress_connection *connection, amqp_frame_t *frame);
/* Whether cress_connection_next() has something without the socket being readable. */
bool cress_connection_has_buffered(const struct cress_connection *connection);
/* Forgets the frames of `channel`. */
void cress_connection_release(struct cress_connection *connection, amqp_channel_t channel);

/* Handles a frame of channel 0: blocked, unblocked, close. */
void cress_connection_control(struct cress_connection *connection, const amqp_frame_t *frame);

/* --- request and reply --- */

/* Sends a request and waits for `reply_id`; other frames that arrive meanwhile are kept for
 * cress_connection_next().
 * `*reply` (may be NULL) lives until cress_connection_release(). When the server refuses by closing
 * the channel, says why in `err`; the channel must then be opened again. When the connection
 * breaks, `err` is its error. */
CRESS_MUST_CHECK enum cress_status cress_connection_call(struct cress_connection *connection,
                                                         amqp_channel_t channel,
                                                         amqp_method_number_t id, void *request,
                                                         amqp_method_number_t reply_id,
                                                         void **reply, struct cress_error *err);

CRESS_MUST_CHECK enum cress_status
cress_connection_open_channel(struct cress_connection *connection, amqp_channel_t channel,
                              struct cress_error *err);

/* Answers a channel.close and says in `err` what the server complained about. */
enum cress_status cress_connection_channel_closed(struct cress_connection *connection,
                                                  amqp_channel_t channel,
                                                  const amqp_channel_close_t *close,
                                                  struct cress_error *err);

/* --- life signs --- */

/* Switches rabbitmq-c's own heartbeats on or off. On only while whole frames are sent: see above.
 */
void cress_connection_let_library_beat(struct cress_connection *connection, bool on);

/* Sends a heartbeat when one is due and breaks the connection when the server was silent for two.
 * Returns the milliseconds until it must be called again. `readable`: poll() said that the socket
 * has something. */
int cress_connection_tick(struct cress_connection *connection, int64_t now_ms, bool readable);

/* Breaks the connection, unless it is broken already. */
void cress_connection_fail(struct cress_connection *connection, enum cress_status status,
                           const char *code, const char *format, ...) CRESS_PRINTF(4, 5);

/* Breaks the connection when rabbitmq-c returned an error. */
void cress_connection_check(struct cress_connection *connection, int status);

#endif
