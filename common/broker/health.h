// SPDX-License-Identifier: Apache-2.0
// The health of a queue that is published to: what its confirms, refusals and silence say about it,
// and how many publishes may be open on it because of that. Private to common/broker.
//
//   NEW ------confirm-----> GOOD       a queue that has confirmed: any number
//    |                      |  ^
//    |      refusal, silence|  |confirm
//    |                      v  |
//    +-------------> REFUSING, SILENT  one that is tried now and then, with one or few
//
// Pure, the time being a parameter; owned by a connection's thread.
#ifndef CRESS_BROKER_HEALTH_H
#define CRESS_BROKER_HEALTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cress_health_state {
    CRESS_HEALTH_NEW,
    CRESS_HEALTH_GOOD,
    CRESS_HEALTH_REFUSING,
    CRESS_HEALTH_SILENT,
};

struct cress_health {
    enum cress_health_state state;
    size_t in_flight;
    unsigned failures; /* silences or refusals in a row */
    int64_t heard_ms;  /* monotonic: of the last confirm, or when it was first waited for */
    int64_t sick_ms;   /* since when it is REFUSING or SILENT */
    int64_t retry_ms;  /* when a refusing one is tried again */
};

/* On a new connection: what was in flight is not any more. */
void cress_health_reset(struct cress_health *health);

/* A publish was sent; one that was sent was answered, or taken back: it is in flight no more. */
void cress_health_sent(struct cress_health *health, int64_t now_ms);
void cress_health_landed(struct cress_health *health);

/* What the broker says: about a publish or about a probe, which is not counted as in flight. */
void cress_health_confirmed(struct cress_health *health, int64_t now_ms);
void cress_health_refused(struct cress_health *health, int64_t now_ms);

/* Nothing was confirmed for cress_health_patience_ms(): what is in flight is taken back. */
void cress_health_silent(struct cress_health *health, int64_t now_ms);

/* The milliseconds until it counts as silent, 0 when it does now, -1 when nothing is waited for. */
int64_t cress_health_patience_ms(const struct cress_health *health, bool is_delay, int64_t now_ms);

/* How many more publishes it may be given now. */
size_t cress_health_room(const struct cress_health *health, int64_t now_ms);

/* It has refused for so long that what comes now is refused at once. */
bool cress_health_fails_fast(const struct cress_health *health, int64_t now_ms);

#endif
