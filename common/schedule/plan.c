// SPDX-License-Identifier: Apache-2.0
// [schedule] sections made into plans; see plan.h.
#include "common/schedule/plan.h"

#include "common/base/clock.h"
#include "common/base/json.h"
#include "common/base/mem.h"
#include "common/job/job.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REQUEST_REST_MAX = 64 * 1024 }; /* of a request besides its payload */

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
                                      const struct cress_schedule_config *section,
                                      struct cress_json *out, struct cress_error *err)
{
    const size_t size = strlen(section->payload);
    if (cress_json_check(section->payload, size, out, err) != CRESS_OK) {
        cress_error_prefix(err, "not JSON");
        return blame(config, section->name, "payload", err);
    }
    if (size > (size_t)config->job_max_payload_bytes) {
        cress_error_set(err, CRESS_CONFIG, NULL, "larger than job.max_payload");
        return blame(config, section->name, "payload", err);
    }
    return CRESS_OK;
}

static void add_limit(struct cress_buf *request, const char *member, int64_t number)
{
    if (number > 0) {
        cress_buf_printf(request, ",\"%s\":%" PRId64, member, number);
    }
}

/* Workers compare these texts: the order of the members tells one definition from another. */
static char *write_request(const struct cress_schedule_config *section, struct cress_json payload)
{
    struct cress_buf request = cress_buf_make(payload.size + REQUEST_REST_MAX);
    cress_buf_add_member(&request, "{\"task\":", section->task);
    cress_buf_add_text(&request, ",\"payload\":");
    cress_buf_add(&request, payload.text, payload.size);
    cress_buf_add_member(&request, ",\"queue\":", section->queue);
    cress_buf_add_member(&request, ",\"priority\":", section->priority);
    add_limit(&request, "max_attempts", section->max_attempts);
    add_limit(&request, "timeout_ms", section->timeout_ms);
    add_limit(&request, "expires_ms", section->expires_ms);
    cress_buf_add_char(&request, '}');
    return cress_buf_take(&request);
}

/* What is wrong with a job is wrong with its task or its queue here: the rest has been checked. */
static enum cress_status check_request(const struct cress_config *config,
                                       const struct cress_schedule_config *section,
                                       const char *request, struct cress_error *err)
{
    struct cress_job job;
    char *texts;
    if (cress_job_from_request(request, strlen(request), 0, &job, &texts, err) == CRESS_OK) {
        free(texts);
        return CRESS_OK;
    }
    const bool is_queue = cress_queue_name_check(section->queue, NULL) != CRESS_OK;
    return blame(config, section->name, is_queue ? "queue" : "task", err);
}

static enum cress_status make_request(const struct cress_config *config,
                                      const struct cress_schedule_config *section, char **out,
                                      struct cress_error *err)
{
    struct cress_json payload;
    enum cress_status status = read_payload(config, section, &payload, err);
    if (status != CRESS_OK) {
        return status;
    }
    char *request = write_request(section, payload);
    status = check_request(config, section, request, err);
    if (status == CRESS_OK) {
        *out = request;
    } else {
        free(request);
    }
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
