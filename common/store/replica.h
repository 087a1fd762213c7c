// SPDX-License-Identifier: Apache-2.0
// The server of store.read_url: a replica that answers reads which may lag.
//
// Usable while it is connected and its link to the primary is up, which it is asked once a second:
// a replica that is cut off would answer for ever with what it last knew. Loop thread only.
#ifndef CRESS_STORE_REPLICA_H
#define CRESS_STORE_REPLICA_H

#include "common/store/redis.h"

struct cress_replica;

/* `address` outlives it. */
struct cress_replica *cress_replica_open(uv_loop_t *loop, const struct cress_redis_address *address,
                                         int64_t timeout_ms);
void cress_replica_close(struct cress_replica *replica, void (*closed)(void *arg), void *arg);

bool cress_replica_is_usable(const struct cress_replica *replica);

/* As cress_redis_send(). */
void cress_replica_send(struct cress_replica *replica, struct cress_redis_request *request,
                        struct cress_redis_args *args);

#endif
