// SPDX-License-Identifier: Apache-2.0
// A job's message made from its record alone: for what has no message any more, or never had one.
#ifndef CRESS_SUBMIT_REPUBLISH_H
#define CRESS_SUBMIT_REPUBLISH_H

#include "common/broker/broker.h"
#include "common/job/record.h"
#include "common/submit/door.h"

/* Publishes the message of `record` for the attempt that comes next, to where it waits until it is
 * due: its queue when that is now. The record must have `task` and `queue`; it is copied. `done` as
 * for cress_broker_publish(). A second message of a job is harmless: the record tells it apart. */
void cress_republish(struct cress_door door, const struct cress_record *record,
                     cress_publish_cb done, void *arg);

#endif
