// SPDX-License-Identifier: Apache-2.0
// What people and programs see: tables, colours, errors and a progress bar.
//
// stdout is data: an aligned table with a heading on a terminal, else tab-separated lines without
// one ("-" stands for nothing). stderr is talk. Colours and the bar only on a terminal, unless
// NO_COLOR, TERM=dumb, CLICOLOR_FORCE or --color say otherwise. What comes from jobs is printed
// without control characters.
#ifndef CRESS_CLI_OUTPUT_H
#define CRESS_CLI_OUTPUT_H

#include "common/base/buf.h"
#include "common/base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cress_output {
    bool out_is_terminal; /* stdout */
    bool out_redraws;     /* stdout, and what was printed can be replaced */
    bool err_is_terminal; /* stderr, and it can redraw a line */
    bool out_colour, err_colour;
    bool progress_shown;
};

/* `when` is --color: "always", "never", or NULL or "auto". */
void cress_output_init(struct cress_output *output, const char *when);

/* A line to stderr, in place of the progress bar; what is hostile in it is not printed. */
void cress_output_say(struct cress_output *output, const char *format, ...) CRESS_PRINTF(2, 3);
void cress_output_error(struct cress_output *output, const struct cress_error *err);

/* Redraws the bar: `done` of `total` (0: unknown), then `text`. Nothing when stderr is no
 * terminal. */
void cress_output_progress(struct cress_output *output, int64_t done, int64_t total,
                           const char *text);
void cress_output_progress_end(struct cress_output *output);

/* --- tables --- */

struct cress_table;

/* `columns` ends with NULL and must outlive the table; a name that begins with '>' is
 * right-aligned. On a terminal the last column is cut to what the line has room for, unless its
 * name begins with '+'. */
struct cress_table *cress_table_new(const char *const *columns);

/* Adds a row with one text for each column, copied; NULL shows as "-". */
void cress_table_add(struct cress_table *table, const char *const *cells);

/* Prints to stdout and frees; nothing when it has no rows. Returns the number of lines on a
 * terminal. */
size_t cress_table_print(struct cress_table *table, const struct cress_output *output);

/* Prints JSON text to stdout: as it is, byte for byte, or, on a terminal, on one line with what is
 * hostile in its strings escaped. With `as_line` the output is for programs that read lines, and is
 * on one line in any case (cress_json_add_line()). No line end follows. */
void cress_output_json(const struct cress_output *output, const char *json, size_t size,
                       bool as_line);

/* "412ms", "3.2s", "5m04s", "2h30m", "3d04h": how long, for people. */
enum { CRESS_SPAN_TEXT_MAX = 24 };
const char *cress_span_format(int64_t ms, char text[CRESS_SPAN_TEXT_MAX]);

#endif
