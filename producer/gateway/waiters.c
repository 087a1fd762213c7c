// SPDX-License-Identifier: Apache-2.0
// Long polls: see waiters.h.
//
// DESIGN
//
// Read the record; if it does not say enough, watch it; read again at each wake-up. The store wakes
// once when the watch has begun, so that a change between the first read and the watch is not
// missed. When the time is over the record is read a last time. One read is under way at most: a
// wake-up during a read asks for another one after it.
#include "producer/gateway/waiters.h"

#include "common/base/mem.h"
#include "common/metrics/metrics.h"

#include <stdlib.h>

struct waiter {
    struct cress_list node;
    struct cress_wait wait;
    struct cress_gateway *gateway;
    struct cress_watch *watch;
    uv_timer_t timer;
    bool reading, read_again, over;
};

static void on_waiter_record(const struct cress_record *record, const struct cress_error *err,
                             void *arg);

static void read_waiter_record(struct waiter *waiter)
{
    if (waiter->reading) {
        waiter->read_again = true;
        return;
    }
    waiter->reading = true;
    cress_store_peek(waiter->gateway->store, waiter->wait.id, on_waiter_record, waiter);
}

static void on_waiter_wake(void *arg)
{
    read_waiter_record(arg);
}

static void end_waiter(struct waiter *waiter)
{
    if (!waiter->over) {
        waiter->over = true;
        read_waiter_record(waiter);
    }
}

static void on_waiter_timeout(uv_timer_t *timer)
{
    end_waiter(CRESS_CONTAINER(timer, struct waiter, timer));
}

static void on_waiter_gone(struct cress_server_request *request, void *arg)
{
    (void)request;
    end_waiter(arg);
}

static void free_waiter(uv_handle_t *handle)
{
    free(CRESS_CONTAINER(handle, struct waiter, timer));
}

static void answer_waiter(struct waiter *waiter, const struct cress_record *record,
                          const struct cress_error *err)
{
    if (waiter->watch != NULL) {
        cress_watch_stop(waiter->watch);
    }
    cress_list_remove(&waiter->node);
    cress_metric_add(CRESS_METRIC_HTTP_WAITERS, -1);
    uv_close((uv_handle_t *)&waiter->timer, free_waiter);
    waiter->wait.answer(record, err, waiter->wait.arg);
}

static void on_waiter_record(const struct cress_record *record, const struct cress_error *err,
                             void *arg)
{
    struct waiter *waiter = arg;
    waiter->reading = false;
    if (record == NULL || waiter->over || waiter->wait.enough(record, waiter->wait.arg)) {
        answer_waiter(waiter, record, err);
        return;
    }
    if (waiter->watch == NULL) {
        waiter->watch =
            cress_store_watch(waiter->gateway->store, waiter->wait.id, on_waiter_wake, waiter);
        cress_server_request_watch(waiter->wait.request, on_waiter_gone, waiter);
    }
    if (waiter->read_again) {
        waiter->read_again = false;
        read_waiter_record(waiter);
    }
}

void cress_waiter_start(const struct cress_wait *wait)
{
    struct waiter *waiter = CRESS_NEW(struct waiter);
    waiter->wait = *wait;
    waiter->gateway = cress_gateway_of(wait->request);
    cress_list_append(&waiter->gateway->waiters, &waiter->node);
    cress_metric_add(CRESS_METRIC_HTTP_WAITERS, 1);
    uv_timer_init(waiter->gateway->loop, &waiter->timer);
    uv_timer_start(&waiter->timer, on_waiter_timeout, (uint64_t)wait->wait_ms, 0);
    read_waiter_record(waiter);
}

void cress_waiters_end(struct cress_gateway *gateway)
{
    struct cress_list *node = gateway->waiters.next;
    while (node != &gateway->waiters) {
        struct waiter *waiter = CRESS_CONTAINER(node, struct waiter, node);
        node = node->next;
        end_waiter(waiter);
    }
}
