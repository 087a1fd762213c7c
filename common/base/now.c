// SPDX-License-Identifier: Apache-2.0
// What time it is; see clock.h. Alone in its file, so that a test that links its own clock does not
// get this one.
#include "common/base/clock.h"

#include <time.h>

static int64_t read_clock(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t cress_clock_wall_ms(void)
{
    return read_clock(CLOCK_REALTIME);
}

int64_t cress_clock_mono_ms(void)
{
    return read_clock(CLOCK_MONOTONIC);
}
