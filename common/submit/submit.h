// SPDX-License-Identifier: Apache-2.0
// The one door into the queue: validate -> id -> record `queued` -> publish -> broker's confirm ->
// done.
//
// The CLI, the gateway and workers that fan out all submit through here. Loop thread only; nothing
// blocks.
#ifndef CRESS_SUBMIT_SUBMIT_H
#define CRESS_SUBMIT_SUBMIT_H

#include "common/broker/broker.h"
#include "common/store/store.h"
#include "common/submit/door.h"

/* How it ended. `err` NULL: the record is stored and the broker has confirmed; the job is safe, and
 * `record` is its record as submitted. With record->is_duplicate an earlier job, which has the
 * unique or the idempotency key, stands for it: nothing was made. A job that waits for others
 * (`waiting`) has no message yet, and one that would wait in vain is `cancelled` at once: whether
 * they end before or after this makes no difference to what becomes of it.
 * Else nothing was queued, unless the code is "unconfirmed" (it may have been) - the same id may be
 * tried again. CRESS_CONFLICT "job_exists": the id is taken by a job that has begun or ended, or
 * that is another one; `record` shows it. CRESS_INVALID "idempotency_key_reused": the idempotency
 * key came with another request. CRESS_NOT_FOUND "unknown_queue", "unknown_job" (one that it is to
 * wait for), CRESS_INVALID, CRESS_TOO_LARGE, CRESS_UNAVAILABLE, CRESS_DENIED: a broker that
 * was away all the time is reported by its own code and reason. */
typedef void (*cress_submit_cb)(const struct cress_record *record, const struct cress_error *err,
                                void *arg);

/* Submits `request` (copied). A NULL id gets a new one; created_ms 0 becomes now. A job whose
 * record exists, still queued or scheduled with no attempt made, is published again: that is how an
 * unconfirmed submission is repeated. `done` is called exactly once, never from within. */
void cress_submit(struct cress_door door, const struct cress_job *request, cress_submit_cb done,
                  void *arg);

#endif
