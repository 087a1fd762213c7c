// SPDX-License-Identifier: Apache-2.0
// Jobs whose task this worker does not have.
//
// DESIGN
// In a fleet that is being deployed, or whose workers share a queue and not their tasks, a job comes
// to workers that cannot run it. That is no fault of the job:
//
//   another worker of the queue has the task    back to the queue, by a short delay: the two would
//                                               otherwise pass it to and fro
//   nobody has it                               the record says so (`blocked`: {"no_task": ...}), and
//                                               the message waits in the delay queues, for
//                                               worker.unknown_task_wait in all; then it fails
//
// It costs no attempt, counts as no crash, and starts nothing. How long it has waited is added up in
// a header of its message, so that no clock is compared with another. Who has which task the workers
// report with their presence.
//
// A guard speaks for a job that may be waiting for others or be running elsewhere. So the record is
// asked first, as if the task were here, and only what may run is looked at here; and once more before
// a message becomes a dead letter.
#ifndef CRESS_WORKER_NO_TASK_H
#define CRESS_WORKER_NO_TASK_H

#include "worker/attempt.h"

/* Takes over the attempt, which is in worker->active and has not begun, or has stepped back. */
void cress_no_task_take(struct cress_attempt *attempt);

/* The attempt has waited, and its task is here: the record is to say so before it begins. Then it
 * takes its turn. */
void cress_no_task_found(struct cress_attempt *attempt);

#endif
