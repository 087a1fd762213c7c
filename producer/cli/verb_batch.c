// SPDX-License-Identifier: Apache-2.0
// cress batch: jobs that belong together. Its verbs are in batch_*.c.
#include "common/base/id.h"
#include "common/base/mem.h"
#include "common/base/text.h"
#include "producer/cli/batch.h"
#include "producer/cli/bulk.h"

#include <stdlib.h>
#include <string.h>

static const struct cress_batch_verb *const verbs[] = {
    &cress_batch_create, &cress_batch_add,     &cress_batch_close,  &cress_batch_status,
    &cress_batch_wait,   &cress_batch_results, &cress_batch_cancel,
};
static const char *const words[] = {"create", "add",     "close",  "status",
                                    "wait",   "results", "cancel", NULL};

void cress_batch_missing(struct cress_cli *cli)
{
    const struct cress_batch_run *run = cli->state;
    struct cress_error err;
    cress_error_set(&err, CRESS_NOT_FOUND, "unknown_batch",
                    "there is no batch %s: it never existed, or has expired", run->id);
    cress_cli_fail(cli, &err);
}

static const struct cress_batch_verb *find_batch_verb(const char *word, struct cress_error *err)
{
    for (size_t i = 0; i < CRESS_COUNT(verbs); i++) {
        if (strcmp(verbs[i]->name, word) == 0) {
            return verbs[i];
        }
    }
    const char *closest = cress_text_closest(word, words);
    cress_error_set(err, CRESS_USAGE, "unknown_operand",
                    "batch %s: it is create, add, close, status, wait, results or cancel%s%s%s",
                    word, closest ? "; did you mean " : "", closest ? closest : "",
                    closest ? "?" : "");
    return NULL;
}

static bool takes(const struct cress_batch_verb *verb, const char *flag)
{
    char *const all = cress_format(" %s ", verb->flags);
    char *const one = cress_format(" %s ", flag);
    const bool found = strstr(all, one) != NULL;
    free(all);
    free(one);
    return found;
}

/* An option that does nothing here would be misunderstood. */
static enum cress_status check_batch_flags(const struct cress_cli *cli,
                                           const struct cress_batch_verb *verb,
                                           struct cress_error *err)
{
    for (const struct cress_flag *flag = cli->verb->flags; flag->name; flag++) {
        if (cress_args_has(&cli->args, flag->name) && !takes(verb, flag->name)) {
            return cress_error_set(err, CRESS_USAGE, NULL, "batch %s takes no --%s", verb->name,
                                   flag->name);
        }
    }
    return CRESS_OK;
}

static enum cress_status find_id(const struct cress_cli *cli, struct cress_batch_run *run,
                                 struct cress_error *err)
{
    const bool is_new = run->verb == &cress_batch_create;
    if (cli->args.operand_count != (is_new ? 1 : 2)) {
        return cress_error_set(err, CRESS_USAGE, "missing_operand",
                               is_new ? "batch create takes no operand: --id ID names the batch"
                                      : "batch %s wants the batch's id",
                               run->verb->name);
    }
    run->id = is_new ? cress_args_text(&cli->args, "id") : cli->args.operands[1];
    if (!run->id) {
        run->id = cress_id_new(run->new_id);
    }
    return cress_id_is_valid(run->id)
               ? CRESS_OK
               : cress_error_set(err, CRESS_INVALID, NULL,
                                 "\"%s\" is not an id: 1 to %d of A-Z a-z 0-9 . _ : @ -", run->id,
                                 CRESS_ID_MAX);
}

static enum cress_status prepare_batch(struct cress_cli *cli, struct cress_error *err)
{
    struct cress_batch_run *run = cli->state = CRESS_NEW(struct cress_batch_run);
    run->verb = find_batch_verb(cli->args.operands[0], err);
    if (!run->verb) {
        return err->status;
    }
    enum cress_status status = check_batch_flags(cli, run->verb, err);
    if (status == CRESS_OK) {
        status = find_id(cli, run, err);
    }
    return status == CRESS_OK && run->verb->prepare ? run->verb->prepare(cli, err) : status;
}

static void run_batch(struct cress_cli *cli)
{
    const struct cress_batch_run *run = cli->state;
    run->verb->run(cli);
}

static void stop_batch(struct cress_cli *cli, const struct cress_error *why)
{
    const struct cress_batch_run *run = cli->state;
    if (run->bulk && cress_bulk_is_running(run->bulk)) {
        cress_bulk_stop(run->bulk, why);
        return;
    }
    if (why->status != CRESS_CANCELLED) {
        cress_output_error(&cli->output, why);
    }
    cress_cli_end(cli, cli->exit_code);
}

static void close_batch_handles(struct cress_cli *cli)
{
    struct cress_batch_run *run = cli->state;
    if (run->bulk && cress_bulk_is_running(run->bulk)) {
        cress_bulk_close(run->bulk);
    }
    if (run->watch) {
        cress_watch_stop(run->watch);
        run->watch = NULL;
    }
}

static void release_batch(struct cress_cli *cli)
{
    struct cress_batch_run *run = cli->state;
    if (run->bulk) {
        cress_bulk_free(run->bulk);
    }
    free(run->completion);
    free(run);
}

static const char *const conditions[] = {"ended", "succeeded", NULL};

static const struct cress_flag flags[] = {
    {.name = "jsonl",
     .kind = CRESS_FLAG_TEXT,
     .value = "FILE",
     .is_file = true,
     .help = "create, add: its jobs, one JSON object a line, as for enqueue; - is stdin"},
    {.name = "then",
     .kind = CRESS_FLAG_TEXT,
     .value = "TASK",
     .help = "create: the task of a job that runs when all the others have ended"},
    {.name = "then-payload",
     .kind = CRESS_FLAG_TEXT,
     .value = "JSON|@FILE",
     .help = "create: its payload (default: {\"batch_id\": ID})"},
    {.name = "then-queue",
     .kind = CRESS_FLAG_TEXT,
     .value = "NAME",
     .is_queue = true,
     .help = "create: its queue (default: default)"},
    {.name = "complete-on",
     .kind = CRESS_FLAG_WORD,
     .value = "WORD",
     .words = conditions,
     .help = "create: ended or succeeded: when that job runs; succeeded: only if all have "
             "(default: ended)"},
    {.name = "id", .kind = CRESS_FLAG_TEXT, .value = "ID", .help = "create: the batch's id"},
    {.name = "open", .help = "create, add: leave the batch open for more jobs"},
    {.name = "watch", .help = "status: go on until it is done, showing each change"},
    {.name = "timeout",
     .kind = CRESS_FLAG_DURATION,
     .value = "TIME",
     .help = "wait: give up after TIME with exit code 5; the jobs go on"},
    {.name = "reason",
     .kind = CRESS_FLAG_TEXT,
     .value = "TEXT",
     .help = "cancel: why; it becomes the error of the jobs"},
    {.name = NULL},
};

const struct cress_verb cress_verb_batch = {
    .name = "batch",
    .operands = "create|add|close|status|wait|results|cancel [ID]",
    .summary = "jobs that belong together: make, follow and cancel them as one",
    .about =
        "create   opens a batch, submits its jobs, closes it and prints its id. When a line is\n"
        "         refused the batch stays open, so that nothing follows from a part of it\n"
        "add      submits more jobs, and closes it\n"
        "close    no more jobs come: the batch is done when those that it has have ended\n"
        "status   the counts; --watch until it is done\n"
        "wait     until it is done. Exit code: 0 all succeeded, 1 some failed or expired, else 6\n"
        "         some were cancelled; 5 when the time is over\n"
        "results  how its jobs ended, one JSON object a line, in that order\n"
        "cancel   cancels its jobs, and the job of --then. Exit code 4 when it is done already\n"
        "\n"
        "The job of --then is submitted by whoever ends the last job, and runs once, whatever "
        "crashes.\n"
        "With --complete-on succeeded it waits until a failed job was retried with success. Exit\n"
        "code 3: no such batch. A batch is kept store.ttl after its end.\n",
    .examples =
        "  id=$(cress batch create --jsonl pages.jsonl --then announce)\n"
        "  cress batch wait \"$id\" --timeout 1h && cress batch results \"$id\" >results.jsonl\n"
        "  cress batch cancel \"$id\" --reason \"wrong bucket\"\n",
    .flags = flags,
    .words = words,
    .min_operands = 1,
    .max_operands = 2,
    .needs = CRESS_NEEDS_CONFIG | CRESS_NEEDS_STORE | CRESS_NEEDS_BROKER,
    .prepare = prepare_batch,
    .run = run_batch,
    .stop = stop_batch,
    .close = close_batch_handles,
    .release = release_batch,
};
