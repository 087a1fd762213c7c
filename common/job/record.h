// SPDX-License-Identifier: Apache-2.0
// The job record: what is known about a job, as the store keeps it and as clients see it.
#ifndef CRESS_JOB_RECORD_H
#define CRESS_JOB_RECORD_H

#include "common/base/buf.h"
#include "common/job/state.h"

#include <stdbool.h>
#include <stdint.h>

/* Texts are NULL, times and numbers 0, when unknown. A view, unless it came with
 * cress_record_clone(). */
struct cress_record {
    const char *id;
    const char *task;
    const char *queue;
    const char *priority;
    enum cress_state state;
    int64_t version; /* grows with every change: the ETag */
    int attempt;     /* the running or last attempt, from 1; 0 before the first */
    int max_attempts;
    int64_t timeout_ms;
    const char *backoff; /* the job's own choice, and so for the next two */
    int64_t backoff_base_ms, backoff_cap_ms;
    const char *payload;  /* JSON text */
    const char *result;   /* JSON text; only when succeeded */
    const char *error;    /* JSON text {"code", "message", …}; the last attempt's */
    const char *worker;   /* who runs or ran it, see worker_id.h */
    const char *progress; /* JSON text {"percent", "message"}; what it last said */
    const char *log;      /* the tail of the last attempt's log */
    const char *attempts; /* those before the last one; see attempts.h */
    const char *batch;
    const char *after; /* the jobs that it waits or waited for, see after.h */
    bool after_any;
    const char *reply_to, *correlation_id, *traceparent; /* as in the job */
    const char *key;                                     /* whom it is for */
    const char *unique;                                  /* its unique key */
    int64_t unique_for_ms;                               /* as in the job */
    const char *idempotency_key;                         /* of the request that made it */
    const char *blocked; /* JSON text {"limit", "task", "key"}: the limit that it waits for */
    bool is_duplicate;   /* only in the answer to a submission: this is an earlier job, which stands
                          for it */
    const char *cancel;  /* JSON text: why it was asked to stop while it ran */
    const char *promise; /* what its messages must carry, see promise.h; shown to nobody */
    int64_t created_ms, run_at_ms, started_ms, finished_ms, expires_ms;
};

struct cress_record *
cress_record_clone(const struct cress_record *record); /* one block; free() it */

/* Writes the record as the JSON object of docs/http-api.md: id, task, queue, priority, state, done,
 * version, attempt, max_attempts, timeout_ms, backoff, backoff_base_ms, backoff_cap_ms, payload,
 * result, error, cancel_requested, progress, log, worker, batch_id, key, unique, after, after_any,
 * blocked, created_at, run_at, started_at, finished_at, expires_at, attempts, attempts_dropped; and
 * duplicate, true, when it is one. Times are RFC 3339; what is not known is null. The payload's and
 * result's JSON is embedded as it is. A value that is no JSON, which earlier versions stored for
 * foreign clients, becomes a string, and `not_json` lists its member. */
void cress_record_write_json(const struct cress_record *record, struct cress_buf *out);

#endif
