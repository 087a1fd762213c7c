// SPDX-License-Identifier: Apache-2.0
// What `cress doctor` thinks of the servers' own words.
#include "tests/unit/unit.h"

#include "producer/cli/doctor.h"

static struct cress_finding memory_of(const char *info)
{
    struct cress_store_health health;
    struct cress_finding finding = {0};
    cress_store_health_read(info, &health);
    cress_doctor_judge_memory(&health, &finding);
    return finding;
}

static struct cress_finding persistence_of(const char *info, int snapshots)
{
    struct cress_store_health health;
    struct cress_finding finding = {0};
    cress_store_health_read(info, &health);
    health.snapshots = snapshots;
    cress_doctor_judge_persistence(&health, &finding);
    return finding;
}

static void test_info_is_read(void **state)
{
    (void)state;
    struct cress_store_health health;
    cress_store_health_read("# Server\r\nredis_version:7.0.15\r\n# Memory\r\nused_memory:1000\r\n"
                            "used_memory_rss:5\r\nmaxmemory:2000\r\nmaxmemory_policy:noeviction\r\n"
                            "aof_enabled:1\r\naof_last_write_status:ok\r\nrole:slave\r\n"
                            "master_link_status:down\r\nevicted_keys:7\r\n",
                            &health);
    assert_string_equal(health.version, "7.0.15");
    assert_int_equal(health.used_bytes, 1000);
    assert_int_equal(health.max_bytes, 2000);
    assert_string_equal(health.eviction, "noeviction");
    assert_int_equal(health.evicted, 7);
    assert_true(health.has_aof && health.is_replica && health.is_link_down);
    assert_false(health.is_write_failing);
    cress_store_health_read("", &health);
    assert_string_equal(health.version, "");
    assert_int_equal(health.max_bytes, 0);
}

static void test_memory(void **state)
{
    (void)state;
    static const struct {
        const char *info;
        enum cress_doctor_word word;
        const char *says;
    } cases[] = {
        {"used_memory:1048576\nmaxmemory:0\nmaxmemory_policy:noeviction\n", CRESS_DOCTOR_OK,
         "no limit"},
        {"used_memory:10\nmaxmemory:100\nmaxmemory_policy:noeviction\n", CRESS_DOCTOR_OK,
         "nothing is evicted"},
        {"used_memory:91\nmaxmemory:100\nmaxmemory_policy:noeviction\n", CRESS_DOCTOR_WARN,
         "nearly full"},
        {"used_memory:100\nmaxmemory:100\nmaxmemory_policy:noeviction\n", CRESS_DOCTOR_FAIL,
         "store_full"},
        {"used_memory:1\nmaxmemory:0\nmaxmemory_policy:allkeys-lru\n", CRESS_DOCTOR_FAIL,
         "noeviction"},
        {"used_memory:1\nmaxmemory:9\nmaxmemory_policy:volatile-ttl\n", CRESS_DOCTOR_WARN,
         "time to live"},
        {"used_memory:1\nmaxmemory:9\nmaxmemory_policy:volatile-ttl\nevicted_keys:1\n",
         CRESS_DOCTOR_FAIL, "1 keys evicted"},
    };
    for (size_t i = 0; i < CRESS_COUNT(cases); i++) {
        const struct cress_finding finding = memory_of(cases[i].info);
        assert_int_equal(finding.word, cases[i].word);
        assert_non_null(strstr(finding.text, cases[i].says));
    }
}

static void test_persistence(void **state)
{
    (void)state;
    assert_int_equal(persistence_of("aof_enabled:1\n", CRESS_SNAPSHOTS_NONE).word, CRESS_DOCTOR_OK);
    assert_int_equal(persistence_of("aof_enabled:0\n", CRESS_SNAPSHOTS_NONE).word,
                     CRESS_DOCTOR_FAIL);
    assert_int_equal(persistence_of("aof_enabled:0\n", CRESS_SNAPSHOTS_SOME).word,
                     CRESS_DOCTOR_WARN);
    const struct cress_finding unknown = persistence_of("aof_enabled:0\n", CRESS_SNAPSHOTS_UNKNOWN);
    assert_int_equal(unknown.word, CRESS_DOCTOR_WARN);
    assert_non_null(strstr(unknown.text, "config|get"));
    assert_int_equal(
        persistence_of("aof_enabled:1\naof_last_write_status:err\n", CRESS_SNAPSHOTS_SOME).word,
        CRESS_DOCTOR_FAIL);
    assert_int_equal(persistence_of("rdb_last_bgsave_status:err\n", CRESS_SNAPSHOTS_SOME).word,
                     CRESS_DOCTOR_FAIL);
    assert_int_equal(
        persistence_of("aof_enabled:1\nrole:slave\nmaster_link_status:down\n", CRESS_SNAPSHOTS_SOME)
            .word,
        CRESS_DOCTOR_FAIL);
}

static struct cress_finding alarms_of(const char *answer)
{
    struct cress_finding finding = {0};
    json_t *json = json_loads(answer, 0, NULL);
    cress_doctor_judge_alarms(json, &finding);
    json_decref(json);
    return finding;
}

static void test_alarms(void **state)
{
    (void)state;
    assert_int_equal(alarms_of("{\"status\":\"ok\"}").word, CRESS_DOCTOR_OK);
    const struct cress_finding memory = alarms_of(
        "{\"status\":\"failed\",\"alarms\":[{\"node\":\"rabbit@a\",\"resource\":\"memory\"}]}");
    assert_int_equal(memory.word, CRESS_DOCTOR_FAIL);
    assert_non_null(strstr(memory.text, "memory alarm on rabbit@a."));
    const struct cress_finding disk =
        alarms_of("{\"status\":\"failed\",\"alarms\":[{\"node\":\"a\",\"resource\":\"disk space\"},"
                  "{\"node\":\"b\",\"resource\":\"memory\"}]}");
    assert_non_null(strstr(disk.text, "disk alarm on a and others"));
    assert_int_equal(alarms_of("{\"status\":\"failed\",\"reason\":\"timeout\"}").word,
                     CRESS_DOCTOR_WARN);
}

static struct cress_finding policies_of(const char *policies, const char *operators)
{
    struct cress_finding finding = {0};
    json_t *queues = json_loads("[{\"name\":\"mail\",\"arguments\":{\"x-dead-letter-routing-key\":"
                                "\"mail.dead\"}},{\"name\":\"mail.dead\",\"arguments\":{}},"
                                "{\"name\":\"cress.due\",\"arguments\":{}},"
                                "{\"name\":\"theirs\",\"arguments\":{}}]",
                                0, NULL);
    json_t *all = json_loads(policies, 0, NULL), *strict = json_loads(operators, 0, NULL);
    cress_doctor_judge_policies(queues, all, strict, &finding);
    json_decref(queues);
    json_decref(all);
    json_decref(strict);
    return finding;
}

#define POLICY(name, pattern, kind, priority, definition)                     \
    "{\"name\":\"" name "\",\"pattern\":\"" pattern "\",\"apply-to\":\"" kind \
    "\",\"priority\":" priority ",\"definition\":" definition "}"

static void test_policies(void **state)
{
    (void)state;
    assert_int_equal(policies_of("[]", "[]").word, CRESS_DOCTOR_OK);
    const struct cress_finding ttl =
        policies_of("[" POLICY("old", "^mail$", "queues", "0", "{\"message-ttl\":1000}") "]", "[]");
    assert_int_equal(ttl.word, CRESS_DOCTOR_FAIL);
    assert_non_null(strstr(ttl.text, "policy old sets message-ttl = 1000 on queue mail:"));
    /* not of our queues, not of our kind, nothing harmful, or overruled */
    static const char *const harmless[] = {
        "[" POLICY("a", "^theirs$", "all", "0", "{\"max-length\":1}") "]",
        "[" POLICY("a", ".", "classic_queues", "0", "{\"max-length\":1}") "]",
        "[" POLICY("a", ".", "all", "0", "{\"delivery-limit\":99}") "]",
        "[" POLICY("a", "mail", "all", "0", "{\"max-length\":1}") "," POLICY(
            "b", "mail", "quorum_queues", "9", "{\"queue-leader-locator\":\"balanced\"}") "]",
    };
    for (size_t i = 0; i < CRESS_COUNT(harmless); i++) {
        assert_int_equal(policies_of(harmless[i], "[]").word, CRESS_DOCTOR_OK);
    }
    assert_int_equal(
        policies_of("[]", "[" POLICY("limits", "cress", "queues", "0", "{\"expires\":5}") "]").word,
        CRESS_DOCTOR_FAIL);
    /* a pattern that only Perl's expressions can say */
    assert_int_equal(
        policies_of("[" POLICY("a", "^(?!amq)", "all", "0", "{\"max-length\":1}") "]", "[]").word,
        CRESS_DOCTOR_FAIL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_info_is_read), cmocka_unit_test(test_memory),
        cmocka_unit_test(test_persistence),  cmocka_unit_test(test_alarms),
        cmocka_unit_test(test_policies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
