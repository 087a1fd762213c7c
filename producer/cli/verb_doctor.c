// SPDX-License-Identifier: Apache-2.0
// cress doctor: looks at broker, store and object store, and says what to do; with --fix it repairs
// what broker and records disagree about (repair.h). The checks are in doctor_*.c.
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/broker/topology.h"
#include "common/object/object.h"
#include "producer/cli/doctor.h"
#include "producer/cli/repair.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOOK_MS = 20, CONNECTIONS = 2, REPAIR_TEXT_MAX = 4096 };

static const char *const verdict_words[] = {"pending", "ok", "skip", "warn", "fail"};
static const char *const check_names[] = {
#define CRESS_CHECK(name, word) [CRESS_CHECK_##name] = word,
#include "producer/cli/doctor_checks.def"
#undef CRESS_CHECK
};

struct cress_doctor {
    struct cress_cli *cli;
    struct cress_finding checks[CRESS_CHECK_COUNT];
    bool store_asked;
    int64_t started_ms;
    struct cress_http *http; /* NULL: nothing was asked over HTTP */
    struct cress_object_store *objects;
    bool dry_run;
    struct cress_repair *repair;                 /* NULL: not begun */
    const struct cress_repair_finding *findings; /* NULL: not looked for */
};

/* --- verdicts --- */

/* A repair's row: ok, fixed, or fail when something is wrong that was not fixed. */
static const char *finding_word(const struct cress_doctor *doctor,
                                const struct cress_repair_finding *finding)
{
    if (finding->found == 0) {
        return "ok";
    }
    return finding->fixed < finding->found || doctor->dry_run ? "fail" : "fixed";
}

static void print_doctor_json(const struct cress_doctor *doctor)
{
    json_t *json = json_array();
    for (size_t i = 0; i < CRESS_CHECK_COUNT; i++) {
        json_array_append_new(json, json_pack("{s:s, s:s, s:s}", "check", check_names[i], "status",
                                              verdict_words[doctor->checks[i].word], "detail",
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

static void print_doctor_table(const struct cress_doctor *doctor)
{
    static const char *const columns[] = {"CHECK", "STATUS", "+DETAIL", NULL};
    struct cress_table *table = cress_table_new(columns);
    for (size_t i = 0; i < CRESS_CHECK_COUNT; i++) {
        cress_table_add(table,
                        (const char *const[]){check_names[i], verdict_words[doctor->checks[i].word],
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

static int doctor_exit_code(const struct cress_doctor *doctor)
{
    for (size_t i = 0; i < CRESS_CHECK_COUNT; i++) {
        if (doctor->checks[i].word == CRESS_DOCTOR_FAIL) {
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

static void print(struct cress_doctor *doctor)
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
    struct cress_doctor *doctor = arg;
    if (!cress_cli_failed(doctor->cli, err)) {
        doctor->findings = findings;
        print(doctor);
    }
}

static void conclude_doctor(struct cress_doctor *doctor)
{
    for (size_t i = 0; i < CRESS_CHECK_COUNT; i++) {
        if (doctor->checks[i].word == CRESS_DOCTOR_PENDING) {
            return;
        }
    }
    const bool can_repair = doctor->checks[CRESS_CHECK_PUBLISH].word == CRESS_DOCTOR_OK &&
                            doctor->checks[CRESS_CHECK_STORE].word == CRESS_DOCTOR_OK;
    if (cress_args_has(&doctor->cli->args, "fix") && can_repair) {
        doctor->repair = cress_repair_start(doctor->cli, doctor->dry_run, repaired_cb, doctor);
    } else {
        print(doctor);
    }
}

void cress_doctor_find(struct cress_doctor *doctor, enum cress_doctor_check check,
                       const struct cress_finding *finding)
{
    if (doctor->checks[check].word == CRESS_DOCTOR_PENDING && !cress_cli_over(doctor->cli)) {
        doctor->checks[check] = *finding;
        conclude_doctor(doctor);
    }
}

void cress_doctor_judge(struct cress_doctor *doctor, enum cress_doctor_check check,
                        enum cress_doctor_word word, const char *format, ...)
{
    struct cress_finding finding = {.word = word};
    va_list args;
    va_start(args, format);
    vsnprintf(finding.text, sizeof finding.text, format, args);
    va_end(args);
    cress_doctor_find(doctor, check, &finding);
}

struct cress_cli *cress_doctor_cli(struct cress_doctor *doctor)
{
    return doctor->cli;
}

struct cress_http *cress_doctor_http(struct cress_doctor *doctor)
{
    if (!doctor->http) {
        doctor->http = cress_http_open(&doctor->cli->loop, CONNECTIONS);
    }
    return doctor->http;
}

bool cress_doctor_is_pending(const struct cress_doctor *doctor, enum cress_doctor_check check)
{
    return doctor->checks[check].word == CRESS_DOCTOR_PENDING;
}

/* RabbitMQ does not tell a client what its consumer_timeout is. */
static void look_at_lease(struct cress_doctor *doctor)
{
    const int64_t lease_ms = doctor->cli->config->worker_lease_ms;
    const bool is_long = lease_ms > CRESS_CONSUMER_TIMEOUT_MS / 2;
    char lease[CRESS_TIME_TEXT_MAX];
    cress_doctor_judge(
        doctor, CRESS_CHECK_LEASE, is_long ? CRESS_DOCTOR_WARN : CRESS_DOCTOR_OK,
        "jobs that run longer than worker.lease (%s) need a consumer_timeout of RabbitMQ of at "
        "least twice that; it is 30m unless set in rabbitmq.conf%s",
        cress_duration_format(lease_ms, lease), is_long ? ": lower the lease or raise it" : "");
}

/* --- object store --- */

static void on_objects(const struct cress_error *err, void *arg)
{
    struct cress_doctor *doctor = arg;
    if (err) {
        cress_doctor_judge(doctor, CRESS_CHECK_OBJECTS, CRESS_DOCTOR_FAIL, "%s: %s", err->code,
                           err->message);
    } else {
        cress_doctor_judge(doctor, CRESS_CHECK_OBJECTS, CRESS_DOCTOR_OK,
                           "reachable, and the credentials are good");
    }
}

static void look_at_objects(struct cress_doctor *doctor)
{
    struct cress_cli *cli = doctor->cli;
    const char *bucket = getenv("CRESS_S3_BUCKET"), *to = cress_args_text(&cli->args, "to");
    if (!to && (!bucket || !*bucket)) {
        cress_doctor_judge(doctor, CRESS_CHECK_OBJECTS, CRESS_DOCTOR_SKIP,
                           "not looked at: name one with --to s3://bucket");
        return;
    }
    char *url = to ? cress_strdup(to) : cress_format("s3://%s", bucket);
    struct cress_error err;
    cli->config->s3_attempts = 1; /* someone is waiting for the answer */
    cli->config->s3_timeout_ms = cli->connect_timeout_ms;
    if (cress_object_store_open(&cli->loop, cress_doctor_http(doctor), cli->config, url,
                                &doctor->objects, &err) == CRESS_OK) {
        cress_object_check(doctor->objects, on_objects, doctor);
    } else {
        on_objects(&err, doctor);
    }
    free(url);
}

/* --- the verb --- */

static void look_at_servers(void *arg)
{
    struct cress_doctor *doctor = arg;
    const int64_t took_ms = cress_clock_mono_ms() - doctor->started_ms;
    cress_doctor_look_at_broker(doctor, took_ms);
    if (!doctor->store_asked) {
        doctor->store_asked = cress_store_is_ready(doctor->cli->store, NULL);
        cress_doctor_look_at_store(doctor, took_ms);
    }
}

static void run_doctor(struct cress_cli *cli)
{
    struct cress_doctor *doctor = cli->state = CRESS_NEW(struct cress_doctor);
    doctor->cli = cli;
    doctor->dry_run = cress_args_has(&cli->args, "dry-run");
    doctor->started_ms = cress_clock_mono_ms();
    cress_cli_every(cli, LOOK_MS, look_at_servers, doctor);
    look_at_objects(doctor);
    look_at_lease(doctor);
    cress_doctor_look_at_management(doctor);
}

static void on_http_closed(void *arg)
{
    (void)arg;
}

static void close_doctor_handles(struct cress_cli *cli)
{
    struct cress_doctor *doctor = cli->state;
    if (doctor->objects) {
        cress_object_store_close(doctor->objects);
    }
    if (doctor->http) {
        cress_http_close(doctor->http, on_http_closed, NULL);
    }
}

static void release_doctor(struct cress_cli *cli)
{
    struct cress_doctor *doctor = cli->state;
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
        "One line a check: ok, warn or fail, why it matters and what to do; skip, when nothing "
        "was\n"
        "looked at. Exit code 69 when one fails. A message is published to no queue, which shows "
        "an alarm; permissions are asked "
        "for\n"
        "in a way that takes no job. Policies and the alarms of each node are seen through\n"
        "RabbitMQ's management API, when broker.management_url says where it is.\n"
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
