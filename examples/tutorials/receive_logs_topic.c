// SPDX-License-Identifier: Apache-2.0
// Tutorial 5, Topics: prints the log messages of emit_log_topic.c whose routing key fits one of the
// given patterns, in which * stands for one word and # for any number of words:
//     receive_logs_topic 'kern.*' '*.critical'
#include "examples/tutorials/tutorial.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: receive_logs_topic PATTERN...    such as 'kern.*' or '#'\n");
        return EXIT_FAILURE;
    }
    amqp_connection_state_t conn = tutorial_connect();
    const amqp_bytes_t exchange = amqp_cstring_bytes("topic_logs");
    amqp_exchange_declare(conn, 1, exchange, amqp_cstring_bytes("topic"), 0, 0, 0, 0,
                          amqp_empty_table);
    tutorial_check(conn, "declare exchange topic_logs");

    const amqp_boolean_t exclusive = 1;
    const amqp_queue_declare_ok_t *own =
        amqp_queue_declare(conn, 1, amqp_empty_bytes, 0, 0, exclusive, 0, amqp_empty_table);
    tutorial_check(conn, "make a queue");
    for (int i = 1; i < argc; i++) { // a message that fits several patterns still comes once
        amqp_queue_bind(conn, 1, own->queue, exchange, amqp_cstring_bytes(argv[i]),
                        amqp_empty_table);
        tutorial_check(conn, "bind the queue to exchange topic_logs");
    }
    const amqp_boolean_t no_ack = 1;
    amqp_basic_consume(conn, 1, own->queue, amqp_empty_bytes, 0, no_ack, 0, amqp_empty_table);
    tutorial_check(conn, "consume the queue");

    puts(" [*] Waiting for logs. To exit press CTRL+C");
    amqp_envelope_t message;
    while (tutorial_next(conn, &message)) {
        printf(" [x] %.*s", (int)message.routing_key.len, (const char *)message.routing_key.bytes);
        tutorial_print(":", message.message.body);
        amqp_destroy_envelope(&message);
    }
    tutorial_close(conn);
}
