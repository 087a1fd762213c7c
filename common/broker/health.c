// SPDX-License-Identifier: Apache-2.0
// When a queue counts as sick; see health.h.
#include "common/broker/health.h"

enum {
    /* RabbitMQ stops reading a connection that has some hundreds of messages open for a queue without
       a leader: one that has not shown to have one gets few. */
    TRIAL_MAX = 16,
    /* Confirms take milliseconds. The upper bound is for a queue that has no quorum: being published to
       again and again does not help it. */
    SILENCE_MS = 5000,
    SILENCE_MAX_MS = 60000,
    /* What waits for a delay can as well use a shorter one, within the time of a gateway's request. */
    DELAY_SILENCE_MS = 400,
    REFUSED_RETRY_MS = 50,
    REFUSED_RETRY_MAX_MS = 1000,
    /* An election is over by then: it is full, or forbidden. */
    REFUSED_FOR_LONG_MS = 3000,
};

static int64_t doubled(int64_t ms, unsigned times, int64_t most_ms)
{
    while (times-- > 0 && ms < most_ms) {
        ms *= 2;
    }
    return ms < most_ms ? ms : most_ms;
}

void cress_health_reset(struct cress_health *health)
{
    health->in_flight = 0;
    health->retry_ms = 0;
    if (health->state == CRESS_HEALTH_GOOD) {
        health->state = CRESS_HEALTH_NEW;
    }
}

void cress_health_sent(struct cress_health *health, int64_t now_ms)
{
    if (health->in_flight++ == 0) {
        health->heard_ms = now_ms;
    }
}

void cress_health_landed(struct cress_health *health)
{
    health->in_flight -= health->in_flight > 0;
}

void cress_health_confirmed(struct cress_health *health, int64_t now_ms)
{
    health->heard_ms = now_ms;
    health->state = CRESS_HEALTH_GOOD;
    health->failures = 0;
}

/* One that refuses now and is silent then has been sick all the time. */
static void fall_sick(struct cress_health *health, enum cress_health_state state, int64_t now_ms)
{
    if (health->state == CRESS_HEALTH_NEW || health->state == CRESS_HEALTH_GOOD) {
        health->sick_ms = now_ms;
    }
    if (health->state != state) {
        health->failures = 0;
    }
    health->state = state;
}

void cress_health_refused(struct cress_health *health, int64_t now_ms)
{
    health->heard_ms = now_ms;
    fall_sick(health, CRESS_HEALTH_REFUSING, now_ms);
    health->retry_ms = now_ms + doubled(REFUSED_RETRY_MS, health->failures, REFUSED_RETRY_MAX_MS);
    health->failures++;
}

void cress_health_silent(struct cress_health *health, int64_t now_ms)
{
    fall_sick(health, CRESS_HEALTH_SILENT, now_ms);
    health->failures++;
    health->in_flight = 0;
}

int64_t cress_health_patience_ms(const struct cress_health *health, bool is_delay, int64_t now_ms)
{
    if (health->in_flight == 0) {
        return -1;
    }
    const bool is_trial = is_delay && health->state == CRESS_HEALTH_NEW;
    const unsigned silences = health->state == CRESS_HEALTH_SILENT ? health->failures : 0;
    const int64_t patience_ms =
        is_trial ? DELAY_SILENCE_MS : doubled(SILENCE_MS, silences, SILENCE_MAX_MS);
    const int64_t left_ms = health->heard_ms + patience_ms - now_ms;
    return left_ms > 0 ? left_ms : 0;
}

size_t cress_health_room(const struct cress_health *health, int64_t now_ms)
{
    size_t most = TRIAL_MAX;
    if (health->state == CRESS_HEALTH_GOOD) {
        most = SIZE_MAX;
    } else if (health->state == CRESS_HEALTH_REFUSING) {
        most = now_ms >= health->retry_ms ? 1 : 0;
    }
    return health->in_flight < most ? most - health->in_flight : 0;
}

bool cress_health_fails_fast(const struct cress_health *health, int64_t now_ms)
{
    return health->state == CRESS_HEALTH_REFUSING &&
           now_ms - health->sick_ms >= REFUSED_FOR_LONG_MS;
}
