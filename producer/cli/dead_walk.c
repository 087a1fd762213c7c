// SPDX-License-Identifier: Apache-2.0
// The walk through dead letters; see dead_walk.h.
#include "producer/cli/dead_walk.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "producer/cli/server_version.h"
#include "producer/queues.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    WINDOW = 512,
    TICK_MS = 50,
    CLAIM_AGAIN_MS = 200,
    /* RabbitMQ from 4.0 on drops a message whose count of deliveries would become 21. */
    LOOKS_MANY = 10,
    LOOKS_MAX = 20,
    /* Silence after which the queue is asked whether there are any more, and after which no is
     * believed: RabbitMQ answers 0 when it cannot tell within a quarter of a second. */
    SILENCE_MS = 500,
    EMPTY_MS = 5000,
};

struct dead_queue {
    char *name; /* of the work queue */
    char dead_name[CRESS_ROUTE_NAME_MAX];
    int64_t expected;
    int64_t received;
    uint64_t epoch; /* of its first delivery; 0: none yet */
};

struct cress_dead_walk {
    struct cress_cli *cli;
    struct cress_dead_visitor visitor;
    const char *wanted; /* the one queue; NULL: all */
    struct dead_queue *queues;
    size_t queue_count;
    size_t at; /* the queue that is being walked through */
    int64_t expected, received;
    int64_t in_hand;
    int64_t left;     /* since more was asked for */
    int64_t heard_ms; /* when the last letter came */
    bool seems_empty; /* since then, all answers have said so */
    int64_t began_ms; /* when it was first tried to claim the letters */
    bool is_waiting;  /* for another walk */
    int64_t looks;    /* earlier ones at the letter that was looked at most */
    bool asking, stopping, ended;
    struct cress_error why; /* of stopping; CRESS_OK: all is well */
};

/* --- the end --- */

bool cress_dead_looks_endanger(const char *server, int64_t looks)
{
    return !cress_server_is_before(server, 4, 0) && looks >= LOOKS_MANY && looks <= LOOKS_MAX;
}

static void warn_of_looks(struct cress_dead_walk *walk)
{
    char server[128];
    cress_broker_server(walk->cli->broker, server, sizeof server);
    if (cress_dead_looks_endanger(server, walk->looks)) {
        cress_output_say(&walk->cli->output,
                         "cress: a letter was looked at %" PRId64
                         " times, and %s drops one at its 21st delivery from a queue without a "
                         "limit of its own: rabbitmqctl set_policy --apply-to queues cress-dead "
                         "'\\.dead$' '{\"delivery-limit\":%d}'",
                         walk->looks + 1, server, CRESS_DEAD_DELIVERY_LIMIT);
    }
}

static void flushed_cb(void *arg)
{
    struct cress_dead_walk *walk = arg;
    if (!cress_cli_over(walk->cli)) {
        warn_of_looks(walk);
        walk->visitor.on_end(walk->why.status ? &walk->why : NULL, walk->visitor.arg);
    }
}

static void end_walk(struct cress_dead_walk *walk)
{
    if (!walk->ended) {
        walk->ended = true;
        cress_broker_flush(walk->cli->broker, flushed_cb, walk);
    }
}

/* Goes on to the next queue, or ends when nothing is left to do. */
static void proceed(struct cress_dead_walk *walk)
{
    while (walk->at < walk->queue_count && !walk->stopping) {
        const struct dead_queue *queue = &walk->queues[walk->at];
        if (queue->received < queue->expected) {
            return;
        }
        if (++walk->at < walk->queue_count) {
            walk->left = 0;
            walk->heard_ms = cress_clock_mono_ms();
            walk->seems_empty = true;
            cress_broker_more(walk->cli->broker, walk->queues[walk->at].dead_name);
        }
    }
    if (walk->in_hand == 0 && !cress_cli_over(walk->cli)) {
        end_walk(walk);
    }
}

void cress_dead_walk_stop(struct cress_dead_walk *walk, const struct cress_error *why)
{
    if (!walk->stopping) {
        walk->stopping = true;
        walk->why = why ? *why : (struct cress_error){0};
        proceed(walk);
    }
}

/* --- letters --- */

static void release_letter(struct cress_dead_item *item)
{
    struct cress_dead_walk *walk = item->walk;
    free(item);
    walk->in_hand--;
    proceed(walk);
}

/* As many as its prefetch stay unsettled: a consumer is replaced only once nothing is on its way to it,
 * for RabbitMQ 3.10 returns what is, and writes each of those messages anew. */
static void count_left(struct cress_dead_walk *walk)
{
    if (walk->at >= walk->queue_count || cress_cli_over(walk->cli)) {
        return;
    }
    const struct dead_queue *queue = &walk->queues[walk->at];
    if (++walk->left >= WINDOW && queue->received < queue->expected) {
        walk->left = 0;
        cress_broker_more(walk->cli->broker, queue->dead_name);
    }
}

void cress_dead_done(struct cress_dead_item *item, bool removed)
{
    if (removed) {
        cress_delivery_settle(item->walk->cli->broker, item->delivery, CRESS_ACK);
    } else {
        cress_delivery_leave(item->delivery);
        count_left(item->walk);
    }
    release_letter(item);
}

static void visit(struct cress_dead_walk *walk, struct dead_queue *queue,
                  struct cress_delivery *delivery)
{
    struct cress_dead_item *item = CRESS_NEW(struct cress_dead_item);
    cress_list_init(&item->node);
    item->walk = walk;
    item->delivery = delivery;
    cress_letter_read(delivery->message, queue->name, &item->letter);
    queue->received++;
    walk->received++;
    walk->in_hand++;
    if (delivery->delivery_count > walk->looks) {
        walk->looks = delivery->delivery_count;
    }
    walk->visitor.on_letter(item, walk->visitor.arg);
}

static void take_letter(struct cress_dead_walk *walk, struct cress_delivery *delivery)
{
    struct dead_queue *queue = walk->at < walk->queue_count ? &walk->queues[walk->at] : NULL;
    if (!queue || walk->stopping || queue->received == queue->expected ||
        strcmp(delivery->queue, queue->dead_name) != 0) {
        cress_delivery_leave(delivery);
        return;
    }
    queue->epoch = queue->epoch ? queue->epoch : delivery->epoch;
    if (queue->epoch != delivery->epoch) {
        struct cress_error err;
        cress_error_set(&err, CRESS_UNAVAILABLE, "connection_lost",
                        "the connection to RabbitMQ was lost after %" PRId64 " of %" PRId64
                        " letters; the same command may be given again",
                        walk->received, walk->expected);
        cress_delivery_leave(delivery);
        cress_dead_walk_stop(walk, &err);
        return;
    }
    visit(walk, queue, delivery);
}

static void deliveries_cb(struct cress_list *deliveries, void *arg)
{
    struct cress_dead_walk *walk = arg;
    struct cress_list *node;
    walk->heard_ms = cress_clock_mono_ms();
    walk->seems_empty = true;
    while ((node = cress_list_shift(deliveries))) {
        take_letter(walk, CRESS_CONTAINER(node, struct cress_delivery, node));
    }
}

static void problem_cb(const char *queue, const struct cress_error *err, void *arg)
{
    struct cress_error why = *err;
    if (!cress_status_is_temporary(err->status)) {
        cress_error_prefix(&why, "queue %s", queue);
        cress_dead_walk_stop(arg, &why);
    }
}

/* --- silence: someone else has taken letters that were expected --- */

static void asked_cb(const struct cress_queue_stats *stats, size_t count,
                     const struct cress_error *err, void *arg)
{
    (void)count;
    struct cress_dead_walk *walk = arg;
    const int64_t silent_ms = cress_clock_mono_ms() - walk->heard_ms;
    walk->asking = false;
    if (cress_cli_over(walk->cli) || walk->stopping || walk->at >= walk->queue_count ||
        silent_ms < SILENCE_MS) {
        return;
    }
    struct dead_queue *queue = &walk->queues[walk->at];
    struct cress_error late;
    walk->seems_empty = walk->seems_empty && !err && stats[0].ready == 0;
    if (walk->seems_empty && silent_ms >= EMPTY_MS) {
        walk->expected -= queue->expected - queue->received;
        queue->expected = queue->received;
        proceed(walk);
    } else if (!walk->seems_empty && silent_ms >= walk->cli->connect_timeout_ms) {
        cress_error_set(&late, CRESS_UNAVAILABLE, "no_letters",
                        "RabbitMQ sends nothing of queue %s", queue->dead_name);
        cress_dead_walk_stop(walk, &late);
    }
}

static void walk_tick_cb(void *arg)
{
    struct cress_dead_walk *walk = arg;
    char text[96];
    if (walk->visitor.on_tick) {
        walk->visitor.on_tick(walk->visitor.arg);
    }
    if (walk->ended) {
        return;
    }
    snprintf(text, sizeof text, "%" PRId64 " of %" PRId64 " dead letters", walk->received,
             walk->expected);
    cress_output_progress(&walk->cli->output, walk->received, walk->expected, text);
    if (!walk->asking && walk->in_hand == 0 && !walk->stopping &&
        cress_clock_mono_ms() - walk->heard_ms >= SILENCE_MS) {
        const char *const names[] = {walk->queues[walk->at].dead_name, NULL};
        walk->asking = true;
        cress_broker_inspect(walk->cli->broker, names, walk->cli->connect_timeout_ms, asked_cb,
                             walk);
    }
}

/* --- beginning --- */

static void add_queue(struct cress_dead_walk *walk, const char *name, int64_t dead)
{
    if (dead == 0) {
        return;
    }
    walk->queues = cress_realloc_array(walk->queues, walk->queue_count + 1, sizeof *walk->queues);
    struct dead_queue *queue = &walk->queues[walk->queue_count++];
    *queue = (struct dead_queue){.name = cress_strdup(name), .expected = dead};
    cress_route_dead_name(name, queue->dead_name);
    walk->expected += dead;
}

static void begin_walk(struct cress_dead_walk *walk)
{
    if (walk->queue_count == 0) {
        proceed(walk);
        return;
    }
    struct cress_subscription *subscriptions =
        cress_alloc(walk->queue_count * sizeof *subscriptions);
    for (size_t i = 0; i < walk->queue_count; i++) {
        subscriptions[i] = (struct cress_subscription){
            .queue = walk->queues[i].dead_name, .raw = true, .paced = true, .prefetch = WINDOW};
    }
    const struct cress_consumer consumer = {
        .on_deliveries = deliveries_cb, .on_problem = problem_cb, .arg = walk};
    cress_broker_consume(walk->cli->broker, subscriptions, walk->queue_count, &consumer);
    free(subscriptions);
    walk->heard_ms = cress_clock_mono_ms();
    walk->seems_empty = true;
    cress_broker_more(walk->cli->broker, walk->queues[0].dead_name);
    cress_cli_every(walk->cli, TICK_MS, walk_tick_cb, walk);
}

static void walk_surveyed_cb(const struct cress_queue_summary *queues, size_t count,
                             const struct cress_error *err, void *arg)
{
    struct cress_dead_walk *walk = arg;
    if (walk->stopping || cress_cli_failed(walk->cli, err)) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        add_queue(walk, queues[i].name, queues[i].dead);
    }
    begin_walk(walk);
}

static void walk_inspected_cb(const struct cress_queue_stats *stats, size_t count,
                              const struct cress_error *err, void *arg)
{
    (void)count;
    struct cress_dead_walk *walk = arg;
    struct cress_error missing;
    if (walk->stopping || cress_cli_failed(walk->cli, err)) {
        return;
    }
    if (!stats[0].exists) {
        cress_error_set(&missing, CRESS_NOT_FOUND, "unknown_queue", "there is no queue %s",
                        stats[0].name);
        cress_cli_fail(walk->cli, &missing);
        return;
    }
    add_queue(walk, walk->wanted, stats[0].ready);
    begin_walk(walk);
}

static void look_for_letters(struct cress_dead_walk *walk)
{
    struct cress_cli *cli = walk->cli;
    if (walk->wanted) {
        char dead_name[CRESS_ROUTE_NAME_MAX];
        cress_route_dead_name(walk->wanted, dead_name);
        const char *const names[] = {dead_name, NULL};
        cress_broker_inspect(cli->broker, names, cli->connect_timeout_ms, walk_inspected_cb, walk);
    } else {
        cress_queues_survey(cress_cli_door(cli, cli->connect_timeout_ms), walk_surveyed_cb, walk);
    }
}

/* --- one walk at a time: each would see what the other has not in hand --- */

static void claim(void *arg);

static void wait_for_other_walk(struct cress_dead_walk *walk)
{
    struct cress_cli *cli = walk->cli;
    char text[CRESS_TIME_TEXT_MAX];
    struct cress_error busy;
    if (cress_clock_mono_ms() - walk->began_ms >= cli->connect_timeout_ms) {
        cress_error_set(&busy, CRESS_UNAVAILABLE, "letters_in_use",
                        "another `cress dead` has had the dead letters in hand for %s: try again "
                        "when it has ended, or wait longer with --connect-timeout",
                        cress_duration_format(cli->connect_timeout_ms, text));
        cress_cli_fail(cli, &busy);
        return;
    }
    if (!walk->is_waiting) {
        walk->is_waiting = true;
        cress_output_say(&cli->output, "cress: another `cress dead` has the letters in hand; "
                                       "waiting for its end");
    }
    cress_cli_after(cli, CLAIM_AGAIN_MS, claim, walk);
}

/* Who may not make queues goes on without the claim: it only keeps walks from halving each other. */
static void claimed_cb(const struct cress_error *err, void *arg)
{
    struct cress_dead_walk *walk = arg;
    if (walk->stopping || cress_cli_over(walk->cli)) {
        return;
    }
    if (err && err->status == CRESS_CONFLICT) {
        wait_for_other_walk(walk);
    } else if (!err || err->status == CRESS_DENIED || !cress_cli_failed(walk->cli, err)) {
        look_for_letters(walk);
    }
}

static void claim(void *arg)
{
    struct cress_dead_walk *walk = arg;
    if (!walk->stopping) {
        cress_broker_claim(walk->cli->broker, CRESS_DEAD_CLAIM, walk->cli->connect_timeout_ms,
                           claimed_cb, walk);
    }
}

struct cress_dead_walk *cress_dead_walk_start(struct cress_cli *cli, const char *queue,
                                              const struct cress_dead_visitor *visitor)
{
    struct cress_dead_walk *walk = CRESS_NEW(struct cress_dead_walk);
    walk->cli = cli;
    walk->visitor = *visitor;
    walk->wanted = queue;
    walk->began_ms = cress_clock_mono_ms();
    claim(walk);
    return walk;
}

void cress_dead_walk_free(struct cress_dead_walk *walk)
{
    if (!walk) {
        return;
    }
    for (size_t i = 0; i < walk->queue_count; i++) {
        free(walk->queues[i].name);
    }
    free(walk->queues);
    free(walk);
}
