// SPDX-License-Identifier: Apache-2.0
// cress dead list, show and export: dead letters as lines, one in full, all in full.
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "producer/cli/dead.h"
#include "producer/cli/dead_letter.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIST_LIMIT = 100, ROWS_MAX = 1000 };

/* False: nobody reads on. */
static bool print_letter_json(struct cress_dead *dead, const struct cress_letter *letter,
                              bool whole, const char *after)
{
    struct cress_buf json = cress_buf_make(CRESS_DEAD_JSON_MAX);
    cress_dead_write_json(letter, whole, &json);
    cress_output_json(&dead->cli->output, cress_buf_text(&json), json.size, true);
    fputs(after, stdout);
    cress_buf_free(&json);
    if (!ferror(stdout)) {
        return true;
    }
    cress_dead_walk_stop(dead->walk, NULL);
    return false;
}

/* --- list --- */

struct list {
    int64_t limit;             /* 0: none */
    struct cress_table *table; /* NULL: no row yet */
    size_t rows;
    bool more; /* there are others */
};

static const char *const people[] = {"ID",   "TASK", "QUEUE", ">ATTEMPT",
                                     ">AGE", "CODE", "ERROR", NULL};
static const char *const programs[] = {"id",   "task", "queue", "attempt",
                                       "died", "code", "error", NULL};

static void print_letter_table(struct cress_dead *dead)
{
    struct list *list = dead->own;
    if (list->table) {
        cress_table_print(list->table, &dead->cli->output);
        list->table = NULL;
        list->rows = 0;
    }
}

static void begin_list(struct cress_dead *dead)
{
    struct list *list = dead->own = CRESS_NEW(struct list);
    list->limit = cress_args_number(&dead->cli->args, "limit", LIST_LIMIT);
}

static void add_letter_row(struct cress_dead *dead, const struct cress_letter *letter)
{
    struct list *list = dead->own;
    char attempt[16], died[CRESS_TIME_TEXT_MAX + CRESS_SPAN_TEXT_MAX] = "";
    if (!list->table) {
        list->table = cress_table_new(dead->cli->output.out_is_terminal ? people : programs);
    }
    snprintf(attempt, sizeof attempt, "%d", letter->attempt);
    if (letter->died_ms && dead->cli->output.out_is_terminal) {
        cress_span_format(cress_clock_wall_ms() - letter->died_ms, died);
    } else if (letter->died_ms) {
        cress_time_format(letter->died_ms, died);
    }
    cress_table_add(list->table,
                    (const char *const[]){letter->id, letter->task, letter->queue, attempt,
                                          died[0] ? died : NULL, letter->code, letter->text});
    /* A table is held until it is printed, and queues can be long. */
    if (++list->rows == ROWS_MAX) {
        print_letter_table(dead);
    }
}

static void list_letter(struct cress_dead *dead, struct cress_dead_item *item)
{
    struct list *list = dead->own;
    if (list->limit && dead->matched > list->limit) {
        list->more = true;
        cress_dead_walk_stop(dead->walk, NULL);
    } else if (cress_cli_json(dead->cli)) {
        fputs(dead->matched > 1 ? ",\n" : "[", stdout);
        print_letter_json(dead, &item->letter, false, "");
    } else {
        add_letter_row(dead, &item->letter);
    }
    cress_dead_done(item, false);
}

static int end_list(struct cress_dead *dead)
{
    const struct list *list = dead->own;
    if (cress_cli_json(dead->cli)) {
        fputs(dead->matched > 0 ? "]\n" : "[]\n", stdout);
    } else {
        print_letter_table(dead);
    }
    if (list->more) {
        cress_output_say(&dead->cli->output,
                         "cress: these are the first %" PRId64 "; --limit 0 lists all",
                         list->limit);
    }
    return 0;
}

static void release_own(struct cress_dead *dead)
{
    free(dead->own);
}

const struct cress_dead_verb cress_dead_list = {
    .name = "list",
    .flags = "limit",
    .begin = begin_list,
    .letter = list_letter,
    .end = end_list,
    .release = release_own,
};

/* --- show --- */

static void print_text(const char *name, const char *value, size_t size)
{
    struct cress_buf text = cress_buf_make(CRESS_DEAD_JSON_MAX);
    cress_buf_add_harmless(&text, value, size, "");
    printf("%-12s %s\n", name, cress_buf_text(&text));
    cress_buf_free(&text);
}

static void print_line(const char *name, const char *value)
{
    const char *shown = value ? value : "-";
    print_text(name, shown, strlen(shown));
}

static void print_headers(const struct cress_message *message)
{
    for (size_t i = 0; i < message->header_count; i++) {
        const struct cress_header *header = &message->headers[i];
        char *value = header->kind == CRESS_HEADER_TEXT ? cress_strdup(header->text)
                      : header->kind == CRESS_HEADER_OTHER
                          ? cress_strdup("(a table or an array)")
                          : cress_format("%" PRId64, header->number);
        char *line = cress_format("%s = %s", header->name, value);
        print_line("header", line);
        free(line);
        free(value);
    }
}

static void print_whole(const struct cress_letter *letter)
{
    char time[CRESS_TIME_TEXT_MAX], attempt[16];
    snprintf(attempt, sizeof attempt, "%d", letter->attempt);
    print_line("id", letter->id);
    print_line("task", letter->task);
    print_line("queue", letter->queue);
    print_line("priority", cress_priority_word(letter->priority));
    print_line("attempt", attempt);
    print_line("died", letter->died_ms ? cress_time_format(letter->died_ms, time) : NULL);
    print_line("created", letter->created_ms ? cress_time_format(letter->created_ms, time) : NULL);
    print_line("code", letter->code);
    print_line("error", letter->text);
    print_line("batch", letter->message->correlation_id);
    print_headers(letter->message);
    print_text("payload", letter->message->body_size ? letter->message->body : "",
               letter->message->body_size);
}

static void show_letter(struct cress_dead *dead, struct cress_dead_item *item)
{
    if (cress_cli_json(dead->cli)) {
        print_letter_json(dead, &item->letter, true, "\n");
    } else {
        print_whole(&item->letter);
    }
    cress_dead_walk_stop(dead->walk, NULL);
    cress_dead_done(item, false);
}

static int end_good(struct cress_dead *dead)
{
    (void)dead;
    return 0;
}

const struct cress_dead_verb cress_dead_show = {
    .name = "show",
    .flags = "",
    .needs_id = true,
    .letter = show_letter,
    .end = end_good,
};

/* --- export --- */

static void export_letter(struct cress_dead *dead, struct cress_dead_item *item)
{
    print_letter_json(dead, &item->letter, true, "\n");
    cress_dead_done(item, false);
}

const struct cress_dead_verb cress_dead_export = {
    .name = "export",
    .flags = "",
    .letter = export_letter,
    .end = end_good,
};
