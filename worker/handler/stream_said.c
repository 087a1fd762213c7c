// SPDX-License-Identifier: Apache-2.0
// What a stream program says on stderr; see stream_said.h.
#include "worker/handler/stream_said.h"

#include "common/base/log.h"
#include "common/base/mem.h"

#include <stdio.h>
#include <stdlib.h>

struct cress_said cress_said_make(const char *task)
{
    return (struct cress_said){.task = task, .lines = cress_lines_make(CRESS_SAID_LINE_MAX)};
}

void cress_said_free(struct cress_said *said)
{
    cress_lines_free(&said->lines);
}

/* Whether one more line may go to the log; says how many did not in the last second that had any. */
static bool may_log(struct cress_said *said)
{
    const int64_t second = said->now_ms / 1000;
    if (second != said->second) {
        if (said->lines_in_second > CRESS_SAID_LINES_PER_S) {
            cress_log(CRESS_LOG_WARN, "stream program said more than is logged",
                      CRESS_KV("task", said->task), CRESS_KVI("pid", said->pid),
                      CRESS_KVI("lines_left_out", said->lines_in_second - CRESS_SAID_LINES_PER_S));
        }
        said->second = second;
        said->lines_in_second = 0;
    }
    return ++said->lines_in_second <= CRESS_SAID_LINES_PER_S;
}

static bool line_cb(const char *line, size_t size, void *arg)
{
    struct cress_said *said = arg;
    char *text = cress_strndup(line, size);
    if (text[0]) {
        snprintf(said->last_line, sizeof said->last_line, "%s", text);
    }
    if (may_log(said)) {
        cress_log(CRESS_LOG_INFO, "stream program says", CRESS_KV("task", said->task),
                  CRESS_KVI("pid", said->pid), CRESS_KV("text", text));
    }
    free(text);
    return true;
}

void cress_said_hear(struct cress_said *said, int64_t now_ms, const char *data, size_t size)
{
    said->now_ms = now_ms;
    if (!cress_lines_feed(&said->lines, data, size, line_cb, said)) {
        /* the line ends somewhere later, and what comes until then is taken for a line */
        cress_buf_clear(&said->lines.partial);
        line_cb(data, size < CRESS_SAID_LINE_MAX ? size : CRESS_SAID_LINE_MAX, said);
    }
}

void cress_said_end(struct cress_said *said)
{
    if (said->lines.partial.size > 0) {
        line_cb(said->lines.partial.data, said->lines.partial.size, said);
        cress_buf_clear(&said->lines.partial);
    }
}
