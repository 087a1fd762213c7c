// SPDX-License-Identifier: Apache-2.0
// cress dead groups: how many dead letters there are of each kind of error.
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/job/fingerprint.h"
#include "producer/cli/dead.h"
#include "producer/cli/dead_letter.h"

#include <inttypes.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Kinds beyond this are counted together: errors may be as many as letters. */
enum { GROUPS_MAX = 10000 };

struct group {
    char fingerprint[CRESS_FINGERPRINT_TEXT_SIZE];
    char mask[CRESS_MASK_MAX];
    char *task, *code, *example; /* owned; task may be NULL */
    int64_t count, first_ms, last_ms;
};

struct groups {
    void *tree;          /* of struct group, by fingerprint */
    struct group **list; /* the same */
    size_t count;
    int64_t others;
};

static int compare_fingerprints(const void *a, const void *b)
{
    return strcmp(((const struct group *)a)->fingerprint, ((const struct group *)b)->fingerprint);
}

/* The most frequent first. */
static int compare_counts(const void *a, const void *b)
{
    const struct group *x = *(struct group *const *)a, *y = *(struct group *const *)b;
    return x->count != y->count ? (x->count < y->count ? 1 : -1) : compare_fingerprints(x, y);
}

static void begin_groups(struct cress_dead *dead)
{
    struct groups *groups = dead->own = CRESS_NEW(struct groups);
    groups->list = cress_realloc_array(NULL, GROUPS_MAX, sizeof(struct group *));
}

static struct group *add_group(struct groups *groups, const struct group *like,
                               const struct cress_letter *letter)
{
    struct group *group = CRESS_NEW(struct group);
    *group = *like;
    cress_error_mask(letter->text, group->mask);
    group->task = cress_strdup(letter->task);
    group->code = cress_strdup(letter->code);
    group->example = cress_strdup(letter->id);
    tsearch(group, &groups->tree, compare_fingerprints);
    groups->list[groups->count++] = group;
    return group;
}

static void count_letter(struct cress_dead *dead, struct cress_dead_item *item)
{
    struct groups *groups = dead->own;
    const struct cress_letter *letter = &item->letter;
    struct group like = {0}, *group = NULL;
    cress_error_fingerprint(letter->task, letter->code, letter->text, like.fingerprint);
    void *found = tfind(&like, &groups->tree, compare_fingerprints);
    if (found) {
        group = *(struct group **)found;
    } else if (groups->count < GROUPS_MAX) {
        group = add_group(groups, &like, letter);
    }
    if (!group) {
        groups->others++;
    } else {
        group->count++;
        if (letter->died_ms && (!group->first_ms || letter->died_ms < group->first_ms)) {
            group->first_ms = letter->died_ms;
        }
        group->last_ms = letter->died_ms > group->last_ms ? letter->died_ms : group->last_ms;
    }
    cress_dead_done(item, false);
}

static void add_time(struct cress_buf *json, const char *member, int64_t ms)
{
    char text[CRESS_TIME_TEXT_MAX];
    cress_buf_add_member(json, member, ms ? cress_time_format(ms, text) : NULL);
}

/* Written piece by piece: what foreign clients call a task, or an error, need not be UTF-8. */
static void add_group_json(struct cress_buf *json, const struct group *group)
{
    cress_buf_add_member(json, "{\"fingerprint\":", group->fingerprint);
    cress_buf_printf(json, ",\"count\":%" PRId64, group->count);
    cress_buf_add_member(json, ",\"task\":", group->task);
    cress_buf_add_member(json, ",\"code\":", group->code);
    cress_buf_add_member(json, ",\"message\":", group->mask);
    add_time(json, ",\"first_died_at\":", group->first_ms);
    add_time(json, ",\"last_died_at\":", group->last_ms);
    cress_buf_add_member(json, ",\"example\":", group->example);
    cress_buf_add_char(json, '}');
}

static void print_groups_json(const struct groups *groups)
{
    putchar('[');
    for (size_t i = 0; i < groups->count; i++) {
        struct cress_buf json = cress_buf_make(CRESS_DEAD_JSON_MAX);
        add_group_json(&json, groups->list[i]);
        printf("%s%s", i > 0 ? "," : "", cress_buf_text(&json));
        cress_buf_free(&json);
    }
    puts("]");
}

static void print_groups_table(const struct cress_dead *dead, const struct groups *groups)
{
    static const char *const columns[] = {"FINGERPRINT", ">COUNT", "TASK", "CODE",
                                          ">LAST",       "ERROR",  NULL};
    const int64_t now_ms = cress_clock_wall_ms();
    struct cress_table *table = cress_table_new(columns);
    for (size_t i = 0; i < groups->count; i++) {
        const struct group *group = groups->list[i];
        char count[24], last[CRESS_TIME_TEXT_MAX + CRESS_SPAN_TEXT_MAX] = "";
        snprintf(count, sizeof count, "%" PRId64, group->count);
        if (group->last_ms && dead->cli->output.out_is_terminal) {
            cress_span_format(now_ms - group->last_ms, last);
        } else if (group->last_ms) {
            cress_time_format(group->last_ms, last);
        }
        cress_table_add(table,
                        (const char *const[]){group->fingerprint, count, group->task, group->code,
                                              last[0] ? last : NULL, group->mask});
    }
    cress_table_print(table, &dead->cli->output);
}

static int end_groups(struct cress_dead *dead)
{
    struct groups *groups = dead->own;
    qsort(groups->list, groups->count, sizeof *groups->list, compare_counts);
    if (cress_cli_json(dead->cli)) {
        print_groups_json(groups);
    } else {
        print_groups_table(dead, groups);
    }
    if (groups->others) {
        cress_output_say(&dead->cli->output,
                         "cress: %" PRId64 " letters are of further kinds, which are not listed",
                         groups->others);
    }
    return 0;
}

static void release_groups(struct cress_dead *dead)
{
    struct groups *groups = dead->own;
    for (size_t i = 0; i < groups->count; i++) {
        struct group *group = groups->list[i];
        tdelete(group, &groups->tree, compare_fingerprints);
        free(group->task);
        free(group->code);
        free(group->example);
        free(group);
    }
    free(groups->list);
    free(groups);
}

const struct cress_dead_verb cress_dead_groups = {
    .name = "groups",
    .flags = "",
    .begin = begin_groups,
    .letter = count_letter,
    .end = end_groups,
    .release = release_groups,
};
