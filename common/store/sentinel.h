// SPDX-License-Identifier: Apache-2.0
// Asks Sentinels where the primary of a Redis is, or a replica of it, following "Guidelines for
// Redis clients with support for Redis Sentinel".
//
// They are asked one after the other, beginning with the last that knew. A Sentinel is asked for no
// password unless it wants one; then it gets the server's. Loop thread only.
#ifndef CRESS_STORE_SENTINEL_H
#define CRESS_STORE_SENTINEL_H

#include "common/store/redis.h"

/* Who asks the Sentinels that `address` names, which outlives it; NULL when it names none. For a
 * replica the answer is a random one of those whose link is up, else the primary. It is closed by
 * the connection that has it. */
struct cress_redis_finder *cress_sentinel_finder(uv_loop_t *loop,
                                                 const struct cress_redis_address *address,
                                                 enum cress_redis_role role, int64_t timeout_ms);

#endif
