// SPDX-License-Identifier: Apache-2.0
// What the handler `stream` does for others besides being one (handler.h): for `plugin`.
#ifndef CRESS_WORKER_HANDLER_STREAM_H
#define CRESS_WORKER_HANDLER_STREAM_H

#include "worker/handler/handler.h"

/* Starts all programs of `task`, which is open, so that the first jobs find them ready. */
void cress_stream_prefork(struct cress_task *task);

#endif
