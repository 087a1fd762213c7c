// SPDX-License-Identifier: Apache-2.0
// Fuzz target: TZif files. Whatever is accepted tells spans of time that touch without a gap, and
// ticks that go forward.
#include "tests/fuzz/fuzz.h"

#include "common/schedule/schedule.h"

static void walk_spans(const struct cress_zone *zone, int64_t at_s)
{
    struct cress_zone_span span;
    cress_zone_span_at(zone, at_s, &span);
    for (int i = 0; i < 16 && span.end_s < INT64_C(253402300800); i++) {
        struct cress_zone_span next;
        MUST_HOLD(span.begin_s < span.end_s);
        cress_zone_span_at(zone, span.end_s, &next);
        MUST_HOLD(next.begin_s == span.end_s && next.before_s == span.offset_s);
        span = next;
    }
}

static void walk_ticks(struct cress_zone *zone, const char *cron, int64_t at_ms)
{
    struct cress_schedule schedule = {.zone = zone};
    MUST_HOLD(cress_cron_parse(cron, &schedule.cron, NULL) == CRESS_OK);
    for (int i = 0; i < 16; i++) {
        const int64_t tick_ms = cress_schedule_next(&schedule, at_ms);
        MUST_HOLD(tick_ms > at_ms);
        if (tick_ms == INT64_MAX) {
            break;
        }
        at_ms = tick_ms;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cress_zone *zone;
    struct cress_error err = {0};
    if (cress_zone_parse(data, size, &zone, &err) != CRESS_OK) {
        MUST_HOLD(err.status == CRESS_MALFORMED && err.message[0] != '\0');
        return 0;
    }
    static const int64_t moments_s[] = {0, 1774746000, 4102444800, 32503680000};
    for (size_t i = 0; i < sizeof moments_s / sizeof moments_s[0]; i++) {
        walk_spans(zone, moments_s[i]);
        walk_ticks(zone, "30 2 * * *", moments_s[i] * 1000);
        walk_ticks(zone, "*/7 * * * *", moments_s[i] * 1000);
    }
    cress_zone_free(zone);
    return 0;
}
