// SPDX-License-Identifier: Apache-2.0
// `cress doctor` looks at Redis: its memory, what a restart would leave, workers and schedules.
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/text.h"
#include "producer/cli/doctor.h"
#include "producer/schedules.h"

#include <inttypes.h>

enum { URL_TEXT_MAX = 256 };

static void doctor_workers_cb(const char *const *reports, size_t count,
                              const struct cress_error *err, void *arg)
{
    (void)reports;
    if (err) {
        cress_doctor_judge(arg, CRESS_CHECK_WORKERS, CRESS_DOCTOR_FAIL, "%s", err->message);
    } else {
        cress_doctor_judge(
            arg, CRESS_CHECK_WORKERS, count > 0 ? CRESS_DOCTOR_OK : CRESS_DOCTOR_WARN,
            count > 0 ? "%zu alive" : "%zu alive: jobs wait; start one with cress-worker", count);
    }
}

static void doctor_schedules_cb(const struct cress_schedule_record *schedules, size_t count,
                                const struct cress_error *err, void *arg)
{
    size_t counts[CRESS_SCHEDULE_GONE + 1] = {0};
    const char *gone = "", *split = NULL;
    if (err) {
        cress_doctor_judge(arg, CRESS_CHECK_SCHEDULES, CRESS_DOCTOR_FAIL, "%s", err->message);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const enum cress_schedule_status status =
            cress_schedules_status(&schedules[i], cress_clock_wall_ms());
        counts[status]++;
        gone = status == CRESS_SCHEDULE_GONE ? schedules[i].name : gone;
        split = schedules[i].fleet_count > 1 ? schedules[i].name : split;
    }
    if (counts[CRESS_SCHEDULE_GONE] > 0) {
        cress_doctor_judge(
            arg, CRESS_CHECK_SCHEDULES, CRESS_DOCTOR_WARN,
            "%zu that no worker has any more, such as %s: start one that does; see cress cron list",
            counts[CRESS_SCHEDULE_GONE], gone);
    } else if (split) {
        cress_doctor_judge(
            arg, CRESS_CHECK_SCHEDULES, CRESS_DOCTOR_WARN,
            "workers do not agree about schedule %s, and each runs its own: cress cron list",
            split);
    } else {
        cress_doctor_judge(arg, CRESS_CHECK_SCHEDULES, CRESS_DOCTOR_OK, "%zu active, %zu paused",
                           counts[CRESS_SCHEDULE_ACTIVE], counts[CRESS_SCHEDULE_PAUSED]);
    }
}

static void lose_store(struct cress_doctor *doctor, const struct cress_error *err)
{
    static const enum cress_doctor_check unknown[] = {CRESS_CHECK_MEMORY, CRESS_CHECK_PERSISTENCE,
                                                      CRESS_CHECK_WORKERS, CRESS_CHECK_SCHEDULES};
    cress_doctor_judge(doctor, CRESS_CHECK_STORE, CRESS_DOCTOR_FAIL, "%s", err->message);
    for (size_t i = 0; i < CRESS_COUNT(unknown); i++) {
        cress_doctor_judge(doctor, unknown[i], CRESS_DOCTOR_WARN, "unknown without the store");
    }
}

/* An INFO that is forbidden is no reason to think ill of Redis, only to know little. */
static void forgo_info(struct cress_doctor *doctor, const char *url)
{
    static const enum cress_doctor_check unknown[] = {CRESS_CHECK_MEMORY, CRESS_CHECK_PERSISTENCE};
    cress_doctor_judge(doctor, CRESS_CHECK_STORE, CRESS_DOCTOR_OK, "Redis at %s answers", url);
    for (size_t i = 0; i < CRESS_COUNT(unknown); i++) {
        cress_doctor_judge(doctor, unknown[i], CRESS_DOCTOR_WARN,
                           "unknown: the user of store.url may not use INFO. ACL SETUSER … +info "
                           "+config|get lets cress doctor see it");
    }
}

static void health_cb(const struct cress_store_health *health, const struct cress_error *err,
                      void *arg)
{
    struct cress_doctor *doctor = arg;
    struct cress_finding memory = {0}, persistence = {0};
    char url[URL_TEXT_MAX];
    cress_text_redact_url(cress_doctor_cli(doctor)->config->store_url, url, sizeof url);
    if (err && err->status == CRESS_DENIED) {
        forgo_info(doctor, url);
    } else if (err) {
        lose_store(doctor, err);
    } else {
        cress_doctor_judge(doctor, CRESS_CHECK_STORE, CRESS_DOCTOR_OK, "Redis %s at %s",
                           health->version, url);
        cress_doctor_judge_memory(health, &memory);
        cress_doctor_find(doctor, CRESS_CHECK_MEMORY, &memory);
        cress_doctor_judge_persistence(health, &persistence);
        cress_doctor_find(doctor, CRESS_CHECK_PERSISTENCE, &persistence);
    }
}

void cress_doctor_look_at_store(struct cress_doctor *doctor, int64_t took_ms)
{
    const struct cress_cli *cli = cress_doctor_cli(doctor);
    struct cress_error why;
    if (cress_store_is_ready(cli->store, &why)) {
        cress_store_health(cli->store, health_cb, doctor);
        cress_store_workers(cli->store, doctor_workers_cb, doctor);
        cress_store_schedules(cli->store, NULL, doctor_schedules_cb, doctor);
    } else if (!cress_status_is_temporary(why.status) || took_ms >= cli->connect_timeout_ms) {
        lose_store(doctor, &why);
    }
}
