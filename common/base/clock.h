// SPDX-License-Identifier: Apache-2.0
// Time: the two clocks, and how times and durations are written.
//
// Points in time are milliseconds since 1970 UTC in an int64_t; durations are milliseconds. Any
// thread.
#ifndef CRESS_BASE_CLOCK_H
#define CRESS_BASE_CLOCK_H

#include "common/base/buf.h"
#include "common/base/status.h"

#include <stdint.h>

/* Now by the servers' clock: whatever is compared with a time that was stored or sent, or becomes
 * one, goes by it, so that no program's own clock makes a job late, early or expired. It is that of
 * Redis, which the store tells us when it connects and every few seconds; until then, and in programs
 * without a store, our own. */
int64_t cress_clock_wall_ms(void);

/* Now by this machine's own wall clock: for what a child process compares with its own. It may be
 * wrong, and jump. */
int64_t cress_clock_own_ms(void);

/* A server, asked for its time, has just answered `servers_ms`; when, by the monotonic clock. */
void cress_clock_learn(int64_t servers_ms, int64_t asked_mono_ms, int64_t answered_mono_ms);

/* The servers' time at a moment of the monotonic clock; 0: nobody has told us. */
int64_t cress_clock_servers_ms(int64_t mono_ms);

/* Now by the monotonic clock: for deadlines and measuring. Its zero is arbitrary. */
int64_t cress_clock_mono_ms(void);

enum { CRESS_TIME_TEXT_MAX = 32 };

/* RFC 3339 in UTC with milliseconds: 2026-11-23T18:00:00.123Z. Returns `text`. */
const char *cress_time_format(int64_t wall_ms, char text[CRESS_TIME_TEXT_MAX]);

/* Appends `name`, which is all that comes before the value as for cress_buf_add_member(), and the
 * time as JSON: null when it is not known, that is 0 or less. */
void cress_time_add_member(struct cress_buf *out, const char *name, int64_t wall_ms);

/* Reads RFC 3339 ("2026-11-23T18:00:00+01:00", fraction optional, the zone is not). */
CRESS_MUST_CHECK enum cress_status cress_time_parse(const char *text, int64_t *wall_ms,
                                                    struct cress_error *err);

/* Reads "250ms", "10s", "5m", "2h", "1d" and sums such as "1h30m"; a bare number is seconds,
 * decimals are allowed ("1.5"). Rejects negative values and more than 100 years. */
CRESS_MUST_CHECK enum cress_status cress_duration_parse(const char *text, int64_t *ms,
                                                        struct cress_error *err);

/* Writes the shortest exact form ("1h30m", "250ms", "0s") for people and configuration. Returns
 * `text`. */
const char *cress_duration_format(int64_t ms, char text[CRESS_TIME_TEXT_MAX]);

#endif
