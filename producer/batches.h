// SPDX-License-Identifier: Apache-2.0
// Batches as clients see them, over HTTP and on the command line. Pure functions.
#ifndef CRESS_PRODUCER_BATCHES_H
#define CRESS_PRODUCER_BATCHES_H

#include "common/base/buf.h"
#include "common/base/json.h"
#include "common/store/store.h"

/* How many of its jobs have ended. */
int64_t cress_batch_ended(const struct cress_batch *batch);

/* Closed, and all its jobs have ended. */
bool cress_batch_is_done(const struct cress_batch *batch);

/* The JSON object of docs/http-api.md, without its closing brace. */
void cress_batch_begin_json(const struct cress_batch *batch, struct cress_buf *out);

/* The completion job of batch `batch` as a request with an id of its own, JSON text to be stored in
 * the batch; free() it. `request` is a request as for cress_job_from_request(), but its payload may
 * be missing: it is then {"batch_id": …}. `request` is checked JSON. CRESS_INVALID when it is no good request. */
CRESS_MUST_CHECK enum cress_status cress_batch_completion(const char *batch,
                                                          struct cress_json request,
                                                          char **completion,
                                                          struct cress_error *err);

#endif
