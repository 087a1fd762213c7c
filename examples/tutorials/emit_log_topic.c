// SPDX-License-Identifier: Apache-2.0
// Tutorial 5, Topics: sends one log message to those who asked receive_logs_topic.c for a pattern
// that its routing key fits, by custom <facility>.<severity>:
//     emit_log_topic kern.critical A critical kernel error
#include "examples/tutorials/tutorial.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    const char *key = argc > 1 ? argv[1] : "anonymous.info";
    char *text = tutorial_words(argc, argv, 2, "Hello World!");
    amqp_connection_state_t conn = tutorial_connect();

    // A topic exchange compares the routing key, words with dots between, with patterns.
    const amqp_bytes_t exchange = amqp_cstring_bytes("topic_logs");
    amqp_exchange_declare(conn, 1, exchange, amqp_cstring_bytes("topic"), 0, 0, 0, 0,
                          amqp_empty_table);
    tutorial_check(conn, "declare exchange topic_logs");

    int status = amqp_basic_publish(conn, 1, exchange, amqp_cstring_bytes(key), 0, 0, NULL,
                                    amqp_cstring_bytes(text));
    tutorial_check_status(status, "send the log message");
    tutorial_close(conn);
    printf(" [x] Sent %s:%s\n", key, text);
    free(text);
}
