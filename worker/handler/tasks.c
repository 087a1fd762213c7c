// SPDX-License-Identifier: Apache-2.0
// Configured tasks; see tasks.h.
#include "worker/handler/tasks.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/config/config.h"

#include <stdlib.h>
#include <string.h>

struct cress_tasks {
    const struct cress_services *services;
    struct cress_list current; /* found by name */
    struct cress_list retired; /* no section any more, but runs, or closing */
    void (*closed)(void *arg); /* NULL: open */
    void *arg;
};

static bool is_builtin_kind(const struct cress_task_config *config)
{
    return strcmp(config->handler, "builtin") == 0;
}

/* NULL: none, which cress_tasks_check() reports. */
static const struct cress_handler *handler_of(const struct cress_task_config *config)
{
    return is_builtin_kind(config) ? cress_handler_find(config->name)
                                   : cress_handler_kind(config->handler);
}

/* --- checking --- */

static enum cress_status check_section(const struct cress_task_config *config,
                                       struct cress_error *err)
{
    const struct cress_handler *handler = handler_of(config);
    if (!handler) {
        return cress_error_set(err, CRESS_CONFIG, NULL,
                               "it is not built in and needs handler = exec, stream, http or "
                               "plugin");
    }
    if (config->soft_timeout_ms && config->timeout_ms &&
        config->soft_timeout_ms >= config->timeout_ms) {
        return cress_error_set(err, CRESS_CONFIG, NULL, "soft_timeout must be less than timeout");
    }
    return handler->check ? handler->check(config, err) : CRESS_OK;
}

enum cress_status cress_tasks_check(const struct cress_config *config, struct cress_error *err)
{
    for (size_t i = 0; i < config->task_count; i++) {
        const enum cress_status status = check_section(&config->tasks[i], err);
        if (status != CRESS_OK) {
            cress_error_prefix(err, "[task %s]", config->tasks[i].name);
            return status;
        }
    }
    return CRESS_OK;
}

/* --- opening and closing --- */

static void finish_when_empty(struct cress_tasks *tasks)
{
    if (tasks->closed && cress_list_is_empty(&tasks->current) &&
        cress_list_is_empty(&tasks->retired)) {
        void (*closed)(void *arg) = tasks->closed;
        void *arg = tasks->arg;
        free(tasks);
        closed(arg);
    }
}

static void task_closed_cb(struct cress_task *task)
{
    struct cress_tasks *tasks = task->tasks;
    cress_list_remove(&task->node);
    free(task);
    finish_when_empty(tasks);
}

static void open_task(struct cress_tasks *tasks, const struct cress_task_config *config)
{
    struct cress_task *task = CRESS_NEW(struct cress_task);
    task->services = tasks->services;
    task->config = config;
    task->handler = handler_of(config);
    task->on_closed = task_closed_cb;
    task->tasks = tasks;
    cress_list_append(&tasks->current, &task->node);
    if (task->handler->open) {
        task->handler->open(task);
    }
}

struct cress_tasks *cress_tasks_open(const struct cress_services *services)
{
    struct cress_tasks *tasks = CRESS_NEW(struct cress_tasks);
    tasks->services = services;
    cress_list_init(&tasks->current);
    cress_list_init(&tasks->retired);
    for (size_t i = 0; i < services->config->task_count; i++) {
        open_task(tasks, &services->config->tasks[i]);
    }
    return tasks;
}

/* A task that is given up with runs left is not freed before them; only the end of the worker does
 * that, which does not wait for it. */
static void close_when_unused(struct cress_task *task)
{
    if (!task->retired || task->closing || task->runs > 0) {
        return;
    }
    task->closing = true;
    if (task->handler->close) {
        task->handler->close(task);
    } else {
        task_closed_cb(task);
    }
}

static void retire(struct cress_task *task)
{
    task->retired = true;
    cress_list_remove(&task->node);
    cress_list_append(&task->tasks->retired, &task->node);
    close_when_unused(task);
}

void cress_tasks_close(struct cress_tasks *tasks, void (*closed)(void *arg), void *arg)
{
    struct cress_list *node;
    while ((node = cress_list_shift(&tasks->current))) {
        retire(CRESS_CONTAINER(node, struct cress_task, node));
    }
    tasks->closed = closed;
    tasks->arg = arg;
    finish_when_empty(tasks);
}

void cress_task_hold(struct cress_task *task)
{
    if (task) {
        task->runs++;
    }
}

void cress_task_release(struct cress_task *task)
{
    if (task) {
        task->runs--;
        close_when_unused(task);
    }
}

/* --- finding --- */

static struct cress_task *find_section(const struct cress_tasks *tasks, const char *name)
{
    for (const struct cress_list *at = tasks->current.next; at != &tasks->current; at = at->next) {
        struct cress_task *task = CRESS_CONTAINER(at, struct cress_task, node);
        if (strcmp(task->config->name, name) == 0) {
            return task;
        }
    }
    return NULL;
}

const struct cress_handler *cress_tasks_find(const struct cress_tasks *tasks, const char *name,
                                             struct cress_task **task)
{
    *task = find_section(tasks, name);
    if (*task) {
        return (*task)->handler;
    }
    const struct cress_handler *builtin = cress_handler_find(name);
    if (builtin) {
        return builtin;
    }
    *task = find_section(tasks, "*");
    return *task ? (*task)->handler : NULL;
}

void cress_tasks_list(const struct cress_tasks *tasks, struct cress_buf *out)
{
    cress_handler_list(out);
    for (const struct cress_list *at = tasks->current.next; at != &tasks->current; at = at->next) {
        const struct cress_task *task = CRESS_CONTAINER(at, struct cress_task, node);
        if (!is_builtin_kind(task->config)) {
            cress_buf_printf(out, "%s%s", out->size ? ", " : "", task->config->name);
        }
    }
}

/* --- changing --- */

struct comparison {
    const char *name;
    bool differs;
};

static void compare_task_cb(const char *section, const char *key, const char *before,
                            const char *after, void *arg)
{
    (void)key;
    (void)before;
    (void)after;
    struct comparison *comparison = arg;
    static const char word[] = "task ";
    if (strncmp(section, word, sizeof word - 1) == 0 &&
        strcmp(section + sizeof word - 1, comparison->name) == 0) {
        comparison->differs = true;
    }
}

static bool differs(const char *name, const struct cress_config *before,
                    const struct cress_config *after)
{
    struct comparison comparison = {.name = name};
    cress_config_diff(before, after, compare_task_cb, &comparison);
    return comparison.differs;
}

void cress_tasks_reload(struct cress_tasks *tasks, const struct cress_config *before,
                        const struct cress_config *after)
{
    for (size_t i = 0; i < before->task_count; i++) {
        const char *name = before->tasks[i].name;
        if (!cress_config_task(after, name) || differs(name, before, after)) {
            cress_log(CRESS_LOG_INFO, "task closed: its section has changed",
                      CRESS_KV("task", name));
            retire(find_section(tasks, name));
        }
    }
    for (size_t i = 0; i < after->task_count; i++) {
        if (!find_section(tasks, after->tasks[i].name)) {
            cress_log(CRESS_LOG_INFO, "task opened", CRESS_KV("task", after->tasks[i].name),
                      CRESS_KV("handler", after->tasks[i].handler));
            open_task(tasks, &after->tasks[i]);
        }
    }
}
