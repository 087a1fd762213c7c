// SPDX-License-Identifier: Apache-2.0
// [schedule] sections made into plans; see plan.h.
#include "common/schedule/plan.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/job/job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Puts in front of `err` where the value of `key` came from. */
static enum cress_status blame(const struct cress_config *config, const char *name, const char *key,
                               struct cress_error *err)
{
    cress_error_prefix(err, "%s: schedule %s.%s", cress_config_schedule_origin(config, name, key),
                       name, key);
    err->status = CRESS_CONFIG;
    return CRESS_CONFIG;
}

/* There must be a task and a time; the rest has defaults. */
static enum cress_status check_given(const struct cress_schedule_config *section,
                                     struct cress_error *err)
{
    if (!*section->cron || !*section->task) {
        return cress_error_set(err, CRESS_CONFIG, NULL, "[schedule %s]: %s is missing",
                               section->name, *section->cron ? "task" : "cron");
    }
    return CRESS_OK;
}

static enum cress_status make_schedule(const struct cress_config *config,
                                       const struct cress_schedule_config *section,
                                       struct cress_schedule *out, struct cress_error *err)
{
    struct cress_schedule made;
    if (cress_cron_parse(section->cron, &made.cron, err) != CRESS_OK) {
        return blame(config, section->name, "cron", err);
    }
    if (cress_zone_load(section->timezone, &made.zone, err) != CRESS_OK) {
        return blame(config, section->name, "timezone", err);
    }
    *out = made;
    return CRESS_OK;
}

static enum cress_status read_payload(const struct cress_config *config,
                                      const struct cress_schedule_config *section, json_t **out,
                                      struct cress_error *err)
{
    json_error_t why;
    json_t *payload = json_loads(section->payload, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &why);
    if (!payload) {
        cress_error_set(err, CRESS_CONFIG, NULL, "not JSON: column %d: %s", why.column, why.text);
        return blame(config, section->name, "payload", err);
    }
    if (strlen(section->payload) > (size_t)config->job_max_payload_bytes) {
        cress_error_set(err, CRESS_CONFIG, NULL, "larger than job.max_payload");
        json_decref(payload);
        return blame(config, section->name, "payload", err);
    }
    *out = payload;
    return CRESS_OK;
}

static void add_number(json_t *request, const char *member, int64_t number)
{
    if (number > 0) {
        json_object_set_new(request, member, json_integer(number));
    }
}

/* Takes `payload` over. */
static json_t *write_request(const struct cress_schedule_config *section, json_t *payload)
{
    json_t *request = json_pack("{s:s, s:o, s:s, s:s}", "task", section->task, "payload", payload,
                                "queue", section->queue, "priority", section->priority);
    add_number(request, "max_attempts", section->max_attempts);
    add_number(request, "timeout_ms", section->timeout_ms);
    add_number(request, "expires_ms", section->expires_ms);
    return request;
}

/* What is wrong with a job is wrong with its task or its queue here: the rest has been checked. */
static enum cress_status check_request(const struct cress_config *config,
                                       const struct cress_schedule_config *section,
                                       const json_t *request, struct cress_error *err)
{
    struct cress_job job;
    char *payload;
    if (cress_job_from_request(request, 0, &job, &payload, err) == CRESS_OK) {
        free(payload);
        return CRESS_OK;
    }
    const bool is_queue = cress_queue_name_check(section->queue, NULL) != CRESS_OK;
    return blame(config, section->name, is_queue ? "queue" : "task", err);
}

static enum cress_status make_request(const struct cress_config *config,
                                      const struct cress_schedule_config *section, char **out,
                                      struct cress_error *err)
{
    json_t *payload;
    enum cress_status status = read_payload(config, section, &payload, err);
    if (status != CRESS_OK) {
        return status;
    }
    json_t *request = write_request(section, payload);
    if (!request) { /* the names are not UTF-8 */
        cress_error_set(err, CRESS_CONFIG, NULL, "not UTF-8");
        return blame(config, section->name, "task", err);
    }
    status = check_request(config, section, request, err);
    if (status == CRESS_OK) {
        *out = json_dumps(request, JSON_COMPACT);
    }
    json_decref(request);
    return status;
}

enum cress_status cress_plan_make(const struct cress_config *config,
                                  const struct cress_schedule_config *section,
                                  struct cress_plan **out, struct cress_error *err)
{
    struct cress_error why; /* `err` may be NULL, but is read here */
    struct cress_plan *plan = CRESS_NEW(struct cress_plan);
    plan->config = section;
    plan->runs_missed = strcmp(section->missed, "once") == 0;
    plan->skips_overlap = strcmp(section->overlap, "skip") == 0;
    enum cress_status status = check_given(section, &why);
    if (status == CRESS_OK) {
        status = make_schedule(config, section, &plan->schedule, &why);
    }
    if (status == CRESS_OK) {
        status = make_request(config, section, &plan->request, &why);
    }
    if (status != CRESS_OK) {
        cress_plan_free(plan);
        cress_error_set(err, status, why.code, "%s", why.message);
        return status;
    }
    *out = plan;
    return CRESS_OK;
}

void cress_plan_free(struct cress_plan *plan)
{
    if (plan) {
        cress_schedule_free(&plan->schedule);
        free(plan->request);
        free(plan);
    }
}

enum cress_status cress_plans_check(const struct cress_config *config, struct cress_error *err)
{
    for (size_t i = 0; i < config->schedule_count; i++) {
        struct cress_plan *plan;
        const enum cress_status status = cress_plan_make(config, &config->schedules[i], &plan, err);
        if (status != CRESS_OK) {
            return status;
        }
        cress_plan_free(plan);
    }
    return CRESS_OK;
}

/* --- ids --- */

const char *cress_plan_tick_id(const char *name, int64_t tick_ms, char id[CRESS_ID_MAX + 1])
{
    char time[CRESS_TIME_TEXT_MAX];
    cress_time_format(tick_ms, time);
    const int seconds = (int)strcspn(time, "."); /* ticks have no fraction */
    snprintf(id, CRESS_ID_MAX + 1, "schedule:%.64s:%.*sZ", name, seconds, time);
    return id;
}

const char *cress_plan_run_id(const char *name, char id[CRESS_ID_MAX + 1])
{
    char unique[CRESS_UUID_TEXT_SIZE];
    snprintf(id, CRESS_ID_MAX + 1, "schedule:%.64s:run:%s", name, cress_id_new(unique));
    return id;
}
