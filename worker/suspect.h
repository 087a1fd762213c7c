// SPDX-License-Identifier: Apache-2.0
// Jobs that may be what kills workers run one at a time.
//
// DESIGN
// When a worker dies, all the jobs that it ran are counted a crash: nobody can tell which of them it
// was. A second crash in a row makes each of them a suspect. A worker runs one suspect at a time,
// beside jobs that are none; the others go back to `queued` in the record and wait here. So from
// the second crash on the one to blame is known: those that wait are not counted, and an innocent
// job runs to its end. One crash alone - a machine that was switched off - makes nothing wait.
#ifndef CRESS_WORKER_SUSPECT_H
#define CRESS_WORKER_SUSPECT_H

#include "worker/attempt.h"

/* The store has recorded a suspect as running: calls `run` now, or sees to it that the attempt is
 * taken again when the one that runs has ended. */
void cress_suspect_start(struct cress_attempt *attempt, void (*run)(struct cress_attempt *attempt));

/* For the pump, when worker->suspect_left: if no suspect runs, the next one gets into its lane. */
void cress_suspect_next(struct cress_worker *worker);

#endif
