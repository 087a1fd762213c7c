// SPDX-License-Identifier: Apache-2.0
// Tests of common/schedule/plan.h: [schedule] sections, from the text of a file to the job.
#include "common/base/mem.h"
#include "common/config/option.h"
#include "common/schedule/plan.h"
#include "tests/unit/unit.h"

static enum cress_status read(const char *text, struct cress_config **config,
                              struct cress_error *err)
{
    *config = cress_config_make();
    FILE *file = fmemopen((void *)text, strlen(text), "r");
    enum cress_status status = cress_config_read(*config, file, "cress.conf", err);
    fclose(file);
    return status == CRESS_OK ? cress_plans_check(*config, err) : status;
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } rows[] = {
        {"[schedule a]\ntask = x\n", "[schedule a]: cron is missing"},
        {"[schedule a]\ncron = @daily\n", "[schedule a]: task is missing"},
        {"[schedule a]\ntask = x\ncron = 61 * * * *\n",
         "cress.conf:3: schedule a.cron: minute: out of range; allowed: 0 to 59"},
        {"[schedule a]\ntask = x\ncron = 0 0 30 2 *\n",
         "cress.conf:3: schedule a.cron: this date never comes"},
        {"[schedule a]\ntask = x\ncron = @daily\ntimezone = Europe/Berlim\n",
         "cress.conf:4: schedule a.timezone: no time zone \"Europe/Berlim\""},
        {"[schedule a]\ntask = x\ncron = @daily\npayload = {\"a\": }\n",
         "cress.conf:4: schedule a.payload: not JSON: line 1, column 7"},
        {"[schedule a]\ntask = x\ncron = @daily\npayload = {\"a\":\n",
         "cress.conf:4: schedule a.payload: not JSON"},
        {"[schedule a]\ntask = page.rendr\ncron = @daily\n", "cress.conf:2: schedule a.task: "},
        {"[schedule a]\ntask = x\ncron = @daily\nqueue = a b\n",
         "cress.conf:4: schedule a.queue: "},
        {"[schedule a]\ntask = x\ncron = @daily\nqueue = a.high\n",
         "cress.conf:4: schedule a.queue: "},
        {"[schedule a]\nmissed = maybe\n", "cress.conf:2: schedule a.missed: "},
        {"[schedule a]\nevery = 5m\n", "cress.conf:2: schedule.every: unknown key"},
        {"[schedule a]\ntask = x\n  y\n",
         "cress.conf:3: an indented line continues the line above"},
        {"[schedule a/b]\n", "cress.conf:1: [schedule a/b]: a schedule's name is 1 to 64 of"},
    };
    for (size_t i = 0; i < CRESS_COUNT(rows); i++) {
        struct cress_config *config;
        struct cress_error err = {0};
        assert_int_equal(read(rows[i].text, &config, &err), CRESS_CONFIG);
        if (strncmp(err.message, rows[i].message, strlen(rows[i].message)) != 0) {
            fail_msg("\"%s\" and not \"%s\"", err.message, rows[i].message);
        }
        cress_config_free(config);
    }
}

static void test_the_job(void **state)
{
    (void)state;
    static const char text[] = "[schedule nightly]\n"
                               "cron = 0 3 * * *\n"
                               "timezone = Europe/Berlin\n"
                               "task = site.prerender\n"
                               "payload = {\"url\": \"https://example.com/sitemap.xml\",\n"
                               "    \"to\": \"s3://bucket/site\"}   ; in two lines\n"
                               "queue = pages\n"
                               "priority = low\n"
                               "max_attempts = 2\n"
                               "timeout = 1h\n"
                               "expires = 6h\n"
                               "missed = once\n"
                               "[schedule least]\n"
                               "cron = @every 5m\n"
                               "task = cress.noop\n"
                               "overlap = skip\n";
    struct cress_config *config;
    struct cress_plan *plan;
    assert_int_equal(read(text, &config, NULL), CRESS_OK);
    assert_int_equal(cress_plan_make(config, &config->schedules[0], &plan, NULL), CRESS_OK);
    assert_string_equal(plan->request,
                        "{\"task\":\"site.prerender\",\"payload\":{\"url\": "
                        "\"https://example.com/sitemap.xml\", \"to\": \"s3://bucket/site\"},"
                        "\"queue\":\"pages\",\"priority\":\"low\",\"max_attempts\":2,"
                        "\"timeout_ms\":3600000,\"expires_ms\":21600000}");
    assert_true(plan->runs_missed);
    assert_false(plan->skips_overlap);
    assert_int_equal(cress_schedule_next(&plan->schedule, 0), 2 * 3600 * 1000);
    cress_plan_free(plan);

    const struct cress_schedule_config *least = cress_config_schedule(config, "least");
    assert_int_equal(cress_plan_make(config, least, &plan, NULL), CRESS_OK);
    assert_string_equal(plan->request, "{\"task\":\"cress.noop\",\"payload\":null,"
                                       "\"queue\":\"default\",\"priority\":\"normal\"}");
    assert_false(plan->runs_missed);
    assert_true(plan->skips_overlap);
    assert_int_equal(least->grace_ms, 60000);
    cress_plan_free(plan);
    cress_config_free(config);
}

static void test_ids(void **state)
{
    (void)state;
    char id[CRESS_ID_MAX + 1], other[CRESS_ID_MAX + 1], name[65];
    assert_string_equal(cress_plan_tick_id("nightly", INT64_C(1795662000000), id),
                        "schedule:nightly:2026-11-26T03:00:00Z");
    memset(name, 'n', 64);
    name[64] = '\0';
    assert_true(cress_id_is_valid(cress_plan_tick_id(name, INT64_C(253402300799000), id)));
    assert_true(cress_id_is_valid(cress_plan_run_id(name, id)));
    assert_string_not_equal(id, cress_plan_run_id(name, other));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_the_job),
        cmocka_unit_test(test_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
