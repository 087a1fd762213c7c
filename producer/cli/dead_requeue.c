// SPDX-License-Identifier: Apache-2.0
// cress dead requeue and purge: dead letters run again, or deleted.
//
// DESIGN
// Requeueing a letter:
//
//   record failed -> queued  ->  publish to the work queue  ->  confirm  ->  remove the letter
//
// The record comes first, because a worker drops a message whose job has ended. Wherever this is
// cut short the letter is still there, and the next requeue goes through the same steps: a record
// that is queued already is published again, and a worker that gets a message twice drops one. So
// nothing is lost and a repetition does no harm. When the queue does not exist the record is failed
// again.
#include "common/base/clock.h"
#include "common/base/error_json.h"
#include "common/base/mem.h"
#include "common/job/promise.h"
#include "common/submit/follow_up.h"
#include "producer/cli/dead.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct requeue {
    struct cress_list waiting; /* struct cress_dead_item, for their turn */
    int64_t rate;              /* a second; 0: no limit */
    int64_t begun, begun_ms;   /* how many, and when the first */
    int64_t requeued, removed, failed;
    int64_t left[CRESS_STATE_COUNT]; /* by the state of their records */
    struct cress_error err;          /* the first; CRESS_OK: none */
};

/* --- one letter: `owner` is the struct cress_dead --- */

static void finish_requeued(struct cress_dead_item *item)
{
    struct cress_dead *dead = item->owner;
    ((struct requeue *)dead->own)->requeued++;
    if (!cress_cli_json(dead->cli)) {
        puts(item->letter.id);
    }
    cress_dead_done(item, !dead->dry_run);
}

static void fail_letter(struct cress_dead_item *item, const struct cress_error *err)
{
    struct cress_dead *dead = item->owner;
    struct requeue *requeue = dead->own;
    requeue->failed++;
    if (!requeue->err.status) {
        requeue->err = *err;
        cress_error_prefix(&requeue->err, "letter %s", item->letter.id);
    }
    cress_dead_done(item, false);
}

static void letter_followed_cb(const struct cress_error *err, void *arg)
{
    (void)err; /* `cress doctor --fix` makes up for it */
    cress_dead_done(arg, false);
}

/* While it was open the others of its batch may have ended. An error leaves a record that is queued
 * beside a letter, and that can be requeued. */
static void failed_again_cb(enum cress_verdict verdict, bool follow, const struct cress_error *err,
                            void *arg)
{
    (void)verdict;
    struct cress_dead_item *item = arg;
    const struct cress_dead *dead = item->owner;
    if (err || !follow) {
        cress_dead_done(item, false);
        return;
    }
    cress_follow_up(cress_cli_door(dead->cli, CRESS_CLI_CONFIRM_MS), item->letter.id,
                    letter_followed_cb, item);
}

/* There is no such queue: the job does not wait for a worker, it is as dead as before. */
static void fail_again(struct cress_dead_item *item)
{
    const struct cress_letter *letter = &item->letter;
    struct cress_buf error =
        cress_buf_make((size_t)8 * (strlen(letter->code) + strlen(letter->text) + 8));
    cress_error_json(&error, letter->code, letter->text);
    const struct cress_change change = {
        .id = letter->id,
        .to = CRESS_STATE_FAILED,
        .attempt = letter->attempt,
        .promise = cress_promise_of(letter->message),
        .error = cress_buf_text(&error),
        .now_ms = cress_clock_wall_ms(),
    };
    const struct cress_dead *dead = item->owner;
    cress_store_change(dead->cli->store, &change, failed_again_cb, item);
    cress_buf_free(&error);
}

static void letter_published_cb(const struct cress_error *err, void *arg)
{
    struct cress_dead_item *item = arg;
    struct cress_dead *dead = item->owner;
    struct requeue *requeue = dead->own;
    if (!err) {
        finish_requeued(item);
    } else if (err->status == CRESS_NOT_FOUND && item->letter.is_job_id &&
               !cress_cli_over(dead->cli)) {
        requeue->failed++;
        requeue->err = requeue->err.status ? requeue->err : *err;
        fail_again(item);
    } else {
        fail_letter(item, err);
    }
}

static void publish_letter(struct cress_dead_item *item)
{
    const struct cress_dead *dead = item->owner;
    struct cress_header headers[CRESS_LETTER_HEADER_MAX];
    struct cress_message message;
    char routing_key[CRESS_ROUTE_NAME_MAX];
    cress_letter_revive(&item->letter, cress_clock_wall_ms(), headers, routing_key, &message);
    cress_broker_publish(dead->cli->broker, &message, CRESS_CLI_CONFIRM_MS, letter_published_cb,
                         item);
}

/* What the state of its record means for a letter. */
enum fate { RUN, REMOVE, LEAVE };

static enum fate decide_fate(bool exists, enum cress_state state)
{
    if (!exists || state == CRESS_STATE_FAILED || state == CRESS_STATE_QUEUED) {
        return RUN;
    }
    /* A letter that was written just before its worker died: the job was run again. */
    return cress_state_is_terminal(state) ? REMOVE : LEAVE;
}

static void apply_fate(struct cress_dead_item *item, bool exists, enum cress_state state)
{
    struct cress_dead *dead = item->owner;
    struct requeue *requeue = dead->own;
    switch (decide_fate(exists, state)) {
    case RUN:
        if (dead->dry_run) {
            finish_requeued(item);
        } else {
            publish_letter(item);
        }
        break;
    case REMOVE:
        requeue->removed++;
        cress_dead_done(item, !dead->dry_run);
        break;
    case LEAVE:
        requeue->left[state]++;
        cress_dead_done(item, false);
        break;
    }
}

static void reopened_cb(bool exists, enum cress_state was, const struct cress_error *err, void *arg)
{
    if (err) {
        fail_letter(arg, err);
    } else {
        apply_fate(arg, exists, was);
    }
}

static void looked_cb(const struct cress_record *record, const struct cress_error *err, void *arg)
{
    reopened_cb(record != NULL, record ? record->state : CRESS_STATE_QUEUED, err, arg);
}

static void begin_one(struct cress_dead_item *item)
{
    const struct cress_dead *dead = item->owner;
    ((struct requeue *)dead->own)->begun++;
    if (!item->letter.is_job_id) {
        apply_fate(item, false, CRESS_STATE_QUEUED);
    } else if (dead->dry_run) {
        cress_store_get(dead->cli->store, item->letter.id, looked_cb, item);
    } else {
        cress_store_requeue(dead->cli->store, item->letter.id,
                            cress_promise_of(item->letter.message), reopened_cb, item);
    }
}

/* --- their rate --- */

static void begin_due(struct cress_dead *dead)
{
    struct requeue *requeue = dead->own;
    const int64_t passed_ms = cress_clock_mono_ms() - requeue->begun_ms;
    struct cress_list *node;
    while ((!requeue->rate || requeue->begun <= requeue->rate * passed_ms / 1000) &&
           (node = cress_list_shift(&requeue->waiting))) {
        begin_one(CRESS_CONTAINER(node, struct cress_dead_item, node));
    }
}

static void requeue_letter(struct cress_dead *dead, struct cress_dead_item *item)
{
    struct requeue *requeue = dead->own;
    requeue->begun_ms = requeue->begun_ms ? requeue->begun_ms : cress_clock_mono_ms();
    item->owner = dead;
    cress_list_append(&requeue->waiting, &item->node);
    begin_due(dead);
}

static void begin_requeue(struct cress_dead *dead)
{
    struct requeue *requeue = dead->own = CRESS_NEW(struct requeue);
    cress_list_init(&requeue->waiting);
    if (!dead->dry_run) {
        requeue->rate = cress_args_number(&dead->cli->args, "rate", 0);
    }
}

static void stop_requeue(struct cress_dead *dead)
{
    struct requeue *requeue = dead->own;
    struct cress_list *node;
    while ((node = cress_list_shift(&requeue->waiting))) {
        cress_dead_done(CRESS_CONTAINER(node, struct cress_dead_item, node), false);
    }
}

/* --- what became of them --- */

static int64_t describe_left(const struct requeue *requeue, struct cress_buf *text)
{
    int64_t sum = 0;
    for (int state = 0; state < CRESS_STATE_COUNT; state++) {
        if (requeue->left[state]) {
            cress_buf_printf(text, "%s%" PRId64 " %s", sum ? ", " : "", requeue->left[state],
                             cress_state_word((enum cress_state)state));
        }
        sum += requeue->left[state];
    }
    return sum;
}

static void report_requeue(const struct cress_dead *dead, const struct requeue *requeue)
{
    struct cress_buf why = cress_buf_make(1024);
    const int64_t left = describe_left(requeue, &why);
    const char *would = dead->dry_run ? "would be " : "";
    if (cress_cli_json(dead->cli)) {
        printf("{\"matched\":%" PRId64 ",\"requeued\":%" PRId64 ",\"removed\":%" PRId64
               ",\"left\":%" PRId64 ",\"failed\":%" PRId64 ",\"dry_run\":%s}\n",
               dead->matched, requeue->requeued, requeue->removed, left, requeue->failed,
               dead->dry_run ? "true" : "false");
    } else {
        cress_output_say(&dead->cli->output, "cress: %" PRId64 " of %" PRId64 " letters %srequeued",
                         requeue->requeued, dead->matched, would);
    }
    if (requeue->removed) {
        cress_output_say(&dead->cli->output,
                         "cress: %" PRId64 " %sremoved: their jobs have ended otherwise meanwhile",
                         requeue->removed, would);
    }
    if (left) {
        cress_output_say(&dead->cli->output, "cress: %" PRId64 " left, for their jobs go on: %s",
                         left, cress_buf_text(&why));
    }
    cress_buf_free(&why);
}

static int end_requeue(struct cress_dead *dead)
{
    const struct requeue *requeue = dead->own;
    report_requeue(dead, requeue);
    if (!requeue->err.status) {
        return 0;
    }
    struct cress_error err = requeue->err;
    cress_error_prefix(&err, "%" PRId64 " not requeued, they are still dead letters",
                       requeue->failed);
    cress_output_error(&dead->cli->output, &err);
    return cress_status_exit_code(err.status);
}

/* What was cut short by the verb's end stays a dead letter. */
static void release_requeue(struct cress_dead *dead)
{
    stop_requeue(dead);
    free(dead->own);
}

const struct cress_dead_verb cress_dead_requeue = {
    .name = "requeue",
    .flags = "rate dry-run yes",
    .revives = true,
    .begin = begin_requeue,
    .letter = requeue_letter,
    .tick = begin_due,
    .stop = stop_requeue,
    .end = end_requeue,
    .release = release_requeue,
};

/* --- purge --- */

static void purge_letter(struct cress_dead *dead, struct cress_dead_item *item)
{
    cress_dead_done(item, !dead->dry_run);
}

static int end_purge(struct cress_dead *dead)
{
    if (cress_cli_json(dead->cli)) {
        printf("{\"purged\":%" PRId64 ",\"dry_run\":%s}\n", dead->matched,
               dead->dry_run ? "true" : "false");
    } else {
        cress_output_say(&dead->cli->output, "cress: %" PRId64 " letters %sdeleted", dead->matched,
                         dead->dry_run ? "would be " : "");
    }
    return 0;
}

const struct cress_dead_verb cress_dead_purge = {
    .name = "purge",
    .flags = "dry-run yes",
    .is_destructive = true,
    .letter = purge_letter,
    .end = end_purge,
};
