// SPDX-License-Identifier: Apache-2.0
// Tutorial 1, Hello World: puts one message into the queue "hello", from which receive.c prints it.
#include "examples/tutorials/tutorial.h"

#include <stdio.h>

int main(void)
{
    amqp_connection_state_t conn = tutorial_connect();
    const amqp_bytes_t queue = amqp_cstring_bytes("hello");

    // A queue must exist before it can hold anything. Look for it first (passive), on a channel of
    // its own: whoever made it chose how it is kept, and a wish for another kind would be refused.
    // If it is missing, the broker closes channel 2, and we make the queue on channel 1.
    amqp_channel_open(conn, 2);
    tutorial_check(conn, "open a second channel");
    const amqp_boolean_t passive = 1, durable = 1;
    if (!amqp_queue_declare(conn, 2, queue, passive, 0, 0, 0, amqp_empty_table)) {
        amqp_queue_declare(conn, 1, queue, 0, durable, 0, 0, tutorial_quorum);
    }
    tutorial_check(conn, "declare queue hello");

    // Messages go to an exchange, never straight to a queue. The nameless exchange "" hands each
    // one to the queue that its routing key names.
    int status = amqp_basic_publish(conn, 1, amqp_empty_bytes, queue, 0, 0, NULL,
                                    amqp_cstring_bytes("Hello World!"));
    tutorial_check_status(status, "send the message");
    tutorial_close(conn); // makes sure that the message has arrived
    puts(" [x] Sent 'Hello World!'");
}
