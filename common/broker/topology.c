// SPDX-License-Identifier: Apache-2.0
// Names and routes; see topology.h.
#include "common/broker/topology.h"

#include "common/base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { DELAYS_PER_DOUBLING = 8, LAST_HOP_MS = 2048, SLACK_MS = 512 };

static const char delay_prefix[] = "cress.later.";

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

/* How far the delays are from one another between `ms` and the next double. */
static int64_t step_at(int64_t ms)
{
    int64_t step = CRESS_DELAY_MIN_MS;
    while (ms >= 2 * DELAYS_PER_DOUBLING * step) {
        step *= 2;
    }
    return step;
}

/* 0: due sooner than the shortest. */
static int64_t delay_for(int64_t due_in_ms)
{
    if (due_in_ms < CRESS_DELAY_MIN_MS) {
        return 0;
    }
    if (due_in_ms <= LAST_HOP_MS) {
        const int64_t step = step_at(due_in_ms);
        return (due_in_ms + step - 1) / step * step;
    }
    const int64_t wanted = due_in_ms - SLACK_MS;
    return wanted < CRESS_DELAY_MAX_MS ? wanted - wanted % step_at(wanted) : CRESS_DELAY_MAX_MS;
}

static void name_exchange(int64_t delay_ms, char exchange[CRESS_DELAY_NAME_MAX])
{
    exchange[0] = '\0';
    if (delay_ms) {
        snprintf(exchange, CRESS_DELAY_NAME_MAX, "%s%" PRId64, delay_prefix, delay_ms);
    }
}

void cress_route_exchange(int64_t due_in_ms, char exchange[CRESS_DELAY_NAME_MAX])
{
    name_exchange(delay_for(due_in_ms), exchange);
}

void cress_route_job(const char *queue, enum cress_priority priority, int64_t due_in_ms,
                     struct cress_route *route)
{
    route->delay_ms = delay_for(due_in_ms);
    name_exchange(route->delay_ms, route->exchange);
    cress_route_queue_name(queue, priority, route->routing_key);
}

void cress_route_message(const struct cress_job *job, int64_t now_ms,
                         struct cress_header headers[CRESS_JOB_HEADER_MAX],
                         struct cress_route *route, struct cress_message *message)
{
    cress_job_to_message(job, headers, message);
    cress_route_job(job->queue, job->priority, job->not_before_ms - now_ms, route);
    message->exchange = route->exchange;
    message->routing_key = route->routing_key;
}

int64_t cress_route_delay_of(const char *exchange)
{
    int64_t ms;
    if (!cress_text_starts_with(exchange, delay_prefix) ||
        !cress_text_to_int(exchange + strlen(delay_prefix), &ms)) {
        return 0;
    }
    const bool is_ours =
        ms >= CRESS_DELAY_MIN_MS && ms <= CRESS_DELAY_MAX_MS && ms % step_at(ms) == 0;
    return is_ours ? ms : 0;
}

int64_t cress_route_delay(unsigned index, char exchange[CRESS_DELAY_NAME_MAX])
{
    int64_t delay_ms = CRESS_DELAY_MIN_MS;
    while (index-- > 0) {
        delay_ms += step_at(delay_ms);
    }
    name_exchange(delay_ms, exchange);
    return delay_ms;
}

unsigned cress_route_delay_index(int64_t delay_ms)
{
    unsigned index = 0;
    const int64_t step = step_at(delay_ms);
    for (int64_t at = CRESS_DELAY_MIN_MS; at < step; at *= 2) {
        index += DELAYS_PER_DOUBLING;
    }
    return index + (unsigned)(delay_ms / step) - 1;
}

int64_t cress_route_excess_ms(const char *queue, int64_t due_in_ms)
{
    const int64_t delay_ms = cress_route_delay_of(queue);
    if (delay_ms == 0 || delay_ms == CRESS_DELAY_MAX_MS) { /* the longest is repeated */
        return 0;
    }
    const int64_t most_ms = SLACK_MS + step_at(delay_ms); /* see delay_for() */
    return due_in_ms > most_ms ? due_in_ms - most_ms : 0;
}
