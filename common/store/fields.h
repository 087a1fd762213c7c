// SPDX-License-Identifier: Apache-2.0
// A job record as a Redis hash: the one table of its fields is in fields.c. Pure functions; any
// thread.
#ifndef CRESS_STORE_FIELDS_H
#define CRESS_STORE_FIELDS_H

#include "common/job/record.h"
#include "common/store/redis.h"

enum { CRESS_STATUS_MAX = 512 };

/* What a transition must know beyond the state, as bits of one number in `status`, so that asking
 * costs nothing; the fields say more. */
enum cress_record_flag {
    CRESS_RECORD_BATCHED = 1, /* field `batch`: its end is counted there */
    CRESS_RECORD_UNIQUE = 2,  /* fields `unique`, `idempotency_key`: claims that it may hold */
    CRESS_RECORD_LIMITED = 4, /* it waits for a limit, or holds a place that it must leave */
    CRESS_RECORD_CANCEL = 8,  /* field `cancel`: asked to stop while it runs; the reason, as JSON */
    CRESS_RECORD_AWAITED = 16, /* other jobs wait, or waited, for its end */
    CRESS_RECORD_GUARD = 32,   /* the message that began its run is a guard, see start.lua */
    CRESS_RECORD_CHAINED = 64, /* it waited for others: its guard may be on its way */
    CRESS_RECORD_HELD = 128,   /* it waited for a limit: likewise */
    CRESS_RECORD_NEEDS = 256,  /* field `after`: records that are kept until it has ended */
};

/* Adds "field value" for all that is known in `record`. `status` is room that must live until the
 * command is sent. */
void cress_fields_add(struct cress_redis_args *args, const struct cress_record *record,
                      char status[CRESS_STATUS_MAX]);

/* Reads the answer to HGETALL. The record borrows from it. Fields of later versions are passed
 * over. */
void cress_fields_read(const redisReply *reply, struct cress_record *record);

#endif
