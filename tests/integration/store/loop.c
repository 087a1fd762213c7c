// SPDX-License-Identifier: Apache-2.0
// Running a loop until something is so; see loop.h.
#include "tests/integration/store/loop.h"
#include "tests/unit/unit.h"

#include "common/base/clock.h"

/* So that the loop does not wait beyond the deadline. */
static void on_tick(uv_timer_t *timer)
{
    (void)timer;
}

void loop_run_until(uv_loop_t *loop, const bool *flag, int64_t deadline_ms)
{
    const int64_t deadline = cress_clock_mono_ms() + deadline_ms;
    uv_timer_t tick;

    uv_timer_init(loop, &tick);
    uv_timer_start(&tick, on_tick, 10, 10);
    while (!*flag) {
        assert_true(cress_clock_mono_ms() < deadline);
        uv_run(loop, UV_RUN_ONCE);
    }
    uv_close((uv_handle_t *)&tick, NULL);
    uv_run(loop, UV_RUN_NOWAIT);
}
