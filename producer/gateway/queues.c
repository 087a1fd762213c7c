// SPDX-License-Identifier: Apache-2.0
// Queues over HTTP: GET /v1/queues.
//
// Three sources, asked one after the other: the store knows which queues exist and, from the
// workers' reports, how many deliveries are unacknowledged; the broker counts what is ready and who
// consumes.
#include "producer/gateway/gateway.h"

#include "common/base/mem.h"
#include "common/broker/topology.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The AMQP queues of one queue: its priorities, then its dead letters. */
enum { AMQP_QUEUES = CRESS_PRIORITY_COUNT + 1 };

struct survey {
    struct cress_request *request;
    char **names; /* sorted */
    size_t count;
    json_t *workers;   /* array of reports */
    char **amqp_names; /* AMQP_QUEUES for each name, NULL at the end */
};

static void free_survey(struct survey *survey)
{
    for (size_t i = 0; i < survey->count; i++) {
        free(survey->names[i]);
    }
    for (size_t i = 0; survey->amqp_names != NULL && survey->amqp_names[i] != NULL; i++) {
        free(survey->amqp_names[i]);
    }
    free(survey->names);
    free(survey->amqp_names);
    json_decref(survey->workers);
    free(survey);
}

static void fail(struct survey *survey, const struct cress_error *err)
{
    cress_gateway_error(survey->request, err);
    free_survey(survey);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names that the store knows and those of the configuration, each once. */
static void collect_names(struct survey *survey, const char *const *stored, size_t count)
{
    const struct cress_config *config = cress_gateway_of(survey->request)->config;
    char **names = cress_realloc_array(NULL, count + config->queue_count, sizeof *names);
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        names[n++] = cress_strdup(stored[i]);
    }
    for (size_t i = 0; i < config->queue_count; i++) {
        names[n++] = cress_strdup(config->queues[i].name);
    }
    qsort(names, n, sizeof *names, compare_names);
    for (size_t i = 0; i < n; i++) {
        if (survey->count > 0 && strcmp(names[survey->count - 1], names[i]) == 0) {
            free(names[i]);
        } else {
            names[survey->count++] = names[i];
        }
    }
    survey->names = names;
}

static void collect_amqp_names(struct survey *survey)
{
    survey->amqp_names =
        cress_alloc((survey->count * AMQP_QUEUES + 1) * sizeof *survey->amqp_names);
    char **next = survey->amqp_names;
    for (size_t i = 0; i < survey->count; i++) {
        char name[CRESS_ROUTE_NAME_MAX];
        for (int priority = 0; priority < CRESS_PRIORITY_COUNT; priority++) {
            cress_route_queue_name(survey->names[i], (enum cress_priority)priority, name);
            *next++ = cress_strdup(name);
        }
        cress_route_dead_name(survey->names[i], name);
        *next++ = cress_strdup(name);
    }
}

static int64_t unacked(const struct survey *survey, const char *name)
{
    int64_t sum = 0;
    for (size_t i = 0; i < json_array_size(survey->workers); i++) {
        const json_t *report = json_array_get(survey->workers, i);
        sum += json_integer_value(json_object_get(json_object_get(report, "unacked"), name));
    }
    return sum;
}

static void write_queue(const struct survey *survey, size_t i,
                        const struct cress_queue_stats stats[AMQP_QUEUES], struct cress_buf *page)
{
    int64_t ready = 0, consumers = 0;
    for (int priority = 0; priority < CRESS_PRIORITY_COUNT; priority++) {
        ready += stats[priority].ready;
        consumers += stats[priority].consumers;
    }
    cress_buf_add_text(page, i > 0 ? ",{\"name\":" : "{\"name\":");
    cress_buf_add_json(page, survey->names[i], strlen(survey->names[i]));
    cress_buf_printf(page,
                     ",\"ready\":%" PRId64 ",\"unacked\":%" PRId64 ",\"consumers\":%" PRId64
                     ",\"dead\":%" PRId64 "}",
                     ready, unacked(survey, survey->names[i]), consumers,
                     stats[CRESS_PRIORITY_COUNT].ready);
}

static void on_stats(const struct cress_queue_stats *stats, size_t count,
                     const struct cress_error *err, void *arg)
{
    struct survey *survey = arg;
    if (err != NULL) {
        fail(survey, err);
        return;
    }
    assert(count == survey->count * AMQP_QUEUES);
    struct cress_buf *page = cress_gateway_page(cress_gateway_of(survey->request));
    cress_buf_add_char(page, '[');
    for (size_t i = 0; i < survey->count; i++) {
        write_queue(survey, i, stats + i * AMQP_QUEUES, page);
    }
    cress_buf_add_char(page, ']');
    struct cress_response response = {.status = 200};
    cress_response_add(&response, "Cache-Control", "no-store");
    cress_gateway_respond_page(survey->request, &response);
    free_survey(survey);
}

static void on_workers(const char *const *reports, size_t count, const struct cress_error *err,
                       void *arg)
{
    struct survey *survey = arg;
    if (err != NULL) {
        fail(survey, err);
        return;
    }
    survey->workers = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(survey->workers, json_loads(reports[i], 0, NULL));
    }
    collect_amqp_names(survey);
    const struct cress_gateway *gateway = cress_gateway_of(survey->request);
    cress_broker_inspect(gateway->broker, (const char *const *)survey->amqp_names,
                         gateway->config->gateway_backend_timeout_ms, on_stats, survey);
}

static void on_names(const char *const *names, size_t count, const struct cress_error *err,
                     void *arg)
{
    struct survey *survey = arg;
    if (err != NULL) {
        fail(survey, err);
        return;
    }
    collect_names(survey, names, count);
    cress_store_workers(cress_gateway_of(survey->request)->store, on_workers, survey);
}

void cress_gateway_get_queues(struct cress_request *request, const char *param)
{
    (void)param;
    struct survey *survey = CRESS_NEW(struct survey);
    survey->request = request;
    cress_store_queues(cress_gateway_of(request)->store, on_names, survey);
}
