// SPDX-License-Identifier: Apache-2.0
// Cancelling a batch: it takes no more jobs, those that it has are cancelled (cancel.h), and its
// completion job does not run. Loop thread only; nothing blocks.
#ifndef CRESS_SUBMIT_CANCEL_BATCH_H
#define CRESS_SUBMIT_CANCEL_BATCH_H

#include "common/store/store.h"
#include "common/submit/cancel_reason.h"
#include "common/submit/door.h"

/* How it ended; `counts` has what was done with its jobs so far. CRESS_NOT_FOUND "unknown_batch",
 * CRESS_CONFLICT "batch_ended". After another error it is worth another try. */
typedef void (*cress_cancel_batch_cb)(const struct cress_batch_cancel *counts,
                                      const struct cress_error *err, void *arg);

/* Cancels batch `id`; the rest is as for cress_cancel_job(). */
void cress_cancel_batch(struct cress_door door, const char *id, const char *reason,
                        cress_cancel_batch_cb done, void *arg);

#endif
