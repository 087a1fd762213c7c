// SPDX-License-Identifier: Apache-2.0
// A task in C: a shared object that cress-worker loads and runs (docs/handlers.md, "plugin").
//
//   #include <cress/task.h>
//
//   static int thumbnail(struct cress_job *job)
//   {
//       const char *url = json_string_value(json_object_get(cress_job_payload(job), "url"));
//       if (!url) {
//           return cress_job_fail(job, "no_url", "the payload has no \"url\"");
//       }
//       …
//       return cress_job_done(job, json_pack("{s:i}", "width", 120));
//   }
//   CRESS_TASK("image.thumbnail", thumbnail)
//
//   cc -shared -fPIC thumbnail.c $(pkg-config --cflags cress jansson) -o thumbnail.so -ljansson
//
// It runs in a child process of the worker, one job at a time, so that a crash costs one attempt of
// one job. Processes are used again for further jobs: what a job leaves in static variables, open
// files or the working directory, the next one finds. At its hard timeout the process is killed.
// stdin is empty, and what is written to stdout or stderr goes to the worker's log; the job's own
// is written by cress_job_log().
//
// Threads: the task is called on the process's first thread, and the functions below that take the
// job are called on that thread until it returns; cress_job_cancelled() is for any thread.
#ifndef CRESS_TASK_H
#define CRESS_TASK_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The ABI between plug-in and worker that this header describes. A worker refuses, when it starts,
 * a plug-in that was compiled for another one. */
#define CRESS_TASK_ABI 0

/* One attempt of one job. Opaque; lives until the task returns. */
struct cress_job;

/* Runs a job and returns how that went: the value of cress_job_done(), cress_job_fail() or
 * cress_job_retry(), of which the last called counts. A plain number is read as an exit status of
 * sysexits(3): 0 done with the result null, 65 (EX_DATAERR) failed for good, others to be tried
 * again while attempts are left. */
typedef int (*cress_task_cb)(struct cress_job *job);

/* Makes `function` the task `name` (1 to 128 of A-Z a-z 0-9 . _ -). At file scope, once for each
 * task of the shared object. */
#define CRESS_TASK(name, function)                                                \
    __attribute__((constructor)) static void cress_task_register_##function(void) \
    {                                                                             \
        cress_task_register(CRESS_TASK_ABI, name, function);                      \
    }

/* --- what there is to do --- */

const char *cress_job_id(const struct cress_job *job);
const char *cress_job_task(const struct cress_job *job);
int cress_job_attempt(const struct cress_job *job); /* from 1 */

/* The payload: any JSON value. Borrowed: json_incref() what is to outlive the job. NULL for one that
 * is legal JSON, and yet more than a jansson value can hold: whole numbers beyond 64 bits with sign
 * (18446744073709551615), others beyond a double (1e400), names with \u0000. Whatever the task then
 * returns, the job has failed for that reason (`payload_not_held`), and for good, unless the task
 * reads the text. Numbers with a fraction are doubles, with what that costs in digits. */
json_t *cress_job_payload(const struct cress_job *job);

/* The payload as JSON text, byte for byte as it was submitted, but for line ends between its tokens.
 * `*size` bytes, not terminated; borrowed until the task returns. */
const char *cress_job_payload_text(const struct cress_job *job, size_t *size);

/* How the jobs ended that this one waited for (`after`), in that order: an array of {"id", "state",
 * "result" | "error"}, where the state is null for one whose record has expired since. NULL when it
 * waited for none, or when jansson cannot hold them, as with the payload. Borrowed. */
json_t *cress_job_after(const struct cress_job *job);

/* Milliseconds until the attempt is asked to stop; 0 when it should have stopped. */
int64_t cress_job_time_left_ms(const struct cress_job *job);

/* True once the job is to stop: it was cancelled, its time is over, or the worker shuts down. A
 * task that runs for long looks now and then, and returns cress_job_retry(). Blocking system calls
 * end with EINTR when it becomes true. One that goes on is killed. Any thread. */
bool cress_job_cancelled(const struct cress_job *job);

/* --- meanwhile --- */

/* Shows how far the job has come: `percent` from 0 to 100, and a text for people. */
void cress_job_progress(struct cress_job *job, int percent, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Adds a line to the job's log. */
void cress_job_log(struct cress_job *job, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* --- how it ends --- */

/* Succeeded. `result` is taken over; NULL is null. */
int cress_job_done(struct cress_job *job, json_t *result);

/* Succeeded, with `size` bytes of JSON text as the result, which is copied and kept as it is. What is
 * not JSON fails the job for good (`bad_result`). */
int cress_job_done_text(struct cress_job *job, const char *result, size_t size);

/* Failed, and trying again is useless. `code` is for machines ("no_url"), the message for
 * people. */
int cress_job_fail(struct cress_job *job, const char *code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Failed, and to be tried again while attempts are left, after `after_ms` at the soonest; 0: after
 * the job's own backoff. */
int cress_job_retry(struct cress_job *job, int64_t after_ms, const char *code, const char *format,
                    ...) __attribute__((format(printf, 4, 5)));

/* Use CRESS_TASK(), which says what the plug-in was compiled for. */
void cress_task_register(int abi, const char *name, cress_task_cb run);

#ifdef __cplusplus
}
#endif

#endif
