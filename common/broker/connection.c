// SPDX-License-Identifier: Apache-2.0
// One AMQP connection: frames in and out, requests, heartbeats; see connection.h. Dialling and
// login are in dial.c.
#include "common/broker/connection.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/broker/failure.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

enum {
    FRAME_HEADER_SIZE = 7,
    FRAME_OVERHEAD = FRAME_HEADER_SIZE + 1,
    /* A buffer that one large message has blown up is given back. */
    OUT_KEPT_BYTES = 1 << 20,
};

void cress_connection_free(struct cress_connection *connection)
{
    if (!connection) {
        return;
    }
    amqp_destroy_connection(connection->amqp);
    cress_buf_free(&connection->out);
    free(connection->scratch);
    free(connection);
}

/* --- frames out --- */

static void put_number(char *at, uint64_t number, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--) {
        at[i] = (char)(number & 0xFF);
        number >>= 8;
    }
}

/* Completes a frame whose payload of `size` bytes already stands behind the room for its header.
 * Returns its length. */
static size_t close_frame(char *at, int type, amqp_channel_t channel, size_t size)
{
    at[0] = (char)type;
    put_number(at + 1, channel, 2);
    put_number(at + 3, size, 4);
    at[FRAME_HEADER_SIZE + size] = (char)AMQP_FRAME_END;
    return size + FRAME_OVERHEAD;
}

/* These two write one frame to `at`, where `room` bytes are; they return its length, 0 when it
 * cannot be encoded. */
static size_t encode_method(char *at, size_t room, amqp_channel_t channel, amqp_method_number_t id,
                            void *method)
{
    const size_t before = FRAME_HEADER_SIZE + 4;
    if (room < before + 1) {
        return 0;
    }
    const amqp_bytes_t rest = {.bytes = at + before, .len = room - before - 1};
    const int size = amqp_encode_method(id, method, rest);
    if (size < 0) {
        return 0;
    }
    put_number(at + FRAME_HEADER_SIZE, id, 4);
    return close_frame(at, AMQP_FRAME_METHOD, channel, (size_t)size + 4);
}

static size_t encode_header(char *at, size_t room, amqp_channel_t channel,
                            amqp_basic_properties_t *properties, size_t body_size)
{
    const size_t before = FRAME_HEADER_SIZE + 12;
    if (room < before + 1) {
        return 0;
    }
    const amqp_bytes_t rest = {.bytes = at + before, .len = room - before - 1};
    const int size = amqp_encode_properties(AMQP_BASIC_CLASS, properties, rest);
    if (size < 0) {
        return 0;
    }
    put_number(at + FRAME_HEADER_SIZE, AMQP_BASIC_CLASS, 2);
    put_number(at + FRAME_HEADER_SIZE + 2, 0, 2);
    put_number(at + FRAME_HEADER_SIZE + 4, body_size, 8);
    return close_frame(at, AMQP_FRAME_HEADER, channel, (size_t)size + 12);
}

static size_t frame_max(const struct cress_connection *connection)
{
    return (size_t)amqp_get_frame_max(connection->amqp);
}

static void queue_body(struct cress_connection *connection, amqp_channel_t channel,
                       amqp_bytes_t body)
{
    const size_t largest = frame_max(connection) - FRAME_OVERHEAD;
    const char end = (char)AMQP_FRAME_END;
    for (size_t at = 0; at < body.len;) {
        const size_t size = body.len - at < largest ? body.len - at : largest;
        char header[FRAME_HEADER_SIZE] = {AMQP_FRAME_BODY};
        put_number(header + 1, channel, 2);
        put_number(header + 3, size, 4);
        cress_buf_add(&connection->out, header, sizeof header);
        cress_buf_add(&connection->out, (const char *)body.bytes + at, size);
        cress_buf_add(&connection->out, &end, 1);
        at += size;
    }
}

static void check_overflow(struct cress_connection *connection)
{
    if (connection->out.overflowed) {
        cress_connection_fail(connection, CRESS_INTERNAL, "output_overflow",
                              "more than %zu bytes wait for the broker", connection->out.max_bytes);
    }
}

void cress_connection_send(struct cress_connection *connection, amqp_channel_t channel,
                           amqp_method_number_t id, void *method)
{
    if (connection->broken) {
        return;
    }
    if (connection->tls) {
        cress_connection_check(connection, amqp_send_method(connection->amqp, channel, id, method));
        connection->written_ms = cress_clock_mono_ms();
        return;
    }
    const size_t size =
        encode_method(connection->scratch, frame_max(connection), channel, id, method);
    if (!size) {
        cress_connection_fail(connection, CRESS_INTERNAL, "encoding",
                              "method 0x%08X cannot be encoded", (unsigned)id);
        return;
    }
    cress_buf_add(&connection->out, connection->scratch, size);
    check_overflow(connection);
}

enum cress_status cress_connection_publish(struct cress_connection *connection,
                                           amqp_channel_t channel, amqp_basic_publish_t *method,
                                           amqp_basic_properties_t *properties, amqp_bytes_t body,
                                           struct cress_error *err)
{
    if (connection->broken) {
        return CRESS_OK;
    }
    if (connection->message_max && body.len > connection->message_max) {
        return cress_failure_too_large(connection->message_max, err);
    }
    const size_t room = frame_max(connection);
    char *at = connection->scratch;
    const size_t first = encode_method(at, room, channel, AMQP_BASIC_PUBLISH_METHOD, method);
    const size_t second = encode_header(at + first, room, channel, properties, body.len);
    if (!first || !second) {
        return cress_error_set(err, CRESS_INVALID, "message_properties",
                               "a property is longer than 255 bytes or the headers are "
                               "longer than %zu: shorten them",
                               room);
    }
    if (connection->tls) {
        cress_connection_check(connection,
                               amqp_basic_publish(connection->amqp, channel, method->exchange,
                                                  method->routing_key, method->mandatory, 0,
                                                  properties, body));
        connection->written_ms = cress_clock_mono_ms();
        return CRESS_OK;
    }
    cress_buf_add(&connection->out, at, first + second);
    queue_body(connection, channel, body);
    check_overflow(connection);
    return CRESS_OK;
}

size_t cress_connection_unsent(const struct cress_connection *connection)
{
    return connection->out.size - connection->sent;
}

void cress_connection_flush(struct cress_connection *connection)
{
    struct cress_buf *out = &connection->out;
    if (connection->broken || connection->sent == out->size) {
        return;
    }
    while (connection->sent < out->size) {
        const ssize_t n = send(connection->fd, out->data + connection->sent,
                               out->size - connection->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            return;
        }
        if (n < 0) {
            cress_connection_fail(connection, CRESS_UNAVAILABLE, "connection_lost",
                                  "sending to the broker: %s", strerror(errno));
            return;
        }
        connection->sent += (size_t)n;
        connection->written_ms = cress_clock_mono_ms();
    }
    connection->sent = 0;
    cress_buf_clear(out);
    if (out->capacity > OUT_KEPT_BYTES) {
        cress_buf_free(out);
    }
}

/* --- frames in --- */

bool cress_connection_has_buffered(const struct cress_connection *connection)
{
    return !connection->broken &&
           (amqp_frames_enqueued(connection->amqp) || amqp_data_in_buffer(connection->amqp));
}

bool cress_connection_next(struct cress_connection *connection, amqp_frame_t *frame)
{
    if (connection->broken) {
        return false;
    }
    const struct timeval now = {0};
    const int status = amqp_simple_wait_frame_noblock(connection->amqp, frame, &now);
    if (status == AMQP_STATUS_OK) {
        return true;
    }
    if (status != AMQP_STATUS_TIMEOUT) {
        cress_connection_check(connection, status);
    }
    return false;
}

void cress_connection_release(struct cress_connection *connection, amqp_channel_t channel)
{
    amqp_maybe_release_buffers_on_channel(connection->amqp, channel);
}

void cress_connection_control(struct cress_connection *connection, const amqp_frame_t *frame)
{
    if (frame->frame_type != AMQP_FRAME_METHOD) {
        return;
    }
    switch (frame->payload.method.id) {
    case AMQP_CONNECTION_BLOCKED_METHOD:
        connection->blocked = true;
        break;
    case AMQP_CONNECTION_UNBLOCKED_METHOD:
        connection->blocked = false;
        break;
    case AMQP_CONNECTION_CLOSE_METHOD: {
        const amqp_connection_close_t *close = frame->payload.method.decoded;
        struct cress_error reason;
        cress_failure_by_code(close->reply_code, close->reply_text, &reason);
        amqp_connection_close_ok_t ok = {0};
        cress_connection_send(connection, 0, AMQP_CONNECTION_CLOSE_OK_METHOD, &ok);
        cress_connection_flush(connection);
        cress_connection_fail(connection, reason.status, reason.code,
                              "the broker closed the connection: %s", reason.message);
        break;
    }
    default:
        break;
    }
}

/* --- request and reply --- */

/* rabbitmq-c sends the request itself: everything before it must have left, and there must be room,
 * because its send blocks for as long as the socket is full. */
static void drain_output(struct cress_connection *connection)
{
    const int64_t end = cress_clock_mono_ms() + 2 * connection->heartbeat_ms;
    for (;;) {
        cress_connection_flush(connection);
        struct pollfd socket = {.fd = connection->fd, .events = POLLOUT};
        const bool writable = !connection->broken && poll(&socket, 1, 50) == 1;
        if (connection->broken || (writable && !cress_connection_unsent(connection))) {
            return;
        }
        if (cress_clock_mono_ms() > end) {
            cress_connection_fail(connection, CRESS_UNAVAILABLE, "heartbeat",
                                  "the broker has taken no data for %lld ms",
                                  2 * (long long)connection->heartbeat_ms);
        }
    }
}

static enum cress_status copy_error(const struct cress_connection *connection,
                                    struct cress_error *err)
{
    *err = connection->error;
    return err->status;
}

enum cress_status cress_connection_call(struct cress_connection *connection, amqp_channel_t channel,
                                        amqp_method_number_t id, void *request,
                                        amqp_method_number_t reply_id, void **reply,
                                        struct cress_error *err)
{
    if (!connection->broken) {
        drain_output(connection);
    }
    if (connection->broken) {
        return copy_error(connection, err);
    }
    amqp_method_number_t replies[] = {reply_id, 0};
    cress_connection_let_library_beat(connection, true);
    const amqp_rpc_reply_t answer =
        amqp_simple_rpc(connection->amqp, channel, id, replies, request);
    cress_connection_let_library_beat(connection, connection->tls);
    connection->written_ms = connection->heard_ms = cress_clock_mono_ms();
    if (answer.reply_type == AMQP_RESPONSE_NORMAL) {
        if (reply) {
            *reply = answer.reply.decoded;
        }
        return CRESS_OK;
    }
    if (answer.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION &&
        answer.reply.id == AMQP_CHANNEL_CLOSE_METHOD) {
        return cress_connection_channel_closed(connection, channel, answer.reply.decoded, err);
    }
    if (answer.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION) {
        const amqp_frame_t frame = {.frame_type = AMQP_FRAME_METHOD,
                                    .payload.method = answer.reply};
        cress_connection_control(connection, &frame);
    } else {
        cress_connection_check(connection, answer.library_error);
    }
    return copy_error(connection, err);
}

enum cress_status cress_connection_open_channel(struct cress_connection *connection,
                                                amqp_channel_t channel, struct cress_error *err)
{
    amqp_channel_open_t request = {0};
    return cress_connection_call(connection, channel, AMQP_CHANNEL_OPEN_METHOD, &request,
                                 AMQP_CHANNEL_OPEN_OK_METHOD, NULL, err);
}

enum cress_status cress_connection_channel_closed(struct cress_connection *connection,
                                                  amqp_channel_t channel,
                                                  const amqp_channel_close_t *close,
                                                  struct cress_error *err)
{
    const enum cress_status status =
        cress_failure_by_code(close->reply_code, close->reply_text, err);
    if (status == CRESS_TOO_LARGE) {
        connection->message_max = cress_failure_size_limit(close->reply_text);
    }
    amqp_channel_close_ok_t ok = {0};
    cress_connection_send(connection, channel, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok);
    return status;
}

/* --- life signs --- */

void cress_connection_let_library_beat(struct cress_connection *connection, bool on)
{
    amqp_connection_state_t amqp = connection->amqp;
    const int seconds = on ? (int)(connection->heartbeat_ms / 1000) : 0;
    cress_connection_check(connection, amqp_tune_connection(amqp, amqp_get_channel_max(amqp),
                                                            amqp_get_frame_max(amqp), seconds));
}

static void send_heartbeat(struct cress_connection *connection)
{
    if (connection->tls) {
        const amqp_frame_t frame = {.frame_type = AMQP_FRAME_HEARTBEAT};
        cress_connection_check(connection, amqp_send_frame(connection->amqp, &frame));
    } else {
        char frame[FRAME_OVERHEAD];
        cress_buf_add(&connection->out, frame, close_frame(frame, AMQP_FRAME_HEARTBEAT, 0, 0));
        cress_connection_flush(connection);
    }
    connection->written_ms = cress_clock_mono_ms();
}

int cress_connection_tick(struct cress_connection *connection, int64_t now_ms, bool readable)
{
    if (readable) {
        connection->heard_ms = now_ms;
    }
    const int64_t silence_ms = now_ms - connection->heard_ms;
    if (silence_ms >= 2 * connection->heartbeat_ms && !connection->broken) {
        cress_connection_fail(connection, CRESS_UNAVAILABLE, "heartbeat",
                              "the broker was silent for %lld ms", (long long)silence_ms);
    }
    if (connection->broken) {
        return 0;
    }
    /* Bytes that wait for the socket are a sign of life themselves, once it takes them. */
    if (now_ms - connection->written_ms >= connection->heartbeat_ms / 2 &&
        !cress_connection_unsent(connection)) {
        send_heartbeat(connection);
    }
    const int64_t until_send = connection->written_ms + connection->heartbeat_ms / 2 - now_ms;
    const int64_t until_give_up = 2 * connection->heartbeat_ms - silence_ms;
    const int64_t wait = until_send < until_give_up ? until_send : until_give_up;
    return wait < 1 ? 1 : (int)wait;
}

void cress_connection_fail(struct cress_connection *connection, enum cress_status status,
                           const char *code, const char *format, ...)
{
    if (connection->broken) {
        return;
    }
    char text[CRESS_ERROR_MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    cress_error_set(&connection->error, status, code, "%s", text);
    connection->broken = true;
}

void cress_connection_check(struct cress_connection *connection, int status)
{
    if (status < 0) {
        struct cress_error reason;
        cress_failure_by_status(status, &reason);
        cress_connection_fail(connection, reason.status, reason.code, "%s", reason.message);
    }
}
