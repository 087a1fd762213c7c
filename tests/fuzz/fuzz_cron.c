// SPDX-License-Identifier: Apache-2.0
// Fuzz target: cron expressions. Whatever is accepted has ticks, in order, each the next after every
// moment between it and the one before.
#include "tests/fuzz/fuzz.h"

#include "common/base/mem.h"
#include "common/schedule/schedule.h"

#include <string.h>

static void walk(const struct cress_schedule *schedule, int64_t at_ms)
{
    for (int i = 0; i < 4; i++) {
        const int64_t tick_ms = cress_schedule_next(schedule, at_ms);
        MUST_HOLD(tick_ms > at_ms && tick_ms != INT64_MAX && tick_ms % 1000 == 0);
        MUST_HOLD(cress_schedule_next(schedule, tick_ms - 1) == tick_ms);
        MUST_HOLD(cress_schedule_next(schedule, at_ms + (tick_ms - at_ms) / 2) == tick_ms ||
                  tick_ms - at_ms < 2);
        at_ms = tick_ms;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = cress_strndup((const char *)data, size);
    struct cress_schedule schedule;
    struct cress_error err = {0};
    if (cress_schedule_make(text, "UTC", &schedule, &err) == CRESS_OK) {
        walk(&schedule, INT64_C(1774745999999)); /* 2026-03-29T00:59:59.999Z */
        walk(&schedule, 0);
        cress_schedule_free(&schedule);
    } else {
        MUST_HOLD(err.status == CRESS_INVALID && err.message[0] != '\0');
    }
    free(text);
    return 0;
}
