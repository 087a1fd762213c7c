// SPDX-License-Identifier: Apache-2.0
// Names and routes; see topology.h.
#include "common/broker/topology.h"

#include "common/base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char delay_prefix[] = "cress.delay.";

void cress_route_queue_name(const char *queue, enum cress_priority priority,
                            char name[CRESS_ROUTE_NAME_MAX])
{
    static const char *const suffixes[CRESS_PRIORITY_COUNT] = {
        [CRESS_PRIORITY_HIGH] = ".high",
        [CRESS_PRIORITY_NORMAL] = "",
        [CRESS_PRIORITY_LOW] = ".low",
    };
    snprintf(name, CRESS_ROUTE_NAME_MAX, "%s%s", queue, suffixes[priority]);
}

void cress_route_dead_name(const char *queue, char name[CRESS_ROUTE_NAME_MAX])
{
    snprintf(name, CRESS_ROUTE_NAME_MAX, "%s.dead", queue);
}

/* The largest delay queue that is not longer than `due_in_ms`; 0: due sooner than the shortest. */
static int64_t delay_for(int64_t due_in_ms)
{
    if (due_in_ms < CRESS_DELAY_MIN_MS) {
        return 0;
    }
    int64_t delay = CRESS_DELAY_MIN_MS;
    while (delay < CRESS_DELAY_MAX_MS && delay * 2 <= due_in_ms) {
        delay *= 2;
    }
    return delay;
}

void cress_route_job(const char *queue, enum cress_priority priority, int64_t due_in_ms,
                     struct cress_route *route)
{
    route->delay_ms = delay_for(due_in_ms);
    route->exchange[0] = '\0';
    if (route->delay_ms) {
        snprintf(route->exchange, sizeof route->exchange, "%s%" PRId64, delay_prefix,
                 route->delay_ms);
    }
    cress_route_queue_name(queue, priority, route->routing_key);
}

int64_t cress_route_delay_of(const char *exchange)
{
    int64_t ms;
    if (!cress_text_starts_with(exchange, delay_prefix) ||
        !cress_text_to_int(exchange + strlen(delay_prefix), &ms)) {
        return 0;
    }
    const bool is_ours = ms >= CRESS_DELAY_MIN_MS && ms <= CRESS_DELAY_MAX_MS && !(ms & (ms - 1));
    return is_ours ? ms : 0;
}
