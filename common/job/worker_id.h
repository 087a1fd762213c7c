// SPDX-License-Identifier: Apache-2.0
// The identity of a worker: one process from its start to its end.
//
//   host:4711:9f03ab51
//   |    |    nonce, made when the process starts
//   |    pid
//   host
//
// Programs compare the whole: in containers every worker is pid 1, so a name that ended with the pid
// would stand for a process and the one after it, and for two that live at once. People are shown
// host:pid. An id without a nonce, which earlier versions have left in records and messages, is
// shown whole. Any thread.
#ifndef CRESS_JOB_WORKER_ID_H
#define CRESS_JOB_WORKER_ID_H

#include <stddef.h>

/* Of a host name (RFC 1035: 255), two colons, a pid and a nonce. */
enum { CRESS_WORKER_ID_MAX = 300 };

/* A new identity for process `pid` on `host`. Returns `id`. */
const char *cress_worker_id_new(const char *host, long pid, char id[CRESS_WORKER_ID_MAX]);

/* How much of `id`, of `size` bytes, people are shown. */
size_t cress_worker_id_shown_size(const char *id, size_t size);

/* What people are shown of `id`; NULL stays NULL. Returns `shown`, which has the room of an id. */
const char *cress_worker_id_shown(const char *id, char shown[CRESS_WORKER_ID_MAX]);

#endif
