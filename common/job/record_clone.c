// SPDX-License-Identifier: Apache-2.0
// The copy of a job record, in one block.
#include "common/base/mem.h"
#include "common/job/pack.h"
#include "common/job/record.h"

struct cress_record *cress_record_clone(const struct cress_record *record)
{
    struct cress_record view = *record;
    const char **const texts[] = {&view.id,       &view.task,
                                  &view.queue,    &view.priority,
                                  &view.payload,  &view.result,
                                  &view.error,    &view.worker,
                                  &view.batch,    &view.progress,
                                  &view.log,      &view.backoff,
                                  &view.attempts, &view.key,
                                  &view.unique,   &view.idempotency_key,
                                  &view.cancel,   &view.after,
                                  &view.reply_to, &view.traceparent,
                                  &view.blocked,  &view.correlation_id,
                                  &view.promise};
    size_t size = sizeof(view);
    for (size_t i = 0; i < CRESS_COUNT(texts); i++) {
        size += cress_pack_size(*texts[i]);
    }

    struct cress_record *clone = cress_alloc(size);
    char *at = (char *)(clone + 1);
    for (size_t i = 0; i < CRESS_COUNT(texts); i++) {
        *texts[i] = cress_pack(&at, *texts[i]);
    }
    *clone = view;
    return clone;
}
