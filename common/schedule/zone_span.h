// SPDX-License-Identifier: Apache-2.0
// What a time zone says about a moment.
#ifndef CRESS_SCHEDULE_ZONE_SPAN_H
#define CRESS_SCHEDULE_ZONE_SPAN_H

#include <stdint.h>

/* A stretch of time without a change of the clocks: begin_s <= t < end_s, in seconds since 1970
 * UTC. Local time is UTC plus the offset. INT64_MIN and INT64_MAX: no beginning, no end. */
struct cress_zone_span {
    int64_t begin_s, end_s;
    int64_t offset_s;
    int64_t before_s; /* the offset before begin_s: less, the clocks were put forward; more, back */
};

#endif
