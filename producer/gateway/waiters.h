// SPDX-License-Identifier: Apache-2.0
// Long polls: a request that is answered when its job's record says enough, or when its time is
// over.
//
// Woken by the store's pub/sub, never by polling. Ends early when the client leaves or the gateway
// drains: the answer is then the record as it is.
#ifndef CRESS_GATEWAY_WAITERS_H
#define CRESS_GATEWAY_WAITERS_H

#include "producer/gateway/gateway.h"

struct cress_wait {
    struct cress_server_request *request;
    const char *id; /* lives as long as the request */
    int64_t wait_ms;
    bool (*enough)(const struct cress_record *record, void *arg);
    /* The last word, called exactly once, with what cress_store_get() gave. */
    cress_store_get_cb answer;
    void *arg;
};

/* `wait` is copied. Nothing is called from within. */
void cress_waiter_start(const struct cress_wait *wait);

/* Ends all waits now. */
void cress_waiters_end(struct cress_gateway *gateway);

#endif
