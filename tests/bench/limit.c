// SPDX-License-Identifier: Apache-2.0
// The raw limits that Cress is measured against: rabbitmq-c and hiredis and nothing else, in one
// thread.
//
//   limit publish N   N persistent messages to a fresh quorum queue, with confirms, 2,000 in flight
//   limit consume N   consume N of them, prefetch 2,000, acknowledged in runs
//   limit both N      both at once, in two processes: the broker's own throughput
//   limit drain N     consume N of them as a worker must at the least: two atomic Lua transitions
//   with TTL and
//                     PUBLISH for each in pipelined batches of 250, acknowledged after the replies
//
// Prints one JSON object: {"jobs", "seconds", "per_second", "cpu_us_per_job"}. Servers:
// CRESS_BROKER_URL, CRESS_STORE_URL.
#include "common/base/text.h"
#include "common/base/url.h"

#include <amqp.h>
#include <amqp_tcp_socket.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { BODY_SIZE = 300, WINDOW = 2000, ACK_EVERY = 500, BATCH = 250, CHANNEL = 1 };

static const char QUEUE[] = "bench.limit";

static void die(const char *what)
{
    fprintf(stderr, "limit: %s failed\n", what);
    exit(1);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu_seconds(int who)
{
    struct rusage u;
    getrusage(who, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void report(int n, double seconds, double cpu)
{
    printf("{\"jobs\": %d, \"seconds\": %.3f, \"per_second\": %.0f, \"cpu_us_per_job\": %.1f}\n", n,
           seconds, n / seconds, 1e6 * cpu / n);
    fflush(stdout);
}

/* --- RabbitMQ --- */

static amqp_connection_state_t dial(void)
{
    const char *env = getenv("CRESS_BROKER_URL");
    char url[1000];
    snprintf(url, sizeof url, "%s", env ? env : "amqp://guest:guest@127.0.0.1:5672/");
    struct amqp_connection_info info;
    if (amqp_parse_url(url, &info) != AMQP_STATUS_OK) {
        die("reading CRESS_BROKER_URL");
    }
    amqp_connection_state_t c = amqp_new_connection();
    amqp_socket_t *socket = amqp_tcp_socket_new(c);
    if (!socket || amqp_socket_open(socket, info.host, info.port) != AMQP_STATUS_OK) {
        die("connecting");
    }
    const amqp_rpc_reply_t reply =
        amqp_login(c, info.vhost, 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, info.user, info.password);
    if (reply.reply_type != AMQP_RESPONSE_NORMAL || !amqp_channel_open(c, CHANNEL)) {
        die("login");
    }
    return c;
}

static void declare_fresh(amqp_connection_state_t c)
{
    amqp_table_entry_t entry = {.key = amqp_cstring_bytes("x-queue-type")};
    entry.value.kind = AMQP_FIELD_KIND_UTF8;
    entry.value.value.bytes = amqp_cstring_bytes("quorum");
    amqp_queue_delete(c, CHANNEL, amqp_cstring_bytes(QUEUE), 0, 0);
    if (!amqp_queue_declare(c, CHANNEL, amqp_cstring_bytes(QUEUE), 0, 1, 0, 0,
                            (amqp_table_t){.num_entries = 1, .entries = &entry})) {
        die("declaring");
    }
}

/* Counts a confirm. Runs are confirmed by one frame; single ones, which the broker may send in any
 * order, one by one. */
static int confirmed(const amqp_frame_t *frame, int count)
{
    if (frame->frame_type != AMQP_FRAME_METHOD ||
        frame->payload.method.id != AMQP_BASIC_ACK_METHOD) {
        die("publishing (no confirm)");
    }
    const amqp_basic_ack_t *ack = frame->payload.method.decoded;
    if (!ack->multiple) {
        return count + 1;
    }
    return (int)ack->delivery_tag > count ? (int)ack->delivery_tag : count;
}

static void publish(amqp_connection_state_t c, int n)
{
    static char body[BODY_SIZE];
    memset(body, 'x', sizeof body);
    const amqp_basic_properties_t properties = {
        ._flags = AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_CONTENT_TYPE_FLAG,
        .delivery_mode = 2,
        .content_type = amqp_cstring_bytes("application/json"),
    };
    if (!amqp_confirm_select(c, CHANNEL)) {
        die("confirm.select");
    }
    int sent = 0;
    for (int done = 0; done < n;) {
        while (sent < n && sent - done < WINDOW) {
            if (amqp_basic_publish(
                    c, CHANNEL, amqp_empty_bytes, amqp_cstring_bytes(QUEUE), 1, 0, &properties,
                    (amqp_bytes_t){.len = sizeof body, .bytes = body}) != AMQP_STATUS_OK) {
                die("publishing");
            }
            sent++;
            struct timeval none = {0, 0};
            amqp_frame_t frame;
            while (sent % 64 == 0 &&
                   amqp_simple_wait_frame_noblock(c, &frame, &none) == AMQP_STATUS_OK) {
                done = confirmed(&frame, done);
            }
        }
        amqp_frame_t frame;
        if (done < n && amqp_simple_wait_frame(c, &frame) == AMQP_STATUS_OK) {
            done = confirmed(&frame, done);
            amqp_maybe_release_buffers(c);
        }
    }
}

static uint64_t consume_one(amqp_connection_state_t c)
{
    amqp_envelope_t envelope;
    amqp_maybe_release_buffers(c);
    if (amqp_consume_message(c, &envelope, NULL, 0).reply_type != AMQP_RESPONSE_NORMAL) {
        die("consuming");
    }
    const uint64_t tag = envelope.delivery_tag;
    amqp_destroy_envelope(&envelope);
    return tag;
}

static void start_consuming(amqp_connection_state_t c)
{
    amqp_basic_qos(c, CHANNEL, 0, WINDOW, 0);
    if (!amqp_basic_consume(c, CHANNEL, amqp_cstring_bytes(QUEUE), amqp_empty_bytes, 0, 0, 0,
                            amqp_empty_table)) {
        die("basic.consume");
    }
}

static void consume(amqp_connection_state_t c, int n)
{
    start_consuming(c);
    for (int got = 1; got <= n; got++) {
        const uint64_t tag = consume_one(c);
        if (got % ACK_EVERY == 0 || got == n) {
            amqp_basic_ack(c, CHANNEL, tag, 1);
        }
    }
}

/* --- Redis --- */

static redisReply *check(redisReply *reply)
{
    if (!reply || reply->type == REDIS_REPLY_ERROR) {
        die(reply ? reply->str : "redis");
    }
    return reply;
}

static redisContext *dial_store(void)
{
    const char *env = getenv("CRESS_STORE_URL");
    struct cress_url url;
    struct cress_error err;
    if (cress_url_parse(env ? env : "redis://127.0.0.1:6379/0", &url, &err) != CRESS_OK) {
        die("reading CRESS_STORE_URL");
    }
    redisContext *store = redisConnect(url.host, url.port);
    if (!store || store->err) {
        die("connecting to redis");
    }
    const char *password = url.userinfo ? strchr(url.userinfo, ':') : NULL;
    if (password) {
        freeReplyObject(check(redisCommand(store, "AUTH %s", password + 1)));
    }
    cress_url_free(&url);
    return store;
}

static const char TRANSITION[] =
    "local s=redis.call('HGET',KEYS[1],'state') if s=='succeeded' or s=='failed' then return 0 end "
    "redis.call('HSET',KEYS[1],'state',ARGV[1],'t',ARGV[2],'result',ARGV[3]) "
    "if ARGV[1]=='succeeded' then redis.call('PEXPIRE',KEYS[1],600000) "
    "redis.call('PUBLISH',KEYS[1],ARGV[1]) end "
    "return 1";

static void take_replies(redisContext *store, int count)
{
    for (int i = 0; i < count; i++) {
        void *reply = NULL;
        redisGetReply(store, &reply);
        freeReplyObject(check(reply));
    }
}

static void drain(amqp_connection_state_t c, redisContext *store, int n)
{
    redisReply *sha = check(redisCommand(store, "SCRIPT LOAD %s", TRANSITION));
    start_consuming(c);
    int commands = 0;
    for (int got = 1; got <= n; got++) {
        const uint64_t tag = consume_one(c);
        char key[64];
        snprintf(key, sizeof key, "bench:0190b1f2-3f0e-7c19-8d9c-%012d", got);
        redisAppendCommand(store, "EVALSHA %s 1 %s %s %s %s", sha->str, key, "running",
                           "1234567890123", "");
        redisAppendCommand(store, "EVALSHA %s 1 %s %s %s %s", sha->str, key, "succeeded",
                           "1234567890123", "{\"ok\":true}");
        commands += 2;
        if (got % BATCH == 0 || got == n) {
            take_replies(store, commands);
            commands = 0;
            amqp_basic_ack(c, CHANNEL, tag, 1);
        }
    }
    freeReplyObject(sha);
}

/* --- */

static void run_both(int n)
{
    amqp_connection_state_t c = dial();
    declare_fresh(c);
    const double start = now();
    const pid_t publisher = fork();
    if (publisher == 0) {
        publish(dial(), n);
        _exit(0);
    }
    consume(c, n);
    waitpid(publisher, NULL, 0);
    report(n, now() - start, cpu_seconds(RUSAGE_SELF) + cpu_seconds(RUSAGE_CHILDREN));
}

int main(int argc, char **argv)
{
    int64_t n;
    if (argc != 3 || !cress_text_to_int(argv[2], &n) || n < 1 || n > 10000000) {
        fprintf(stderr, "usage: limit publish|consume|both|drain N\n");
        return 2;
    }
    if (strcmp(argv[1], "both") == 0) {
        run_both((int)n);
        return 0;
    }
    amqp_connection_state_t c = dial();
    redisContext *store = strcmp(argv[1], "drain") == 0 ? dial_store() : NULL;
    if (strcmp(argv[1], "publish") == 0) {
        declare_fresh(c);
    }
    const double start = now();
    const double cpu = cpu_seconds(RUSAGE_SELF);
    if (strcmp(argv[1], "publish") == 0) {
        publish(c, (int)n);
    } else if (strcmp(argv[1], "consume") == 0) {
        consume(c, (int)n);
    } else if (store) {
        drain(c, store, (int)n);
    } else {
        die("an unknown mode");
    }
    report((int)n, now() - start, cpu_seconds(RUSAGE_SELF) - cpu);
    return 0;
}
