// SPDX-License-Identifier: Apache-2.0
// What follows an outcome: the one place that acts on it.
//
// DESIGN
// Each way ends with the delivery settled, and every effect is confirmed before the next one
// begins:
//
//   succeeded  record result -> [batch] -> [reply] -> ack
//   retry      publish next attempt -> record retrying -> ack
//   failed     publish dead letter -> record failed -> [batch] -> [reply] -> ack
//   expired    record expired -> [batch] -> [reply] -> ack
//   cancelled  record cancelled -> [batch] -> [reply] -> ack
//   duplicate  record cancelled -> [batch] -> [reply] -> ack
//   hand back  record queued -> requeue, or what pass_on.h does instead
//
// [batch]: if this was the batch's last open job, its completion job is published (follow_up.h).
// [reply]: if the job names reply_to. A crash between two effects repeats the first one when the
// message is redelivered: a second copy in the dead-letter queue or of the next attempt does no
// harm, because the record says which attempt counts and what has ended. The other order would lose
// the message: a record `failed` makes the redelivered message be dropped.
#ifndef CRESS_WORKER_SETTLE_H
#define CRESS_WORKER_SETTLE_H

#include "worker/attempt.h"

/* Hears of an attempt's run. */
extern const struct cress_run_sink cress_settle_sink;

/* It has the id of a job that another message was promised to: it becomes a dead letter, and the
 * record says nothing of it. */
void cress_settle_foreign(struct cress_attempt *attempt);

/* No job, or none that can be read: to the dead-letter queue with the reason; the record, if its id
 * is known, fails. */
void cress_settle_undecodable(struct cress_attempt *attempt, const struct cress_error *reason);

/* A job whose payload cannot be stored (cress_job_check_payload()): fails for good, and its record,
 * made here if there is none, has no payload. The dead letter has the body as it came. */
void cress_settle_refuse(struct cress_attempt *attempt, const struct cress_error *reason);

/* Fails for good. */
void cress_settle_fail(struct cress_attempt *attempt, const struct cress_error *reason);

/* Not taken before its expiry. One that had begun before (its worker died) goes back into its lane
 * instead, and does not expire any more. */
void cress_settle_expire(struct cress_attempt *attempt);

/* Cancelled before it ran, or while it ran elsewhere. */
void cress_settle_cancel(struct cress_attempt *attempt);

/* It was recorded as running and is not to run here any more: to be run later or elsewhere. */
void cress_settle_hand_back(struct cress_attempt *attempt);

/* Another job has its unique key: cancelled. Only what a foreign publisher sends can come to this:
 * producers of Cress learn of it before they publish. */
void cress_settle_duplicate(struct cress_attempt *attempt);

/* Nothing to do: the job has ended already, or another copy of the message counts. */
void cress_settle_drop(struct cress_attempt *attempt, bool follow);

#endif
