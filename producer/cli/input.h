// SPDX-License-Identifier: Apache-2.0
// What a user hands over besides words: a file or standard input, whole or line by line.
#ifndef CRESS_CLI_INPUT_H
#define CRESS_CLI_INPUT_H

#include "common/base/buf.h"
#include "common/base/json.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

/* Opens `path`, "-" being standard input. CRESS_NOT_FOUND, CRESS_DENIED or CRESS_IO. */
CRESS_MUST_CHECK enum cress_status cress_input_open(const char *path, int *fd,
                                                    struct cress_error *err);

/* Reads all of `path` ("-": standard input), which may block. CRESS_TOO_LARGE above the cap of
 * `out`. */
CRESS_MUST_CHECK enum cress_status cress_input_read(const char *path, struct cress_buf *out,
                                                    struct cress_error *err);

/* The JSON value of an operand: itself, "@FILE" or "-". `room` holds what was read, and `value`
 * lies in it or in `operand`. CRESS_MALFORMED "bad_json", and what cress_input_read() says. */
CRESS_MUST_CHECK enum cress_status cress_input_json(const char *operand, struct cress_buf *room,
                                                    struct cress_json *value,
                                                    struct cress_error *err);

/* --- line by line, on the loop, in constant memory --- */

struct cress_input_lines;

struct cress_input_lines_options {
    size_t max_bytes; /* of a line */
    /* A line without its end. `line` is NULL when it was longer than max_bytes and has been
     * skipped. False: no more until cress_input_lines_resume(). */
    bool (*on_line)(const char *line, size_t size, int64_t number, void *arg);
    /* All lines have been given, or reading failed. */
    void (*on_end)(const struct cress_error *err, void *arg);
    void *arg;
};

/* Takes `fd` over. Callbacks come from the loop and from cress_input_lines_resume(). */
struct cress_input_lines *cress_input_lines_open(uv_loop_t *loop, int fd,
                                                 const struct cress_input_lines_options *options);
void cress_input_lines_resume(struct cress_input_lines *lines);

/* Reads no further; there are no more callbacks. */
void cress_input_lines_stop(struct cress_input_lines *lines);

/* Stops, and frees it when its handles are closed. Not from within a callback of its own. */
void cress_input_lines_close(struct cress_input_lines *lines);

/* Bytes read so far, and the size of the whole or 0 when that is unknown. */
void cress_input_lines_position(const struct cress_input_lines *lines, int64_t *read,
                                int64_t *total);

#endif
