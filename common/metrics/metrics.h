// SPDX-License-Identifier: Apache-2.0
// Counters, gauges and histograms, and their Prometheus text (exposition format 0.0.4). Table:
// metrics.def.
//
// One set a process. Adding is an atomic operation and may be done on any thread; nothing blocks.
#ifndef CRESS_METRICS_METRICS_H
#define CRESS_METRICS_METRICS_H

#include "common/base/buf.h"

#include <stdint.h>

enum cress_metric {
#define CRESS_METRIC(name, kind, prometheus_name, help) CRESS_METRIC_##name,
#include "common/metrics/metrics.def"
#undef CRESS_METRIC
    CRESS_METRIC_COUNT
};

/* For counters, and for gauges, where `n` may be negative. */
void cress_metric_add(enum cress_metric metric, int64_t n);

/* For gauges. */
void cress_metric_set(enum cress_metric metric, int64_t value);

/* For histograms, which are exported in seconds. */
void cress_metric_observe_ms(enum cress_metric metric, double ms);

/* A histogram's value is its count. */
int64_t cress_metric_value(enum cress_metric metric);

/* Appends all metrics as Prometheus text, and cress_build_info, whose labels name version and
 * commit. */
void cress_metrics_write(struct cress_buf *out);

#endif
