// SPDX-License-Identifier: Apache-2.0
// The copy of a job, in one block.
#include "common/base/mem.h"
#include "common/job/job.h"
#include "common/job/pack.h"

struct cress_job *cress_job_clone(const struct cress_job *job, size_t *size)
{
    struct cress_job view = *job;
    const char **const texts[] = {&view.id,
                                  &view.task,
                                  &view.queue,
                                  &view.backoff,
                                  &view.key,
                                  &view.unique,
                                  &view.after,
                                  &view.batch,
                                  &view.idempotency_key,
                                  &view.reply_to,
                                  &view.fingerprint,
                                  &view.traceparent,
                                  &view.correlation_id,
                                  &view.promise};
    *size = sizeof(view) + view.payload_size;
    for (size_t i = 0; i < CRESS_COUNT(texts); i++) {
        *size += cress_pack_size(*texts[i]);
    }

    struct cress_job *clone = cress_alloc(*size);
    char *at = (char *)(clone + 1);
    for (size_t i = 0; i < CRESS_COUNT(texts); i++) {
        *texts[i] = cress_pack(&at, *texts[i]);
    }
    if (view.payload) {
        view.payload = memcpy(at, view.payload, view.payload_size);
    }
    *clone = view;
    return clone;
}
