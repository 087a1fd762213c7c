// SPDX-License-Identifier: Apache-2.0
// Sends one message, "Hello World!", to the queue "hello", from which receive.c prints it.
#include <amqp.h>
#include <amqp_tcp_socket.h>
#include <stdio.h>
#include <stdlib.h>

// Ends the program if the library failed (err) or the broker refused (reply, in its own words).
static void check(int err, amqp_rpc_reply_t reply, const char *what)
{
    if (err || reply.reply_type > AMQP_RESPONSE_NORMAL) {
        amqp_channel_close_t *no = reply.reply.decoded; // a connection_close begins the same way
        amqp_bytes_t why = amqp_cstring_bytes(amqp_error_string2(err ? err : reply.library_error));
        why = reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION ? no->reply_text : why;
        fprintf(stderr, "send: cannot %s: %.*s\n", what, (int)why.len, (char *)why.bytes);
        exit(EXIT_FAILURE);
    }
}

int main(void)
{
    char url[1024], *given = getenv("CRESS_BROKER_URL"); // url: will be cut into the parts of `to`
    snprintf(url, sizeof url, "%s", given ? given : "amqp://guest:guest@localhost:5672/");
    struct amqp_connection_info to;
    int err = amqp_parse_url(url, &to) || to.ssl ? AMQP_STATUS_BAD_URL : AMQP_STATUS_OK;
    amqp_connection_state_t conn = amqp_new_connection(); // one TCP connection to the broker
    err = err ? err : amqp_socket_open(amqp_tcp_socket_new(conn), to.host, to.port);
    check(err, amqp_get_rpc_reply(conn), "connect (is RabbitMQ at CRESS_BROKER_URL, amqp://...?)");
    amqp_rpc_reply_t reply = amqp_login(conn, *to.vhost ? to.vhost : "/", 0, 131072, 0,
                                        AMQP_SASL_METHOD_PLAIN, to.user, to.password);
    check(0, reply, "log in (see user, password and vhost in CRESS_BROKER_URL)");

    // Ask for the queue (passive): whoever made it chose how it is kept. If there is none, the
    // broker closes channel 1, and we make the queue on channel 2.
    amqp_bytes_t queue = amqp_cstring_bytes("hello");
    if (amqp_channel_open(conn, 1) && amqp_channel_open(conn, 2) && // conversations on conn
        (amqp_queue_declare(conn, 1, queue, 1, 0, 0, 0, amqp_empty_table) ||  // is it there?
         amqp_queue_declare(conn, 2, queue, 0, 0, 0, 0, amqp_empty_table))) { // no: make it
        // The nameless exchange "" hands a message to the queue that its routing key names.
        err = amqp_basic_publish(conn, 2, amqp_empty_bytes, queue, 0, 0, NULL,
                                 amqp_cstring_bytes("Hello World!"));
    }
    check(err, amqp_get_rpc_reply(conn), "send to queue hello (may this user make it?)");

    // The broker answers in order: when it has closed the channel, it has taken the message.
    reply = amqp_channel_close(conn, 2, AMQP_REPLY_SUCCESS);
    check(0, reply, "send to queue hello (may this user write to the default exchange?)");
    puts(" [x] Sent 'Hello World!'");
    amqp_connection_close(conn, AMQP_REPLY_SUCCESS);
    amqp_destroy_connection(conn);
}
