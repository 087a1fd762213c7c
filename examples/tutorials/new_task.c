// SPDX-License-Identifier: Apache-2.0
// Tutorial 2, Work Queues: gives one task to the workers of worker.c. Its dots are the seconds of
// work in it:
//     new_task A task that takes three seconds...
#include "examples/tutorials/tutorial.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    char *task = tutorial_words(argc, argv, 1, "Hello World!");
    amqp_connection_state_t conn = tutorial_connect();
    const amqp_bytes_t queue = amqp_cstring_bytes("task_queue");

    // A durable queue is still there after a restart of the broker...
    const amqp_boolean_t durable = 1;
    amqp_queue_declare(conn, 1, queue, 0, durable, 0, 0, tutorial_quorum);
    tutorial_check(conn, "declare queue task_queue");

    // ...and so are those messages in it that are persistent. A flag for each property says that it
    // is set at all.
    const amqp_basic_properties_t properties = {
        ._flags = AMQP_BASIC_DELIVERY_MODE_FLAG,
        .delivery_mode = AMQP_DELIVERY_PERSISTENT,
    };
    int status = amqp_basic_publish(conn, 1, amqp_empty_bytes, queue, 0, 0, &properties,
                                    amqp_cstring_bytes(task));
    tutorial_check_status(status, "send the task");
    tutorial_close(conn);
    printf(" [x] Sent %s\n", task);
    free(task);
}
