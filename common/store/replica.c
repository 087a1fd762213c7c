// SPDX-License-Identifier: Apache-2.0
// The replica that answers status reads; see replica.h.
#include "common/store/replica.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/store/sentinel.h"

#include <stdlib.h>
#include <string.h>

enum { CHECK_MS = 1000, LOG_INTERVAL_MS = 10000 };

struct cress_replica {
    struct cress_redis *redis;
    uv_timer_t timer;
    struct cress_redis_request role;
    bool asking; /* `role` is under way */
    bool linked; /* what it last said of its link to the primary */
    struct cress_log_limit log_limit;
    int open_parts;
    void (*closed)(void *arg);
    void *closed_arg;
};

/* --- its link to the primary --- */

/* The answer to ROLE of a replica is: slave, host, port, state, offset. What has become a primary,
 * or does not know the command, lags behind nobody that we know of. */
static bool is_linked(const redisReply *role)
{
    const bool is_replica = role && role->type == REDIS_REPLY_ARRAY && role->elements >= 4 &&
                            role->element[0]->str && strcmp(role->element[0]->str, "slave") == 0;
    return !is_replica ||
           (role->element[3]->str && strcmp(role->element[3]->str, "connected") == 0);
}

static void on_role(struct cress_redis_request *request, const redisReply *reply,
                    const struct cress_error *err)
{
    struct cress_replica *replica = CRESS_CONTAINER(request, struct cress_replica, role);
    replica->asking = false;
    replica->linked = cress_redis_is_ready(replica->redis, NULL) && is_linked(reply);
    (void)err;
}

static void ask_role(struct cress_replica *replica)
{
    struct cress_redis_args args;
    if (replica->asking || !cress_redis_is_ready(replica->redis, NULL)) {
        return;
    }
    cress_redis_args_init(&args);
    cress_redis_add(&args, "ROLE");
    replica->asking = true;
    replica->role = (struct cress_redis_request){.done = on_role};
    cress_redis_send(replica->redis, &replica->role, &args);
}

static void on_check(uv_timer_t *timer)
{
    ask_role(CRESS_CONTAINER(timer, struct cress_replica, timer));
}

static void on_state(bool ready, const struct cress_error *err, void *arg)
{
    struct cress_replica *replica = arg;
    uint64_t suppressed;
    replica->linked = false;
    if (ready) {
        ask_role(replica);
    } else if (cress_log_allow(&replica->log_limit, LOG_INTERVAL_MS, &suppressed)) {
        cress_log(CRESS_LOG_WARN, "no connection to the replica; reads go to the primary",
                  CRESS_KV_ERROR(err), CRESS_KVI("suppressed", suppressed));
    }
}

/* --- life --- */

struct cress_replica *cress_replica_open(uv_loop_t *loop, const struct cress_redis_address *address,
                                         int64_t timeout_ms)
{
    struct cress_replica *replica = CRESS_NEW(struct cress_replica);
    uv_timer_init(loop, &replica->timer);
    uv_timer_start(&replica->timer, on_check, CHECK_MS, CHECK_MS);
    replica->open_parts = 2;
    replica->redis = cress_redis_open(
        loop, &(struct cress_redis_options){
                  .address = address,
                  .finder = cress_sentinel_finder(loop, address, CRESS_REDIS_REPLICA, timeout_ms),
                  .role = CRESS_REDIS_REPLICA,
                  .timeout_ms = timeout_ms,
                  .on_state = on_state,
                  .arg = replica,
              });
    return replica;
}

static void on_part_closed(void *arg)
{
    struct cress_replica *replica = arg;
    if (--replica->open_parts > 0) {
        return;
    }
    void (*closed)(void *arg) = replica->closed;
    void *closed_arg = replica->closed_arg;
    free(replica);
    closed(closed_arg);
}

static void on_timer_closed(uv_handle_t *timer)
{
    on_part_closed(CRESS_CONTAINER(timer, struct cress_replica, timer));
}

void cress_replica_close(struct cress_replica *replica, void (*closed)(void *arg), void *arg)
{
    replica->closed = closed;
    replica->closed_arg = arg;
    cress_redis_close(replica->redis, on_part_closed, replica);
    uv_close((uv_handle_t *)&replica->timer, on_timer_closed);
}

bool cress_replica_is_usable(const struct cress_replica *replica)
{
    return replica->linked && cress_redis_is_ready(replica->redis, NULL);
}

void cress_replica_send(struct cress_replica *replica, struct cress_redis_request *request,
                        struct cress_redis_args *args)
{
    cress_redis_send(replica->redis, request, args);
}
