// SPDX-License-Identifier: Apache-2.0
// What the worker and a stream program say to each other: one JSON object a line, UTF-8. Version 1.
//
//   worker -> program (stdin)
//     {"id":"…","task":"…","attempt":1,"max_attempts":5,"deadline_ms":1795460400000,
//      "traceparent":"…","after":[…],"payload":…}
//                                           one job; `traceparent` only when the job has one, `after`
//                                           only when it waited for others: their ends
//     {"cancel":"…"}                        that job is to stop: answer it soon, however. Only to a
//                                           program whose greeting says that it knows this
//     end of file                           no more jobs: answer what is in flight, and exit
//
//   program -> worker (stdout)
//     {"cress":1,"concurrency":8,"cancel":true}  at most once, before anything else, if at all
//     {"id":"…","progress":40,"message":"…"}  any number of times; `message` may be left out
//     {"id":"…","log":"…"}                  any number of times: a line of the job's own log
//     {"id":"…","result":…}                 the end of the job: done
//     {"id":"…","error":{"code":"…","message":"…","retry":true,"retry_after_ms":0}}
//                                           the end of the job: failed; all members may be left
//                                           out, and `retry` is then true
//
// To change it: new members may be added to any line at any time, for both sides skip members that
// they do not know. A new kind of line, or another meaning of an old one, is version 2, which a
// program asks for with {"cress":2}; CRESS_STREAM_VERSION in its environment is the newest that
// the worker speaks.
//
// Pure functions; any thread.
#ifndef CRESS_WORKER_HANDLER_STREAM_PROTOCOL_H
#define CRESS_WORKER_HANDLER_STREAM_PROTOCOL_H

#include "common/base/buf.h"
#include "common/base/id.h"
#include "common/base/json.h"
#include "common/job/job.h"

#include <stdint.h>

enum { CRESS_STREAM_VERSION = 1, CRESS_STREAM_CONCURRENCY_MAX = 10000 };

/* Appends the line of `job`. Its payload and `after` (NULL: none), which must be JSON, are sent as
 * they came, but for what could end a line (cress_json_add_line()). False when `out` is full;
 * nothing is then written. */
bool cress_stream_add_job(struct cress_buf *out, const struct cress_job *job, const char *after,
                          int64_t deadline_ms);

/* Appends the line that tells of a job's cancellation. */
void cress_stream_add_cancel(struct cress_buf *out, const char *id);

enum cress_stream_kind {
    CRESS_STREAM_HELLO,
    CRESS_STREAM_PROGRESS,
    CRESS_STREAM_LOG,
    CRESS_STREAM_RESULT,
    CRESS_STREAM_ERROR,
};

/* A line of a program. `result` borrows from the line. */
struct cress_stream_message {
    enum cress_stream_kind kind;
    char id[CRESS_ID_MAX + 1];       /* not in HELLO */
    int concurrency;                 /* HELLO; 0: not said */
    bool knows_cancel;               /* HELLO */
    int percent;                     /* PROGRESS: 0 to 100 */
    struct cress_json result;        /* RESULT: its bytes, as the program wrote them */
    char code[CRESS_ERROR_CODE_MAX]; /* ERROR; never empty */
    const char *text; /* ERROR (never NULL), LOG (likewise), PROGRESS (NULL: none); a NUL that the
                         program has escaped is in it */
    size_t text_size;
    bool retry;             /* ERROR */
    int64_t retry_after_ms; /* ERROR; 0: not said */
    struct cress_buf room;  /* of the text */
};

/* Reads a line without its end. CRESS_MALFORMED says what is wrong with it and shows its beginning.
 * The caller frees with cress_stream_message_free(). */
CRESS_MUST_CHECK enum cress_status cress_stream_parse(const char *line, size_t size,
                                                      struct cress_stream_message *message,
                                                      struct cress_error *err);
void cress_stream_message_free(struct cress_stream_message *message);

/* Cuts what arrives in pieces into lines. */
struct cress_lines {
    struct cress_buf partial; /* the beginning of a line whose end has not arrived */
};

/* Of at most `max_bytes` each. */
struct cress_lines cress_lines_make(size_t max_bytes);
void cress_lines_free(struct cress_lines *lines);

/* Calls `each_cb` for every line that `data` completes, without its line feed, until that returns
 * false (the rest is dropped). False when a line is too long. */
bool cress_lines_feed(struct cress_lines *lines, const char *data, size_t size,
                      bool (*each_cb)(const char *line, size_t size, void *arg), void *arg);

#endif
