// SPDX-License-Identifier: Apache-2.0
// Asks Sentinels where the primary of a Redis is, or a replica of it, following "Guidelines for
// Redis clients with support for Redis Sentinel".
//
// They are asked one after the other, beginning with the last that knew. A Sentinel is asked for no
// password unless it wants one; then it gets the server's. Loop thread only.
#ifndef CRESS_STORE_SENTINEL_H
#define CRESS_STORE_SENTINEL_H

#include "common/store/redis.h"

struct cress_sentinel;

/* `address`, which names Sentinels, outlives it. */
struct cress_sentinel *cress_sentinel_open(uv_loop_t *loop,
                                           const struct cress_redis_address *address,
                                           enum cress_redis_role role, int64_t timeout_ms);

/* `done` gets host and port, or an error when no Sentinel knew, never from within this call. One
 * question at a time. For a replica: a random one of those whose link is up, else the primary. */
typedef void (*cress_sentinel_cb)(const char *host, int port, const struct cress_error *err,
                                  void *arg);
void cress_sentinel_ask(struct cress_sentinel *sentinel, cress_sentinel_cb done, void *arg);

/* A question under way is not answered any more. */
void cress_sentinel_close(struct cress_sentinel *sentinel, void (*closed)(void *arg), void *arg);

#endif
