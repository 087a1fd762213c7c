// SPDX-License-Identifier: Apache-2.0
// The identity of a worker; see worker_id.h.
#include "common/job/worker_id.h"

#include "common/base/backoff.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

const char *cress_worker_id_new(const char *host, long pid, char id[CRESS_WORKER_ID_MAX])
{
    uint32_t nonce;
    cress_random_bytes(&nonce, sizeof nonce);
    snprintf(id, CRESS_WORKER_ID_MAX, "%s:%ld:%08x", host, pid, (unsigned)nonce);
    return id;
}

size_t cress_worker_id_shown_size(const char *id, size_t size)
{
    const char *host_end = memchr(id, ':', size);
    if (!host_end) {
        return size;
    }
    const char *pid = host_end + 1;
    const char *pid_end = memchr(pid, ':', size - (size_t)(pid - id));
    return pid_end ? (size_t)(pid_end - id) : size;
}

const char *cress_worker_id_shown(const char *id, char shown[CRESS_WORKER_ID_MAX])
{
    if (!id) {
        return NULL;
    }
    const int size = (int)cress_worker_id_shown_size(id, strlen(id));
    snprintf(shown, CRESS_WORKER_ID_MAX, "%.*s", size, id);
    return shown;
}
