// SPDX-License-Identifier: Apache-2.0
// What the end of an exec job's program means for the job. Pure functions; any thread.
#ifndef CRESS_WORKER_HANDLER_EXEC_VERDICT_H
#define CRESS_WORKER_HANDLER_EXEC_VERDICT_H

#include "worker/handler/handler.h"
#include "worker/process/process.h"

/* Why a program was ended by the worker. */
enum cress_exec_stop {
    CRESS_EXEC_GOES_ON,
    CRESS_EXEC_ASKED,      /* SIGTERM at the soft timeout */
    CRESS_EXEC_TIMED_OUT,  /* killed at the hard one */
    CRESS_EXEC_OVERFLOWED, /* killed for more output than output_max */
    CRESS_EXEC_STOPPED,    /* SIGTERM and then killed: the worker ends, or the job is cancelled */
};

struct cress_exec_facts {
    const struct cress_task_config *task;
    struct cress_process_end end;
    enum cress_exec_stop stop;
    const char *log; /* the tail of stderr; not terminated */
    size_t log_size;
};

/* Fills all but the result. The error's code is the verdict: `exit 3`, `signal 11`, `oom`, `cpu`,
 * `file_size`, `soft_timeout`, `hard_timeout`, `too_large`, `no_program`, `lost`; its message ends
 * with the last line of the log. */
void cress_exec_judge(const struct cress_exec_facts *facts, struct cress_outcome *outcome);

/* What a program has written as JSON text: the JSON that it is, byte for byte, else a string without the last line
 * end, in which bytes that are no UTF-8 became U+FFFD. NULL: nothing. The caller frees. */
char *cress_exec_result(const char *output, size_t size);

/* Reads a line such as `40 uploading`. A line without a number is all message, and `*percent` -1;
 * `*message` points into the line. */
void cress_exec_progress(const char *line, int *percent, const char **message);

#endif
