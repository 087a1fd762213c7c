// SPDX-License-Identifier: Apache-2.0
// `cress doctor` looks at RabbitMQ over AMQP, as any client may: connection, permissions, queues, and
// whether a message is taken.
//
// DESIGN
// RabbitMQ tells a client of an alarm only when it publishes, and then reads nothing more of its
// connection. So a message is published, and as the last thing: to no queue, which RabbitMQ answers
// by returning it.
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/text.h"
#include "common/broker/topology.h"
#include "producer/cli/doctor.h"
#include "producer/cli/server_version.h"
#include "producer/queues.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { URL_TEXT_MAX = 256 };

/* Routed nowhere: names of queues do not begin so. */
#define CANARY_KEY "cress.canary"

/* Dead letters that are passed on at least once, and TTLs in quorum queues, came with 3.10. */
static bool is_too_old(const char *server)
{
    return cress_server_is_before(server, 3, 10);
}

static void lose_broker(struct cress_doctor *doctor, const char *url, const char *why,
                        const char *advice)
{
    static const enum cress_doctor_check unknown[] = {
        CRESS_CHECK_PUBLISH, CRESS_CHECK_CONSUME, CRESS_CHECK_DELAYS, CRESS_CHECK_UNDELIVERABLE};
    cress_doctor_judge(doctor, CRESS_CHECK_BROKER, CRESS_DOCTOR_FAIL, "%s: %s; %s", url, why,
                       advice);
    for (size_t i = 0; i < CRESS_COUNT(unknown); i++) {
        cress_doctor_judge(doctor, unknown[i], CRESS_DOCTOR_WARN, "unknown without the broker");
    }
}

/* --- what was set aside --- */

static void undeliverable_cb(const struct cress_queue_stats *stats, size_t count,
                             const struct cress_error *err, void *arg)
{
    (void)count;
    if (err) {
        cress_doctor_judge(arg, CRESS_CHECK_UNDELIVERABLE, CRESS_DOCTOR_FAIL, "%s", err->message);
    } else if (stats->ready > 0) {
        cress_doctor_judge(
            arg, CRESS_CHECK_UNDELIVERABLE, CRESS_DOCTOR_WARN,
            "%" PRId64
            " messages became due for queues that were deleted, and lie in " CRESS_UNDELIVERABLE
            ": start workers for these queues, then cress doctor --fix sends the jobs again; "
            "then purge it",
            stats->ready);
    } else {
        cress_doctor_judge(arg, CRESS_CHECK_UNDELIVERABLE, CRESS_DOCTOR_OK,
                           "no message became due for a queue that is gone");
    }
}

/* --- a message is taken --- */

static void find_alarm(struct cress_doctor *doctor)
{
    cress_doctor_judge(
        doctor, CRESS_CHECK_PUBLISH, CRESS_DOCTOR_FAIL,
        "RabbitMQ takes no messages: a memory or disk alarm. Nothing is submitted or "
        "retried until it ends: rabbitmqctl status says which; free memory or disk, "
        "or raise the mark");
}

static void canary_cb(const struct cress_error *err, void *arg)
{
    struct cress_doctor *doctor = arg;
    if (cress_broker_state(cress_doctor_cli(doctor)->broker, NULL) == CRESS_BROKER_BLOCKED) {
        find_alarm(doctor);
    } else if (!err || err->status == CRESS_NOT_FOUND) {
        cress_doctor_judge(doctor, CRESS_CHECK_PUBLISH, CRESS_DOCTOR_OK,
                           "a message was taken and answered");
    } else if (err->status == CRESS_DENIED) {
        cress_doctor_judge(doctor, CRESS_CHECK_PUBLISH, CRESS_DOCTOR_FAIL,
                           "%s: nothing can be submitted or retried. The user of broker.url needs "
                           "write permission for amq.default (rabbitmqctl set_permissions)",
                           err->message);
    } else {
        cress_doctor_judge(doctor, CRESS_CHECK_PUBLISH, CRESS_DOCTOR_FAIL,
                           "a message was not taken: %s", err->message);
    }
}

static void publish_canary(struct cress_doctor *doctor)
{
    const struct cress_cli *cli = cress_doctor_cli(doctor);
    const struct cress_message message = {.exchange = "", .routing_key = CANARY_KEY};
    cress_broker_publish(cli->broker, &message, cli->connect_timeout_ms, canary_cb, doctor);
}

/* --- who may consume --- */

/* Queues are asked about one after the other: the first that is refused tells enough. */
struct tour {
    struct cress_doctor *doctor;
    char **queues; /* ends with NULL */
    size_t at, missing;
};

static void ask_about_queue(struct tour *tour);

static void end_tour(struct tour *tour)
{
    if (tour->missing == tour->at) {
        cress_doctor_judge(tour->doctor, CRESS_CHECK_CONSUME, CRESS_DOCTOR_OK,
                           "no queue was made yet");
    } else {
        cress_doctor_judge(tour->doctor, CRESS_CHECK_CONSUME, CRESS_DOCTOR_OK,
                           "the user of broker.url may consume all of the %zu queues",
                           tour->at - tour->missing);
    }
    cress_text_list_free(tour->queues);
    publish_canary(tour->doctor);
    free(tour);
}

static void may_consume_cb(const struct cress_error *err, void *arg)
{
    struct tour *tour = arg;
    const char *queue = tour->queues[tour->at];
    if (err && err->status == CRESS_DENIED) {
        cress_doctor_judge(tour->doctor, CRESS_CHECK_CONSUME, CRESS_DOCTOR_FAIL,
                           "%s: a worker with this user runs no job of queue %s. It needs read "
                           "permission for it (rabbitmqctl set_permissions)",
                           err->message, queue);
    } else if (err && err->status != CRESS_NOT_FOUND) {
        cress_doctor_judge(tour->doctor, CRESS_CHECK_CONSUME, CRESS_DOCTOR_FAIL, "queue %s: %s",
                           queue, err->message);
    }
    tour->missing += err && err->status == CRESS_NOT_FOUND;
    tour->at++;
    ask_about_queue(tour);
}

static void ask_about_queue(struct tour *tour)
{
    const struct cress_cli *cli = cress_doctor_cli(tour->doctor);
    if (cress_cli_over(cli) || !tour->queues[tour->at]) {
        end_tour(tour);
    } else {
        cress_broker_may_consume(cli->broker, tour->queues[tour->at], cli->connect_timeout_ms,
                                 may_consume_cb, tour);
    }
}

static struct tour *new_tour(struct cress_doctor *doctor, size_t count)
{
    struct tour *tour = CRESS_NEW(struct tour);
    tour->doctor = doctor;
    tour->queues = cress_realloc_array(NULL, count + 1, sizeof *tour->queues);
    tour->queues[count] = NULL;
    return tour;
}

/* Without the store, the queues of the configuration are asked about. */
static void tour_surveyed_cb(const struct cress_queue_summary *queues, size_t count,
                             const struct cress_error *err, void *arg)
{
    struct cress_doctor *doctor = arg;
    const struct cress_config *config = cress_doctor_cli(doctor)->config;
    const size_t all = err ? config->queue_count : count;
    struct tour *tour = new_tour(doctor, all);
    for (size_t i = 0; i < all; i++) {
        tour->queues[i] = cress_strdup(err ? config->queues[i].name : queues[i].name);
    }
    ask_about_queue(tour);
}

/* --- the delays --- */

static void judge_delays(struct cress_doctor *doctor, const struct cress_queue_stats *due,
                         int64_t found, int64_t waiting)
{
    if (found > 0 && !due->exists) {
        cress_doctor_judge(doctor, CRESS_CHECK_DELAYS, CRESS_DOCTOR_FAIL,
                           "queue " CRESS_DUE_QUEUE
                           " was deleted, to which all delays lead: %" PRId64
                           " delayed jobs and retries do not run until it is back. Start a worker, "
                           "which declares it",
                           waiting);
    } else if (due->exists && due->consumers == 0) {
        cress_doctor_judge(doctor, CRESS_CHECK_DELAYS,
                           waiting + due->ready > 0 ? CRESS_DOCTOR_FAIL : CRESS_DOCTOR_WARN,
                           "no worker takes what becomes due (queue " CRESS_DUE_QUEUE "): %" PRId64
                           " messages are due, %" PRId64 " are delayed. Start one, of any queue",
                           due->ready, waiting);
    } else {
        cress_doctor_judge(doctor, CRESS_CHECK_DELAYS, CRESS_DOCTOR_OK,
                           "%" PRId64 " messages wait in %" PRId64 " delay queues, %" PRId64
                           " are due",
                           waiting, found, due->ready);
    }
}

/* The first is the one that the others lead to. */
static void delays_cb(const struct cress_queue_stats *stats, size_t count,
                      const struct cress_error *err, void *arg)
{
    int64_t found = 0, waiting = 0;
    for (size_t i = 1; i < count && !err; i++) {
        found += stats[i].exists;
        waiting += stats[i].ready;
    }
    if (err) {
        cress_doctor_judge(arg, CRESS_CHECK_DELAYS, CRESS_DOCTOR_FAIL, "%s", err->message);
    } else {
        judge_delays(arg, &stats[0], found, waiting);
    }
}

static void look_at_delays(struct cress_doctor *doctor)
{
    const struct cress_cli *cli = cress_doctor_cli(doctor);
    const int steps = cress_delay_steps(cli->config->broker_delay_steps);
    const unsigned count = cress_delay_count(steps);
    char names[CRESS_DELAY_COUNT_MAX][CRESS_DELAY_NAME_MAX];
    const char *list[CRESS_DELAY_COUNT_MAX + 2] = {CRESS_DUE_QUEUE};
    for (unsigned i = 0; i < count; i++) {
        cress_delay_queue_name(cress_delay_at(steps, i), 1, names[i]);
        list[i + 1] = names[i];
    }
    cress_broker_inspect(cli->broker, list, cli->connect_timeout_ms, delays_cb, doctor);
}

/* --- the connection --- */

static void look_closer(struct cress_doctor *doctor)
{
    static const char *const names[] = {CRESS_UNDELIVERABLE, NULL};
    const struct cress_cli *cli = cress_doctor_cli(doctor);
    cress_broker_inspect(cli->broker, names, cli->connect_timeout_ms, undeliverable_cb, doctor);
    look_at_delays(doctor);
    cress_queues_survey(cress_cli_door(cli, cli->connect_timeout_ms), tour_surveyed_cb, doctor);
}

void cress_doctor_look_at_broker(struct cress_doctor *doctor, int64_t took_ms)
{
    struct cress_error why;
    char url[URL_TEXT_MAX], server[128], heartbeat[CRESS_TIME_TEXT_MAX];
    const struct cress_cli *cli = cress_doctor_cli(doctor);
    cress_text_redact_url(cli->config->broker_url, url, sizeof url);
    if (!cress_doctor_is_pending(doctor, CRESS_CHECK_BROKER)) {
        if (cress_broker_state(cli->broker, NULL) == CRESS_BROKER_BLOCKED) {
            find_alarm(doctor);
        }
        return;
    }
    switch (cress_broker_state(cli->broker, &why)) {
    case CRESS_BROKER_READY:
        cress_broker_server(cli->broker, server, sizeof server);
        look_closer(doctor);
        cress_doctor_judge(
            doctor, CRESS_CHECK_BROKER, is_too_old(server) ? CRESS_DOCTOR_FAIL : CRESS_DOCTOR_OK,
            "%s at %s, logged in within %" PRId64 " ms, heartbeat %s%s", server, url, took_ms,
            cress_duration_format(cli->config->broker_heartbeat_ms, heartbeat),
            is_too_old(server) ? "; Cress needs RabbitMQ 3.10 or later" : "");
        return;
    case CRESS_BROKER_BLOCKED:
        lose_broker(doctor, url, "takes no messages: memory or disk alarm",
                    "free some, see rabbitmqctl status");
        return;
    case CRESS_BROKER_CONNECTING:
        if (!cress_status_is_temporary(why.status) || took_ms >= cli->connect_timeout_ms) {
            lose_broker(doctor, url, why.message,
                        why.status == CRESS_DENIED
                            ? "user, password, or the virtual host are not (any more) what "
                              "broker.url says: see rabbitmqctl list_vhosts, list_users, "
                              "list_permissions"
                            : "set it with --broker-url or CRESS_BROKER_URL");
        }
        return;
    }
}
