// SPDX-License-Identifier: Apache-2.0
// cress send: one plain text message to a queue, as in RabbitMQ's first tutorial.
#include "common/base/mem.h"
#include "producer/cli/cli.h"
#include "producer/cli/input.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BODY_MAX_BYTES = 16 << 20 }; /* RabbitMQ's own limit on a message: max_message_size */

struct sending {
    struct cress_buf body;
};

static enum cress_status prepare_send(struct cress_cli *cli, struct cress_error *err)
{
    struct sending *sending = cli->state = CRESS_NEW(struct sending);
    struct cress_buf *body = &sending->body;
    *body = cress_buf_make(BODY_MAX_BYTES);
    const struct cress_args *args = &cli->args;
    if (args->operand_count > 1 && strcmp(args->operands[1], "-") != 0) {
        if (!cress_buf_add_text(body, args->operands[1])) {
            return cress_error_set(err, CRESS_TOO_LARGE, NULL, "the body is larger than %d bytes",
                                   BODY_MAX_BYTES);
        }
        return CRESS_OK;
    }
    return cress_input_read("-", body, err);
}

static void print_sent_json(const struct cress_cli *cli)
{
    const struct sending *sending = cli->state;
    json_t *json = json_pack("{s:s, s:I}", "queue", cli->args.operands[0], "bytes",
                             (json_int_t)sending->body.size);
    json_dumpf(json, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(json);
}

static void on_send_published(const struct cress_error *err, void *arg)
{
    struct cress_cli *cli = arg;
    if (cress_cli_failed(cli, err)) {
        return;
    }
    if (cress_cli_json(cli)) {
        print_sent_json(cli);
    }
    cress_cli_end(cli, 0);
}

static void publish_sent(void *arg)
{
    struct cress_cli *cli = arg;
    const struct sending *sending = cli->state;
    const struct cress_buf *body = &sending->body;
    const struct cress_message message = {.exchange = "",
                                          .routing_key = cli->args.operands[0],
                                          .content_type = "text/plain",
                                          .app_id = "cress",
                                          .body = cress_buf_text(body),
                                          .body_size = body->size};
    cress_broker_publish(cli->broker, &message, CRESS_CLI_CONFIRM_MS, on_send_published, cli);
}

static void on_send_ensured(const struct cress_error *err, void *arg)
{
    struct cress_cli *cli = arg;
    if (!cress_cli_failed(cli, err)) {
        publish_sent(cli);
    }
}

static void run_send(struct cress_cli *cli)
{
    cress_broker_ensure_queue(cli->broker, cli->args.operands[0], cli->connect_timeout_ms,
                              on_send_ensured, cli);
}

static void release_send(struct cress_cli *cli)
{
    struct sending *sending = cli->state;
    cress_buf_free(&sending->body);
    free(sending);
}

const struct cress_verb cress_verb_send = {
    .name = "send",
    .operands = "QUEUE [BODY|-]",
    .summary = "send a plain message to a queue",
    .about =
        "The body is sent as it is, from stdin when none is given; the exit code is 0 once the "
        "broker\n"
        "has confirmed it. An existing queue of any kind is used as it is, else a durable quorum\n"
        "queue is made. These are messages, not jobs: see `cress enqueue` for those.\n",
    .examples = "  cress send hello 'Hello World!'\n"
                "  cress receive hello --count 1\n",
    .min_operands = 1,
    .max_operands = 2,
    .needs = CRESS_NEEDS_CONFIG | CRESS_NEEDS_BROKER,
    .prepare = prepare_send,
    .run = run_send,
    .release = release_send,
};
