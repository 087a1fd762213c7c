// SPDX-License-Identifier: Apache-2.0
// What the other workers report; see peers.h.
#include "worker/peers.h"

#include "common/base/clock.h"

#include <assert.h>
#include <jansson.h>
#include <string.h>

static bool has_text(const json_t *list, const char *text)
{
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item)
    {
        const char *value = json_string_value(item);
        if (value && strcmp(value, text) == 0) {
            return true;
        }
    }
    return false;
}

/* One that takes jobs of `queue`. */
static bool is_peer(const struct cress_worker *worker, const json_t *report, const char *queue)
{
    const char *id = json_string_value(json_object_get(report, "id"));
    return id && strcmp(id, worker->id) != 0 &&
           !json_is_true(json_object_get(report, "draining")) &&
           has_text(json_object_get(report, "queues"), queue);
}

static bool has_task(const struct cress_worker *worker, const json_t *report, const char *queue,
                     const char *task)
{
    const json_t *tasks = json_object_get(report, "tasks");
    return is_peer(worker, report, queue) && (has_text(tasks, task) || has_text(tasks, "*"));
}

bool cress_peers_have_task(const struct cress_worker *worker, const char *queue, const char *task)
{
    size_t i;
    json_t *report;
    json_array_foreach(worker->peers.reports, i, report)
    {
        if (has_task(worker, report, queue, task)) {
            return true;
        }
    }
    return false;
}

bool cress_peers_have_place(const struct cress_worker *worker, const char *queue, const char *task)
{
    size_t i;
    json_t *report;
    json_array_foreach(worker->peers.reports, i, report)
    {
        const int64_t places = json_integer_value(json_object_get(report, "concurrency")) -
                               json_integer_value(json_object_get(report, "running"));
        if (places > 0 && has_task(worker, report, queue, task)) {
            return true;
        }
    }
    return false;
}

static void tell_askers(struct cress_worker *worker, const struct cress_error *err)
{
    for (size_t i = 0; i < CRESS_PEERS_ASKERS; i++) {
        void (*done)(struct cress_worker *, const struct cress_error *) = worker->peers.done[i];
        worker->peers.done[i] = NULL; /* it may ask again */
        if (done) {
            done(worker, err);
        }
    }
}

static void add_asker(struct cress_peers *peers,
                      void (*done)(struct cress_worker *worker, const struct cress_error *err))
{
    size_t i = 0;
    while (peers->done[i] && peers->done[i] != done) {
        i++;
        assert(i < CRESS_PEERS_ASKERS);
    }
    peers->done[i] = done;
}

static void peers_cb(const char *const *results, size_t count, const struct cress_error *err,
                     void *arg)
{
    struct cress_worker *worker = arg;
    worker->peers.asking = false;
    if (!err) {
        json_decref(worker->peers.reports);
        worker->peers.reports = json_array();
        for (size_t i = 0; i < count; i++) {
            json_t *report = json_loads(results[i], 0, NULL);
            if (report) {
                json_array_append_new(worker->peers.reports, report);
            }
        }
        worker->peers.read_ms = cress_clock_mono_ms();
    }
    tell_askers(worker, err);
}

void cress_peers_ask(struct cress_worker *worker,
                     void (*done)(struct cress_worker *worker, const struct cress_error *err))
{
    struct cress_peers *peers = &worker->peers;
    const int64_t age_ms = cress_clock_mono_ms() - peers->read_ms;
    if (peers->reports && age_ms < worker->config->worker_heartbeat_ms) {
        done(worker, NULL);
        return;
    }
    add_asker(peers, done);
    if (!peers->asking) {
        peers->asking = true;
        worker->effects->workers(worker->services.store, peers_cb, worker);
    }
}

void cress_peers_free(struct cress_worker *worker)
{
    json_decref(worker->peers.reports);
}
