// SPDX-License-Identifier: Apache-2.0
// What the worker and its wardens both know of a program: what it is allowed, and how it ended.
#ifndef CRESS_WORKER_PROCESS_PROGRAM_H
#define CRESS_WORKER_PROCESS_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>

/* As many descriptors as a program may be given. */
enum { CRESS_PROCESS_FDS_MAX = 16 };

/* Those of setrlimit(2), for each process of the program; 0: none of its own. */
struct cress_process_limits {
    int64_t memory_max_bytes; /* address space */
    int64_t cpu_max_ms;       /* rounded up to seconds */
    int64_t files_max, file_size_max_bytes;
    int64_t processes_max; /* of the worker's user */
};

/* How it ended. */
struct cress_process_end {
    int exec_errno; /* not 0: the program could not be started, and the rest means nothing */
    bool lost;      /* the warden was killed; nothing is known */
    int status;     /* as from waitpid(2), of the program itself */
    int64_t cpu_ms, rss_bytes; /* processor time and greatest memory of any of its processes */
};

#endif
