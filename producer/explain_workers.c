// SPDX-License-Identifier: Apache-2.0
// Reading workers' reports for one job; see explain_workers.h. What a report has is written by
// worker/presence.c.
#include "producer/explain_workers.h"

#include "common/broker/topology.h"

#include <string.h>

static const char *text_of(const json_t *object, const char *member)
{
    const char *text = json_string_value(json_object_get(object, member));
    return text ? text : "";
}

/* Whether the array `list` has `text`. */
static bool has(const json_t *list, const char *text)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *one = json_string_value(json_array_get(list, i));
        if (one && strcmp(one, text) == 0) {
            return true;
        }
    }
    return false;
}

/* The element of the array `list` whose "queue" is `queue`. */
static const json_t *find_queue(const json_t *list, const char *queue)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        if (strcmp(text_of(one, "queue"), queue) == 0) {
            return one;
        }
    }
    return NULL;
}

bool cress_crew_has(const json_t *workers, const char *id)
{
    for (size_t i = 0; id && i < json_array_size(workers); i++) {
        if (strcmp(text_of(json_array_get(workers, i), "id"), id) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_of_queue(const json_t *worker, const struct cress_record *record)
{
    return has(json_object_get(worker, "queues"), record->queue);
}

/* A worker of an earlier version does not say what it has. */
static bool is_able(const json_t *worker, const struct cress_record *record)
{
    const json_t *tasks = json_object_get(worker, "tasks");
    return !tasks || has(tasks, record->task) || has(tasks, "*");
}

struct cress_crew cress_crew_of(const json_t *workers, const struct cress_record *record)
{
    struct cress_crew crew = {0};
    for (size_t i = 0; i < json_array_size(workers); i++) {
        const json_t *worker = json_array_get(workers, i);
        if (!is_of_queue(worker, record)) {
            continue;
        }
        const json_t *problem = find_queue(json_object_get(worker, "problems"), record->queue);
        if (problem && !crew.problem) {
            crew.problem = problem;
            crew.troubled = text_of(worker, "name");
        }
        crew.count++;
        crew.able += is_able(worker, record);
        crew.in_hand +=
            json_integer_value(json_object_get(json_object_get(worker, "unacked"), record->queue));
    }
    return crew;
}

const json_t *cress_crew_shut(const json_t *workers, const struct cress_record *record)
{
    enum cress_priority priority = CRESS_PRIORITY_NORMAL;
    char queue[CRESS_ROUTE_NAME_MAX];
    const json_t *shut = NULL;
    if (record->priority) {
        cress_priority_parse(record->priority, &priority);
    }
    cress_route_queue_name(record->queue, priority, queue);
    for (size_t i = 0; i < json_array_size(workers) && !shut; i++) {
        shut = find_queue(json_object_get(json_array_get(workers, i), "shut"), queue);
    }
    return shut;
}

/* --- what applies --- */

/* As the worker finds a task: its section, else the built-in one, else the section of all others. */
static const json_t *defaults_of(const json_t *worker, const char *task)
{
    const json_t *sections = json_object_get(worker, "task_defaults");
    const json_t *own = json_object_get(sections, task);
    if (!own && !has(json_object_get(worker, "tasks"), task)) {
        own = json_object_get(sections, "*");
    }
    return own ? own : json_object_get(worker, "defaults");
}

static void fill(int64_t *number, const json_t *defaults, const char *member)
{
    if (*number == 0) {
        *number = json_integer_value(json_object_get(defaults, member));
    }
}

struct cress_terms cress_crew_terms(const json_t *workers, const struct cress_record *record)
{
    const json_t *defaults = NULL;
    for (size_t i = 0; i < json_array_size(workers) && !defaults; i++) {
        const json_t *worker = json_array_get(workers, i);
        if (is_of_queue(worker, record) && is_able(worker, record)) {
            defaults = defaults_of(worker, record->task);
        }
    }
    struct cress_terms terms = {
        .max_attempts = record->max_attempts,
        .timeout_ms = record->timeout_ms,
        .backoff = record->backoff ? record->backoff
                                   : json_string_value(json_object_get(defaults, "backoff")),
        .backoff_base_ms = record->backoff_base_ms,
        .backoff_cap_ms = record->backoff_cap_ms,
    };
    fill(&terms.max_attempts, defaults, "max_attempts");
    fill(&terms.timeout_ms, defaults, "timeout_ms");
    fill(&terms.backoff_base_ms, defaults, "backoff_base_ms");
    fill(&terms.backoff_cap_ms, defaults, "backoff_cap_ms");
    return terms;
}
