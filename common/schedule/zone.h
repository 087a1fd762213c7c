// SPDX-License-Identifier: Apache-2.0
// Time zones by their IANA names (Europe/Berlin), from the system's tz database.
//
// libc knows one zone a process, in TZ, which no thread may change while another reads it; so the
// compiled files are read here: TZif, RFC 8536 (now RFC 9636), version 2 and later, up to and
// including the rule at their end. See docs/decisions/0007-time-zones.md.
//
// A zone is read-only after it has been made: any thread. Reading its file blocks.
#ifndef CRESS_SCHEDULE_ZONE_H
#define CRESS_SCHEDULE_ZONE_H

#include "common/base/status.h"
#include "common/schedule/zone_span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cress_zone;

enum { CRESS_ZONE_NAME_MAX = 64 };

/* Reads zone `name` from the folder that TZDIR names, else /usr/share/zoneinfo. "UTC" needs no
 * file. CRESS_INVALID: not a name; CRESS_NOT_FOUND: no such zone, or no tz database (package
 * tzdata); CRESS_MALFORMED: not a file that can be used. The caller frees with cress_zone_free(). */
CRESS_MUST_CHECK enum cress_status cress_zone_load(const char *name, struct cress_zone **out,
                                                   struct cress_error *err);

/* The same from the bytes of a TZif file. */
CRESS_MUST_CHECK enum cress_status
cress_zone_parse(const void *data, size_t size, struct cress_zone **out, struct cress_error *err);
void cress_zone_free(struct cress_zone *zone);

/* The span that holds `at_s`. */
void cress_zone_span_at(const struct cress_zone *zone, int64_t at_s, struct cress_zone_span *out);

#endif
