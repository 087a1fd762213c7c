// SPDX-License-Identifier: Apache-2.0
// Enqueues a job for each word given, all at once, and prints the results as they come.
//
//   cc enqueue.c $(pkg-config --cflags --libs cress) -o enqueue && ./enqueue hello world
#include <cress/cress.h>
#include <stdio.h>
#include <stdlib.h>

enum { PATIENCE_MS = 30000 };

static void die(const struct cress_error *err)
{
    fprintf(stderr, "enqueue: %s: %s\n", err->code, err->message);
    exit(EXIT_FAILURE);
}

int main(int argc, char **argv)
{
    const size_t count = argc > 1 ? (size_t)argc - 1 : 0;
    char(*ids)[CRESS_ID_SIZE] = calloc(count + 1, sizeof *ids);
    struct cress_client *client;
    struct cress_error err = {.message = "no memory"};
    if (!ids || cress_client_connect(NULL, &client, &err) != CRESS_OK) {
        die(&err); // where RabbitMQ and Redis are: CRESS_BROKER_URL, CRESS_STORE_URL, cress.conf
    }

    // The words become JSON texts; a word with quotes in it is refused as malformed.
    for (size_t i = 0; i < count; i++) {
        char payload[1024];
        snprintf(payload, sizeof payload, "\"%s\"", argv[i + 1]);
        const struct cress_request request = {.task = "cress.echo", .payload = payload};
        if (cress_client_enqueue_async(client, &request, ids[i], NULL, NULL, &err) != CRESS_OK) {
            die(&err);
        }
    }
    // Only now is every job safe in RabbitMQ, whatever becomes of us.
    if (cress_client_flush(client, PATIENCE_MS, &err) != CRESS_OK) {
        die(&err);
    }

    for (size_t i = 0; i < count; i++) {
        char *result;
        if (cress_client_result(client, ids[i], PATIENCE_MS, &result, &err) != CRESS_OK) {
            die(&err);
        }
        printf("%s %s\n", ids[i], result);
        free(result);
    }
    cress_client_close(client);
    free(ids);
    return EXIT_SUCCESS;
}
