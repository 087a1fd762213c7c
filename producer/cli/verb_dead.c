// SPDX-License-Identifier: Apache-2.0
// cress dead: the dead letters, seen and dealt with. Its verbs are in dead_*.c.
#include "common/base/clock.h"
#include "common/base/id.h"
#include "common/base/mem.h"
#include "common/base/text.h"
#include "producer/cli/dead.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct cress_dead_verb *const verbs[] = {
    &cress_dead_list,    &cress_dead_show,  &cress_dead_groups,
    &cress_dead_requeue, &cress_dead_purge, &cress_dead_export,
};
static const char *const words[] = {"list", "show", "groups", "requeue", "purge", "export", NULL};

/* --- what the user gave --- */

static const struct cress_dead_verb *find_dead_verb(const char *word, struct cress_error *err)
{
    for (size_t i = 0; i < CRESS_COUNT(verbs); i++) {
        if (strcmp(verbs[i]->name, word) == 0) {
            return verbs[i];
        }
    }
    const char *closest = cress_text_closest(word, words);
    cress_error_set(err, CRESS_USAGE, "unknown_operand",
                    "dead %s: it is list, show, groups, requeue, purge or export%s%s%s", word,
                    closest ? "; did you mean " : "", closest ? closest : "", closest ? "?" : "");
    return NULL;
}

/* Whether `name` is one of the words in `list`. */
static bool is_listed_flag(const char *list, const char *name)
{
    const size_t size = strlen(name);
    for (const char *at = list; (at = strstr(at, name)); at += size) {
        if ((at == list || at[-1] == ' ') && (at[size] == ' ' || at[size] == '\0')) {
            return true;
        }
    }
    return false;
}

/* An option that does nothing here would be misunderstood: `dead list --dry-run`. */
static enum cress_status check_dead_flags(const struct cress_cli *cli,
                                          const struct cress_dead_verb *verb,
                                          struct cress_error *err)
{
    static const char *const some[] = {"limit", "rate", "dry-run", "yes"};
    for (size_t i = 0; i < CRESS_COUNT(some); i++) {
        if (cress_args_has(&cli->args, some[i]) && !is_listed_flag(verb->flags, some[i])) {
            return cress_error_set(err, CRESS_USAGE, NULL, "dead %s takes no --%s", verb->name,
                                   some[i]);
        }
    }
    return CRESS_OK;
}

static enum cress_status check_ids(const struct cress_cli *cli, const struct cress_dead_verb *verb,
                                   struct cress_error *err)
{
    const int count = cli->args.operand_count - 1;
    if (verb->needs_id && count != 1) {
        return cress_error_set(err, CRESS_USAGE, NULL, "dead %s needs the id of one letter",
                               verb->name);
    }
    for (int i = 1; i <= count; i++) {
        if (!cress_id_is_valid(cli->args.operands[i])) {
            return cress_error_set(err, CRESS_USAGE, NULL, "\"%s\" cannot be a letter's id",
                                   cli->args.operands[i]);
        }
    }
    return CRESS_OK;
}

/* What is asked about: all that is destroyed, and to run again everything that ever failed. */
static bool wants_confirmation(const struct cress_cli *cli, const struct cress_dead_verb *verb)
{
    static const char *const choices[] = {"queue", "task", "error", "group", "older", "newer"};
    bool chosen = cli->args.operand_count > 1;
    for (size_t i = 0; i < CRESS_COUNT(choices); i++) {
        chosen = chosen || cress_args_has(&cli->args, choices[i]);
    }
    return (verb->is_destructive || (verb->revives && !chosen)) &&
           !cress_args_has(&cli->args, "yes") && !cress_args_has(&cli->args, "dry-run");
}

static enum cress_status confirm_dead(const struct cress_cli *cli,
                                      const struct cress_dead_verb *verb, struct cress_error *err)
{
    char answer[8] = "";
    if (!wants_confirmation(cli, verb)) {
        return CRESS_OK;
    }
    if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)) {
        return cress_error_set(
            err, CRESS_USAGE, "unconfirmed",
            "dead %s %s: give --yes (or --dry-run to see what it would %s)", verb->name,
            verb->is_destructive ? "deletes for good"
                                 : "without a choice runs all dead letters again",
            verb->is_destructive ? "delete" : "run");
    }
    const char *queue = cress_args_text(&cli->args, "queue");
    fprintf(stderr, "%s %s%s%s? Type yes: ", verb->is_destructive ? "Delete" : "Run again",
            verb->is_destructive ? "these dead letters of " : "all dead letters of ",
            queue ? "queue " : "all queues", queue ? queue : "");
    if (!fgets(answer, sizeof answer, stdin) || strcmp(answer, "yes\n") != 0) {
        return cress_error_set(err, CRESS_CANCELLED, NULL, "nothing was %s",
                               verb->is_destructive ? "deleted" : "requeued");
    }
    return CRESS_OK;
}

static void read_filter(const struct cress_args *args, struct cress_letter_filter *filter)
{
    const int64_t now_ms = cress_clock_wall_ms();
    *filter = (struct cress_letter_filter){
        .task = cress_args_text(args, "task"),
        .code = cress_args_text(args, "error"),
        .fingerprint = cress_args_text(args, "group"),
        .ids = (const char *const *)(args->operands + 1),
        .id_count = (size_t)args->operand_count - 1,
    };
    if (cress_args_has(args, "older")) {
        filter->before_ms = now_ms - cress_args_number(args, "older", 0);
    }
    if (cress_args_has(args, "newer")) {
        filter->after_ms = now_ms - cress_args_number(args, "newer", 0);
    }
}

static enum cress_status prepare_dead(struct cress_cli *cli, struct cress_error *err)
{
    const char *queue = cress_args_text(&cli->args, "queue");
    const struct cress_dead_verb *verb = find_dead_verb(cli->args.operands[0], err);
    if (!verb) {
        return err->status;
    }
    enum cress_status status = check_dead_flags(cli, verb, err);
    if (status == CRESS_OK) {
        status = check_ids(cli, verb, err);
    }
    if (status == CRESS_OK && queue) {
        status = cress_queue_name_check(queue, err);
    }
    return status == CRESS_OK ? confirm_dead(cli, verb, err) : status;
}

/* --- the walk --- */

static void letter_cb(struct cress_dead_item *item, void *arg)
{
    struct cress_dead *dead = arg;
    if (!cress_letter_matches(&item->letter, &dead->filter)) {
        cress_dead_done(item, false);
        return;
    }
    dead->matched++;
    dead->verb->letter(dead, item);
}

static void dead_tick_cb(void *arg)
{
    struct cress_dead *dead = arg;
    if (dead->verb->tick) {
        dead->verb->tick(dead);
    }
}

/* Letters that were named, by id or by group, and are not there. */
static bool is_letter_missing(const struct cress_dead *dead, struct cress_error *err)
{
    if (dead->matched > 0 || (dead->filter.id_count == 0 && !dead->filter.fingerprint)) {
        return false;
    }
    if (dead->filter.id_count > 0) {
        cress_error_set(err, CRESS_NOT_FOUND, "unknown_letter",
                        "no dead letter %s: see cress dead list", dead->filter.ids[0]);
    } else {
        cress_error_set(err, CRESS_NOT_FOUND, "unknown_group",
                        "no dead letter of group %s: see cress dead groups",
                        dead->filter.fingerprint);
    }
    return true;
}

static void end_cb(const struct cress_error *err, void *arg)
{
    struct cress_dead *dead = arg;
    struct cress_cli *cli = dead->cli;
    const int code = dead->verb->end(dead);
    struct cress_error missing;
    if (err && err->status != CRESS_CANCELLED) {
        cress_cli_fail(cli, err);
    } else if (err) {
        cress_cli_end(cli, cli->exit_code);
    } else if (is_letter_missing(dead, &missing)) {
        cress_cli_fail(cli, &missing);
    } else {
        cress_cli_end(cli, code);
    }
}

static void run_dead(struct cress_cli *cli)
{
    struct cress_dead *dead = cli->state = CRESS_NEW(struct cress_dead);
    struct cress_error err;
    dead->cli = cli;
    dead->verb = find_dead_verb(cli->args.operands[0], &err);
    dead->dry_run = cress_args_has(&cli->args, "dry-run");
    read_filter(&cli->args, &dead->filter);
    if (dead->verb->begin) {
        dead->verb->begin(dead);
    }
    const struct cress_dead_visitor visitor = {
        .on_letter = letter_cb, .on_tick = dead_tick_cb, .on_end = end_cb, .arg = dead};
    dead->walk = cress_dead_walk_start(cli, cress_args_text(&cli->args, "queue"), &visitor);
}

static void stop_dead(struct cress_cli *cli, const struct cress_error *why)
{
    struct cress_dead *dead = cli->state;
    cress_dead_walk_stop(dead->walk, why);
    if (dead->verb->stop) {
        dead->verb->stop(dead);
    }
}

static void release_dead(struct cress_cli *cli)
{
    struct cress_dead *dead = cli->state;
    if (dead->verb->release) {
        dead->verb->release(dead);
    }
    cress_dead_walk_free(dead->walk);
    free(dead);
}

static const struct cress_flag flags[] = {
    {.name = "queue",
     .kind = CRESS_FLAG_TEXT,
     .value = "NAME",
     .is_queue = true,
     .help = "the dead letters of this queue (default: of all)"},
    {.name = "task", .kind = CRESS_FLAG_TEXT, .value = "NAME", .help = "only of this task"},
    {.name = "error",
     .kind = CRESS_FLAG_TEXT,
     .value = "CODE",
     .help = "only with this error code"},
    {.name = "group",
     .kind = CRESS_FLAG_TEXT,
     .value = "FINGERPRINT",
     .help = "only of this group of `cress dead groups`"},
    {.name = "older",
     .kind = CRESS_FLAG_DURATION,
     .value = "TIME",
     .help = "only those that died longer ago than this"},
    {.name = "newer",
     .kind = CRESS_FLAG_DURATION,
     .value = "TIME",
     .help = "only those that died within this time"},
    {.name = "limit",
     .kind = CRESS_FLAG_NUMBER,
     .value = "N",
     .max = INT64_C(1000000000),
     .help = "list: the first N; 0: all (default: 100)"},
    {.name = "rate",
     .kind = CRESS_FLAG_NUMBER,
     .value = "N",
     .min = 1,
     .max = 1000000,
     .help = "requeue: at most N a second (default: as fast as RabbitMQ takes them)"},
    {.name = "dry-run", .help = "requeue, purge: only say what would be done"},
    {.name = "yes", .help = "purge, requeue of everything: do not ask"},
    {.name = NULL},
};

const struct cress_verb cress_verb_dead = {
    .name = "dead",
    .operands = "list|show|groups|requeue|purge|export [ID...]",
    .summary = "list, requeue, delete or export dead letters",
    .about =
        "Messages of jobs that failed for good, and of what was no job, lie in QUEUE.dead with "
        "the\n"
        "reason. All verbs take the letters that the options choose, or those with the given ids.\n"
        "\n"
        "list     a line for each; --json an array\n"
        "show     everything about one letter, its payload too\n"
        "groups   how many there are of each kind of error: the same task, code and message, "
        "where\n"
        "         numbers, ids, URLs' paths and quoted parts of the message do not count\n"
        "requeue  runs the jobs again, with all their attempts. A job that has succeeded meanwhile "
        "is\n"
        "         not run: its letter is removed. One that runs or waits is left. Prints the ids.\n"
        "         Interrupted or repeated, it loses nothing. Asks when nothing was chosen, or "
        "needs "
        "--yes\n"
        "purge    deletes; records of jobs stay failed. Asks on a terminal, else needs --yes\n"
        "export   one JSON document a line, with the payload; deletes nothing\n"
        "\n"
        "A letter without a message_id is named by its content: letter-<hash>. While they are "
        "looked\n"
        "at, letters do not count as waiting in their queue, and another `cress dead` waits for "
        "its\n"
        "turn, --connect-timeout at most. --older and --newer pass over letters that do not say\n"
        "when they died. Exit code 3: no letter of that id, group or queue.\n",
    .examples =
        "  cress dead groups\n"
        "  cress dead list --task page.render --newer 1h\n"
        "  cress dead requeue --group 5f1c3a9be07d2244 --rate 50 --dry-run\n"
        "  cress dead export --queue mail > letters.jsonl && cress dead purge --queue mail\n",
    .flags = flags,
    .words = words,
    .min_operands = 1,
    .max_operands = -1,
    .needs = CRESS_NEEDS_CONFIG | CRESS_NEEDS_STORE | CRESS_NEEDS_CONSUMER,
    .prepare = prepare_dead,
    .run = run_dead,
    .stop = stop_dead,
    .release = release_dead,
};
