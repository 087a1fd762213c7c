// SPDX-License-Identifier: Apache-2.0
// A configuration in memory: its values and named sections, made with the defaults, found by name.
#include "common/config/option.h"

#include "common/base/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct cress_slot cress_config_slot(struct cress_config *config, size_t option)
{
    return (struct cress_slot){&cress_options[option], NULL, config,
                               &config->origins->options[option]};
}

/* The sections of a kind; NULL when there are none. */
static char *array_of(const struct cress_config *config, enum cress_kind kind)
{
    char *array;
    memcpy(&array, (const char *)config + cress_kinds[kind].array_at, sizeof array);
    return array;
}

static void *section_at(const struct cress_config *config, enum cress_kind kind, size_t section)
{
    return array_of(config, kind) + section * cress_kinds[kind].section_bytes;
}

/* The name is the first member of every section. */
static char **name_at(const struct cress_config *config, enum cress_kind kind, size_t section)
{
    return section_at(config, kind, section);
}

size_t cress_config_count(const struct cress_config *config, enum cress_kind kind)
{
    size_t count;
    memcpy(&count, (const char *)config + cress_kinds[kind].count_at, sizeof count);
    return count;
}

const char *cress_config_name(const struct cress_config *config, enum cress_kind kind,
                              size_t section)
{
    return *name_at(config, kind, section);
}

struct cress_slot cress_config_named_slot(struct cress_config *config, enum cress_kind kind,
                                          size_t section, size_t option)
{
    return (struct cress_slot){&cress_kinds[kind].options[option], *name_at(config, kind, section),
                               section_at(config, kind, section),
                               &config->origins->sections[kind][section][option]};
}

static void set_default(const struct cress_slot *slot)
{
    const enum cress_status status = cress_slot_set(slot, slot->option->fallback, "default", NULL);
    assert(status == CRESS_OK); /* a unit test loads every default */
    (void)status;
}

size_t cress_config_find(const struct cress_config *config, enum cress_kind kind, const char *name)
{
    const size_t count = cress_config_count(config, kind);
    size_t section = 0;
    while (section < count && strcmp(cress_config_name(config, kind, section), name) != 0) {
        section++;
    }
    return section;
}

static void make_room(struct cress_config *config, enum cress_kind kind)
{
    const struct cress_kind_table *table = &cress_kinds[kind];
    const size_t count = cress_config_count(config, kind) + 1;
    void *array = cress_realloc_array(array_of(config, kind), count, table->section_bytes);
    memcpy((char *)config + table->array_at, &array, sizeof array);
    memcpy((char *)config + table->count_at, &count, sizeof count);
    memset(section_at(config, kind, count - 1), 0, table->section_bytes);
}

size_t cress_config_add(struct cress_config *config, enum cress_kind kind, const char *name)
{
    const size_t section = cress_config_find(config, kind, name);
    if (section < cress_config_count(config, kind)) {
        return section;
    }
    char ****origins = &config->origins->sections[kind];
    const size_t options = cress_kinds[kind].option_count;
    make_room(config, kind);
    *origins = cress_realloc_array(*origins, section + 1, sizeof(**origins));
    (*origins)[section] = cress_alloc(options * sizeof(***origins));
    *name_at(config, kind, section) = cress_strdup(name);
    for (size_t i = 0; i < options; i++) {
        const struct cress_slot slot = cress_config_named_slot(config, kind, section, i);
        set_default(&slot);
    }
    return section;
}

struct cress_config *cress_config_make(void)
{
    struct cress_config *config = CRESS_NEW(struct cress_config);
    config->origins = CRESS_NEW(struct cress_config_origins);
    for (size_t i = 0; i < CRESS_OPTION_COUNT; i++) {
        const struct cress_slot slot = cress_config_slot(config, i);
        set_default(&slot);
    }
    cress_config_add(config, CRESS_KIND_QUEUE, "default");
    return config;
}

static void free_sections(struct cress_config *config, enum cress_kind kind)
{
    for (size_t section = 0; section < cress_config_count(config, kind); section++) {
        for (size_t i = 0; i < cress_kinds[kind].option_count; i++) {
            const struct cress_slot slot = cress_config_named_slot(config, kind, section, i);
            cress_slot_free(&slot);
        }
        free(*name_at(config, kind, section));
        free(config->origins->sections[kind][section]);
    }
    free(config->origins->sections[kind]);
    free(array_of(config, kind));
}

void cress_config_free(struct cress_config *config)
{
    if (!config) {
        return;
    }
    for (size_t i = 0; i < CRESS_OPTION_COUNT; i++) {
        const struct cress_slot slot = cress_config_slot(config, i);
        cress_slot_free(&slot);
    }
    for (enum cress_kind kind = 0; kind < CRESS_KIND_COUNT; kind++) {
        free_sections(config, kind);
    }
    free(config->origins);
    free(config);
}

/* --- queues and tasks --- */

const struct cress_queue_config *cress_config_queue(const struct cress_config *config,
                                                    const char *name)
{
    const size_t section = cress_config_find(config, CRESS_KIND_QUEUE, name);
    return section < config->queue_count ? &config->queues[section] : NULL;
}

bool cress_config_is_passive(const struct cress_config *config, const char *name)
{
    const struct cress_queue_config *queue = cress_config_queue(config, name);
    return queue && queue->declare && strcmp(queue->declare, "passive") == 0;
}

const struct cress_task_config *cress_config_task(const struct cress_config *config,
                                                  const char *name)
{
    const size_t section = cress_config_find(config, CRESS_KIND_TASK, name);
    return section < config->task_count ? &config->tasks[section] : NULL;
}

const struct cress_schedule_config *cress_config_schedule(const struct cress_config *config,
                                                          const char *name)
{
    const size_t section = cress_config_find(config, CRESS_KIND_SCHEDULE, name);
    return section < config->schedule_count ? &config->schedules[section] : NULL;
}

const char *cress_config_schedule_origin(const struct cress_config *config, const char *name,
                                         const char *key)
{
    const struct cress_kind_table *kind = &cress_kinds[CRESS_KIND_SCHEDULE];
    const size_t section = cress_config_find(config, CRESS_KIND_SCHEDULE, name);
    size_t option = 0;
    while (strcmp(kind->options[option].key, key) != 0) {
        option++;
        assert(option < kind->option_count);
    }
    return config->origins->sections[CRESS_KIND_SCHEDULE][section][option];
}

enum cress_status cress_config_set_task(struct cress_config *config, const char *name,
                                        const char *key, const char *value, const char *origin,
                                        struct cress_error *err)
{
    const struct cress_kind_table *kind = &cress_kinds[CRESS_KIND_TASK];
    const size_t section = cress_config_add(config, CRESS_KIND_TASK, name);
    for (size_t i = 0; i < kind->option_count; i++) {
        if (strcmp(kind->options[i].key, key) == 0) {
            const struct cress_slot slot =
                cress_config_named_slot(config, CRESS_KIND_TASK, section, i);
            return cress_slot_set(&slot, value, origin, err);
        }
    }
    return cress_error_set(err, CRESS_CONFIG, NULL, "%s: a task has no option %s", origin, key);
}

static int64_t first_set(int64_t task, int64_t job)
{
    return task ? task : job;
}

/* "default" is no kind, and leaves it to [job]. */
static enum cress_backoff_kind backoff_kind(const struct cress_config *config,
                                            const struct cress_task_config *own)
{
    enum cress_backoff_kind kind = CRESS_BACKOFF_EXPONENTIAL;
    cress_backoff_parse(config->job_backoff, &kind);
    if (own->backoff) {
        cress_backoff_parse(own->backoff, &kind);
    }
    return kind;
}

struct cress_job_limits cress_config_limits(const struct cress_config *config,
                                            const struct cress_task_config *task)
{
    static const struct cress_task_config nothing;
    const struct cress_task_config *own = task ? task : &nothing;
    return (struct cress_job_limits){
        .max_attempts = (int)first_set(own->max_attempts, config->job_max_attempts),
        .timeout_ms = first_set(own->timeout_ms, config->job_timeout_ms),
        .backoff = {.kind = backoff_kind(config, own),
                    .base_ms = first_set(own->backoff_base_ms, config->job_backoff_base_ms),
                    .cap_ms = first_set(own->backoff_cap_ms, config->job_backoff_cap_ms)},
    };
}
