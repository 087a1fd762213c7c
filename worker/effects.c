// SPDX-License-Identifier: Apache-2.0
// What an attempt does to the world outside; see effects.h.
#include "worker/effects.h"

#include "common/submit/follow_up.h"

const struct cress_effects cress_effects = {
    .publish = cress_broker_publish,
    .settle = cress_delivery_settle,
    .ack_now = cress_delivery_ack_now,
    .start = cress_store_start,
    .change = cress_store_change,
    .adopt = cress_store_adopt,
    .block = cress_store_block,
    .workers = cress_store_workers,
    .outcomes = cress_store_outcomes,
    .follow_up = cress_follow_up,
};
