// SPDX-License-Identifier: Apache-2.0
// Tutorial 7, Publisher Confirms: three ways to be sure that the broker has what was published,
// and how long each takes:
//     publisher_confirms [COUNT [QUEUE]]    COUNT messages each, into QUEUE or one of its own
#include "examples/tutorials/tutorial.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

// The broker counts the messages of a channel from 1, and so do we.
struct publisher {
    amqp_connection_state_t conn;
    amqp_bytes_t queue;
    uint64_t count, sent, oldest, waiting; // oldest: all before it are confirmed
    bool *pending;                         // pending[n]: message n waits for its confirm
};

static void publish(struct publisher *p)
{
    char body[24];
    p->pending[++p->sent] = true;
    p->waiting++;
    snprintf(body, sizeof body, "%" PRIu64, p->sent);
    int status = amqp_basic_publish(p->conn, 1, amqp_empty_bytes, p->queue, 0, 0, NULL,
                                    amqp_cstring_bytes(body));
    tutorial_check_status(status, "publish");
}

static void confirm(struct publisher *p, const amqp_basic_ack_t *ack)
{
    for (uint64_t n = ack->multiple ? p->oldest : ack->delivery_tag; n <= ack->delivery_tag; n++) {
        p->waiting -= p->pending[n];
        p->pending[n] = false;
    }
    while (p->oldest <= p->sent && !p->pending[p->oldest]) {
        p->oldest++;
    }
}

// Takes one confirm; false if none comes within that time.
static bool take_confirm(struct publisher *p, int seconds)
{
    amqp_frame_t frame;
    const struct timeval patience = {.tv_sec = seconds};
    amqp_maybe_release_buffers(p->conn);
    int status = amqp_simple_wait_frame_noblock(p->conn, &frame, &patience);
}
