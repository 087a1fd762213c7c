// SPDX-License-Identifier: Apache-2.0
// cress doctor: looks at broker, store and object store, and says what to do; with --fix it repairs
// what broker and records disagree about (repair.h).
//
// The checks run side by side, each with --connect-timeout; then comes the repair. All is printed
// together, in order.
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/text.h"
#include "common/broker/topology.h"
#include "common/object/object.h"
#include "producer/cli/cli.h"
#include "producer/cli/repair.h"
#include "producer/cli/server_version.h"
#include "producer/schedules.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOOK_MS = 20, URL_TEXT_MAX = 256, CONNECTIONS = 2, REPAIR_TEXT_MAX = 4096 };

enum verdict { PENDING, GOOD, DOUBTFUL, BAD };
static const char *const verdict_words[] = {"pending", "ok", "warn", "fail"};

enum check {
    CHECK_BROKER,
    CHECK_UNDELIVERABLE,
    CHECK_LEASE,
    CHECK_STORE,
    CHECK_WORKERS,
    CHECK_SCHEDULES,
    CHECK_OBJECTS,
    CHECK_COUNT
};
static const char *const check_names[] = {"broker",  "undeliverable", "lease",  "store",
                                          "workers", "schedules",     "objects"};

struct doctor {
    struct cress_cli *cli;
    struct {
        enum verdict verdict;
        char text[CRESS_ERROR_MESSAGE_MAX + URL_TEXT_MAX];
    } checks[CHECK_COUNT];
    bool store_asked;
    int64_t started_ms, asked_ms;
    struct cress_http *http;
    struct cress_object_store *objects;
    bool dry_run;
    struct cress_repair *repair;                 /* NULL: not begun */
    const struct cress_repair_finding *findings; /* NULL: not looked for */
};

/* --- verdicts --- */

/* A repair's row: ok, fixed, or fail when something is wrong that was not fixed. */
static const char *finding_word(const struct doctor *doctor,
                                const struct cress_repair_finding *finding)
{
    if (finding->found == 0) {
        return "ok";
    }
    return finding->fixed < finding->found || doctor->dry_run ? "fail" : "fixed";
}

static void print_doctor_json(const struct doctor *doctor)
{
    json_t *json = json_array();
    for (size_t i = 0; i < CHECK_COUNT; i++) {
        json_array_append_new(json, json_pack("{s:s, s:s, s:s}", "check", check_names[i], "status",
                                              verdict_words[doctor->checks[i].verdict], "detail",
                                              doctor->checks[i].text));
    }
    for (int i = 0; i < CRESS_REPAIR_COUNT && doctor->findings; i++) {
        const struct cress_repair_finding *finding = &doctor->findings[i];
        const enum cress_repair_kind kind = (enum cress_repair_kind)i;
        struct cress_buf detail = cress_buf_make(REPAIR_TEXT_MAX);
        cress_repair_describe(kind, finding, doctor->dry_run, &detail);
        json_array_append_new(
            json, json_pack("{s:s, s:s, s:s, s:I, s:I}", "check", cress_repair_word(kind), "status",
                            finding_word(doctor, finding), "detail", cress_buf_text(&detail),
                            "found", (json_int_t)finding->found, "fixed",
                            (json_int_t)(doctor->dry_run ? 0 : finding->fixed)));
        cress_buf_free(&detail);
    }
    json_dumpf(json, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(json);
}

static void print_doctor_table(const struct doctor *doctor)
{
    static const char *const columns[] = {"CHECK", "STATUS", "+DETAIL", NULL};
    struct cress_table *table = cress_table_new(columns);
    for (size_t i = 0; i < CHECK_COUNT; i++) {
        cress_table_add(table, (const char *const[]){check_names[i],
                                                     verdict_words[doctor->checks[i].verdict],
                                                     doctor->checks[i].text});
    }
    for (int i = 0; i < CRESS_REPAIR_COUNT && doctor->findings; i++) {
        const struct cress_repair_finding *finding = &doctor->findings[i];
        struct cress_buf detail = cress_buf_make(REPAIR_TEXT_MAX);
        cress_repair_describe((enum cress_repair_kind)i, finding, doctor->dry_run, &detail);
        cress_table_add(table, (const char *const[]){cress_repair_word((enum cress_repair_kind)i),
                                                     finding_word(doctor, finding),
                                                     cress_buf_text(&detail)});
        cress_buf_free(&detail);
    }
    cress_table_print(table, &doctor->cli->output);
}

static int doctor_exit_code(const struct doctor *doctor)
{
    for (size_t i = 0; i < CHECK_COUNT; i++) {
        if (doctor->checks[i].verdict == BAD) {
            return cress_status_exit_code(CRESS_UNAVAILABLE);
        }
    }
    for (int i = 0; i < CRESS_REPAIR_COUNT && doctor->findings; i++) {
        if (strcmp(finding_word(doctor, &doctor->findings[i]), "fail") == 0) {
            return cress_status_exit_code(CRESS_JOB_FAILED);
        }
    }
    return 0;
}

static void print(struct doctor *doctor)
{
    if (cress_cli_json(doctor->cli)) {
        print_doctor_json(doctor);
    } else {
        print_doctor_table(doctor);
    }
    cress_cli_end(doctor->cli, doctor_exit_code(doctor));
}

static void repaired_cb(const struct cress_repair_finding *findings, const struct cress_error *err,
                        void *arg)
{
    struct doctor *doctor = arg;
    if (!cress_cli_failed(doctor->cli, err)) {
        doctor->findings = findings;
        print(doctor);
    }
}

static void conclude_doctor(struct doctor *doctor)
{
    for (size_t i = 0; i < CHECK_COUNT; i++) {
        if (doctor->checks[i].verdict == PENDING) {
            return;
        }
    }
    const bool can_repair =
        doctor->checks[CHECK_BROKER].verdict == GOOD && doctor->checks[CHECK_STORE].verdict == GOOD;
    if (cress_args_has(&doctor->cli->args, "fix") && can_repair) {
        doctor->repair = cress_repair_start(doctor->cli, doctor->dry_run, repaired_cb, doctor);
    } else {
        print(doctor);
    }
}

static void judge_check(struct doctor *doctor, enum check check, enum verdict verdict,
                        const char *format, ...) CRESS_PRINTF(4, 5);
static void judge_check(struct doctor *doctor, enum check check, enum verdict verdict,
                        const char *format, ...)
{
    if (doctor->checks[check].verdict != PENDING || cress_cli_over(doctor->cli)) {
        return;
    }
    va_list args;
    va_start(args, format);
    vsnprintf(doctor->checks[check].text, sizeof doctor->checks[check].text, format, args);
    va_end(args);
    doctor->checks[check].verdict = verdict;
    conclude_doctor(doctor);
}

/* --- broker --- */

/* Dead letters that are passed on at least once, and TTLs in quorum queues, came with 3.10. */
static bool is_too_old(const char *server)
{
    return cress_server_is_before(server, 3, 10);
}

static void on_undeliverable(const struct cress_queue_stats *stats, size_t count,
                             const struct cress_error *err, void *arg)
{
    struct doctor *doctor = arg;
    (void)count;
    if (err) {
        judge_check(doctor, CHECK_UNDELIVERABLE, BAD, "%s", err->message);
    } else if (stats->ready > 0) {
        judge_check(
            doctor, CHECK_UNDELIVERABLE, DOUBTFUL,
            "%" PRId64
            " messages became due for queues that were deleted, and lie in " CRESS_UNDELIVERABLE
            ": start workers for these queues, then cress doctor --fix sends the jobs again; "
            "then purge it",
            stats->ready);
    } else {
        judge_check(doctor, CHECK_UNDELIVERABLE, GOOD,
                    "no message became due for a queue that is gone");
    }
}

static void lose_broker(struct doctor *doctor, const char *url, const char *why, const char *advice)
{
    judge_check(doctor, CHECK_BROKER, BAD, "%s: %s; %s", url, why, advice);
    judge_check(doctor, CHECK_UNDELIVERABLE, DOUBTFUL, "unknown without the broker");
}

static void look_at_broker(struct doctor *doctor)
{
    static const char *const names[] = {CRESS_UNDELIVERABLE, NULL};
    struct cress_error why;
    char url[URL_TEXT_MAX], server[128], heartbeat[CRESS_TIME_TEXT_MAX];
    const struct cress_config *config = doctor->cli->config;
    cress_text_redact_url(config->broker_url, url, sizeof url);
    const int64_t took_ms = cress_clock_mono_ms() - doctor->started_ms;
    if (doctor->checks[CHECK_BROKER].verdict != PENDING) {
        return;
    }
    switch (cress_broker_state(doctor->cli->broker, &why)) {
    case CRESS_BROKER_READY:
        cress_broker_inspect(doctor->cli->broker, names, doctor->cli->connect_timeout_ms,
                             on_undeliverable, doctor);
        cress_broker_server(doctor->cli->broker, server, sizeof server);
        judge_check(doctor, CHECK_BROKER, is_too_old(server) ? BAD : GOOD,
                    "%s at %s, logged in within %" PRId64 " ms, heartbeat %s%s", server, url,
                    took_ms, cress_duration_format(config->broker_heartbeat_ms, heartbeat),
                    is_too_old(server) ? "; Cress needs RabbitMQ 3.10 or later" : "");
        return;
    case CRESS_BROKER_BLOCKED:
        lose_broker(doctor, url, "takes no messages: memory or disk alarm",
                    "free some, see rabbitmqctl status");
        return;
    case CRESS_BROKER_CONNECTING:
        if (!cress_status_is_temporary(why.status) || took_ms >= doctor->cli->connect_timeout_ms) {
            lose_broker(doctor, url, why.message, "set it with --broker-url or CRESS_BROKER_URL");
        }
        return;
    }
}

/* RabbitMQ does not tell a client what its consumer_timeout is. */
static void look_at_lease(struct doctor *doctor)
{
    const int64_t lease_ms = doctor->cli->config->worker_lease_ms;
    const bool is_long = lease_ms > CRESS_CONSUMER_TIMEOUT_MS / 2;
    char lease[CRESS_TIME_TEXT_MAX];
    judge_check(
        doctor, CHECK_LEASE, is_long ? DOUBTFUL : GOOD,
        "jobs that run longer than worker.lease (%s) need a consumer_timeout of RabbitMQ of at "
        "least twice that; it is 30m unless set in rabbitmq.conf%s",
        cress_duration_format(lease_ms, lease), is_long ? ": lower the lease or raise it" : "");
}

/* --- store --- */

static void on_doctor_workers(const char *const *reports, size_t count,
                              const struct cress_error *err, void *arg)
{
    struct doctor *doctor = arg;
    (void)reports;
    if (err) {
        judge_check(doctor, CHECK_WORKERS, BAD, "%s", err->message);
    } else {
        judge_check(doctor, CHECK_WORKERS, count > 0 ? GOOD : DOUBTFUL,
                    count > 0 ? "%zu alive" : "%zu alive: jobs wait; start one with cress-worker",
                    count);
    }
}

static void on_doctor_schedules(const struct cress_schedule_record *schedules, size_t count,
                                const struct cress_error *err, void *arg)
{
    struct doctor *doctor = arg;
    size_t counts[CRESS_SCHEDULE_GONE + 1] = {0};
    const char *gone = "", *split = NULL;
    if (err) {
        judge_check(doctor, CHECK_SCHEDULES, BAD, "%s", err->message);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const enum cress_schedule_status status =
            cress_schedules_status(&schedules[i], cress_clock_wall_ms());
        counts[status]++;
        gone = status == CRESS_SCHEDULE_GONE ? schedules[i].name : gone;
        split = schedules[i].fleet_count > 1 ? schedules[i].name : split;
    }
    if (counts[CRESS_SCHEDULE_GONE] > 0) {
        judge_check(
            doctor, CHECK_SCHEDULES, DOUBTFUL,
            "%zu that no worker has any more, such as %s: start one that does; see cress cron list",
            counts[CRESS_SCHEDULE_GONE], gone);
    } else if (split) {
        judge_check(
            doctor, CHECK_SCHEDULES, DOUBTFUL,
            "workers do not agree about schedule %s, and each runs its own: cress cron list",
            split);
    } else {
        judge_check(doctor, CHECK_SCHEDULES, GOOD, "%zu active, %zu paused",
                    counts[CRESS_SCHEDULE_ACTIVE], counts[CRESS_SCHEDULE_PAUSED]);
    }
}

static void lose_store(struct doctor *doctor, const struct cress_error *err)
{
    judge_check(doctor, CHECK_STORE, BAD, "%s", err->message);
    judge_check(doctor, CHECK_WORKERS, DOUBTFUL, "unknown without the store");
    judge_check(doctor, CHECK_SCHEDULES, DOUBTFUL, "unknown without the store");
}

static void on_server(const char *version, const struct cress_error *err, void *arg)
{
    struct doctor *doctor = arg;
    char url[URL_TEXT_MAX];
    cress_text_redact_url(doctor->cli->config->store_url, url, sizeof url);
    if (err) {
        lose_store(doctor, err);
    } else {
        judge_check(doctor, CHECK_STORE, GOOD, "Redis %s at %s, answers within %.1f ms", version,
                    url, (double)((int64_t)uv_hrtime() - doctor->asked_ms) / 1e6);
    }
}

static void look_at_store(struct doctor *doctor)
{
    struct cress_error why;
    if (doctor->store_asked) {
        return;
    }
    if (cress_store_is_ready(doctor->cli->store, &why)) {
        doctor->store_asked = true;
        doctor->asked_ms = (int64_t)uv_hrtime();
        cress_store_server(doctor->cli->store, on_server, doctor);
        cress_store_workers(doctor->cli->store, on_doctor_workers, doctor);
        cress_store_schedules(doctor->cli->store, NULL, on_doctor_schedules, doctor);
        return;
    }
    const int64_t took_ms = cress_clock_mono_ms() - doctor->started_ms;
    if (!cress_status_is_temporary(why.status) || took_ms >= doctor->cli->connect_timeout_ms) {
        lose_store(doctor, &why);
    }
}

/* --- object store --- */

static void on_objects(const struct cress_error *err, void *arg)
{
    struct doctor *doctor = arg;
    if (err) {
        judge_check(doctor, CHECK_OBJECTS, BAD, "%s: %s", err->code, err->message);
    } else {
        judge_check(doctor, CHECK_OBJECTS, GOOD, "reachable, and the credentials are good");
    }
}

static void look_at_objects(struct doctor *doctor)
{
    struct cress_cli *cli = doctor->cli;
    const char *bucket = getenv("CRESS_S3_BUCKET"), *to = cress_args_text(&cli->args, "to");
    if (!to && (!bucket || !*bucket)) {
        judge_check(doctor, CHECK_OBJECTS, GOOD, "not looked at: name one with --to s3://bucket");
        return;
    }
    char *url = to ? cress_strdup(to) : cress_format("s3://%s", bucket);
    struct cress_error err;
    cli->config->s3_attempts = 1; /* someone is waiting for the answer */
    cli->config->s3_timeout_ms = cli->connect_timeout_ms;
    doctor->http = cress_http_open(&cli->loop, CONNECTIONS);
    if (cress_object_store_open(&cli->loop, doctor->http, cli->config, url, &doctor->objects,
                                &err) == CRESS_OK) {
        cress_object_check(doctor->objects, on_objects, doctor);
    } else {
        on_objects(&err, doctor);
    }
    free(url);
}

/* --- the verb --- */

static void look_at_servers(void *arg)
{
    struct doctor *doctor = arg;
    look_at_broker(doctor);
    look_at_store(doctor);
}

static void run_doctor(struct cress_cli *cli)
{
    struct doctor *doctor = cli->state = CRESS_NEW(struct doctor);
    doctor->cli = cli;
    doctor->dry_run = cress_args_has(&cli->args, "dry-run");
    doctor->started_ms = cress_clock_mono_ms();
    cress_cli_every(cli, LOOK_MS, look_at_servers, doctor);
    look_at_objects(doctor);
    look_at_lease(doctor);
}

static void on_http_closed(void *arg)
{
    (void)arg;
}

static void close_doctor_handles(struct cress_cli *cli)
{
    struct doctor *doctor = cli->state;
    if (doctor->objects) {
        cress_object_store_close(doctor->objects);
    }
    if (doctor->http) {
        cress_http_close(doctor->http, on_http_closed, NULL);
    }
}

static void release_doctor(struct cress_cli *cli)
{
    struct doctor *doctor = cli->state;
    cress_repair_free(doctor->repair);
    free(doctor);
}

static enum cress_status prepare_doctor(struct cress_cli *cli, struct cress_error *err)
{
    if (cress_args_has(&cli->args, "dry-run") && !cress_args_has(&cli->args, "fix")) {
        return cress_error_set(err, CRESS_USAGE, NULL, "--dry-run needs --fix");
    }
    return CRESS_OK;
}

static const struct cress_flag flags[] = {
    {.name = "to",
     .kind = CRESS_FLAG_TEXT,
     .value = "URL",
     .help = "the object store to look at (default: s3://$CRESS_S3_BUCKET, if that is set)"},
    {.name = "fix", .help = "compare broker and records, and repair what differs"},
    {.name = "dry-run", .help = "with --fix: only say what would be done"},
    {.name = NULL},
};

const struct cress_verb cress_verb_doctor = {
    .name = "doctor",
    .operands = "",
    .summary = "check broker, store, workers, schedules and object store",
    .about =
        "One line a check: ok, warn or fail, and what to do. Exit code 69 when one fails.\n"
        "\n"
        "--fix also looks for queues whose arguments are not those that Cress wants, for jobs\n"
        "whose message is gone (queued, due or waiting for their time), for jobs that run at\n"
        "workers that are gone, for batches whose completion job was never submitted, for\n"
        "jobs that wait for others which have ended, and for places in limits whose jobs do\n"
        "not run; repairs them, and says what it did not repair and why. What is younger than\n"
        "a minute is not judged. A message that turns out to be the second one of its job\n"
        "does no harm. Exit code 1 when something is wrong and not repaired.\n",
    .examples = "  cress doctor\n"
                "  cress doctor --to s3://bucket --connect-timeout 3s\n"
                "  cress doctor --fix --dry-run\n",
    .flags = flags,
    .needs = CRESS_NEEDS_CONFIG | CRESS_OPENS_BOTH,
    .prepare = prepare_doctor,
    .run = run_doctor,
    .close = close_doctor_handles,
    .release = release_doctor,
};
