// SPDX-License-Identifier: Apache-2.0
// What the reports of workers have to do with a job. Pure; what is answered borrows from the reports
// and the record.
#ifndef CRESS_PRODUCER_EXPLAIN_WORKERS_H
#define CRESS_PRODUCER_EXPLAIN_WORKERS_H

#include "common/job/record.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* The workers of a job's queue. */
struct cress_crew {
    int64_t count;   /* workers that consume the queue */
    int64_t able;    /* of these, those that have the task */
    int64_t in_hand; /* deliveries that they hold */
    const json_t
        *problem; /* {"queue", "code", "message"}: why one cannot consume it; NULL: all can */
    const char *troubled; /* which one */
};

/* `workers` is an array of reports. */
struct cress_crew cress_crew_of(const json_t *workers, const struct cress_record *record);

/* Whether the worker that is called `id` reports. */
bool cress_crew_has(const json_t *workers, const char *id);

/* {"queue", "code", "held", "since", "until"}: the job's AMQP queue takes nothing of what is due for
 * it; NULL: nobody says so. */
const json_t *cress_crew_shut(const json_t *workers, const struct cress_record *record);

/* What applies to a job: its own word, else that of the workers that have its task. What nobody knows
 * is 0 or NULL. */
struct cress_terms {
    int64_t max_attempts, timeout_ms;
    const char *backoff;
    int64_t backoff_base_ms, backoff_cap_ms;
};
struct cress_terms cress_crew_terms(const json_t *workers, const struct cress_record *record);

#endif
