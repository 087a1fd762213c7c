// SPDX-License-Identifier: Apache-2.0
// How many deliveries are fetched ahead; see pace.h.
#include "worker/pace.h"

enum {
    MEMORY = 32, /* runs after which an old one counts for a third */
    AHEAD_US = 250000,
    AHEAD_MAX_BYTES = 32 << 20,
    UNKNOWN_RUNS = 8, /* before which nothing is fetched ahead */
};

static int64_t blend(int64_t mean, int64_t value)
{
    return mean + (value - mean) / MEMORY;
}

void cress_pace_add(struct cress_pace *pace, int64_t run_us, size_t bytes)
{
    if (pace->runs++ == 0) {
        pace->mean_us = run_us;
        pace->mean_bytes = (int64_t)bytes;
        return;
    }
    pace->mean_us = blend(pace->mean_us, run_us);
    pace->mean_bytes = blend(pace->mean_bytes, (int64_t)bytes);
}

void cress_pace_wait(struct cress_pace *pace, int64_t stuck_us)
{
    if (stuck_us > pace->mean_us) {
        pace->mean_us = stuck_us;
    }
}

int cress_pace_window(const struct cress_pace *pace, int64_t places)
{
    if (pace->runs < UNKNOWN_RUNS) {
        return (int)places;
    }
    const int64_t ahead_by_time = places * (AHEAD_US / (pace->mean_us + 1));
    const int64_t ahead_by_size = AHEAD_MAX_BYTES / (pace->mean_bytes + 1);
    int64_t ahead = ahead_by_time < ahead_by_size ? ahead_by_time : ahead_by_size;
    if (ahead > CRESS_PACE_AHEAD_MAX) {
        ahead = CRESS_PACE_AHEAD_MAX;
    }
    return (int)(places + ahead);
}
