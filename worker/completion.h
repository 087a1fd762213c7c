// SPDX-License-Identifier: Apache-2.0
// What follows the end of a batch's last job: its completion job is submitted, once.
#ifndef CRESS_WORKER_COMPLETION_H
#define CRESS_WORKER_COMPLETION_H

#include "worker/handler/handler.h"

/* Submits the completion job of `batch` and notes that in the batch; does nothing when that was
 * done before. The completion job's id is in the batch's request, which makes a second submission
 * harmless. After an error it is worth another try; `done` is called once, never from within. */
void cress_completion_submit(const struct cress_services *services, const char *batch,
                             cress_store_done_cb done, void *arg);

#endif
