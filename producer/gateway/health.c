// SPDX-License-Identifier: Apache-2.0
// For load balancers and monitoring: GET /healthz, /readyz and /metrics.
#include "producer/gateway/gateway.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/metrics/metrics.h"
#include "common/store/limits.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { CANARY_INTERVAL_MS = 1000 };

/* The process lives: nothing else is asked. Whoever restarts it on a failure must not do so because
 * Redis is away. */
void cress_gateway_get_alive(struct cress_server_request *request, const char *param)
{
    (void)param;
    cress_buf_add_text(cress_gateway_page(cress_gateway_of(request)), "{\"alive\":true}");
    cress_gateway_respond_fresh(request);
}

/* Adds "name":{"ready":…} with the reason if it is not. */
static void add_part(struct cress_buf *out, const char *name, bool ready,
                     const struct cress_error *why)
{
    cress_buf_printf(out, "\"%s\":{\"ready\":%s", name, ready ? "true" : "false");
    if (!ready) {
        cress_buf_printf(out, ",\"code\":\"%s\",\"detail\":", why->code);
        cress_buf_add_json(out, why->message, strlen(why->message));
    }
    cress_buf_add_char(out, '}');
}

static void canary_cb(const struct cress_error *err, void *arg)
{
    struct cress_gateway *gateway = arg;
    gateway->canary_is_out = false;
    gateway->canary = err ? *err : (struct cress_error){0};
}

/* A connection is no promise that messages are taken: a canary shows it. Whoever asks starts the next
 * one, at most one in CANARY_INTERVAL_MS, and is told of the last. */
static void send_canary(struct cress_gateway *gateway)
{
    const int64_t now_ms = cress_clock_mono_ms();
    if (!gateway->canary_is_out && now_ms - gateway->canary_ms >= CANARY_INTERVAL_MS) {
        gateway->canary_is_out = true;
        gateway->canary_ms = now_ms;
        cress_broker_probe(gateway->broker, gateway->config->gateway_backend_timeout_ms, canary_cb,
                           gateway);
    }
}

static bool broker_is_ready(struct cress_gateway *gateway, struct cress_error *why)
{
    const enum cress_broker_state state = cress_broker_state(gateway->broker, why);
    if (state == CRESS_BROKER_BLOCKED) {
        cress_error_set(why, CRESS_UNAVAILABLE, "broker_blocked",
                        "RabbitMQ takes no messages: memory or disk alarm");
    }
    if (state != CRESS_BROKER_READY) {
        gateway->canary = (struct cress_error){0}; /* it says nothing about the next connection */
        return false;
    }
    send_canary(gateway);
    *why = gateway->canary;
    return why->status == CRESS_OK;
}

void cress_gateway_get_ready(struct cress_server_request *request, const char *param)
{
    (void)param;
    struct cress_gateway *gateway = cress_gateway_of(request);
    struct cress_error broker_why = {0}, store_why = {0};
    const bool broker = broker_is_ready(gateway, &broker_why);
    const bool store = cress_store_is_ready(gateway->store, &store_why);

    struct cress_buf parts = cress_buf_make(8192);
    add_part(&parts, "broker", broker, &broker_why);
    cress_buf_add_char(&parts, ',');
    add_part(&parts, "store", store, &store_why);

    if (broker && store && !gateway->draining) {
        cress_buf_printf(cress_gateway_page(gateway), "{\"ready\":true,%s}",
                         cress_buf_text(&parts));
        cress_gateway_respond_fresh(request);
    } else {
        cress_gateway_problem(request, 503, "not_ready",
                              gateway->draining ? "the gateway is shutting down"
                              : broker          ? "the store is not usable"
                              : store           ? "the broker is not usable"
                                                : "neither broker nor store is usable",
                              cress_buf_text(&parts));
    }
    cress_buf_free(&parts);
}

/* What every gateway knows from the store: the same at each of them. */
static const struct {
    const char *name, *type, *member, *help;
} limit_metrics[] = {
    {"cress_limit_running", "gauge", "running", "jobs that hold a place within the task's limits"},
    {"cress_limit_waiting", "gauge", "waiting", "jobs that wait for a limit of the task"},
    {"cress_limit_waits_total", "counter", "waits", "times that a job had to wait for a limit"},
};

static void write_limit_metrics(struct cress_buf *page, const char *const *usages, size_t count)
{
    for (size_t i = 0; i < CRESS_COUNT(limit_metrics) && count > 0; i++) {
        const char *name = limit_metrics[i].name;
        cress_buf_printf(page, "# HELP %s %s\n# TYPE %s %s\n", name, limit_metrics[i].help, name,
                         limit_metrics[i].type);
        for (size_t k = 0; k < count; k++) {
            json_t *usage = json_loads(usages[k], 0, NULL);
            cress_buf_printf(
                page, "%s{task=\"%s\"} %lld\n", name,
                json_string_value(json_object_get(usage, "task")),
                (long long)json_integer_value(json_object_get(usage, limit_metrics[i].member)));
            json_decref(usage);
        }
    }
}

static void set_connected(const struct cress_gateway *gateway)
{
    struct cress_error why;
    cress_metric_set(CRESS_METRIC_BROKER_CONNECTED,
                     cress_broker_state(gateway->broker, &why) == CRESS_BROKER_READY);
    cress_metric_set(CRESS_METRIC_STORE_CONNECTED, cress_store_is_ready(gateway->store, &why));
}

/* Without the store there are still the gateway's own. */
static void on_limit_metrics(const char *const *usages, size_t count, const struct cress_error *err,
                             void *arg)
{
    struct cress_server_request *request = arg;
    struct cress_buf *page = cress_gateway_page(cress_gateway_of(request));
    set_connected(cress_gateway_of(request));
    cress_metrics_write(page);
    write_limit_metrics(page, usages, err != NULL ? 0 : count);
    struct cress_response response = {
        .status = 200, .body = cress_buf_text(page), .body_size = page->size};
    cress_response_add(&response, "Content-Type", "text/plain; version=0.0.4; charset=utf-8");
    cress_response_add(&response, "Cache-Control", "no-store");
    cress_gateway_respond(request, &response);
}

void cress_gateway_get_metrics(struct cress_server_request *request, const char *param)
{
    (void)param;
    cress_store_limits(cress_gateway_of(request)->store, NULL, on_limit_metrics, request);
}
