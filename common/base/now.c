// SPDX-License-Identifier: Apache-2.0
// What time it is; see clock.h. Alone in its file, so that a test that links its own clock does not
// get this one.
#include "common/base/clock.h"

#include <time.h>

int64_t cress_clock_wall_ms(void)
{
    const int64_t servers_ms = cress_clock_servers_ms(cress_clock_mono_ms());
    return servers_ms ? servers_ms : cress_clock_own_ms();
}

int64_t cress_clock_mono_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}
