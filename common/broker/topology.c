// SPDX-License-Identifier: Apache-2.0
// Names and delays; see topology.h.
#include "common/broker/topology.h"

#include "common/base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    FINE_MAX_MS = 1024, /* up to here every multiple of CRESS_DELAY_MIN_MS is a delay */
    FINE_COUNT = 16,
    /* So that what is left of a delay fits into a shorter one, and after a short one nothing is left:
       see cress_delay_excess_ms(). */
    SLACK_MS = 448,
    SHORT_MAX_MS = FINE_MAX_MS - SLACK_MS - 64,
    STEPS_MAX = 8,
};

static const char prefix[] = "cress.wait.", old_prefix[] = "cress.later.";

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

void cress_route_message(const struct cress_job *job,
                         struct cress_header headers[CRESS_JOB_HEADER_MAX],
                         char routing_key[CRESS_ROUTE_NAME_MAX], struct cress_message *message)
{
    cress_job_to_message(job, headers, message);
    cress_route_queue_name(job->queue, job->priority, routing_key);
    message->routing_key = routing_key;
}

int cress_delay_steps(const char *word)
{
    int64_t steps = 1; /* the configuration has been checked */
    return cress_text_to_int(word, &steps) && steps >= 1 && steps <= STEPS_MAX ? (int)steps : 1;
}

/* How far the delays are from one another between `ms` and the next double. */
static int64_t step_at(int steps, int64_t ms)
{
    int64_t base = FINE_MAX_MS;
    if (ms < base) {
        return CRESS_DELAY_MIN_MS;
    }
    while (ms >= 2 * base) {
        base *= 2;
    }
    return base / steps;
}

int64_t cress_delay_for(int steps, int64_t due_in_ms)
{
    if (due_in_ms < CRESS_DELAY_MIN_MS) {
        return 0;
    }
    if (due_in_ms <= FINE_MAX_MS) {
        return (due_in_ms + CRESS_DELAY_MIN_MS - 1) / CRESS_DELAY_MIN_MS * CRESS_DELAY_MIN_MS;
    }
    const int64_t wanted = due_in_ms - SLACK_MS;
    return wanted < CRESS_DELAY_MAX_MS ? wanted - wanted % step_at(steps, wanted)
                                       : CRESS_DELAY_MAX_MS;
}

unsigned cress_delay_count(int steps)
{
    unsigned doublings = 0;
    for (int64_t ms = FINE_MAX_MS; ms < CRESS_DELAY_MAX_MS; ms *= 2) {
        doublings++;
    }
    return FINE_COUNT + doublings * (unsigned)steps;
}

int64_t cress_delay_at(int steps, unsigned index)
{
    int64_t delay_ms = CRESS_DELAY_MIN_MS;
    while (index-- > 0) {
        delay_ms += step_at(steps, delay_ms);
    }
    return delay_ms;
}

unsigned cress_delay_index(int steps, int64_t delay_ms)
{
    if (delay_ms <= FINE_MAX_MS) {
        return (unsigned)(delay_ms / CRESS_DELAY_MIN_MS) - 1;
    }
    unsigned index = FINE_COUNT - 1;
    int64_t base = FINE_MAX_MS;
    for (; delay_ms >= 2 * base; base *= 2) {
        index += (unsigned)steps;
    }
    return index + (unsigned)((delay_ms - base) / step_at(steps, delay_ms));
}

void cress_delay_queue_name(int64_t delay_ms, unsigned generation, char name[CRESS_DELAY_NAME_MAX])
{
    const int length = snprintf(name, CRESS_DELAY_NAME_MAX, "%s%" PRId64, prefix, delay_ms);
    if (generation > 1) {
        snprintf(name + length, CRESS_DELAY_NAME_MAX - (size_t)length, ".%u", generation);
    }
}

static bool is_delay(int64_t ms)
{
    return ms >= CRESS_DELAY_MIN_MS && ms <= CRESS_DELAY_MAX_MS && ms % step_at(STEPS_MAX, ms) == 0;
}

/* `text` is "<ms>" or "<ms>.<generation>". */
static int64_t read_delay(const char *text)
{
    char digits[CRESS_DELAY_NAME_MAX];
    const size_t length = strcspn(text, ".");
    int64_t ms, generation = 1;
    if (length >= sizeof digits ||
        (text[length] && !cress_text_to_int(text + length + 1, &generation))) {
        return 0;
    }
    memcpy(digits, text, length);
    digits[length] = '\0';
    return cress_text_to_int(digits, &ms) && is_delay(ms) && generation > 0 ? ms : 0;
}

int64_t cress_delay_of(const char *queue)
{
    static const char *const prefixes[] = {prefix, old_prefix};
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        if (cress_text_starts_with(queue, prefixes[i])) {
            return read_delay(queue + strlen(prefixes[i]));
        }
    }
    return 0;
}

int64_t cress_delay_excess_ms(int steps, const char *queue, int64_t due_in_ms)
{
    const int64_t delay_ms = cress_delay_of(queue);
    if (delay_ms == 0 || delay_ms == CRESS_DELAY_MAX_MS) { /* the longest is repeated */
        return 0;
    }
    const int64_t most_ms = delay_ms <= SHORT_MAX_MS ? 0 : SLACK_MS + step_at(steps, delay_ms) - 1;
    return due_in_ms > most_ms ? due_in_ms - most_ms : 0;
}
