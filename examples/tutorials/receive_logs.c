// SPDX-License-Identifier: Apache-2.0
// Tutorial 3, Publish/Subscribe: prints every log message that emit_log.c sends from now on.
#include "examples/tutorials/tutorial.h"

#include <stdio.h>

int main(void)
{
    amqp_connection_state_t conn = tutorial_connect();
    const amqp_bytes_t exchange = amqp_cstring_bytes("logs");
    amqp_exchange_declare(conn, 1, exchange, amqp_cstring_bytes("fanout"), 0, 0, 0, 0,
                          amqp_empty_table);
    tutorial_check(conn, "declare exchange logs");

    // A queue of our own: the broker invents a name for it, and deletes it when we are gone.
    const amqp_boolean_t exclusive = 1;
    const amqp_queue_declare_ok_t *own =
        amqp_queue_declare(conn, 1, amqp_empty_bytes, 0, 0, exclusive, 0, amqp_empty_table);
    tutorial_check(conn, "make a queue");
    amqp_queue_bind(conn, 1, own->queue, exchange, amqp_empty_bytes, amqp_empty_table);
    tutorial_check(conn, "bind the queue to exchange logs");
    const amqp_boolean_t no_ack = 1;
    amqp_basic_consume(conn, 1, own->queue, amqp_empty_bytes, 0, no_ack, 0, amqp_empty_table);
    tutorial_check(conn, "consume the queue");

    puts(" [*] Waiting for logs. To exit press CTRL+C");
    amqp_envelope_t message;
    while (tutorial_next(conn, &message)) {
        tutorial_print(" [x] ", message.message.body);
        amqp_destroy_envelope(&message);
    }
    tutorial_close(conn);
}
