// SPDX-License-Identifier: Apache-2.0
// The worker's report of itself to the store, for `cress workers` and the dashboard: every
// worker.heartbeat, and forgotten after five of them.
//
//   {"id": "host:1234:9f03ab51", "name": "host:1234", "host": "host", "pid": 1234,
//    "version": "0.1.0", "queues": ["default"], "tasks": ["cress.echo", "mail.send", "*"],
//    "shut": [{"queue": "mail", "code": "nacked", "held": 12, "since": "…Z", "until": "…Z"}],
//    "concurrency": 32,
//    "running": 3, "unacked": {"default": 5}, "processed": 1200, "failed": 2, "started_at": "…Z",
//    "draining": false}
#ifndef CRESS_WORKER_PRESENCE_H
#define CRESS_WORKER_PRESENCE_H

#include "worker/state.h"

/* Reports: on the worker's beat, and out of turn when something changed that people wait for. */
void cress_presence_report(struct cress_worker *worker);

#endif
