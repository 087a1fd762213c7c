// SPDX-License-Identifier: Apache-2.0
// Tutorial 1, Hello World: prints each message that arrives in the queue "hello", until CTRL+C.
#include "examples/tutorials/tutorial.h"

#include <stdio.h>

int main(void)
{
    amqp_connection_state_t conn = tutorial_connect();
    const amqp_bytes_t queue = amqp_cstring_bytes("hello");

    // The same declaration as in send.c: either program may be the first to start.
    amqp_channel_open(conn, 2);
    tutorial_check(conn, "open a second channel");
    const amqp_boolean_t passive = 1, durable = 1;
    if (!amqp_queue_declare(conn, 2, queue, passive, 0, 0, 0, amqp_empty_table)) {
        amqp_queue_declare(conn, 1, queue, 0, durable, 0, 0, tutorial_quorum);
    }
    tutorial_check(conn, "declare queue hello");

    // From now on the broker sends us what is in the queue. no_ack: it forgets a message as soon as
    // it has sent it. Tutorial 2 shows how not to lose any.
    const amqp_boolean_t no_ack = 1;
    amqp_basic_consume(conn, 1, queue, amqp_empty_bytes, 0, no_ack, 0, amqp_empty_table);
    tutorial_check(conn, "consume queue hello");

    puts(" [*] Waiting for messages. To exit press CTRL+C");
    amqp_envelope_t message;
    while (tutorial_next(conn, &message)) {
        tutorial_print(" [x] Received ", message.message.body);
        amqp_destroy_envelope(&message);
    }
    tutorial_close(conn);
}
