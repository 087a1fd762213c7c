// SPDX-License-Identifier: Apache-2.0
// Everything that an attempt does to the world outside its worker: what it tells the broker and the
// store. One table, so that tests can put a world of their own in its place, and write down what is
// done in which order.
//
// Each function is that of the same name in common/broker/broker.h, common/store/store.h or
// common/submit/follow_up.h, with its promises.
#ifndef CRESS_WORKER_EFFECTS_H
#define CRESS_WORKER_EFFECTS_H

#include "worker/handler/handler.h"

struct cress_effects {
    void (*publish)(struct cress_broker *broker, const struct cress_message *message,
                    int64_t timeout_ms, cress_publish_cb done, void *arg);
    void (*settle)(struct cress_broker *broker, struct cress_delivery *delivery,
                   enum cress_settlement how);
    void (*ack_now)(struct cress_broker *broker, struct cress_delivery *delivery);

    void (*start)(struct cress_store *store, const struct cress_start *start,
                  cress_store_start_cb done, void *arg);
    void (*change)(struct cress_store *store, const struct cress_change *change,
                   cress_store_verdict_cb done, void *arg);
    void (*adopt)(struct cress_store *store, const struct cress_job *job, cress_store_done_cb done,
                  void *arg);
    void (*block)(struct cress_store *store, const struct cress_job *job, const char *blocked,
                  cress_store_done_cb done, void *arg);
    void (*workers)(struct cress_store *store, cress_store_results_cb done, void *arg);
    void (*outcomes)(struct cress_store *store, const char *const *ids, size_t count,
                     cress_store_results_cb done, void *arg);

    void (*follow_up)(struct cress_door door, const char *id, cress_store_done_cb done, void *arg);
};

/* The real world. */
extern const struct cress_effects cress_effects;

#endif
