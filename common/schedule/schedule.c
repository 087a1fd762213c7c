// SPDX-License-Identifier: Apache-2.0
// When a schedule is due; see schedule.h.
#include "common/schedule/schedule.h"

#include "common/schedule/civil.h"

#include <stdio.h>
#include <string.h>

/* Beyond this nothing is found: see cress_cron_find(). */
#define SEARCH_S (INT64_C(41) * 366 * CRESS_DAY_S)

enum cress_status cress_schedule_make(const char *cron, const char *timezone,
                                      struct cress_schedule *out, struct cress_error *err)
{
    struct cress_schedule made;
    enum cress_status status = cress_cron_parse(cron, &made.cron, err);
    if (status == CRESS_OK) {
        status = cress_zone_load(timezone, &made.zone, err);
    }
    if (status == CRESS_OK) {
        *out = made;
    }
    return status;
}

void cress_schedule_free(struct cress_schedule *schedule)
{
    cress_zone_free(schedule->zone);
    schedule->zone = NULL;
}

static int64_t greater(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* What the clock of the span shows at its end. */
static int64_t local_end(const struct cress_zone_span *span)
{
    return span->end_s == INT64_MAX ? INT64_MAX : span->end_s + span->offset_s;
}

/* The first match of what the clock shows from `at_s` on, in UTC; INT64_MAX: none. */
static int64_t find_shown(const struct cress_cron *cron, const struct cress_zone_span *span,
                          int64_t at_s)
{
    int64_t from_s = at_s + span->offset_s, found_s;
    if (!cron->follows_clock && span->before_s > span->offset_s) {
        from_s = greater(from_s, span->begin_s + span->before_s); /* what was shown before */
    }
    return cress_cron_find(cron, from_s, local_end(span), &found_s) ? found_s - span->offset_s
                                                                    : INT64_MAX;
}

/* The first match of what the clock jumped over when the span began: as if it had not yet. */
static int64_t find_skipped(const struct cress_cron *cron, const struct cress_zone_span *span,
                            int64_t at_s)
{
    int64_t found_s;
    if (cron->follows_clock || span->before_s >= span->offset_s) {
        return INT64_MAX;
    }
    const bool found =
        cress_cron_find(cron, at_s + span->before_s, span->begin_s + span->offset_s, &found_s);
    return found && found_s - span->before_s < span->end_s ? found_s - span->before_s : INT64_MAX;
}

static int64_t next_by_clock(const struct cress_schedule *schedule, int64_t from_s)
{
    const int64_t until_s = from_s + SEARCH_S;
    while (from_s < until_s) {
        struct cress_zone_span span;
        cress_zone_span_at(schedule->zone, from_s, &span);
        const int64_t shown_s = find_shown(&schedule->cron, &span, from_s);
        const int64_t skipped_s = find_skipped(&schedule->cron, &span, from_s);
        const int64_t found_s = shown_s < skipped_s ? shown_s : skipped_s;
        if (found_s != INT64_MAX) {
            return found_s;
        }
        from_s = span.end_s;
    }
    return INT64_MAX;
}

int64_t cress_schedule_next(const struct cress_schedule *schedule, int64_t after_ms)
{
    const int64_t every_s = schedule->cron.every_s;
    const int64_t after_s = cress_floor_div(after_ms, 1000);
    if (every_s > 0) {
        return (cress_floor_div(after_s, every_s) + 1) * every_s * 1000;
    }
    const int64_t next_s = next_by_clock(schedule, after_s + 1);
    return next_s == INT64_MAX ? INT64_MAX : next_s * 1000;
}

const char *cress_schedule_format(const struct cress_schedule *schedule, int64_t at_ms,
                                  char text[CRESS_TIME_TEXT_MAX])
{
    struct cress_zone_span span;
    cress_zone_span_at(schedule->zone, cress_floor_div(at_ms, 1000), &span);
    cress_time_format(at_ms + span.offset_s * 1000, text);
    const size_t used = strcspn(text, ".");
    const int minutes = (int)(span.offset_s < 0 ? -span.offset_s : span.offset_s) / 60;
    snprintf(text + used, CRESS_TIME_TEXT_MAX - used, "%c%02d:%02d", span.offset_s < 0 ? '-' : '+',
             minutes / 60, minutes % 60);
    return text;
}

/* The last moment whose next tick is not too late is found by halving: what follows it is the last
 * tick. */
int64_t cress_schedule_latest(const struct cress_schedule *schedule, int64_t after_ms,
                              int64_t until_ms)
{
    int64_t low = after_ms, high = until_ms;
    if (low >= high || cress_schedule_next(schedule, low) > until_ms) {
        return 0;
    }
    while (high - low > 1) {
        const int64_t middle = low + (high - low) / 2;
        if (cress_schedule_next(schedule, middle) <= until_ms) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return cress_schedule_next(schedule, low);
}

int64_t cress_schedule_due(const struct cress_schedule *schedule, int64_t done_ms, int64_t now_ms,
                           int64_t grace_ms, bool runs_missed)
{
    const int64_t missed_ms = now_ms - grace_ms - 1; /* up to here */
    const int64_t tick = cress_schedule_next(schedule, greater(done_ms, missed_ms));
    if (tick <= now_ms) {
        return tick;
    }
    return runs_missed ? cress_schedule_latest(schedule, done_ms, now_ms) : 0;
}
