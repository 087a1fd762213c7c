// SPDX-License-Identifier: Apache-2.0
// What a stream program says on stderr: it goes to the worker's log, a line for a line, but not too
// much of it; and the last line is kept, for it may say why the program died.
//
// Loop thread only.
#ifndef CRESS_WORKER_HANDLER_STREAM_SAID_H
#define CRESS_WORKER_HANDLER_STREAM_SAID_H

#include "worker/handler/stream_protocol.h"

#include <sys/types.h>

enum {
    CRESS_SAID_LINES_PER_S = 20, /* that reach the log */
    CRESS_SAID_LINE_MAX = 4096,
    CRESS_SAID_LAST_MAX = 200,
};

struct cress_said {
    const char *task; /* for the log; not owned */
    pid_t pid;        /* likewise */
    int64_t now_ms;   /* by any clock that does not go back: of the last call */
    char last_line[CRESS_SAID_LAST_MAX + 1];
    struct cress_lines lines; /* from here on: stream_said.c */
    int64_t second;
    int lines_in_second;
};

struct cress_said cress_said_make(const char *task);
void cress_said_free(struct cress_said *said);

/* A piece of it has arrived. */
void cress_said_hear(struct cress_said *said, int64_t now_ms, const char *data, size_t size);

/* Nothing more will: what has no line feed is a line too. */
void cress_said_end(struct cress_said *said);

#endif
