// SPDX-License-Identifier: Apache-2.0
// How the jobs ended that a job waited for: read before its handler runs, so that each kind of
// handler has it at hand.
#ifndef CRESS_WORKER_AFTER_H
#define CRESS_WORKER_AFTER_H

#include "common/base/buf.h"
#include "worker/effects.h"

/* Of all results together: they are in memory while the job runs. */
enum { CRESS_AFTER_RESULTS_MAX = 64 << 20 };

struct cress_after;

/* `ids` is the job's `after`, and must outlive it. */
struct cress_after *cress_after_new(const struct cress_effects *effects, struct cress_store *store,
                                    const char *ids);

/* NULL does nothing. */
void cress_after_free(struct cress_after *after);

/* Reads on from where it is. `done` gets NULL when all is read; CRESS_TOO_LARGE "after_too_large"
 * when the earlier jobs left more than CRESS_AFTER_RESULTS_MAX bytes, which no other try will mend;
 * or the store's error, after which another call goes on. Not called from within. */
void cress_after_read(struct cress_after *after,
                      void (*done)(const struct cress_error *err, void *arg), void *arg);

/* Once it is read: the JSON array that handlers get (handler.h). */
const struct cress_buf *cress_after_results(const struct cress_after *after);

#endif
