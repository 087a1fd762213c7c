// SPDX-License-Identifier: Apache-2.0
// One stream program: a process that gets jobs as lines on stdin and answers on stdout. What the
// lines mean is stream_protocol.h's matter, and which jobs it gets stream.c's.
//
// Loop thread only. No event comes from within a call.
#ifndef CRESS_WORKER_HANDLER_STREAM_PROGRAM_H
#define CRESS_WORKER_HANDLER_STREAM_PROGRAM_H

#include "common/config/config.h"
#include "worker/handler/stream_protocol.h"
#include "worker/process/process.h"

#include <uv.h>

struct cress_stream_program;

struct cress_stream_program_options {
    const char *task;                       /* these two must outlive it */
    const struct cress_task_config *config; /* command, limits, output_max */
    struct cress_wardens *wardens;

    void (*on_message)(const struct cress_stream_message *message, void *arg);
    /* It takes no more jobs: it closed stdin or stdout, or wrote what cannot be read. Those in
     * flight may still be answered. Not after a finish or a kill by the caller. */
    void (*on_leaving)(void *arg);
    /* It is gone with all that it started, and so is the struct: `reason` says why. Comes once, and
     * always. Its code is a verdict of exec_verdict.h or names what was wrong with its lines;
     * CRESS_CONFIG: it could not be started. */
    void (*on_ended)(const struct cress_error *reason, void *arg);
    void *arg;
};

struct cress_stream_program *
cress_stream_program_start(uv_loop_t *loop, const struct cress_stream_program_options *options);

/* Gives it a job: not after on_leaving, a finish or a kill. All lines of one turn of the loop leave
 * together, at its end. A program that could not be started gets nothing; its on_ended follows. */
void cress_stream_program_send(struct cress_stream_program *program, const struct cress_job *job,
                               const char *after, int64_t deadline_ms);

/* Tells it that a job is to stop; not after a finish or a kill. */
void cress_stream_program_cancel(struct cress_stream_program *program, const char *id);

/* No more jobs: its stdin ends, and it is killed if it has not exited after 5 s. */
void cress_stream_program_finish(struct cress_stream_program *program);

/* Asks it to end: SIGTERM. */
void cress_stream_program_ask(const struct cress_stream_program *program);

/* Kills it and all that it started. `reason`, copied, is what on_ended gets; the first one counts. */
void cress_stream_program_kill(struct cress_stream_program *program,
                               const struct cress_error *reason);

/* The memory that it occupies (RSS, without that of processes it started); 0: not known. */
int64_t cress_stream_program_memory(const struct cress_stream_program *program);

#endif
