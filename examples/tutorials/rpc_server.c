// SPDX-License-Identifier: Apache-2.0
// Tutorial 6, RPC: answers the requests of rpc_client.c with Fibonacci numbers.
#include "examples/tutorials/tutorial.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t fib(long n)
{
    uint64_t this = 0, next = 1;
    for (; n > 0; n--) {
        const uint64_t sum = this + next;
        this = next;
        next = sum;
    }
    return this;
}

// Anybody can put anything into a queue: a request that makes no sense gets an answer too.
static void write_answer(amqp_bytes_t request, char *answer, size_t size)
{
    char text[32], *end;
    snprintf(text, sizeof text, "%.*s", (int)request.len, (const char *)request.bytes);
    printf(" [.] fib(%s)\n", text);
    const long n = strtol(text, &end, 10);
    if (end == text || *end || n < 0 || n > 90) { // fib(94) is too large for 64 bits
        snprintf(answer, size, "error: not a number from 0 to 90");
    } else {
        snprintf(answer, size, "%" PRIu64, fib(n));
    }
}

// Sends the answer where the request wants it, marked as the answer to that request.
static void send_answer(amqp_connection_state_t conn, const amqp_basic_properties_t *asked,
                        const char *answer)
{
    const amqp_flags_t needed = AMQP_BASIC_REPLY_TO_FLAG | AMQP_BASIC_CORRELATION_ID_FLAG;
    if ((asked->_flags & needed) != needed) {
        return; // nobody waits for it
    }
    const amqp_basic_properties_t properties = {
        ._flags = AMQP_BASIC_CORRELATION_ID_FLAG,
        .correlation_id = asked->correlation_id,
    };
    int status = amqp_basic_publish(conn, 1, amqp_empty_bytes, asked->reply_to, 0, 0, &properties,
                                    amqp_cstring_bytes(answer));
    tutorial_check_status(status, "send the answer");
}

int main(void)
{
    amqp_connection_state_t conn = tutorial_connect();
    const amqp_bytes_t queue = amqp_cstring_bytes("rpc_queue");
    const amqp_boolean_t durable = 1, no_ack = 0;
    amqp_queue_declare(conn, 1, queue, 0, durable, 0, 0, tutorial_quorum);
    tutorial_check(conn, "declare queue rpc_queue");
    const uint16_t prefetch = 1; // several servers share the load, as in tutorial 2
    amqp_basic_qos(conn, 1, 0, prefetch, 0);
    tutorial_check(conn, "limit the unacknowledged requests");
    amqp_basic_consume(conn, 1, queue, amqp_empty_bytes, 0, no_ack, 0, amqp_empty_table);
    tutorial_check(conn, "consume queue rpc_queue");

    puts(" [x] Awaiting RPC requests");
    amqp_envelope_t request;
    while (tutorial_next(conn, &request)) {
        char answer[64];
        write_answer(request.message.body, answer, sizeof answer);
        send_answer(conn, &request.message.properties, answer);
        int status = amqp_basic_ack(conn, 1, request.delivery_tag, 0);
        tutorial_check_status(status, "acknowledge the request");
        amqp_destroy_envelope(&request);
    }
    tutorial_close(conn);
}
