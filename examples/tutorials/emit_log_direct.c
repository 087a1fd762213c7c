// SPDX-License-Identifier: Apache-2.0
// Tutorial 4, Routing: sends one log message to those who asked receive_logs_direct.c for its
// severity:
//     emit_log_direct error The disk is full
#include "examples/tutorials/tutorial.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    const char *severity = argc > 1 ? argv[1] : "info";
    char *text = tutorial_words(argc, argv, 2, "Hello World!");
    amqp_connection_state_t conn = tutorial_connect();

    // A direct exchange copies a message into the queues bound with exactly its routing key.
    const amqp_bytes_t exchange = amqp_cstring_bytes("direct_logs");
    amqp_exchange_declare(conn, 1, exchange, amqp_cstring_bytes("direct"), 0, 0, 0, 0,
                          amqp_empty_table);
    tutorial_check(conn, "declare exchange direct_logs");

    int status = amqp_basic_publish(conn, 1, exchange, amqp_cstring_bytes(severity), 0, 0, NULL,
                                    amqp_cstring_bytes(text));
    tutorial_check_status(status, "send the log message");
    tutorial_close(conn);
    printf(" [x] Sent %s:%s\n", severity, text);
    free(text);
}
