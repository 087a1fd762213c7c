// SPDX-License-Identifier: Apache-2.0
// Opening and closing a store: what it is made of begins here, and ends here; see store.h.
#include "common/store/internal.h"

#include "common/base/mem.h"
#include "common/store/sentinel.h"

#include <stdlib.h>

static void on_state(bool ready, const struct cress_error *err, void *arg)
{
    struct cress_store *store = arg;

    if (!ready && store->subscriptions) {
        cress_redis_drop(store->subscriptions,
                         err); /* the same server: do not wait for TCP to notice */
    }
    if (store->options.on_state) {
        store->options.on_state(ready, err, store->options.arg);
    }
}

/* `read` stays as it is when there is no replica to be read from. */
static enum cress_status parse_addresses(const struct cress_store_options *options,
                                         struct cress_redis_address *primary,
                                         struct cress_redis_address *read, struct cress_error *err)
{
    const char *read_url = options->config->store_read_url;
    const bool reads = options->reads_may_lag && read_url && *read_url;
    struct cress_redis_address address;

    enum cress_status status =
        cress_redis_address_parse(options->config->store_url, "store.url", &address, err);
    if (!status && reads) {
        status = cress_redis_address_parse(read_url, "store.read_url", read, err);
        if (status) {
            cress_redis_address_free(&address);
        }
    }
    if (!status) {
        *primary = address;
    }
    return status;
}

enum cress_status cress_store_open(uv_loop_t *loop, const struct cress_store_options *options,
                                   struct cress_store **out, struct cress_error *err)
{
    struct cress_redis_address primary;
    struct cress_redis_address read = {0};
    const enum cress_status status = parse_addresses(options, &primary, &read, err);
    if (status) {
        return status;
    }
    struct cress_store *store = CRESS_NEW(struct cress_store);
    store->loop = loop;
    store->options = *options;
    store->address = primary;
    store->read_address = read;
    if (store->options.timeout_ms == 0) {
        store->options.timeout_ms = options->config->store_timeout_ms;
    }
    cress_scripts_make(store->scripts);
    store->transitions = cress_transitions_open(store);
    if (read.label) {
        store->replica = cress_replica_open(loop, &store->read_address, store->options.timeout_ms);
    }
    store->commands = cress_redis_open(
        loop, &(struct cress_redis_options){
                  .address = &store->address,
                  .finder = cress_sentinel_finder(loop, &store->address, CRESS_REDIS_PRIMARY,
                                                  store->options.timeout_ms),
                  .timeout_ms = store->options.timeout_ms,
                  .scripts = store->scripts,
                  .script_count = CRESS_SCRIPT_COUNT,
                  .on_state = on_state,
                  .arg = store,
              });
    cress_store_time_start(store);
    *out = store;
    return CRESS_OK;
}

static void on_part_closed(void *arg)
{
    struct cress_store *store = arg;

    if (--store->open_parts > 0) {
        return;
    }
    void (*closed)(void *arg) = store->closed;
    void *closed_arg = store->closed_arg;
    cress_scripts_free(store->scripts);
    cress_redis_address_free(&store->address);
    cress_redis_address_free(&store->read_address);
    free(store);
    closed(closed_arg);
}

static void on_timer_closed(uv_handle_t *timer)
{
    on_part_closed(timer->data);
}

void cress_store_close(struct cress_store *store, void (*closed)(void *arg), void *arg)
{
    store->closed = closed;
    store->closed_arg = arg;
    store->open_parts = 3 + (store->subscriptions != NULL) + (store->replica != NULL);
    uv_close((uv_handle_t *)&store->time_timer, on_timer_closed);
    cress_transitions_close(store->transitions, on_part_closed, store);
    cress_redis_close(store->commands, on_part_closed, store);
    if (store->subscriptions) {
        cress_redis_close(store->subscriptions, on_part_closed, store);
    }
    if (store->replica) {
        cress_replica_close(store->replica, on_part_closed, store);
    }
}

bool cress_store_is_ready(const struct cress_store *store, struct cress_error *why)
{
    return cress_redis_is_ready(store->commands, why);
}

uv_loop_t *cress_store_loop(const struct cress_store *store)
{
    return store->loop;
}
