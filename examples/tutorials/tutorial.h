// SPDX-License-Identifier: Apache-2.0
// What every tutorial program needs and no lesson is about: connecting to the broker, dying with a
// message that says what failed and what to do, and waiting for a message until CTRL+C.
#pragma once

#include <amqp.h>
#include <stdbool.h>

// The arguments of a queue that is kept as a quorum queue: on disk, and on several brokers if there
// are several. Only durable queues can be.
extern const amqp_table_t tutorial_quorum;

// Connects to the broker at CRESS_BROKER_URL (amqp://guest:guest@localhost:5672/ if not set), logs
// in and opens channel 1. A channel is a conversation; one connection can carry many.
amqp_connection_state_t tutorial_connect(void);

// Says goodbye and frees everything. The broker answers in order: when it has agreed to the
// goodbye, it has taken all that was published before. What it had refused of that ends the program
// here.
void tutorial_close(amqp_connection_state_t conn);

// Waits for the next message of the queues that `conn` consumes. False: CTRL+C or SIGTERM came, and
// it is time to close. These signals wait for this function from its first call on, so a message
// that was begun is also finished. The message is the caller's, to free with
// amqp_destroy_envelope(); answers of earlier calls, such as a declared queue's name, become
// invalid.
bool tutorial_next(amqp_connection_state_t conn, amqp_envelope_t *message);

// Waits so many seconds for the next confirm of what was published on a channel in confirm mode
// (amqp_publisher_confirm_wait in rabbitmq-c from 0.15 on). With 0 it only looks, and returns false
// if there is none. Otherwise to get none ends the program, and so does a message that was refused.
bool tutorial_confirm(amqp_connection_state_t conn, int seconds, amqp_basic_ack_t *confirm);

// Prints `before`, the text and a new line.
void tutorial_print(const char *before, amqp_bytes_t text);

// The words argv[first], ... with spaces between, or `otherwise` if there are none. Freed by the
// caller.
char *tutorial_words(int argc, char **argv, int first, const char *otherwise);

// Each of these ends the program if something failed, with "error: cannot <what>: <why>" and
// advice. There is one for every way in which rabbitmq-c tells: functions that wait for the
// broker's answer (amqp_queue_declare, ...) leave it in the connection, others return it as a
// reply, and those that only send (amqp_basic_publish, amqp_basic_ack) return a status. A frame is
// whatever the broker sent, which may be its goodbye.
void tutorial_check(amqp_connection_state_t conn, const char *what);
void tutorial_check_reply(amqp_rpc_reply_t reply, const char *what);
void tutorial_check_status(int status, const char *what);
void tutorial_check_frame(const amqp_frame_t *frame, const char *what);

// Ends the program: "error: cannot <what>: <why>", and in a second line what to do about it.
_Noreturn void tutorial_die(const char *what, amqp_bytes_t why, const char *advice);
