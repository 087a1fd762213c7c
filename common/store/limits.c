// SPDX-License-Identifier: Apache-2.0
// Limits of tasks; see limits.h.
#include "common/store/limits.h"

#include "common/base/mem.h"
#include "common/store/call.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The picture, which admit.lua reads:
 *
 *   20 1000 4 0 0 2 300000 mail.send tenant-7
 *   |       | |   | |      |         key, or nothing
 *   |       | |   | |      task
 *   |       | |   | timeout_ms of the job
 *   |       | |   key_concurrency
 *   |       | key_rate: count and period_ms
 *   |       concurrency
 *   rate: count and period_ms             0: no such limit */
static bool has_limits(const struct cress_task_config *task)
{
    return task->rate.count > 0 || task->concurrency > 0 || task->key_rate.count > 0 ||
           task->key_concurrency > 0;
}

static char *write_limits(const struct cress_task_config *task)
{
    return cress_format("%" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64,
                        task->rate.count, task->rate.period_ms, task->concurrency,
                        task->key_rate.count, task->key_rate.period_ms, task->key_concurrency);
}

char *cress_limits_text(const struct cress_task_config *task, const struct cress_job *job)
{
    if (!task || !has_limits(task)) {
        return NULL;
    }
    char *limits = write_limits(task);
    char *text = cress_format("%s %" PRId64 " %s %s", limits, job->timeout_ms, job->task,
                              job->key ? job->key : "");
    free(limits);
    return text;
}

char *cress_limits_words(const struct cress_task_config *task)
{
    char *limits = write_limits(task);
    char *words = cress_format("%s %s", limits, task->name);
    free(limits);
    return words;
}

void cress_store_on_turn(struct cress_store *store, cress_store_turn_cb on_turn, void *arg)
{
    store->on_turn = on_turn;
    store->on_turn_arg = arg;
}

void cress_turn_tell(const struct cress_store *store, const char *what)
{
    static const char start[] = "start ", call[] = "call ";
    const bool at_hand = strncmp(what, start, strlen(start)) == 0;
    if (store->on_turn) {
        store->on_turn(what + strlen(at_hand ? start : call), at_hand, store->on_turn_arg);
    }
}

void cress_store_limits(struct cress_store *store, const char *task, cress_store_results_cb done,
                        void *arg)
{
    struct cress_call *call = cress_call_new(store, cress_call_on_texts, arg);
    struct cress_redis_args args;

    cress_redis_args_init(&args);
    call->then.results = done;
    cress_call_script(call, CRESS_SCRIPT_LIMITS, 1, &args);
    cress_redis_add(&args, CRESS_KEY_LIMITS);
    cress_redis_add(&args, task ? task : "");
    cress_call_send(call, &args);
}

void cress_store_line(struct cress_store *store, const char *task, const char *key, const char *id,
                      cress_store_results_cb done, void *arg)
{
    struct cress_call *call = cress_call_new(store, cress_call_on_texts, arg);
    struct cress_redis_args args;

    cress_redis_args_init(&args);
    call->then.results = done;
    cress_call_script(call, CRESS_SCRIPT_LINE, 0, &args);
    cress_redis_add(&args, task);
    cress_redis_add(&args, key ? key : "");
    cress_redis_add(&args, id);
    cress_call_send(call, &args);
}
