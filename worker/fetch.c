// SPDX-License-Identifier: Apache-2.0
// How many deliveries the broker sends ahead; see fetch.h.
#include "worker/fetch.h"

#include "common/base/clock.h"

#include <string.h>

void cress_fetch_begin(struct cress_worker *worker, struct cress_worker_queue *queue,
                       struct cress_subscription *subscription)
{
    const struct cress_config *config = worker->config;
    queue->window =
        config->worker_prefetch ? 0 : cress_pace_window(&queue->pace, config->worker_concurrency);
    *subscription = (struct cress_subscription){
        .queue = queue->name,
        .raw = cress_config_is_passive(config, queue->name),
        .prefetch = queue->window ? queue->window : (int)config->worker_prefetch,
        .each = queue->window != 0,
        .paused = queue->paused,
    };
}

int64_t cress_fetch_stuck_ms(const struct cress_worker *worker)
{
    return worker->running < worker->config->worker_concurrency
               ? 0
               : cress_clock_mono_ms() - worker->last_begun_ms;
}

static bool is_off(int window, int wanted)
{
    return wanted != window && (wanted >= 2 * window || 2 * wanted <= window);
}

void cress_fetch_adapt(struct cress_worker *worker)
{
    const int64_t stuck_ms = cress_fetch_stuck_ms(worker);
    for (size_t i = 0; i < worker->queue_count; i++) {
        struct cress_worker_queue *queue = &worker->queues[i];
        cress_pace_wait(&queue->pace, stuck_ms * 1000);
        const int wanted = cress_pace_window(&queue->pace, worker->config->worker_concurrency);
        if (queue->window && worker->consuming && is_off(queue->window, wanted)) {
            cress_log(CRESS_LOG_DEBUG, "prefetch follows the pace", CRESS_KV("queue", queue->name),
                      CRESS_KVI("before", queue->window), CRESS_KVI("now", wanted),
                      CRESS_KVI("run_us", queue->pace.mean_us));
            queue->window = wanted;
            cress_broker_set_prefetch(worker->services.broker, queue->name, wanted);
        }
    }
}
