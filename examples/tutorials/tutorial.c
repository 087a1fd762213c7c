// SPDX-License-Identifier: Apache-2.0
// The part that all tutorial programs share: see tutorial.h.
#include "examples/tutorials/tutorial.h"

#include <amqp_tcp_socket.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

static amqp_table_entry_t quorum_entry = {
    .key = {.len = 12, .bytes = "x-queue-type"},
    .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = {.len = 6, .bytes = "quorum"}},
};
const amqp_table_t tutorial_quorum = {.num_entries = 1, .entries = &quorum_entry};

// --- dying ---

_Noreturn void tutorial_die(const char *what, amqp_bytes_t why, const char *advice)
{
    fprintf(stderr, "error: cannot %s: %.*s\n       %s\n", what, (int)why.len,
            (const char *)why.bytes, advice);
    exit(EXIT_FAILURE);
}

// The broker's reasons are numbers like those of HTTP.
static const char *advice_for(uint16_t code)
{
    switch (code) {
    case AMQP_ACCESS_REFUSED:
        return "Check user and password in CRESS_BROKER_URL and `rabbitmqctl list_permissions`.";
    case AMQP_NOT_FOUND:
        return "Start the program that makes it, then this one.";
    case AMQP_RESOURCE_LOCKED:
        return "Another connection has it for itself: end that program first.";
    case AMQP_PRECONDITION_FAILED:
        return "It exists already and was made differently: delete it, then start again.";
    case AMQP_NOT_ALLOWED:
        return "Check the virtual host at the end of CRESS_BROKER_URL: `rabbitmqctl list_vhosts`.";
    default:
        return "The broker's log says more. Start again when it is back.";
    }
}

// Ends the program if the method is one by which the broker ends a conversation.
static void check_method(const amqp_method_t *method, const char *what)
{
    if (method->id == AMQP_CHANNEL_CLOSE_METHOD) {
        const amqp_channel_close_t *no = method->decoded;
        tutorial_die(what, no->reply_text, advice_for(no->reply_code));
    }
    if (method->id == AMQP_CONNECTION_CLOSE_METHOD) {
        const amqp_connection_close_t *no = method->decoded;
        tutorial_die(what, no->reply_text, advice_for(no->reply_code));
    }
    if (method->id == AMQP_BASIC_CANCEL_METHOD) {
        tutorial_die(what, amqp_cstring_bytes("the queue was deleted"),
                     "Start again: the queue is made anew.");
    }
}

void tutorial_check_frame(const amqp_frame_t *frame, const char *what)
{
    if (frame->frame_type == AMQP_FRAME_METHOD) {
        check_method(&frame->payload.method, what);
    }
}

void tutorial_check_status(int status, const char *what)
{
    if (status != AMQP_STATUS_OK) {
        tutorial_die(what, amqp_cstring_bytes(amqp_error_string2(status)),
                     "Is RabbitMQ running, and is CRESS_BROKER_URL its address, "
                     "amqp://user:password@host:port/vhost?");
    }
}

void tutorial_check_reply(amqp_rpc_reply_t reply, const char *what)
{
    if (reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION) {
        check_method(&reply.reply, what);
    }
    if (reply.reply_type != AMQP_RESPONSE_NORMAL) {
        tutorial_check_status(reply.library_error, what);
    }
}

void tutorial_check(amqp_connection_state_t conn, const char *what)
{
    tutorial_check_reply(amqp_get_rpc_reply(conn), what);
}

// --- the connection ---

// Logs in as a client that wants to hear (basic.cancel) when a queue that it consumes is deleted.
static amqp_rpc_reply_t login(amqp_connection_state_t conn, const struct amqp_connection_info *to)
{
    amqp_table_entry_t notify = {
        .key = amqp_cstring_bytes("consumer_cancel_notify"),
        .value = {.kind = AMQP_FIELD_KIND_BOOLEAN, .value.boolean = 1},
    };
    amqp_table_entry_t capabilities = {
        .key = amqp_cstring_bytes("capabilities"),
        .value = {.kind = AMQP_FIELD_KIND_TABLE,
                  .value.table = {.num_entries = 1, .entries = &notify}},
    };
    const amqp_table_t client = {.num_entries = 1, .entries = &capabilities};
    // No heartbeats: rabbitmq-c sends them only while one of its functions runs, and a worker that
    // is busy for long would be taken for dead.
    const int heartbeat_s = 0;
    return amqp_login_with_properties(conn, *to->vhost ? to->vhost : "/", 0,
                                      AMQP_DEFAULT_FRAME_SIZE, heartbeat_s, &client,
                                      AMQP_SASL_METHOD_PLAIN, to->user, to->password);
}

amqp_connection_state_t tutorial_connect(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0); // a line is seen when it is printed, even through a pipe
    char url[1024];                   // cut into the parts of `to`
    const char *given = getenv("CRESS_BROKER_URL");
    snprintf(url, sizeof url, "%s", given ? given : "amqp://guest:guest@localhost:5672/");
    struct amqp_connection_info to;
    tutorial_check_status(amqp_parse_url(url, &to), "read CRESS_BROKER_URL");
    if (to.ssl) {
        tutorial_die("connect to the broker", amqp_cstring_bytes("the tutorials do without TLS"),
                     "Set CRESS_BROKER_URL to an address that begins with amqp://.");
    }

    amqp_connection_state_t conn = amqp_new_connection();
    amqp_socket_t *socket = amqp_tcp_socket_new(conn); // belongs to conn
    tutorial_check_status(amqp_socket_open(socket, to.host, to.port), "connect to the broker");
    tutorial_check_reply(login(conn, &to), "log in to the broker");
    amqp_channel_open(conn, 1);
    tutorial_check(conn, "open a channel");
    return conn;
}

void tutorial_close(amqp_connection_state_t conn)
{
    tutorial_check_reply(amqp_channel_close(conn, 1, AMQP_REPLY_SUCCESS), "finish");
    amqp_connection_close(conn, AMQP_REPLY_SUCCESS);
    amqp_destroy_connection(conn);
}

// --- messages ---

bool tutorial_next(amqp_connection_state_t conn, amqp_envelope_t *message)
{
    const char *what = "wait for messages";
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGINT);
    sigaddset(&stop, SIGTERM);
    sigprocmask(SIG_BLOCK, &stop, NULL);
    while (sigtimedwait(&stop, NULL, &(struct timespec){0}) < 0) {
        amqp_maybe_release_buffers(conn); // the memory of earlier answers
        const struct timeval wait = {.tv_usec = 100000};
        const amqp_rpc_reply_t reply = amqp_consume_message(conn, message, &wait, 0);
        if (reply.reply_type == AMQP_RESPONSE_NORMAL) {
            return true;
        }
        if (reply.library_error == AMQP_STATUS_UNEXPECTED_STATE) { // no message, but what?
            amqp_frame_t frame;
            tutorial_check_status(amqp_simple_wait_frame(conn, &frame), what);
            tutorial_check_frame(&frame, what);
        } else if (reply.library_error != AMQP_STATUS_TIMEOUT) {
            tutorial_check_reply(reply, what);
        }
    }
    return false;
}

bool tutorial_confirm(amqp_connection_state_t conn, int seconds, amqp_basic_ack_t *confirm)
{
    const char *what = "get a confirm";
    amqp_maybe_release_buffers(conn);
    amqp_frame_t frame;
    const struct timeval wait = {.tv_sec = seconds};
    const int status = amqp_simple_wait_frame_noblock(conn, &frame, &wait);
    if (status == AMQP_STATUS_TIMEOUT && seconds == 0) {
        return false;
    }
    tutorial_check_status(status, what);
    tutorial_check_frame(&frame, what);
    if (frame.frame_type != AMQP_FRAME_METHOD ||
        frame.payload.method.id != AMQP_BASIC_ACK_METHOD) { // else it is basic.nack
        tutorial_die(what, amqp_cstring_bytes("the broker could not keep the message"),
                     "The broker's log says why. Publish it again later.");
    }
    *confirm = *(const amqp_basic_ack_t *)frame.payload.method.decoded;
    return true;
}

void tutorial_print(const char *before, amqp_bytes_t text)
{
    fputs(before, stdout);
    fwrite(text.bytes, 1, text.len, stdout); // the text ends by its length, not by a zero byte
    putchar('\n');
}

char *tutorial_words(int argc, char **argv, int first, const char *otherwise)
{
    size_t size = strlen(otherwise) + 1;
    for (int i = first; i < argc; i++) {
        size += strlen(argv[i]) + 1;
    }
    char *words = malloc(size);
    if (!words) {
        tutorial_die("read the command line", amqp_cstring_bytes("out of memory"), "Say less.");
    }
    snprintf(words, size, "%s", first < argc ? argv[first] : otherwise);
    for (int i = first + 1; i < argc; i++) {
        const size_t used = strlen(words);
        snprintf(words + used, size - used, " %s", argv[i]);
    }
    return words;
}
