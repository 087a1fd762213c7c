// SPDX-License-Identifier: Apache-2.0
// The process that watches one program after another, and what the worker and it say to each other;
// see the picture in process.h.
//
// Between them are a socket (SOCK_SEQPACKET) and a page of memory that both share:
//
//   worker -> warden   CRESS_WARDEN_START, with the descriptors; the rest of the order is in the
//                      page, which is the warden's until it reports
//                      CRESS_WARDEN_ASK, CRESS_WARDEN_KILL; without a program they mean nothing, so
//                      that one that crosses a report harms no later program
//                      end of file: kill what there is, and exit
//   warden -> worker   a struct cress_warden_report, when nothing of the program is left
//
// The page lies at the same address in both, for the warden is a fork: pointers into it are good in
// both.
#ifndef CRESS_WORKER_PROCESS_WARDEN_H
#define CRESS_WORKER_PROCESS_WARDEN_H

#include "worker/process/program.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/types.h>

enum { CRESS_RLIMITS_MAX = 6 };

/* The kernel takes 2 MB of arguments and environment with the usual limit of the stack. Memory that
 * is not written to costs nothing. */
enum { CRESS_WARDEN_PAGE_BYTES = 4 << 20 };

struct cress_rlimit {
    int resource;
    struct rlimit limit;
};

enum cress_warden_order { CRESS_WARDEN_START, CRESS_WARDEN_ASK, CRESS_WARDEN_KILL };

/* What is shared; `text` is up to CRESS_WARDEN_PAGE_BYTES. */
struct cress_warden_page {
    char **argv, **env, *folder; /* in `text` */
    struct cress_rlimit limits[CRESS_RLIMITS_MAX];
    size_t limit_count;
    bool given[CRESS_PROCESS_FDS_MAX]; /* which descriptors come with the order, in their order */
    size_t fd_count;
    bool has_lock;      /* one more comes, after those */
    volatile pid_t pid; /* of the program, while it runs; written by the warden */
    _Alignas(void *) char text[];
};

struct cress_warden_report {
    struct cress_process_end end;
};

/* The resource limits that are asked for, and none for core dumps. Pure. */
size_t cress_rlimits_make(const struct cress_process_limits *wanted,
                          struct cress_rlimit limits[CRESS_RLIMITS_MAX]);

/* In a fork of process `worker`, with all signals blocked. Does not return. Async-signal-safe, as
 * all after a fork of a process with threads must be. */
_Noreturn void cress_warden_run(struct cress_warden_page *page, int socket, pid_t worker);

#endif
