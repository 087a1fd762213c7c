// SPDX-License-Identifier: Apache-2.0
// All of a kind, page by page: job records, batches, what is awaited; see store.h.
#include "common/store/call.h"

#include "common/base/mem.h"
#include "common/store/fields.h"

#include <stdlib.h>
#include <string.h>

/* NULL when the page was the last. */
static const char *next_cursor(const redisReply *reply)
{
    const char *cursor = reply->element[0]->str;

    return strcmp(cursor, "0") == 0 ? NULL : cursor;
}

static void send_scan(struct cress_call *call, const char *cursor, const char *prefix,
                      const char *const *fields, size_t field_count)
{
    struct cress_redis_args args;

    cress_redis_args_init(&args);
    cress_call_script(call, CRESS_SCRIPT_SCAN, 0, &args);
    cress_redis_add(&args, cursor ? cursor : "0");
    cress_redis_add(&args, prefix);
    cress_redis_add_int(&args, CRESS_SCAN_PAGE);
    for (size_t i = 0; i < field_count; i++) {
        cress_redis_add(&args, fields[i]);
    }
    cress_call_send(call, &args);
}

/* --- jobs --- */

static void on_jobs(struct cress_redis_request *request, const redisReply *reply,
                    const struct cress_error *err)
{
    struct cress_call *call = CRESS_CONTAINER(request, struct cress_call, request);
    const size_t count = err ? 0 : reply->elements - 1;
    struct cress_record *records = cress_alloc((count + 1) * sizeof *records);
    size_t n = 0;

    for (size_t i = 0; i < count; i++) {
        const redisReply *one = reply->element[i + 1];
        if (one->element[1]->elements > 0) { /* it may have been removed meanwhile */
            records[n] = (struct cress_record){.id = one->element[0]->str};
            cress_fields_read(one->element[1], &records[n++]);
        }
    }
    call->then.scan_jobs(records, n, err ? NULL : next_cursor(reply), err, call->arg);
    free(records);
    cress_call_free(call);
}

void cress_store_scan_jobs(struct cress_store *store, const char *cursor,
                           cress_store_scan_jobs_cb done, void *arg)
{
    static const char *const fields[] = {"status",     "task",      "queue",  "priority",
                                         "created_ms", "run_at_ms", "blocked"};
    struct cress_call *call = cress_call_new(store, on_jobs, arg);

    call->then.scan_jobs = done;
    send_scan(call, cursor, CRESS_KEY_JOB, fields, CRESS_COUNT(fields));
}

/* --- batches --- */

static void on_batches(struct cress_redis_request *request, const redisReply *reply,
                       const struct cress_error *err)
{
    struct cress_call *call = CRESS_CONTAINER(request, struct cress_call, request);
    const size_t count = err ? 0 : reply->elements - 1;
    struct cress_batch *batches = cress_alloc((count + 1) * sizeof *batches);

    for (size_t i = 0; i < count; i++) {
        const redisReply *one = reply->element[i + 1];
        batches[i] = (struct cress_batch){.id = one->element[0]->str};
        cress_batch_read(one->element[1], &batches[i]);
    }
    call->then.scan_batches(batches, count, err ? NULL : next_cursor(reply), err, call->arg);
    free(batches);
    cress_call_free(call);
}

void cress_store_scan_batches(struct cress_store *store, const char *cursor,
                              cress_store_scan_batches_cb done, void *arg)
{
    static const char *const fields[] = {"total",   "succeeded", "failed",   "cancelled",
                                         "expired", "closed",    "completed"};
    struct cress_call *call = cress_call_new(store, on_batches, arg);

    call->then.scan_batches = done;
    send_scan(call, cursor, CRESS_KEY_BATCH, fields, CRESS_COUNT(fields));
}

/* --- jobs that are awaited --- */

static void on_awaited(struct cress_redis_request *request, const redisReply *reply,
                       const struct cress_error *err)
{
    struct cress_call *call = CRESS_CONTAINER(request, struct cress_call, request);
    const size_t count = err ? 0 : reply->elements - 1;
    const char **ids = cress_alloc((count + 1) * sizeof *ids);

    for (size_t i = 0; i < count; i++) {
        ids[i] = reply->element[i + 1]->element[0]->str;
    }
    call->then.scan_awaited(ids, count, err ? NULL : next_cursor(reply), err, call->arg);
    free(ids);
    cress_call_free(call);
}

void cress_store_scan_awaited(struct cress_store *store, const char *cursor,
                              cress_store_scan_awaited_cb done, void *arg)
{
    struct cress_call *call = cress_call_new(store, on_awaited, arg);

    call->then.scan_awaited = done;
    send_scan(call, cursor, CRESS_KEY_AFTER, NULL, 0);
}

/* --- places in limits --- */

void cress_store_slots(struct cress_store *store, bool free_them, cress_store_results_cb done,
                       void *arg)
{
    struct cress_call *call = cress_call_new(store, cress_call_on_texts, arg);
    struct cress_redis_args args;

    cress_redis_args_init(&args);
    call->then.results = done;
    cress_call_script(call, CRESS_SCRIPT_SLOTS, 0, &args);
    cress_redis_add(&args, free_them ? "1" : "0");
    cress_call_send(call, &args);
}
