// SPDX-License-Identifier: Apache-2.0
// libcress: enqueue jobs, follow and cancel them, from C. Link with `pkg-config --libs cress`.
//
//   struct cress_client *client;
//   struct cress_error err;
//   char id[CRESS_ID_SIZE];
//   if (cress_client_connect(NULL, &client, &err) == CRESS_OK) {
//       const struct cress_request request = {.task = "cress.echo", .payload = "\"hello\""};
//       if (cress_client_enqueue(client, &request, id, &err) == CRESS_OK) …
//
// Payloads and results are JSON text, in UTF-8, NUL-terminated.
//
// Threads: a client has one thread of its own for the loop and one for each connection; they block
// all signals. Every function may be called from any thread, several at once, but for
// cress_client_close(), which is the last call. The functions block up to the time that each of
// them states. Callbacks run on the client's loop thread: they must return soon, and of this
// library they may call only what says so.
//
// fork(): a child must not use the client of its parent, and cannot: every call returns CRESS_USAGE
// "forked". It connects a client of its own, or calls one of the exec functions.
//
// The library writes to stderr only what the option log.level asks for, errors by default. As
// everywhere in Cress, exhaustion of memory for small things ends the process.
#ifndef CRESS_CRESS_H
#define CRESS_CRESS_H

#include <cress/error.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The ABI that this header describes: the number in libcress.so's soname. A program and a library
 * that differ are told so by cress_client_connect(). */
#define CRESS_ABI 0

/* "0.1.0". Any thread. */
CRESS_API const char *cress_version(void);

/* --- connecting --- */

struct cress_client;

/* Zero and NULL mean the default, so `{0}` is a good start. */
struct cress_client_options {
    const char *config_file; /* cress.conf to read; NULL: found as `cress` finds it, or none */
    const char *broker_url;  /* amqp://… or amqps://…; NULL: CRESS_BROKER_URL, broker.url */
    const char *store_url;   /* redis://… or unix://…; NULL: CRESS_STORE_URL, store.url */
    int64_t timeout_ms;      /* longest wait for RabbitMQ and Redis, here and in each call that
                                names no time of its own; 0: 10 s */
    size_t max_in_flight;    /* asynchronous enqueues without an outcome; 0: 10000 */
};

/* Connects to RabbitMQ and Redis and returns when both are ready, after `timeout_ms` at most.
 * `options` may be NULL. Lost connections are later made again for ever, in the background.
 * CRESS_CONFIG, CRESS_USAGE: a wrong option, file or variable. CRESS_UNAVAILABLE: no server there
 * in time. CRESS_DENIED: it refuses the login. CRESS_USAGE "abi": compiled for another libcress. */
CRESS_MUST_CHECK static inline enum cress_status
cress_client_connect(const struct cress_client_options *options, struct cress_client **client,
                     struct cress_error *err);

/* Closes the connections and frees the client; NULL does nothing. Asynchronous enqueues without an
 * outcome end with CRESS_CANCELLED before it returns: cress_client_flush() first awaits them. No
 * other call may be under way. Not from a callback. */
CRESS_API void cress_client_close(struct cress_client *client);

/* --- enqueueing --- */

/* Room for any job's id and its NUL. */
enum { CRESS_ID_SIZE = 129 };

/* A job to be done. Zero and NULL mean the default. Borrowed during the call only. */
struct cress_request {
    const char *task;     /* required: 1 to 128 of A-Z a-z 0-9 . _ - */
    const char *payload;  /* JSON text; NULL: null */
    const char *queue;    /* NULL: "default" */
    const char *priority; /* "high", "normal" or "low"; NULL: "normal" */
    const char *id;       /* 1 to 128 of A-Z a-z 0-9 . _ : @ -; NULL: a new UUIDv7 */
    int64_t delay_ms;     /* not run before; 0: at once */
    int64_t expires_ms;   /* `expired` when not begun by then; 0: never */
    int64_t timeout_ms;   /* longest run of one attempt; 0: job.timeout */
    int max_attempts;     /* 0: job.max_attempts */

    const char *backoff;     /* "exponential", "linear" or "fixed"; NULL: job.backoff */
    int64_t backoff_base_ms; /* the first delay before another attempt; 0: job.backoff_base */
    int64_t backoff_cap_ms;  /* the longest; 0: job.backoff_cap */

    const char
        *unique; /* 1 to 256 bytes: no second job is made while one has this key; NULL: none */
    int64_t unique_for_ms; /* the key is taken for so long; 0: until the job has ended */

    const char *after; /* ids of jobs that it waits for, separated by commas; NULL: none */
    bool after_any;    /* run it even if some of those do not succeed; else it is cancelled */
};

/* Enqueues one job. CRESS_OK: its record is stored and RabbitMQ has confirmed the message; the job
 * is safe, and `id` (may be NULL) holds its id, or that of the job that has its unique key. Else
 * nothing was queued, unless err->code is
 * "unconfirmed": then it may have been. To repeat without doubling, name the id in the request.
 * CRESS_MALFORMED, CRESS_INVALID, CRESS_TOO_LARGE: the request. CRESS_NOT_FOUND "unknown_queue",
 * "unknown_job" (one that it was to wait for).
 * CRESS_CONFLICT "job_exists": the id is taken by a job that has begun, or is another one.
 * CRESS_UNAVAILABLE, CRESS_DENIED. Blocks up to the client's timeout. */
CRESS_API CRESS_MUST_CHECK enum cress_status
cress_client_enqueue(struct cress_client *client, const struct cress_request *request,
                     char id[CRESS_ID_SIZE], struct cress_error *err);

/* How an asynchronous enqueue ended; `err` is NULL when the job is safe. Loop thread. From here
 * cress_client_enqueue_async() may be called, and nothing else that takes the client. */
typedef void (*cress_enqueued_cb)(const char *id, const struct cress_error *err, void *arg);

/* Begins to enqueue one job and returns; `done` (may be NULL) is called once with the outcome, as
 * cress_client_enqueue() would return it. Enqueues overlap, which is what makes thousands of them a
 * second possible; outcomes come in any order. While max_in_flight of them have none, the call
 * waits (but not in a callback). CRESS_OK: `done` will be called, and `id` (may be NULL) holds the
 * job's id; what `done` is told is another one if a job has the unique key already. Else it will
 * not: a wrong request. */
CRESS_API CRESS_MUST_CHECK enum cress_status
cress_client_enqueue_async(struct cress_client *client, const struct cress_request *request,
                           char id[CRESS_ID_SIZE], cress_enqueued_cb done, void *arg,
                           struct cress_error *err);

/* Waits until every asynchronous enqueue has its outcome. CRESS_OK: none has failed since the last
 * flush. Else the error of the first that failed, or CRESS_TIMEOUT: some are still under way.
 * `timeout_ms` 0 waits as long as it takes. */
CRESS_API CRESS_MUST_CHECK enum cress_status
cress_client_flush(struct cress_client *client, int64_t timeout_ms, struct cress_error *err);

/* --- following --- */

/* What is known about a job, as it was at one moment. Read-only: any thread. Texts live as long as
 * the record. */
struct cress_record;

CRESS_API void cress_record_free(struct cress_record *record); /* NULL does nothing */
CRESS_API const char *cress_record_id(const struct cress_record *record);
CRESS_API const char *cress_record_task(const struct cress_record *record);

/* "waiting", "scheduled", "queued", "running", "retrying", "succeeded", "failed", "cancelled",
 * "expired". */
CRESS_API const char *cress_record_state(const struct cress_record *record);

/* True for the last four: nothing more will happen by itself. */
CRESS_API bool cress_record_is_over(const struct cress_record *record);
CRESS_API bool cress_record_has_succeeded(const struct cress_record *record);

/* The running or last attempt, from 1; 0 before the first. */
CRESS_API int cress_record_attempt(const struct cress_record *record);

/* JSON text, NULL unless the job has succeeded. */
CRESS_API const char *cress_record_result(const struct cress_record *record);

/* The last attempt's error as JSON text {"code", "message", …}; NULL when there is none. */
CRESS_API const char *cress_record_error(const struct cress_record *record);

/* All of it, as the JSON object of docs/http-api.md. The caller frees it with free(). */
CRESS_API char *cress_record_to_json(const struct cress_record *record);

/* The record of job `id` now; the caller frees it with cress_record_free(). CRESS_NOT_FOUND
 * "unknown_job": it never existed, or its record has expired. CRESS_INVALID: not an id.
 * CRESS_UNAVAILABLE. Blocks up to the client's timeout. */
CRESS_API CRESS_MUST_CHECK enum cress_status cress_client_status(struct cress_client *client,
                                                                 const char *id,
                                                                 struct cress_record **record,
                                                                 struct cress_error *err);

/* Waits until job `id` is over, however it ends, and returns its record as cress_client_status()
 * does. While Redis is away it goes on waiting. CRESS_TIMEOUT after `timeout_ms`; 0 waits as long
 * as it takes. CRESS_NOT_FOUND: at once. */
CRESS_API CRESS_MUST_CHECK enum cress_status cress_client_wait(struct cress_client *client,
                                                               const char *id, int64_t timeout_ms,
                                                               struct cress_record **record,
                                                               struct cress_error *err);

/* Waits as cress_client_wait() does, for the result alone: JSON text that the caller frees with
 * free(). CRESS_JOB_FAILED when the job did not succeed; err then has its code and message. */
CRESS_API CRESS_MUST_CHECK enum cress_status cress_client_result(struct cress_client *client,
                                                                 const char *id, int64_t timeout_ms,
                                                                 char **result,
                                                                 struct cress_error *err);

/* --- cancelling --- */

/* Cancels job `id`. One that waits is cancelled at once and never runs. One that runs is asked to
 * stop: cress_client_wait() says when it has, and whether it was done before. `reason` (UTF-8, 256
 * bytes at most; NULL: none) becomes the message of the job's error. CRESS_OK also when it was
 * cancelled before: to repeat the call is harmless. CRESS_CONFLICT "job_ended": it has ended
 * otherwise. CRESS_NOT_FOUND "unknown_job". CRESS_INVALID: the id or the reason.
 * CRESS_UNAVAILABLE. Blocks up to the client's timeout. */
CRESS_API CRESS_MUST_CHECK enum cress_status cress_client_cancel(struct cress_client *client,
                                                                 const char *id, const char *reason,
                                                                 struct cress_error *err);

/* Use cress_client_connect(), which says what the program was compiled for. */
CRESS_API CRESS_MUST_CHECK enum cress_status
cress_client_connect_abi(int abi, const struct cress_client_options *options,
                         struct cress_client **client, struct cress_error *err);

static inline enum cress_status cress_client_connect(const struct cress_client_options *options,
                                                     struct cress_client **client,
                                                     struct cress_error *err)
{
    return cress_client_connect_abi(CRESS_ABI, options, client, err);
}

#ifdef __cplusplus
}
#endif

#endif
