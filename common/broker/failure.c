// SPDX-License-Identifier: Apache-2.0
// AMQP's errors as Cress's; see failure.h.
#define _GNU_SOURCE /* memmem */
#include "common/broker/failure.h"

#include <stdio.h>
#include <string.h>

static const struct {
    int reply_code;
    enum cress_status status;
    const char *code;
} replies[] = {
    {AMQP_CONTENT_TOO_LARGE, CRESS_TOO_LARGE, "content_too_large"},
    {AMQP_CONNECTION_FORCED, CRESS_UNAVAILABLE, "connection_forced"},
    {AMQP_ACCESS_REFUSED, CRESS_DENIED, "access_refused"},
    {AMQP_NOT_FOUND, CRESS_NOT_FOUND, "not_found"},
    {AMQP_RESOURCE_LOCKED, CRESS_CONFLICT, "resource_locked"},
    {AMQP_PRECONDITION_FAILED, CRESS_CONFLICT, "precondition_failed"},
    {AMQP_NOT_ALLOWED, CRESS_DENIED, "not_allowed"},
    {AMQP_INTERNAL_ERROR, CRESS_UNAVAILABLE, CRESS_FAILURE_INTERNAL},
};

/* RabbitMQ's words for a delivery that stayed unacknowledged for too long; the code is one of
 * many. */
static bool is_consumer_timeout(amqp_bytes_t text)
{
    static const char words[] = "delivery acknowledgement on channel";
    return memmem(text.bytes, text.len, words, sizeof words - 1) != NULL;
}

/* "message size 2000 is larger than configured max size 1000", with or without "configured". */
uint64_t cress_failure_size_limit(amqp_bytes_t text)
{
    static const char begin[] = "message size ", before[] = "max size ";
    const char *at = memmem(text.bytes, text.len, before, sizeof before - 1);
    if (!at || !memmem(text.bytes, text.len, begin, sizeof begin - 1)) {
        return 0;
    }
    const char *end = (const char *)text.bytes + text.len;
    uint64_t limit = 0;
    for (at += sizeof before - 1; at < end && *at >= '0' && *at <= '9'; at++) {
        limit = 10 * limit + (uint64_t)(*at - '0');
    }
    return limit;
}

enum cress_status cress_failure_too_large(uint64_t limit_bytes, struct cress_error *err)
{
    return cress_error_set(err, CRESS_TOO_LARGE, "too_large_for_broker",
                           "RabbitMQ takes messages of %llu bytes at most: raise its "
                           "max_message_size, or keep the data in an object store",
                           (unsigned long long)limit_bytes);
}

enum cress_status cress_failure_by_code(int reply_code, amqp_bytes_t text, struct cress_error *err)
{
    enum cress_status status = CRESS_UNAVAILABLE;
    const char *code = "broker_error";
    for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
        if (replies[i].reply_code == reply_code) {
            status = replies[i].status;
            code = replies[i].code;
        }
    }
    if (reply_code == AMQP_PRECONDITION_FAILED && is_consumer_timeout(text)) {
        return cress_error_set(err, CRESS_UNAVAILABLE, "consumer_timeout",
                               "%.*s (%d); set worker.lease to at most half of RabbitMQ's "
                               "consumer_timeout, or raise that",
                               (int)text.len, (const char *)text.bytes, reply_code);
    }
    const uint64_t limit = cress_failure_size_limit(text);
    if (reply_code == AMQP_PRECONDITION_FAILED && limit) {
        return cress_failure_too_large(limit, err);
    }
    return cress_error_set(err, status, code, "%.*s (%d)", (int)text.len, (const char *)text.bytes,
                           reply_code);
}

void cress_failure_name_permission(const char *permission, struct cress_error *err)
{
    if (err->status == CRESS_DENIED) {
        const struct cress_error denial = *err;
        cress_error_set(err, denial.status, denial.code, "%s: it lacks the permission to %s",
                        denial.message, permission);
    }
}

enum cress_status cress_failure_by_status(int status, struct cress_error *err)
{
    switch (status) {
    case AMQP_STATUS_SSL_PEER_VERIFY_FAILED:
        return cress_error_set(err, CRESS_UNAVAILABLE, "tls_untrusted",
                               "the broker's certificate is not trusted: its CA is unknown (set "
                               "ca_file in section [broker]), it has expired, or it is for "
                               "another host");
    case AMQP_STATUS_CONNECTION_CLOSED:
    case AMQP_STATUS_SOCKET_CLOSED:
    case AMQP_STATUS_SOCKET_ERROR:
        return cress_error_set(err, CRESS_UNAVAILABLE, "connection_lost",
                               "the broker closed the connection");
    default:
        return cress_error_set(err, CRESS_UNAVAILABLE, "connection_lost", "%s",
                               amqp_error_string2(status));
    }
}

enum cress_status cress_failure_by_reply(amqp_rpc_reply_t reply, struct cress_error *err)
{
    if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION) {
        return cress_failure_by_status(reply.library_error, err);
    }
    if (reply.reply.id == AMQP_CONNECTION_CLOSE_METHOD) {
        const amqp_connection_close_t *close = reply.reply.decoded;
        return cress_failure_by_code(close->reply_code, close->reply_text, err);
    }
    return cress_error_set(err, CRESS_UNAVAILABLE, "broker_error", "unexpected method 0x%08X",
                           (unsigned)reply.reply.id);
}
