// SPDX-License-Identifier: Apache-2.0
// The process's metrics and their Prometheus text.
//
// All operations are relaxed: each number is right by itself, and a scrape may see one event's
// numbers half done. Source of the format: Prometheus, "Exposition formats", text format 0.0.4.
#include "common/metrics/metrics.h"

#include "common/base/mem.h"
#include "common/base/version.h"

#include <assert.h>
#include <inttypes.h>
#include <stdatomic.h>

enum kind { KIND_COUNTER, KIND_GAUGE, KIND_HISTOGRAM };

static const struct {
    enum kind kind;
    const char *name;
    const char *help;
} infos[CRESS_METRIC_COUNT] = {
#define CRESS_METRIC(name, kind, prometheus_name, help) \
    [CRESS_METRIC_##name] = {KIND_##kind, prometheus_name, help},
#include "common/metrics/metrics.def"
#undef CRESS_METRIC
};

static const char *const kind_words[] = {"counter", "gauge", "histogram"};

/* Upper bounds of the buckets, one to three a decade, from a local round trip to a slow page. One
 * more bucket follows, without a bound. */
static const struct {
    double ms;
    const char *seconds;
} bounds[] = {
    {1, "0.001"},  {2.5, "0.0025"}, {5, "0.005"},  {10, "0.01"},  {25, "0.025"},
    {50, "0.05"},  {100, "0.1"},    {250, "0.25"}, {500, "0.5"},  {1000, "1"},
    {2500, "2.5"}, {5000, "5"},     {10000, "10"}, {30000, "30"}, {60000, "60"},
};

enum { BUCKET_COUNT = CRESS_COUNT(bounds) + 1 };

/* `value` is that of counters and gauges; the rest is a histogram's. */
static struct {
    _Atomic int64_t value;
    _Atomic int64_t buckets[BUCKET_COUNT];
    _Atomic int64_t sum_us;
} metrics[CRESS_METRIC_COUNT];

void cress_metric_add(enum cress_metric metric, int64_t n)
{
    assert(infos[metric].kind == KIND_GAUGE || (infos[metric].kind == KIND_COUNTER && n >= 0));
    atomic_fetch_add_explicit(&metrics[metric].value, n, memory_order_relaxed);
}

void cress_metric_set(enum cress_metric metric, int64_t value)
{
    assert(infos[metric].kind == KIND_GAUGE);
    atomic_store_explicit(&metrics[metric].value, value, memory_order_relaxed);
}

void cress_metric_observe_ms(enum cress_metric metric, double ms)
{
    assert(infos[metric].kind == KIND_HISTOGRAM);
    /* Clocks step back, and the sum must stay an integer: not negative, not NaN, at most a year. */
    const double year_ms = 365.0 * 86400 * 1000;
    ms = ms > 0 ? ms : 0;
    ms = ms < year_ms ? ms : year_ms;
    size_t bucket = 0;
    while (bucket < CRESS_COUNT(bounds) && ms > bounds[bucket].ms) {
        bucket++;
    }
    atomic_fetch_add_explicit(&metrics[metric].buckets[bucket], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&metrics[metric].sum_us, (int64_t)(ms * 1000 + 0.5),
                              memory_order_relaxed);
}

int64_t cress_metric_value(enum cress_metric metric)
{
    if (infos[metric].kind != KIND_HISTOGRAM) {
        return atomic_load_explicit(&metrics[metric].value, memory_order_relaxed);
    }
    int64_t count = 0;
    for (size_t i = 0; i < BUCKET_COUNT; i++) {
        count += atomic_load_explicit(&metrics[metric].buckets[i], memory_order_relaxed);
    }
    return count;
}

static void write_head(const char *name, const char *kind, const char *help, struct cress_buf *out)
{
    cress_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind);
}

/* The count is that of the last bucket, so that both agree whatever other threads do meanwhile. */
static void write_histogram(enum cress_metric metric, struct cress_buf *out)
{
    const char *name = infos[metric].name;
    int64_t count = 0;
    for (size_t i = 0; i < BUCKET_COUNT; i++) {
        count += atomic_load_explicit(&metrics[metric].buckets[i], memory_order_relaxed);
        cress_buf_printf(out, "%s_bucket{le=\"%s\"} %" PRId64 "\n", name,
                         i < CRESS_COUNT(bounds) ? bounds[i].seconds : "+Inf", count);
    }
    const int64_t sum_us = atomic_load_explicit(&metrics[metric].sum_us, memory_order_relaxed);
    cress_buf_printf(out, "%s_sum %" PRId64 ".%06" PRId64 "\n%s_count %" PRId64 "\n", name,
                     sum_us / 1000000, sum_us % 1000000, name, count);
}

void cress_metrics_write(struct cress_buf *out)
{
    write_head("cress_build_info", "gauge", "1; which Cress this is", out);
    cress_buf_printf(out, "cress_build_info{version=\"%s\",commit=\"%s\"} 1\n", cress_version(),
                     cress_commit());
    for (enum cress_metric metric = 0; metric < CRESS_METRIC_COUNT; metric++) {
        write_head(infos[metric].name, kind_words[infos[metric].kind], infos[metric].help, out);
        if (infos[metric].kind == KIND_HISTOGRAM) {
            write_histogram(metric, out);
        } else {
            cress_buf_printf(out, "%s %" PRId64 "\n", infos[metric].name,
                             cress_metric_value(metric));
        }
    }
}
