// SPDX-License-Identifier: Apache-2.0
// Tutorial 6, RPC: asks rpc_server.c for a Fibonacci number and prints the answer:
//     rpc_client 30
#include "examples/tutorials/tutorial.h"

#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

// Waits for the answer to the request `id`, and prints it.
static void print_answer(amqp_connection_state_t conn, amqp_bytes_t id)
{
    bool found = false;
    while (!found) { // what answers an earlier request is of no interest
        amqp_envelope_t answer;
        const struct timeval patience = {.tv_sec = 30};
        const amqp_rpc_reply_t reply = amqp_consume_message(conn, &answer, &patience, 0);
        if (reply.library_error == AMQP_STATUS_TIMEOUT) {
            tutorial_die("get an answer", amqp_cstring_bytes("none came within 30 seconds"),
                         "Is rpc_server running, and not busy?");
        }
        tutorial_check_reply(reply, "get an answer");
        const amqp_bytes_t its_id = answer.message.properties.correlation_id;
        found = its_id.len == id.len && !memcmp(its_id.bytes, id.bytes, id.len);
        if (found) {
            tutorial_print(" [.] Got ", answer.message.body);
        }
        amqp_destroy_envelope(&answer);
    }
}

int main(int argc, char **argv)
{
    const char *n = argc > 1 ? argv[1] : "30";
    amqp_connection_state_t conn = tutorial_connect();

    // The server's queue must be there: into a missing one the request would vanish unseen.
    const amqp_bytes_t server = amqp_cstring_bytes("rpc_queue");
    const amqp_boolean_t passive = 1;
    amqp_queue_declare(conn, 1, server, passive, 0, 0, 0, amqp_empty_table);
    tutorial_check(conn, "find the queue of rpc_server");

    // The answers come to a queue of our own: ask for them before the question is out.
    const amqp_boolean_t exclusive = 1, no_ack = 1;
    const amqp_queue_declare_ok_t *own =
        amqp_queue_declare(conn, 1, amqp_empty_bytes, 0, 0, exclusive, 0, amqp_empty_table);
    tutorial_check(conn, "make a queue for the answer");
    amqp_basic_consume(conn, 1, own->queue, amqp_empty_bytes, 0, no_ack, 0, amqp_empty_table);
    tutorial_check(conn, "consume the queue for the answer");

    // The request says where the answer goes and which request it will belong to.
    char id[64];
    snprintf(id, sizeof id, "%ld-%lld", (long)getpid(), (long long)time(NULL));
    const amqp_basic_properties_t properties = {
        ._flags = AMQP_BASIC_REPLY_TO_FLAG | AMQP_BASIC_CORRELATION_ID_FLAG,
        .reply_to = own->queue,
        .correlation_id = amqp_cstring_bytes(id),
    };
    printf(" [x] Requesting fib(%s)\n", n);
    int status = amqp_basic_publish(conn, 1, amqp_empty_bytes, server, 0, 0, &properties,
                                    amqp_cstring_bytes(n));
    tutorial_check_status(status, "send the request");
    print_answer(conn, properties.correlation_id);
    tutorial_close(conn);
}
