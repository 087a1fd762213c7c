// SPDX-License-Identifier: Apache-2.0
// A job's message made from its record; see republish.h.
#include "common/submit/republish.h"

#include "common/base/clock.h"
#include "common/broker/topology.h"

/* A record counts the attempts that have begun, a message names the one that is to begin. */
static int next_attempt(const struct cress_record *record)
{
    const int attempt = record->attempt + (record->state == CRESS_STATE_RETRYING);
    return attempt > 0 ? attempt : 1;
}

void cress_republish(struct cress_door door, const struct cress_record *record,
                     cress_publish_cb done, void *arg)
{
    const int64_t now_ms = cress_clock_wall_ms();
    struct cress_header headers[CRESS_JOB_HEADER_MAX];
    struct cress_message message;
    char routing_key[CRESS_ROUTE_NAME_MAX];
    struct cress_job job;
    cress_job_from_record(record, &job);
    job.attempt = next_attempt(record);
    job.not_before_ms = job.not_before_ms > now_ms ? job.not_before_ms : 0;
    cress_route_message(&job, headers, routing_key, &message);
    cress_broker_publish(door.broker, &message, door.timeout_ms, done, arg);
}
