// SPDX-License-Identifier: Apache-2.0
// What everything that fills the queue or looks into it needs: the two servers, the configuration,
// and how long the caller is willing to wait. Each program makes its doors in one place; a door is
// handed over by value, and what it points to outlives what was asked through it.
#ifndef CRESS_SUBMIT_DOOR_H
#define CRESS_SUBMIT_DOOR_H

#include <stdint.h>

struct cress_door {
    struct cress_broker *broker;
    struct cress_store *store;
    const struct cress_config *config;
    int64_t timeout_ms; /* of the whole, or of the broker's answer; 0: as long as it takes */
};

#endif
