// SPDX-License-Identifier: Apache-2.0
// Two tasks in one plug-in: text.statistics counts the lines, words and bytes of a file, as wc(1)
// does, and text.echo gives the payload back.
//
//   cc -shared -fPIC task_text.c $(pkg-config --cflags cress jansson) -ljansson -o task_text.so
//   cress worker run --plugin ./task_text.so
//   cress enqueue text.statistics '{"path": "/etc/services"}' --wait
#include <cress/task.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static int count(struct cress_job *job, FILE *file, long size)
{
    long lines = 0, words = 0, bytes = 0;
    bool in_word = false;
    for (int c; (c = getc(file)) != EOF; bytes++) {
        lines += c == '\n';
        words += !in_word && !isspace(c);
        in_word = !isspace(c);
        if (bytes % (1 << 20) == 0) { // now and then: who waits wants to know, and may give up
            if (cress_job_cancelled(job)) {
                return cress_job_retry(job, 0, "stopped", "stopped after %ld bytes", bytes);
            }
            cress_job_progress(job, size > 0 ? (int)(100 * bytes / size) : 0, "counting");
        }
    }
    cress_job_log(job, "%ld bytes in attempt %d", bytes, cress_job_attempt(job));
    return cress_job_done(job, json_pack("{s:I, s:I, s:I}", "lines", (json_int_t)lines, "words",
                                         (json_int_t)words, "bytes", (json_int_t)bytes));
}

static int statistics(struct cress_job *job)
{
    const char *path = json_string_value(json_object_get(cress_job_payload(job), "path"));
    if (!path) {
        return cress_job_fail(job, "no_path", "the payload is {\"path\": FILE}");
    }
    FILE *file = fopen(path, "r");
    if (!file) { // it may appear: try again
        return cress_job_retry(job, 0, "cannot_open", "%s: %s", path, strerror(errno));
    }
    const long size = fseek(file, 0, SEEK_END) == 0 ? ftell(file) : 0;
    rewind(file);
    const int verdict = count(job, file, size);
    fclose(file);
    return verdict;
}
CRESS_TASK("text.statistics", statistics)

static int echo(struct cress_job *job)
{
    size_t size; // as text: no number in it is converted
    const char *payload = cress_job_payload_text(job, &size);
    return cress_job_done_text(job, payload, size);
}
CRESS_TASK("text.echo", echo)
