// SPDX-License-Identifier: Apache-2.0
// Tutorial 3, Publish/Subscribe: sends one log message to everyone who runs receive_logs.c:
//     emit_log The disk is full
#include "examples/tutorials/tutorial.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    char *text = tutorial_words(argc, argv, 1, "info: Hello World!");
    amqp_connection_state_t conn = tutorial_connect();

    // A fanout exchange copies each message into all queues that are bound to it. If there are
    // none, the message is gone: nobody was listening.
    const amqp_bytes_t exchange = amqp_cstring_bytes("logs");
    amqp_exchange_declare(conn, 1, exchange, amqp_cstring_bytes("fanout"), 0, 0, 0, 0,
                          amqp_empty_table);
    tutorial_check(conn, "declare exchange logs");

    int status = amqp_basic_publish(conn, 1, exchange, amqp_empty_bytes, 0, 0, NULL,
                                    amqp_cstring_bytes(text));
    tutorial_check_status(status, "send the log message");
    tutorial_close(conn);
    printf(" [x] Sent %s\n", text);
    free(text);
}
