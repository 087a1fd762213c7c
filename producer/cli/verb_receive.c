// SPDX-License-Identifier: Apache-2.0
// cress receive: prints the messages of a queue as they come, as in RabbitMQ's first tutorial.
//
// A message is acknowledged after it has been written to stdout, so none is lost when the program
// ends; those that were fetched and not printed go back to their queue.
#include "common/base/mem.h"
#include "producer/cli/cli.h"
#include "producer/cli/message_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PREFETCH = 100 };
#define JSON_MAX_BYTES ((size_t)256 << 20)

struct receiving {
    struct cress_cli *cli;
    int64_t wanted; /* 0: all */
    int64_t received;
    bool ending;
    int exit_code;
};

/* --- printing --- */

static void print_received_json(const struct cress_cli *cli, const struct cress_delivery *delivery)
{
    const struct cress_message *message = delivery->message;
    struct cress_buf json = cress_buf_make(JSON_MAX_BYTES);
    cress_buf_add_text(&json, "{\"body\":");
    cress_buf_add_json(&json, message->body, message->body_size);
    cress_buf_printf(&json, ",\"redelivered\":%s", delivery->redelivered ? "true" : "false");
    cress_message_add_member(&json, "exchange", message->exchange);
    cress_message_add_member(&json, "routing_key", message->routing_key);
    cress_message_add_member(&json, "type", message->type);
    cress_message_add_member(&json, "message_id", message->message_id);
    cress_message_add_member(&json, "content_type", message->content_type);
    cress_message_add_member(&json, "correlation_id", message->correlation_id);
    cress_message_add_member(&json, "reply_to", message->reply_to);
    cress_message_add_member(&json, "app_id", message->app_id);
    if (message->timestamp_s) {
        cress_buf_printf(&json, ",\"timestamp\":%" PRId64, message->timestamp_s);
    }
    cress_message_add_headers(&json, message);
    cress_buf_add_char(&json, '}');
    cress_output_json(&cli->output, cress_buf_text(&json), json.size, true);
    putchar('\n');
    cress_buf_free(&json);
}

/* A body that ends its last line itself gets no second end. */
static void print_body(const struct cress_cli *cli, const struct cress_message *message)
{
    const char *body = message->body;
    struct cress_buf shown = cress_buf_make(message->body_size);
    if (cli->output.out_is_terminal) {
        cress_buf_add_harmless(&shown, body, message->body_size, "\n\t");
    } else {
        cress_buf_add(&shown, body, message->body_size);
    }
    fwrite(cress_buf_text(&shown), 1, shown.size, stdout);
    cress_buf_free(&shown);
    if (message->body_size == 0 || body[message->body_size - 1] != '\n') {
        putchar('\n');
    }
}

/* --- ending --- */

static void on_flushed(void *arg)
{
    struct receiving *receiving = arg;
    cress_cli_end(receiving->cli, receiving->exit_code);
}

static void on_stopped(void *arg)
{
    struct receiving *receiving = arg;
    if (!cress_cli_over(receiving->cli)) {
        cress_broker_flush(receiving->cli->broker, on_flushed, receiving);
    }
}

static void end_receive(struct receiving *receiving, int exit_code)
{
    if (!receiving->ending) {
        receiving->ending = true;
        receiving->exit_code = exit_code;
        cress_broker_stop_consuming(receiving->cli->broker, on_stopped, receiving);
    }
}

static void on_silence(void *arg)
{
    struct receiving *receiving = arg;
    if (receiving->wanted > 0) {
        cress_output_say(&receiving->cli->output,
                         "cress: received %" PRId64 " of %" PRId64 " messages in time",
                         receiving->received, receiving->wanted);
    }
    end_receive(receiving, receiving->wanted > 0 ? cress_status_exit_code(CRESS_TIMEOUT) : 0);
}

static void stop_receive(struct cress_cli *cli, const struct cress_error *why)
{
    if (why->status == CRESS_CANCELLED) {
        end_receive(cli->state, cli->exit_code);
        return;
    }
    cress_output_error(&cli->output, why);
    cress_cli_end(cli, cli->exit_code);
}

/* --- receiving --- */

static void await_more(struct receiving *receiving)
{
    struct cress_cli *cli = receiving->cli;
    if (cress_args_has(&cli->args, "timeout")) {
        cress_cli_after(cli, cress_args_number(&cli->args, "timeout", 0), on_silence, receiving);
    }
}

static enum cress_settlement receive(struct receiving *receiving,
                                     const struct cress_delivery *delivery)
{
    struct cress_cli *cli = receiving->cli;
    if (receiving->ending || cress_cli_over(cli)) {
        return CRESS_REQUEUE;
    }
    if (cress_cli_json(cli)) {
        print_received_json(cli, delivery);
    } else {
        print_body(cli, delivery->message);
    }
    if (!cress_cli_flush(cli)) {
        return CRESS_REQUEUE;
    }
    receiving->received++;
    if (receiving->received == receiving->wanted) {
        end_receive(receiving, 0);
    }
    return CRESS_ACK;
}

static void on_deliveries(struct cress_list *deliveries, void *arg)
{
    struct receiving *receiving = arg;
    struct cress_list *node;
    while ((node = cress_list_shift(deliveries))) {
        struct cress_delivery *delivery = CRESS_CONTAINER(node, struct cress_delivery, node);
        cress_delivery_settle(receiving->cli->broker, delivery, receive(receiving, delivery));
    }
    if (!receiving->ending) {
        await_more(receiving);
    }
}

/* A queue that is not there any more or exclusive to someone else does not become ours by
 * waiting. */
static void on_problem(const char *queue, const struct cress_error *err, void *arg)
{
    struct receiving *receiving = arg;
    if (!cress_status_is_temporary(err->status)) {
        struct cress_error why = *err;
        cress_error_prefix(&why, "queue %s", queue);
        cress_cli_fail(receiving->cli, &why);
    }
}

static void on_receive_ensured(const struct cress_error *err, void *arg)
{
    struct receiving *receiving = arg;
    struct cress_cli *cli = receiving->cli;
    if (cress_cli_failed(cli, err)) {
        return;
    }
    const bool is_few = receiving->wanted > 0 && receiving->wanted < PREFETCH;
    const struct cress_subscription subscription = {.queue = cli->args.operands[0],
                                                    .raw = true,
                                                    .prefetch =
                                                        is_few ? (int)receiving->wanted : PREFETCH};
    const struct cress_consumer consumer = {
        .on_deliveries = on_deliveries, .on_problem = on_problem, .arg = receiving};
    cress_broker_consume(cli->broker, &subscription, 1, &consumer);
    await_more(receiving);
}

static void run_receive(struct cress_cli *cli)
{
    struct receiving *receiving = cli->state = CRESS_NEW(struct receiving);
    receiving->cli = cli;
    receiving->wanted = cress_args_number(&cli->args, "count", 0);
    cress_broker_ensure_queue(cli->broker, cli->args.operands[0], cli->connect_timeout_ms,
                              on_receive_ensured, receiving);
}

static void release_receive(struct cress_cli *cli)
{
    free(cli->state);
}

static const struct cress_flag flags[] = {
    {.name = "count",
     .kind = CRESS_FLAG_NUMBER,
     .value = "N",
     .min = 1,
     .max = INT64_MAX,
     .help = "end after N messages"},
    {.name = "timeout",
     .kind = CRESS_FLAG_DURATION,
     .value = "TIME",
     .help = "end after TIME without a message; exit code 5 when that is before --count"},
    {.name = NULL},
};

const struct cress_verb cress_verb_receive = {
    .name = "receive",
    .operands = "QUEUE",
    .summary = "print the messages of a queue as they come",
    .about =
        "Each body is a line on stdout; --json prints one object a message, with its properties. "
        "A\n"
        "message is acknowledged once it has been written; Ctrl-C ends tidily. The queue is made "
        "as\n"
        "by `cress send` when there is none. Do not use it on a queue of jobs: it takes them.\n",
    .examples = "  cress receive hello\n"
                "  cress receive hello --count 1 --timeout 5s\n"
                "  cress receive default.dead --json --timeout 1s\n",
    .flags = flags,
    .min_operands = 1,
    .max_operands = 1,
    .needs = CRESS_NEEDS_CONFIG | CRESS_NEEDS_CONSUMER,
    .run = run_receive,
    .stop = stop_receive,
    .release = release_receive,
};
