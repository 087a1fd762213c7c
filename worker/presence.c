// SPDX-License-Identifier: Apache-2.0
// The worker's report of itself; see presence.h.
#include "worker/presence.h"

#include "common/base/clock.h"
#include "common/base/text.h"
#include "common/base/version.h"
#include "common/store/limits.h"
#include "worker/due.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { REPORT_MAX_BYTES = 1 << 20 };

static void add_text(struct cress_buf *out, const char *text)
{
    cress_buf_add_json(out, text, strlen(text));
}

static void write_queues(const struct cress_worker *worker, struct cress_buf *out)
{
    cress_buf_add_text(out, ",\"queues\":[");
    for (size_t i = 0; i < worker->queue_count; i++) {
        cress_buf_add_text(out, i ? "," : "");
        add_text(out, worker->queues[i].name);
    }
    cress_buf_add_text(out, "],\"unacked\":{");
    for (size_t i = 0; i < worker->queue_count; i++) {
        cress_buf_add_text(out, i ? "," : "");
        add_text(out, worker->queues[i].name);
        cress_buf_printf(out, ":%lld", (long long)worker->queues[i].unacked);
    }
    cress_buf_add_char(out, '}');
}

/* Which tasks it has: a job of another one would fail here. */
static void write_tasks(const struct cress_worker *worker, struct cress_buf *out)
{
    struct cress_buf names = cress_buf_make(REPORT_MAX_BYTES);
    cress_tasks_list(worker->tasks, &names);
    char **list = cress_text_split(cress_buf_text(&names));
    cress_buf_add_text(out, ",\"tasks\":[");
    for (size_t i = 0; list[i]; i++) {
        cress_buf_add_text(out, i ? "," : "");
        add_text(out, list[i]);
    }
    cress_buf_add_char(out, ']');
    cress_text_list_free(list);
    cress_buf_free(&names);
}

static bool has_same_defaults(const struct cress_job_limits *a, const struct cress_job_limits *b)
{
    return a->max_attempts == b->max_attempts && a->timeout_ms == b->timeout_ms &&
           a->backoff.kind == b->backoff.kind && a->backoff.base_ms == b->backoff.base_ms &&
           a->backoff.cap_ms == b->backoff.cap_ms;
}

static void write_limits(const struct cress_job_limits *limits, struct cress_buf *out)
{
    cress_buf_printf(out, "{\"max_attempts\":%d,\"timeout_ms\":%lld", limits->max_attempts,
                     (long long)limits->timeout_ms);
    cress_buf_printf(out, ",\"backoff\":\"%s\",\"backoff_base_ms\":%lld,\"backoff_cap_ms\":%lld}",
                     cress_backoff_words[limits->backoff.kind], (long long)limits->backoff.base_ms,
                     (long long)limits->backoff.cap_ms);
}

/* What applies to jobs that do not say themselves, and to those of tasks whose sections differ. */
static void write_defaults(const struct cress_config *config, struct cress_buf *out)
{
    const struct cress_job_limits usual = cress_config_limits(config, NULL);
    const char *comma = "";
    cress_buf_add_text(out, ",\"defaults\":");
    write_limits(&usual, out);
    cress_buf_add_text(out, ",\"task_defaults\":{");
    for (size_t i = 0; i < config->task_count && i < CRESS_BEAT_LIMITS_MAX; i++) {
        const struct cress_job_limits own = cress_config_limits(config, &config->tasks[i]);
        if (!has_same_defaults(&own, &usual)) {
            cress_buf_add_text(out, comma);
            add_text(out, config->tasks[i].name);
            cress_buf_add_char(out, ':');
            write_limits(&own, out);
            comma = ",";
        }
    }
    cress_buf_add_char(out, '}');
}

/* Queues that it should consume and cannot. */
static void write_problems(const struct cress_worker *worker, struct cress_buf *out)
{
    const char *comma = "";
    cress_buf_add_text(out, ",\"problems\":[");
    for (size_t i = 0; i < worker->queue_count; i++) {
        const struct cress_error *problem = &worker->queues[i].problem;
        if (problem->status != CRESS_OK) {
            cress_buf_add_text(out, comma);
            cress_buf_add_member(out, "{\"queue\":", worker->queues[i].name);
            cress_buf_add_member(out, ",\"code\":", problem->code);
            cress_buf_add_member(out, ",\"message\":", problem->message);
            cress_buf_add_char(out, '}');
            comma = ",";
        }
    }
    cress_buf_add_char(out, ']');
}

static void write_shut_cb(const struct cress_due_shut *shut, void *arg)
{
    struct cress_buf *out = arg;
    char since[CRESS_TIME_TEXT_MAX], until[CRESS_TIME_TEXT_MAX];
    cress_buf_add_text(out, cress_buf_text(out)[out->size - 1] == '[' ? "" : ",");
    cress_buf_add_text(out, "{\"queue\":");
    add_text(out, shut->queue);
    cress_buf_add_text(out, ",\"code\":");
    add_text(out, shut->code);
    cress_buf_printf(out, ",\"held\":%lld,\"since\":\"%s\",\"until\":\"%s\"}",
                     (long long)shut->held, cress_time_format(shut->since_ms, since),
                     cress_time_format(shut->until_ms, until));
}

/* Queues that take nothing of what is due for them. */
static void write_shut(const struct cress_worker *worker, struct cress_buf *out)
{
    cress_buf_add_text(out, ",\"shut\":[");
    if (worker->due) {
        cress_due_each_shut(worker->due, write_shut_cb, out);
    }
    cress_buf_add_char(out, ']');
}

static void write_report(const struct cress_worker *worker, struct cress_buf *out)
{
    char started[CRESS_TIME_TEXT_MAX];
    cress_buf_add_text(out, "{\"id\":");
    add_text(out, worker->id);
    cress_buf_add_text(out, ",\"name\":");
    add_text(out, worker->name);
    cress_buf_add_text(out, ",\"host\":");
    add_text(out, worker->host);
    cress_buf_printf(out, ",\"pid\":%ld,\"version\":\"%s\"", (long)getpid(), cress_version());
    write_queues(worker, out);
    write_tasks(worker, out);
    write_defaults(worker->config, out);
    write_problems(worker, out);
    write_shut(worker, out);
    cress_buf_printf(out,
                     ",\"concurrency\":%lld,\"running\":%lld,\"processed\":%lld,\"failed\":%lld,"
                     "\"started_at\":\"%s\",\"draining\":%s}",
                     (long long)worker->config->worker_concurrency, (long long)worker->running,
                     (long long)worker->processed, (long long)worker->failed,
                     cress_time_format(worker->started_ms, started),
                     worker->phase == CRESS_WORKER_RUNNING ? "false" : "true");
}

/* What could not be done is in the store still: the next beat finds it. */
static void left_over_done_cb(const struct cress_error *err, void *arg)
{
    struct cress_worker *worker = arg;
    (void)err;
    worker->following_up = false;
}

/* A missed report is made up by the next; that the store is away has been said. */
static void reported_cb(bool follow, const struct cress_error *err, void *arg)
{
    struct cress_worker *worker = arg;
    if (err || !follow || worker->following_up || worker->phase != CRESS_WORKER_RUNNING) {
        return;
    }
    worker->following_up = true;
    worker->effects->follow_up(cress_services_door(&worker->services, 0), "", left_over_done_cb,
                               worker);
}

/* The limits of the tasks that have a section of their own, also of those that have none any more. */
static size_t list_limits(const struct cress_config *config, char *limits[CRESS_BEAT_LIMITS_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < config->task_count && count < CRESS_BEAT_LIMITS_MAX; i++) {
        if (strcmp(config->tasks[i].name, "*") != 0) {
            limits[count++] = cress_limits_words(&config->tasks[i]);
        }
    }
    return count;
}

void cress_presence_report(struct cress_worker *worker)
{
    /* one that is closing has said goodbye, or is about to, and its tasks are gone */
    if (worker->phase == CRESS_WORKER_CLOSING ||
        !cress_store_is_ready(worker->services.store, NULL)) {
        return;
    }
    struct cress_buf report = cress_buf_make(REPORT_MAX_BYTES);
    write_report(worker, &report);
    char *limits[CRESS_BEAT_LIMITS_MAX];
    const size_t limit_count = list_limits(worker->config, limits);
    const struct cress_beat beat = {
        .worker = worker->id,
        .json = cress_buf_text(&report),
        .ttl_ms = cress_worker_ttl_ms(worker->config),
        .limits = (const char *const *)limits,
        .limit_count = limit_count,
    };
    cress_store_beat(worker->services.store, &beat, reported_cb, worker);
    for (size_t i = 0; i < limit_count; i++) {
        free(limits[i]);
    }
    cress_buf_free(&report);
}
