// SPDX-License-Identifier: Apache-2.0
// Tutorial 7, Publisher Confirms: three ways to know that the broker has a message, timed:
//     publisher_confirms [COUNT [QUEUE]]    COUNT messages each way, into QUEUE or one of its own
#include "examples/tutorials/tutorial.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { WAYS = 3, COUNT_MAX = 100000 };

struct sent {                           // the broker numbers a channel's messages from 1, as we do
    long number, waiting, oldest;       // waiting: how many lack a confirm, none older than oldest
    bool pending[WAYS * COUNT_MAX + 1]; // message n is one of them
};

// Takes one confirm, for one message or for all up to that one. False: none came in that time.
static bool take_confirm(amqp_connection_state_t conn, struct sent *sent, int seconds)
{
    amqp_basic_ack_t ack;
    if (!tutorial_confirm(conn, seconds, &ack)) {
        return false;
    }
    const long last = (long)ack.delivery_tag;
    for (long n = ack.multiple ? sent->oldest : last; n <= last; n++) {
        sent->waiting -= sent->pending[n];
        sent->pending[n] = false;
    }
    sent->oldest = ack.multiple ? last + 1 : sent->oldest;
    return true;
}

// Publishes `count` messages. After each `batch` of them it waits until all are confirmed, and
// otherwise takes the confirms that happen to be there.
static void publish(amqp_connection_state_t conn, amqp_bytes_t queue, struct sent *sent, long count,
                    long batch)
{
    for (long n = 1; n <= count; n++) {
        char text[24];
        snprintf(text, sizeof text, "%ld", ++sent->number);
        sent->pending[sent->number] = true;
        sent->waiting++;
        int status = amqp_basic_publish(conn, 1, amqp_empty_bytes, queue, 0, 0, NULL,
                                        amqp_cstring_bytes(text));
        tutorial_check_status(status, "publish");
        const int patience = n % batch == 0 || n == count ? 30 : 0;
        while (sent->waiting > 0 && take_confirm(conn, sent, patience)) {
        }
    }
}

int main(int argc, char **argv)
{
    const long count = argc > 1 ? strtol(argv[1], NULL, 10) : 10000;
    if (count < 1 || count > COUNT_MAX) {
        fprintf(stderr, "usage: publisher_confirms [COUNT [QUEUE]]    COUNT: 1 to %d\n", COUNT_MAX);
        return EXIT_FAILURE;
    }
    amqp_connection_state_t conn = tutorial_connect();
    const amqp_boolean_t given = argc > 2, own = !given; // so it exists (passive), or is exclusive
    const amqp_bytes_t queue = amqp_cstring_bytes(given ? argv[2] : "publisher_confirms");
    amqp_queue_declare(conn, 1, queue, given, 0, own, 0, amqp_empty_table);
    tutorial_check(conn, "declare the queue");
    amqp_confirm_select(conn, 1);
    tutorial_check(conn, "switch confirms on");

    static struct sent sent = {.oldest = 1};
    const char *const how[WAYS] = {"individually", "in batches of 100", "asynchronously"};
    const long batch[WAYS] = {1, 100, count};
    for (int way = 0; way < WAYS; way++) {
        struct timespec start, end;
        clock_gettime(CLOCK_MONOTONIC, &start);
        publish(conn, queue, &sent, count, batch[way]);
        clock_gettime(CLOCK_MONOTONIC, &end);
        const long s = end.tv_sec - start.tv_sec, ns = end.tv_nsec - start.tv_nsec;
        printf("Published %ld messages %s in %ld ms\n", count, how[way], s * 1000 + ns / 1000000);
    }
    tutorial_close(conn);
}
