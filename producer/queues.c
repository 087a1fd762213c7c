// SPDX-License-Identifier: Apache-2.0
// Queues surveyed; see queues.h.
//
// Two sources, asked one after the other: the store knows which queues exist, which are paused and,
// from the workers' reports, how many deliveries are unacknowledged; the broker counts what is ready
// and who consumes.
#include "producer/queues.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/broker/topology.h"

#include <assert.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* The AMQP queues of one queue: its priorities, then its dead letters. */
enum { AMQP_QUEUES = CRESS_PRIORITY_COUNT + 1 };

struct survey {
    struct cress_door door;
    cress_queues_cb done;
    void *arg;
    char **names; /* sorted */
    size_t count;
    int64_t *paused_ms; /* for each of them */
    json_t *workers;    /* array of reports */
    char **amqp_names;  /* AMQP_QUEUES for each name, NULL at the end */
};

static void finish_survey(struct survey *survey, const struct cress_queue_summary *queues,
                          const struct cress_error *err)
{
    survey->done(queues, err ? 0 : survey->count, err, survey->arg);
    for (size_t i = 0; i < survey->count; i++) {
        free(survey->names[i]);
    }
    for (size_t i = 0; survey->amqp_names && survey->amqp_names[i]; i++) {
        free(survey->amqp_names[i]);
    }
    free(survey->names);
    free(survey->paused_ms);
    free(survey->amqp_names);
    json_decref(survey->workers);
    free(survey);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names that the store knows and those of the configuration, each once. */
static void collect_names(struct survey *survey, const char *const *stored, size_t count)
{
    const struct cress_config *config = survey->door.config;
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

static void on_survey_stats(const struct cress_queue_stats *stats, size_t count,
                            const struct cress_error *err, void *arg)
{
    struct survey *survey = arg;
    if (err) {
        finish_survey(survey, NULL, err);
        return;
    }
    assert(count == survey->count * AMQP_QUEUES);
    struct cress_queue_summary *queues = cress_alloc(survey->count * sizeof *queues);
    for (size_t i = 0; i < survey->count; i++) {
        const struct cress_queue_stats *own = stats + i * AMQP_QUEUES;
        queues[i].name = survey->names[i];
        queues[i].unacked = unacked(survey, survey->names[i]);
        queues[i].dead = own[CRESS_PRIORITY_COUNT].ready;
        queues[i].paused_ms = survey->paused_ms[i];
        /* a worker consumes from each priority: the normal one counts it once */
        queues[i].consumers = own[CRESS_PRIORITY_NORMAL].consumers;
        for (int priority = 0; priority < CRESS_PRIORITY_COUNT; priority++) {
            queues[i].ready += own[priority].ready;
        }
    }
    finish_survey(survey, queues, NULL);
    free(queues);
}

static void on_survey_paused(const struct cress_paused_queue *paused, size_t count,
                             const struct cress_error *err, void *arg)
{
    struct survey *survey = arg;
    if (err) {
        finish_survey(survey, NULL, err);
        return;
    }
    survey->paused_ms = cress_alloc((survey->count + 1) * sizeof *survey->paused_ms);
    for (size_t i = 0; i < count; i++) {
        char *const *name = bsearch(&paused[i].name, survey->names, survey->count,
                                    sizeof *survey->names, compare_names);
        if (name) {
            survey->paused_ms[name - survey->names] = paused[i].since_ms;
        }
    }
    collect_amqp_names(survey);
    cress_broker_inspect(survey->door.broker, (const char *const *)survey->amqp_names,
                         survey->door.timeout_ms, on_survey_stats, survey);
}

static void on_survey_workers(const char *const *reports, size_t count,
                              const struct cress_error *err, void *arg)
{
    struct survey *survey = arg;
    if (err) {
        finish_survey(survey, NULL, err);
        return;
    }
    survey->workers = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(survey->workers, json_loads(reports[i], 0, NULL));
    }
    cress_store_paused(survey->door.store, on_survey_paused, survey);
}

static void on_survey_names(const char *const *names, size_t count, const struct cress_error *err,
                            void *arg)
{
    struct survey *survey = arg;
    if (err) {
        finish_survey(survey, NULL, err);
        return;
    }
    collect_names(survey, names, count);
    cress_store_workers(survey->door.store, on_survey_workers, survey);
}

void cress_queues_survey(struct cress_door door, cress_queues_cb done, void *arg)
{
    struct survey *survey = CRESS_NEW(struct survey);
    *survey = (struct survey){.door = door, .done = done, .arg = arg};
    cress_store_queues(door.store, on_survey_names, survey);
}

void cress_queues_write_json(const struct cress_queue_summary *queues, size_t count,
                             struct cress_buf *out)
{
    cress_buf_add_char(out, '[');
    for (size_t i = 0; i < count; i++) {
        cress_buf_add_text(out, i > 0 ? ",{\"name\":" : "{\"name\":");
        cress_buf_add_json(out, queues[i].name, strlen(queues[i].name));
        cress_buf_printf(out,
                         ",\"ready\":%" PRId64 ",\"unacked\":%" PRId64 ",\"consumers\":%" PRId64
                         ",\"dead\":%" PRId64,
                         queues[i].ready, queues[i].unacked, queues[i].consumers, queues[i].dead);
        cress_time_add_member(out, ",\"paused_at\":", queues[i].paused_ms);
        cress_buf_add_char(out, '}');
    }
    cress_buf_add_char(out, ']');
}
