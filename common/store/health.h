// SPDX-License-Identifier: Apache-2.0
// How Redis is: what INFO and CONFIG say of its memory and of what a restart would leave.
#ifndef CRESS_STORE_HEALTH_H
#define CRESS_STORE_HEALTH_H

#include "common/store/store.h"

/* What is not known is 0, "" or UNKNOWN. */
struct cress_store_health {
    char version[32];
    int64_t used_bytes, max_bytes; /* max_bytes 0: no limit */
    char eviction[32];             /* maxmemory_policy */
    int64_t evicted;               /* keys, since Redis was started */
    bool has_aof;
    bool is_write_failing; /* the last write of AOF or snapshot did not succeed */
    bool is_replica, is_link_down;
    enum { CRESS_SNAPSHOTS_UNKNOWN, CRESS_SNAPSHOTS_NONE, CRESS_SNAPSHOTS_SOME } snapshots;
};

/* Reads the answer to INFO. Pure. */
void cress_store_health_read(const char *info, struct cress_store_health *health);

typedef void (*cress_store_health_cb)(const struct cress_store_health *health,
                                      const struct cress_error *err, void *arg);

/* Asks. Who may not use CONFIG is told what INFO says; who may not use INFO gets CRESS_DENIED. */
void cress_store_health(struct cress_store *store, cress_store_health_cb done, void *arg);

#endif
