// SPDX-License-Identifier: Apache-2.0
// Tutorial 2, Work Queues: does the tasks of new_task.c, one at a time. Start several: each task is
// done by one of them, and by another one if the first dies over it.
#include "examples/tutorials/tutorial.h"

#include <stdio.h>
#include <unistd.h>

// Pretends to work: one second for each dot in the task.
static void work(amqp_bytes_t task)
{
    const char *text = task.bytes;
    for (size_t i = 0; i < task.len; i++) {
        if (text[i] == '.') {
            sleep(1);
        }
    }
}

int main(void)
{
    amqp_connection_state_t conn = tutorial_connect();
    const amqp_bytes_t queue = amqp_cstring_bytes("task_queue");
    const amqp_boolean_t durable = 1;
    amqp_queue_declare(conn, 1, queue, 0, durable, 0, 0, tutorial_quorum);
    tutorial_check(conn, "declare queue task_queue");

    // One message at a time: the next one comes when this one is acknowledged. Without it the
    // broker would deal all tasks out in turn, to workers that are busy as well as to idle ones.
    const uint16_t prefetch = 1;
    amqp_basic_qos(conn, 1, 0, prefetch, 0);
    tutorial_check(conn, "limit the unacknowledged messages");

    // With acknowledgements, the broker keeps a task until we say that it is done. If the
    // connection breaks before that, the task goes to another worker.
    const amqp_boolean_t no_ack = 0;
    amqp_basic_consume(conn, 1, queue, amqp_empty_bytes, 0, no_ack, 0, amqp_empty_table);
    tutorial_check(conn, "consume queue task_queue");

    puts(" [*] Waiting for messages. To exit press CTRL+C");
    amqp_envelope_t task;
    while (tutorial_next(conn, &task)) {
        tutorial_print(" [x] Received ", task.message.body);
        work(task.message.body);
        puts(" [x] Done");
        int status = amqp_basic_ack(conn, 1, task.delivery_tag, 0);
        tutorial_check_status(status, "acknowledge the task");
        amqp_destroy_envelope(&task);
    }
    tutorial_close(conn);
}
