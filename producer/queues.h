// SPDX-License-Identifier: Apache-2.0
// Queues as `cress queues` and GET /v1/queues show them.
#ifndef CRESS_PRODUCER_QUEUES_H
#define CRESS_PRODUCER_QUEUES_H

#include "common/broker/broker.h"
#include "common/store/store.h"
#include "common/submit/door.h"

struct cress_queue_summary {
    const char *name;
    int64_t ready;     /* of all priorities */
    int64_t unacked;   /* as the workers report it */
    int64_t consumers; /* worker processes, and foreign consumers of the normal priority */
    int64_t dead;
    int64_t paused_ms; /* since when it is paused, by the wall clock; 0: it is not */
};

/* Sorted by name; lives during the callback. */
typedef void (*cress_queues_cb)(const struct cress_queue_summary *queues, size_t count,
                                const struct cress_error *err, void *arg);

/* Surveys the queues that the store knows and those of the configuration. Loop thread; `done` is
 * called once, never from within. */
void cress_queues_survey(struct cress_door door, cress_queues_cb done, void *arg);

/* As a JSON array of objects with the members' names, but for "paused_at". */
void cress_queues_write_json(const struct cress_queue_summary *queues, size_t count,
                             struct cress_buf *out);

#endif
