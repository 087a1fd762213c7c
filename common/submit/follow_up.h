// SPDX-License-Identifier: Apache-2.0
// What follows the end of a job, once the store has said that something does: the jobs that waited
// for it are published or, if they insist on its success in vain, cancelled, and so on with what
// waited for those; the completion job of a batch that has ended is submitted, once.
//
// Whoever ends a job does this - a worker, before it acknowledges the job's message, or whoever
// cancels it. Each step is confirmed before the store is told so. A crash in between leaves it
// where it was: the next one that looks at the job (a redelivery, a second cancel) hears so from
// the store and goes on. Doing a step twice is harmless: a second message of a job is dropped, and
// a second completion job has the same id.
#ifndef CRESS_SUBMIT_FOLLOW_UP_H
#define CRESS_SUBMIT_FOLLOW_UP_H

#include "common/submit/submit.h"

/* Does what follows the end of job `id`; nothing, when that has been done. With the id "", does what
 * was left by those who cancelled jobs or closed batches and died: workers look after that now and
 * then. After an error it is worth another try; `done` is called once, never from within. */
void cress_follow_up(struct cress_door door, const char *id, cress_store_done_cb done, void *arg);

#endif
