// SPDX-License-Identifier: Apache-2.0
// Tables, colours, errors and the progress bar; see output.h.
#include "producer/cli/output.h"

#include "common/base/json.h"
#include "common/base/mem.h"
#include "common/base/text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define RED    "\033[31m"
#define GREEN  "\033[32m"
#define YELLOW "\033[33m"
#define BLUE   "\033[34m"
#define BOLD   "\033[1m"
#define PLAIN  "\033[0m"

enum {
    BAR_WIDTH = 24,
    COLUMNS_MAX = 16,
    CELL_MAX_BYTES = 1 << 20,
    LINE_MAX_BYTES = 1024,
    SAID_MAX_BYTES = 64 * 1024,
    DEFAULT_WIDTH = 80,
    GAP = 2,
    ESCAPED_FACTOR = 6 /* DEL as \u007f */
};

/* --- streams --- */

static bool is_set(const char *name)
{
    const char *value = getenv(name);
    return value && *value;
}

static bool wants_colour(bool is_terminal, const char *when)
{
    if (when && strcmp(when, "always") == 0) {
        return true;
    }
    if ((when && strcmp(when, "never") == 0) || is_set("NO_COLOR")) {
        return false;
    }
    const char *force = getenv("CLICOLOR_FORCE");
    return is_terminal || (force && *force && strcmp(force, "0") != 0);
}

void cress_output_init(struct cress_output *output, const char *when)
{
    const char *term = getenv("TERM");
    const bool dumb = term && strcmp(term, "dumb") == 0;
    const bool out_is_terminal = isatty(STDOUT_FILENO), err_is_terminal = isatty(STDERR_FILENO);
    *output = (struct cress_output){
        .out_is_terminal = out_is_terminal,
        .out_redraws = out_is_terminal && !dumb,
        .err_is_terminal = err_is_terminal && !dumb,
        .out_colour = wants_colour(out_is_terminal && !dumb, when),
        .err_colour = wants_colour(err_is_terminal && !dumb, when),
    };
}

void cress_output_say(struct cress_output *output, const char *format, ...)
{
    struct cress_buf text = cress_buf_make(SAID_MAX_BYTES), line = cress_buf_make(SAID_MAX_BYTES);
    va_list args;
    va_start(args, format);
    cress_buf_vprintf(&text, format, args);
    va_end(args);
    cress_buf_add_harmless(&line, cress_buf_text(&text), text.size, "\n\t");
    cress_output_progress_end(output);
    fprintf(stderr, "%s\n", cress_buf_text(&line));
    cress_buf_free(&line);
    cress_buf_free(&text);
}

void cress_output_error(struct cress_output *output, const struct cress_error *err)
{
    cress_output_progress_end(output);
    fprintf(stderr, "%scress:%s ", output->err_colour ? RED : "", output->err_colour ? PLAIN : "");
    cress_output_say(output, "%s", err->message);
}

static size_t terminal_width(int fd)
{
    struct winsize size;
    return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : DEFAULT_WIDTH;
}

/* The bytes of `text` that fill at most `width` columns. */
static size_t bytes_for(const char *text, size_t width)
{
    size_t i = 0;
    for (; text[i]; i++) {
        if (((unsigned char)text[i] & 0xC0) != 0x80 && width-- == 0) {
            break;
        }
    }
    return i;
}

/* --- progress --- */

void cress_output_progress(struct cress_output *output, int64_t done, int64_t total,
                           const char *text)
{
    if (!output->err_is_terminal) {
        return;
    }
    struct cress_buf line = cress_buf_make(LINE_MAX_BYTES);
    if (total > 0) {
        done = done < total ? done : total;
        cress_buf_add_char(&line, '[');
        for (int i = 0; i < BAR_WIDTH; i++) {
            cress_buf_add_char(&line, i < BAR_WIDTH * done / total ? '#' : '.');
        }
        cress_buf_printf(&line, "] %3d%%  ", (int)(100 * done / total));
    }
    cress_buf_add_harmless(&line, text, strlen(text), "");
    /* A line that wraps would not be erased by the next one. */
    const char *all = cress_buf_text(&line);
    const size_t width = terminal_width(STDERR_FILENO) - 1;
    fprintf(stderr, "\r\033[K%.*s", (int)bytes_for(all, width), all);
    cress_buf_free(&line);
    output->progress_shown = true;
}

void cress_output_progress_end(struct cress_output *output)
{
    if (output->progress_shown) {
        fputs("\r\033[K", stderr);
        output->progress_shown = false;
    }
}

/* --- text --- */

void cress_output_json(const struct cress_output *output, const char *json, size_t size,
                       bool as_line)
{
    const struct cress_json value = {.text = json, .size = size};
    if (!output->out_is_terminal && !as_line) {
        fwrite(json, 1, size, stdout);
        return;
    }
    struct cress_buf line = cress_buf_make(size * ESCAPED_FACTOR);
    if (output->out_is_terminal) {
        cress_json_add_visible(&line, value);
    } else {
        cress_json_add_line(&line, value);
    }
    fwrite(cress_buf_text(&line), 1, line.size, stdout);
    cress_buf_free(&line);
}

const char *cress_span_format(int64_t ms, char text[CRESS_SPAN_TEXT_MAX])
{
    const int64_t s = ms / 1000, m = s / 60, h = m / 60;
    if (ms < 1000) {
        snprintf(text, CRESS_SPAN_TEXT_MAX, "%" PRId64 "ms", ms < 0 ? 0 : ms);
    } else if (m == 0) {
        snprintf(text, CRESS_SPAN_TEXT_MAX, "%" PRId64 ".%" PRId64 "s", s, ms % 1000 / 100);
    } else if (h == 0) {
        snprintf(text, CRESS_SPAN_TEXT_MAX, "%" PRId64 "m%02" PRId64 "s", m, s % 60);
    } else if (h < 48) {
        snprintf(text, CRESS_SPAN_TEXT_MAX, "%" PRId64 "h%02" PRId64 "m", h, m % 60);
    } else {
        snprintf(text, CRESS_SPAN_TEXT_MAX, "%" PRId64 "d%02" PRId64 "h", h / 24, h % 24);
    }
    return text;
}

/* --- tables --- */

struct cress_table {
    const char *const *columns;
    size_t column_count, row_count;
    char **cells; /* row by row */
    size_t widths[COLUMNS_MAX];
};

/* Words that have a colour wherever a cell is just that word. */
static const struct {
    const char *word, *colour;
} coloured[] = {
    {"succeeded", GREEN},  {"ok", GREEN},       {"failed", RED},
    {"fail", RED},         {"running", BLUE},   {"retrying", YELLOW},
    {"cancelled", YELLOW}, {"expired", YELLOW}, {"warn", YELLOW},
};

static const char *colour_of(const char *cell)
{
    for (size_t i = 0; i < CRESS_COUNT(coloured); i++) {
        if (strcmp(coloured[i].word, cell) == 0) {
            return coloured[i].colour;
        }
    }
    return NULL;
}

/* Characters, which is columns for most scripts. */
static size_t width_of(const char *text)
{
    size_t width = 0;
    for (; *text; text++) {
        width += ((unsigned char)*text & 0xC0) != 0x80;
    }
    return width;
}

/* Without the sign in front of it. */
static const char *title_of(const char *column)
{
    return column + (*column == '>' || *column == '+');
}

struct cress_table *cress_table_new(const char *const *columns)
{
    struct cress_table *table = CRESS_NEW(struct cress_table);
    table->columns = columns;
    while (columns[table->column_count]) {
        const char *name = columns[table->column_count];
        table->widths[table->column_count++] = width_of(title_of(name));
    }
    return table;
}

void cress_table_add(struct cress_table *table, const char *const *cells)
{
    const size_t from = table->row_count * table->column_count;
    table->row_count++;
    table->cells = cress_realloc_array(table->cells, table->row_count * table->column_count,
                                       sizeof *table->cells);
    for (size_t i = 0; i < table->column_count; i++) {
        struct cress_buf cell = cress_buf_make(CELL_MAX_BYTES);
        const char *text = cells[i] && *cells[i] ? cells[i] : "-";
        cress_buf_add_harmless(&cell, text, strlen(text), "");
        table->cells[from + i] = cress_buf_take(&cell);
        const size_t width = width_of(table->cells[from + i]);
        table->widths[i] = width > table->widths[i] ? width : table->widths[i];
    }
}

static void print_cell(const struct cress_table *table, size_t column, const char *text,
                       const char *colour, size_t room)
{
    const bool right = table->columns[column][0] == '>', last = column + 1 == table->column_count;
    const int padding = (int)(table->widths[column] - width_of(text));
    const size_t size = last ? bytes_for(text, room) : strlen(text);
    printf("%*s%s%.*s%s", right ? padding : 0, "", colour ? colour : "", (int)size, text,
           colour ? PLAIN : "");
    if (!last) {
        printf("%*s", (right ? 0 : padding) + GAP, "");
    }
}

static void print_aligned(const struct cress_table *table, const struct cress_output *output)
{
    size_t used = 0;
    for (size_t i = 0; i + 1 < table->column_count; i++) {
        used += table->widths[i] + GAP;
    }
    const size_t width = terminal_width(STDOUT_FILENO);
    const bool cuts = table->columns[table->column_count - 1][0] != '+';
    const size_t room = cuts && width > used + GAP * 4 ? width - used : SIZE_MAX;
    for (size_t i = 0; i < table->column_count; i++) {
        print_cell(table, i, title_of(table->columns[i]), output->out_colour ? BOLD : NULL, room);
    }
    putchar('\n');
    for (size_t i = 0; i < table->row_count * table->column_count; i++) {
        const size_t column = i % table->column_count;
        print_cell(table, column, table->cells[i],
                   output->out_colour ? colour_of(table->cells[i]) : NULL, room);
        if (column + 1 == table->column_count) {
            putchar('\n');
        }
    }
}

static void print_plain(const struct cress_table *table)
{
    for (size_t i = 0; i < table->row_count * table->column_count; i++) {
        fputs(table->cells[i], stdout);
        putchar((i + 1) % table->column_count ? '\t' : '\n');
    }
}

size_t cress_table_print(struct cress_table *table, const struct cress_output *output)
{
    if (!output->out_is_terminal) {
        print_plain(table);
    } else if (table->row_count > 0) {
        print_aligned(table, output);
    }
    const size_t lines = table->row_count > 0 ? table->row_count + 1 : 0;
    for (size_t i = 0; i < table->row_count * table->column_count; i++) {
        free(table->cells[i]);
    }
    free(table->cells);
    free(table);
    return lines;
}
