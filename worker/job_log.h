// SPDX-License-Identifier: Apache-2.0
// The log of a running job.
//
// DESIGN
//
//   what the job writes --> the first job.max_log bytes --twice a second, whole lines--> store
//                       \-> the last CRESS_RUN_LOG_MAX bytes, kept by run.c --at the end--> record,
//                                                                                      store
//
// So a log can be followed while it grows, and its end, which says why it ended, is there however
// much a job writes; what lies between is left out, and the log says so. Memory: two buffers for an
// attempt that logs, none for others. Like notes, a piece that the store does not take is not sent
// again.
#ifndef CRESS_WORKER_JOB_LOG_H
#define CRESS_WORKER_JOB_LOG_H

#include "worker/handler/handler.h"

struct cress_job_log;

/* Of `run`, which worker `worker` runs; both outlive it. */
struct cress_job_log *cress_job_log_new(const struct cress_run *run, const char *worker);

/* cress_run_log() of handler.h. */
void cress_job_log_add(struct cress_job_log *log, const char *text, size_t size);

/* Sends what is left, before the outcome is recorded, so that who sees the outcome sees the log.
 * Returns the last CRESS_RUN_LOG_MAX bytes as UTF-8; the caller frees. Once for each log. */
char *cress_job_log_finish(struct cress_job_log *log);

/* Frees it; NULL does nothing. */
void cress_job_log_free(struct cress_job_log *log);

#endif
