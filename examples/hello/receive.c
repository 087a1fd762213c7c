// SPDX-License-Identifier: Apache-2.0
// Prints each message that arrives in the queue "hello", until CTRL+C: send.c puts them there.
#include <amqp.h>
#include <amqp_tcp_socket.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>

static void check(int err, amqp_rpc_reply_t reply, const char *what)
{
    if (err || reply.reply_type > AMQP_RESPONSE_NORMAL) { // failed here, or refused there
        amqp_channel_close_t *no = reply.reply.decoded;   // a connection_close begins the same way
        amqp_bytes_t why = amqp_cstring_bytes(amqp_error_string2(err ? err : reply.library_error));
        why = reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION ? no->reply_text : why;
        fprintf(stderr, "receive: cannot %s: %.*s\n", what, (int)why.len, (char *)why.bytes);
        exit(EXIT_FAILURE);
    }
}

int main(void)
{
    sigset_t stop; // these signals wait until the loop below looks for them
    sigemptyset(&stop);
    sigaddset(&stop, SIGINT);
    sigaddset(&stop, SIGTERM);
    sigprocmask(SIG_BLOCK, &stop, NULL);
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
    amqp_bytes_t queue = amqp_cstring_bytes("hello");
    if (amqp_channel_open(conn, 1) && amqp_channel_open(conn, 2) && // conversations on conn
        (amqp_queue_declare(conn, 1, queue, 1, 0, 0, 0, amqp_empty_table) ||  // is it there?
         amqp_queue_declare(conn, 2, queue, 0, 0, 0, 0, amqp_empty_table))) { // no: make it
        amqp_basic_consume(conn, 2, queue, amqp_empty_bytes, 0, 1, 0, amqp_empty_table); // no acks
    }
    check(0, amqp_get_rpc_reply(conn), "use queue hello (may this user make and read it?)");
    dprintf(1, " [*] Waiting for messages. To exit press CTRL+C\n");
    while (sigtimedwait(&stop, NULL, &(struct timespec){0}) < 0) {
        amqp_envelope_t m;
        amqp_maybe_release_buffers(conn); // the memory of the message before
        reply = amqp_consume_message(conn, &m, &(struct timeval){.tv_usec = 100000}, 0);
        if (reply.library_error != AMQP_STATUS_TIMEOUT) {
            check(0, reply, "go on (start again when RabbitMQ and the queue are back)");
            dprintf(1, " [x] Received %.*s\n", (int)m.message.body.len,
                    (char *)m.message.body.bytes);
            amqp_destroy_envelope(&m);
        }
    }
    amqp_connection_close(conn, AMQP_REPLY_SUCCESS);
    amqp_destroy_connection(conn);
}
