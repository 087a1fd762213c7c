// SPDX-License-Identifier: Apache-2.0
// The attempts of a job, as its record tells them.
//
// The fields of a record describe its last attempt. Those before it are lines of its field
// `attempts`, which the store's scripts append (add_attempt in prelude.lua) when an attempt is over
// and the job is not, so that a job that succeeds at once pays nothing:
//
//   2
//   3 host:4711:9f03ab51 1764000000123 1764000001123 failed {"code":"io","message":"…"}
//   | |                  |             |             |      the error; may be missing
//   | |                  |             |             outcome: failed, handed_back (the worker
//   | |                  |             ended_ms               stopped) or crashed (it died)
//   | |                  started_ms
//   | worker, see worker_id.h
//   attempt
//
// The first line is the number of older ones that were dropped. Pure functions; any thread.
#ifndef CRESS_JOB_ATTEMPTS_H
#define CRESS_JOB_ATTEMPTS_H

#include "common/job/record.h"

/* Lines at most; the oldest go. */
enum { CRESS_ATTEMPTS_KEPT = 20 };

/* Writes the attempts of `record`, oldest first, as an array of {"attempt", "worker", "started_at",
 * "ended_at", "outcome", "error"}. The outcome of the last one is succeeded, failed or cancelled,
 * and null while it runs. What is not known is null; lines that make no sense are passed over. */
void cress_attempts_write_json(const struct cress_record *record, struct cress_buf *out);

/* How many attempts are not among them any more. */
int64_t cress_attempts_dropped(const struct cress_record *record);

#endif
