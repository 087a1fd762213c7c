// SPDX-License-Identifier: Apache-2.0
// cress enqueue: one job from words, or many from JSON lines (bulk.c).
#include "common/base/backoff.h"
#include "common/base/clock.h"
#include "common/base/id.h"
#include "common/base/mem.h"
#include "common/base/text.h"
#include "common/submit/submit.h"
#include "producer/cli/bulk.h"
#include "producer/cli/cli.h"
#include "producer/cli/follow.h"
#include "producer/cli/input.h"
#include "producer/cli/records.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Cress refuses payloads above job.max_payload, which cannot be set higher. */
#define INPUT_MAX_BYTES ((size_t)128 << 20)

struct enqueue {
    struct cress_buf request; /* as POST /v1/jobs takes it */
    struct cress_job job;     /* borrows from `request` and `texts` */
    char *texts;
    char id[CRESS_ID_MAX + 1]; /* of a job that was given none */
    bool is_submitted;
    struct cress_bulk *bulk; /* not NULL: --jsonl */
};

/* --- what the user gave --- */

/* An option and the member of a request that it becomes. */
static const struct {
    const char *flag, *member;
    bool is_text;
} members[] = {
    {"queue", "queue", true},
    {"priority", "priority", true},
    {"id", "id", true},
    {"delay", "delay_ms", false},
    {"at", "run_at", true},
    {"timeout", "timeout_ms", false},
    {"max-attempts", "max_attempts", false},
    {"backoff", "backoff", true},
    {"backoff-base", "backoff_base_ms", false},
    {"backoff-cap", "backoff_cap_ms", false},
    {"expires", "expires_ms", false},
    {"key", "key", true},
    {"unique", "unique", true},
    {"unique-for", "unique_for_ms", false},
};

/* --after a,b */
static void add_after_ids(const struct cress_args *args, struct cress_buf *request)
{
    if (!cress_args_has(args, "after")) {
        return;
    }
    char **ids = cress_text_split(cress_args_text(args, "after"));
    cress_buf_add_text(request, ",\"after\":[");
    for (char **id = ids; *id; id++) {
        cress_buf_add_member(request, id == ids ? "" : ",", *id);
    }
    cress_buf_add_char(request, ']');
    cress_text_list_free(ids);
}

static void add_options(const struct cress_args *args, struct cress_buf *request)
{
    for (size_t i = 0; i < CRESS_COUNT(members); i++) {
        if (!cress_args_has(args, members[i].flag)) {
            continue;
        }
        cress_buf_printf(request, ",\"%s\":", members[i].member);
        if (members[i].is_text) {
            cress_buf_add_member(request, "", cress_args_text(args, members[i].flag));
        } else {
            cress_buf_printf(request, "%" PRId64, cress_args_number(args, members[i].flag, 0));
        }
    }
    add_after_ids(args, request);
    if (cress_args_has(args, "after-any")) {
        cress_buf_add_text(request, ",\"after_any\":true");
    }
}

/* JSON has no way to say what is not UTF-8. */
static enum cress_status check_texts(const struct cress_args *args, struct cress_error *err)
{
    for (size_t i = 0; i < CRESS_COUNT(members); i++) {
        const bool is_text = members[i].is_text && cress_args_has(args, members[i].flag);
        const char *text = is_text ? cress_args_text(args, members[i].flag) : "";
        if (!cress_text_is_utf8(text, strlen(text))) {
            return cress_error_set(err, CRESS_INVALID, NULL, "--%s is not UTF-8", members[i].flag);
        }
    }
    return CRESS_OK;
}

static enum cress_status check_pairs(const struct cress_args *args, struct cress_error *err)
{
    static const struct {
        const char *flag, *with;
    } pairs[] = {{"after-any", "after"}, {"unique-for", "unique"}};
    for (size_t i = 0; i < CRESS_COUNT(pairs); i++) {
        if (cress_args_has(args, pairs[i].flag) && !cress_args_has(args, pairs[i].with)) {
            return cress_error_set(err, CRESS_USAGE, "missing_option", "--%s goes with --%s",
                                   pairs[i].flag, pairs[i].with);
        }
    }
    return CRESS_OK;
}

static enum cress_status add_payload(const char *operand, struct cress_buf *request,
                                     struct cress_error *err)
{
    struct cress_buf room = cress_buf_make(INPUT_MAX_BYTES);
    struct cress_json value;
    const enum cress_status status = cress_input_json(operand, &room, &value, err);
    if (status == CRESS_OK) {
        cress_buf_add_text(request, ",\"payload\":");
        cress_buf_add(request, value.text, value.size);
    }
    cress_buf_free(&room);
    return status;
}

static enum cress_status prepare_job(struct cress_cli *cli, struct enqueue *enqueue,
                                     struct cress_error *err)
{
    const struct cress_args *args = &cli->args;
    if (args->operand_count == 0) {
        return cress_error_set(err, CRESS_USAGE, "missing_operand",
                               "enqueue wants a task, or --jsonl FILE; see cress enqueue --help");
    }
    if (check_pairs(args, err) != CRESS_OK) {
        return err->status;
    }
    if (check_texts(args, err) != CRESS_OK) {
        return err->status;
    }
    struct cress_buf *request = &enqueue->request;
    cress_buf_add_member(request, "{\"task\":", args->operands[0]);
    if (args->operand_count > 1 && add_payload(args->operands[1], request, err) != CRESS_OK) {
        return err->status;
    }
    add_options(args, request);
    cress_buf_add_char(request, '}');
    return cress_job_from_request(cress_buf_text(request), request->size, cress_clock_wall_ms(),
                                  &enqueue->job, &enqueue->texts, err);
}

static enum cress_status prepare_bulk(struct cress_cli *cli, struct enqueue *enqueue,
                                      struct cress_error *err)
{
    const struct cress_args *args = &cli->args;
    for (size_t i = 0; i < CRESS_COUNT(members); i++) {
        if (cress_args_has(args, members[i].flag)) {
            return cress_error_set(err, CRESS_USAGE, NULL,
                                   "--%s does not go with --jsonl: each line says its own %s",
                                   members[i].flag, members[i].member);
        }
    }
    if (cress_args_has(args, "after") || cress_args_has(args, "after-any")) {
        return cress_error_set(err, CRESS_USAGE, NULL,
                               "--after does not go with --jsonl: each line says its own after");
    }
    if (args->operand_count > 0 || cress_args_has(args, "wait")) {
        return cress_error_set(err, CRESS_USAGE, NULL, "%s does not go with --jsonl",
                               args->operand_count > 0 ? args->operands[0] : "--wait");
    }
    return cress_bulk_new(cli, cress_args_text(args, "jsonl"), &enqueue->bulk, err);
}

static enum cress_status prepare_enqueue(struct cress_cli *cli, struct cress_error *err)
{
    struct enqueue *enqueue = cli->state = CRESS_NEW(struct enqueue);
    enqueue->request = cress_buf_make(2 * INPUT_MAX_BYTES);
    return (cress_args_has(&cli->args, "jsonl") ? prepare_bulk : prepare_job)(cli, enqueue, err);
}

/* --- one job --- */

static void on_enqueued_changed(const struct cress_record *record, void *arg)
{
    struct cress_cli *cli = arg;
    if (!record) {
        return; /* the store has lost its data; a worker makes the record again */
    }
    if (!cress_state_is_terminal(record->state)) {
        char text[128];
        const size_t used =
            (size_t)snprintf(text, sizeof text, "%s", cress_state_word(record->state));
        if (record->attempt) {
            snprintf(text + used, sizeof text - used, ", attempt %d of %d", record->attempt,
                     record->max_attempts);
        }
        cress_output_progress(&cli->output, 0, 0, text);
        return;
    }
    cress_output_progress_end(&cli->output);
    if (cress_cli_json(cli)) {
        cress_record_print_json(cli, record);
        putchar('\n');
    } else if (record->state == CRESS_STATE_SUCCEEDED) {
        const char *result = record->result ? record->result : "null";
        cress_output_json(&cli->output, result, strlen(result), false);
        putchar('\n');
    }
    if (record->state != CRESS_STATE_SUCCEEDED) {
        cress_record_explain(cli, record);
    }
    cress_cli_end(cli, cress_record_exit_code(record));
}

static void on_enqueued_waited_enough(void *arg)
{
    struct cress_cli *cli = arg;
    struct cress_error err;
    cress_error_set(&err, CRESS_TIMEOUT, NULL,
                    "the job has not ended in time; it goes on: see cress status");
    cress_cli_fail(cli, &err);
}

static void wait_for_enqueued(struct cress_cli *cli, const char *id)
{
    const int64_t patience_ms = cress_args_number(&cli->args, "wait", 0);
    if (patience_ms > 0) {
        cress_cli_after(cli, patience_ms, on_enqueued_waited_enough, cli);
    }
    cress_follow(cli, id, on_enqueued_changed, cli);
}

static void on_enqueued(const struct cress_record *record, const struct cress_error *err, void *arg)
{
    struct cress_cli *cli = arg;
    if (cress_cli_failed(cli, err)) {
        return;
    }
    struct enqueue *enqueue = cli->state;
    enqueue->is_submitted = true;
    const bool waits = cress_args_has(&cli->args, "wait");
    if (record->is_duplicate) {
        cress_output_say(&cli->output, "job %s has this unique key already; nothing was enqueued",
                         record->id);
    } else if (waits) {
        cress_output_say(&cli->output, "enqueued %s", record->id);
    }
    if (waits) {
        wait_for_enqueued(cli, record->id);
        return;
    }
    if (record->state == CRESS_STATE_CANCELLED) {
        cress_record_explain(cli, record);
    }
    if (cress_cli_json(cli)) {
        cress_record_print_json(cli, record);
        putchar('\n');
    } else {
        puts(record->id);
    }
    cress_cli_end(cli, 0);
}

static void run_enqueue(struct cress_cli *cli)
{
    struct enqueue *enqueue = cli->state;
    if (enqueue->bulk) {
        cress_bulk_run(enqueue->bulk);
        return;
    }
    /* Once more: --delay and --expires count from now, by the servers' clock, which is known now. */
    struct cress_error err;
    free(enqueue->texts);
    enqueue->texts = NULL;
    if (cress_job_from_request(cress_buf_text(&enqueue->request), enqueue->request.size,
                               cress_clock_wall_ms(), &enqueue->job, &enqueue->texts, &err)) {
        cress_cli_fail(cli, &err);
        return;
    }
    if (!enqueue->job.id) { /* here, so that it can be told when no answer comes */
        enqueue->job.id = cress_id_new(enqueue->id);
    }
    cress_submit(cress_cli_door(cli, CRESS_CLI_CONFIRM_MS), &enqueue->job, on_enqueued, cli);
}

static void stop_enqueue(struct cress_cli *cli, const struct cress_error *why)
{
    struct enqueue *enqueue = cli->state;
    if (enqueue->bulk) {
        cress_bulk_stop(enqueue->bulk, why);
        return;
    }
    if (why->status != CRESS_CANCELLED) {
        cress_output_error(&cli->output, why);
    }
    if (!enqueue->is_submitted) {
        cress_output_say(&cli->output,
                         "no answer yet for job %s: it may or may not have been queued; the same "
                         "again with --id %s makes no second one",
                         enqueue->job.id, enqueue->job.id);
    }
    cress_cli_end(cli, cli->exit_code);
}

static void close_enqueue_handles(struct cress_cli *cli)
{
    struct enqueue *enqueue = cli->state;
    if (enqueue->bulk) {
        cress_bulk_close(enqueue->bulk);
    }
}

static void release_enqueue(struct cress_cli *cli)
{
    struct enqueue *enqueue = cli->state;
    if (enqueue->bulk) {
        cress_bulk_free(enqueue->bulk);
    }
    cress_buf_free(&enqueue->request);
    free(enqueue->texts);
    free(enqueue);
}

static const char *const priorities[] = {"high", "normal", "low", NULL};
static const char backoff_help[] = "delay before the next attempt, one of"
#define CRESS_BACKOFF(name, word, delay) " " word
#include "common/base/backoffs.def"
#undef CRESS_BACKOFF
                                   " (default: job.backoff)";

static const struct cress_flag flags[] = {
    {.name = "queue",
     .kind = CRESS_FLAG_TEXT,
     .value = "NAME",
     .is_queue = true,
     .help = "the queue (default: default)"},
    {.name = "delay",
     .kind = CRESS_FLAG_DURATION,
     .value = "TIME",
     .help = "run it in TIME, such as 10m"},
    {.name = "at",
     .kind = CRESS_FLAG_TIME,
     .value = "WHEN",
     .help = "run it at WHEN: RFC 3339, such as 2030-01-31T08:00:00+01:00"},
    {.name = "priority",
     .kind = CRESS_FLAG_WORD,
     .value = "WORD",
     .words = priorities,
     .help = "high, normal or low (default: normal)"},
    {.name = "max-attempts",
     .kind = CRESS_FLAG_NUMBER,
     .value = "N",
     .min = 1,
     .max = CRESS_JOB_ATTEMPTS_MAX,
     .help = "attempts until it fails for good (default: job.max_attempts)"},
    {.name = "backoff",
     .kind = CRESS_FLAG_WORD,
     .value = "WORD",
     .words = cress_backoff_words,
     .help = backoff_help},
    {.name = "backoff-base",
     .kind = CRESS_FLAG_DURATION,
     .value = "TIME",
     .help = "the first such delay (default: job.backoff_base)"},
    {.name = "backoff-cap",
     .kind = CRESS_FLAG_DURATION,
     .value = "TIME",
     .help = "the longest such delay (default: job.backoff_cap)"},
    {.name = "timeout",
     .kind = CRESS_FLAG_DURATION,
     .value = "TIME",
     .help = "longest run of one attempt (default: job.timeout)"},
    {.name = "expires",
     .kind = CRESS_FLAG_DURATION,
     .value = "TIME",
     .help = "do not begin it later than TIME from now"},
    {.name = "id",
     .kind = CRESS_FLAG_TEXT,
     .value = "ID",
     .help = "its id; the same id again does not make a second job"},
    {.name = "key",
     .kind = CRESS_FLAG_TEXT,
     .value = "KEY",
     .help = "whom it is for, such as a tenant: limits can be set for each key"},
    {.name = "unique",
     .kind = CRESS_FLAG_TEXT,
     .value = "KEY",
     .help = "make no second job with this key until it has ended; print the id of the first"},
    {.name = "unique-for",
     .kind = CRESS_FLAG_DURATION,
     .value = "TIME",
     .help = "how long the unique key is taken, whether the job has ended or not"},
    {.name = "after",
     .kind = CRESS_FLAG_TEXT,
     .value = "ID,...",
     .is_list = true,
     .help = "run it when these jobs have succeeded; if one does not, it is cancelled"},
    {.name = "after-any",
     .help = "with --after: run it when they have ended, whatever became of them"},
    {.name = "wait",
     .kind = CRESS_FLAG_DURATION,
     .value = "TIME",
     .optional = true,
     .help = "wait for its end, at most TIME; print the result instead of the id"},
    {.name = "jsonl",
     .kind = CRESS_FLAG_TEXT,
     .value = "FILE",
     .is_file = true,
     .help = "many jobs: one JSON object a line, as POST /v1/jobs takes it; - is stdin"},
    {.name = NULL},
};

const struct cress_verb cress_verb_enqueue = {
    .name = "enqueue",
    .operands = "TASK [JSON|@FILE|-]",
    .summary = "submit a job, or many, and print the id",
    .about =
        "The job is safe when its id appears: its record is stored and the broker has confirmed "
        "the\n"
        "message. A missing payload is null. With --wait the exit code is the job's outcome: 0\n"
        "succeeded, 1 failed or expired, 6 cancelled, 5 not ended in time. When another job has "
        "the\n"
        "unique key its id is printed (with --json, its record and \"duplicate\": true) and "
        "nothing is\n"
        "made; that is no error.\n"
        "\n"
        "With --after it waits for other jobs and is given their results; see docs/handlers.md.\n"
        "They may have ended already, but must exist: else exit code 3, and nothing is submitted.\n"
        "\n"
        "With --jsonl the ids come out in the order of the lines, --json makes each an object "
        "with\n"
        "`line` and `id` or `error`; refused lines are named on stderr. Blank lines are skipped.\n"
        "Exit code: 0 all accepted, 65 some lines were bad, 69 the broker or the store refused.\n",
    .examples = "  cress enqueue page.render '{\"url\": \"https://example.com/\", \"to\": "
                "\"s3://bucket/site\"}'\n"
                "  cress enqueue mail.send @mail.json --queue mail --delay 10m --priority high\n"
                "  cress enqueue cress.echo '\"hello\"' --wait=60s\n"
                "  cress enqueue report.make --max-attempts 10 --backoff fixed --backoff-base 5m\n"
                "  cress enqueue report.build @report.json --unique report-7 --unique-for 1h\n"
                "  cress enqueue report.send --after \"$first,$second\"\n"
                "  cress enqueue --jsonl jobs.jsonl >ids\n"
                "  generate-jobs | cress enqueue --jsonl - --json\n",
    .flags = flags,
    .max_operands = 2,
    .needs = CRESS_NEEDS_CONFIG | CRESS_NEEDS_STORE | CRESS_NEEDS_BROKER,
    .prepare = prepare_enqueue,
    .run = run_enqueue,
    .stop = stop_enqueue,
    .close = close_enqueue_handles,
    .release = release_enqueue,
};
