// SPDX-License-Identifier: Apache-2.0
// The URL of the store.
#include "common/base/mem.h"
#include "common/store/address.h"
#include "tests/unit/unit.h"

static void assert_text(const char *got, const char *wanted)
{
    if (wanted) {
        assert_non_null(got);
        assert_string_equal(got, wanted);
    } else {
        assert_null(got);
    }
}

static void test_good(void **state)
{
    static const struct {
        const char *url;
        struct cress_redis_address address;
    } cases[] = {
        {"redis://localhost", {.host = "localhost", .port = 6379, .label = "localhost:6379/0"}},
        {"redis://h:7/3", {.host = "h", .port = 7, .db = 3, .label = "h:7/3"}},
        {"redis://:p%40ss@h:1/", {.host = "h", .port = 1, .password = "p@ss", .label = "h:1/0"}},
        {"redis://u:p:q@h",
         {.host = "h", .port = 6379, .user = "u", .password = "p:q", .label = "h:6379/0"}},
        {"redis://[::1]:6380/0", {.host = "::1", .port = 6380, .label = "[::1]:6380/0"}},
        {"unix:///run/redis.sock", {.path = "/run/redis.sock", .label = "/run/redis.sock"}},
        {"unix://u:p@/run/r?db=12",
         {.path = "/run/r", .db = 12, .user = "u", .password = "p", .label = "/run/r"}},
    };

    (void)state;
    for (size_t i = 0; i < CRESS_COUNT(cases); i++) {
        struct cress_redis_address address;
        struct cress_error err = {.status = CRESS_OK};
        if (cress_redis_address_parse(cases[i].url, "store.url", &address, &err)) {
            fail_msg("%s: %s", cases[i].url, err.message);
        }
        assert_text(address.host, cases[i].address.host);
        assert_text(address.path, cases[i].address.path);
        assert_text(address.user, cases[i].address.user);
        assert_text(address.password, cases[i].address.password);
        assert_text(address.label, cases[i].address.label);
        assert_int_equal(address.port, cases[i].address.port);
        assert_int_equal(address.db, cases[i].address.db);
        cress_redis_address_free(&address);
    }
}

static void test_sentinels(void **state)
{
    static const char url[] = "sentinel://u:p%40ss@a,b:7,[::1]:8/mymaster/3";
    static const struct {
        const char *host, *label;
        int port;
    } wanted[] = {{"a", "a:26379", 26379}, {"b", "b:7", 7}, {"::1", "[::1]:8", 8}};
    struct cress_redis_address address;
    struct cress_error err;

    (void)state;
    assert_int_equal(cress_redis_address_parse(url, "store.url", &address, &err), CRESS_OK);
    assert_null(address.host);
    assert_string_equal(address.master, "mymaster");
    assert_string_equal(address.user, "u");
    assert_string_equal(address.password, "p@ss");
    assert_int_equal(address.db, 3);
    assert_string_equal(address.label, "mymaster by Sentinel a:26379,b:7,[::1]:8");
    assert_int_equal(address.sentinel_count, CRESS_COUNT(wanted));
    for (size_t i = 0; i < CRESS_COUNT(wanted); i++) {
        assert_string_equal(address.sentinels[i].host, wanted[i].host);
        assert_string_equal(address.sentinels[i].label, wanted[i].label);
        assert_int_equal(address.sentinels[i].port, wanted[i].port);
        assert_null(address.sentinels[i].password);
    }
    cress_redis_address_free(&address);
}

static void test_bad(void **state)
{
    static const struct {
        const char *url, *says;
    } cases[] = {
        {"", "not a URL"},
        {"localhost:6379", "not a URL"},
        {"http://h/", "none of redis://, sentinel:// and unix://"},
        {"rediss://h/", "TLS"},
        {"redis://", "no host"},
        {"redis://:secret@h:99999/", "not a URL"},
        {"redis://:secret@h/x", "database"},
        {"redis://:secret@h/-1", "database"},
        {"redis://:secret@h/0?db=1", "no parameters"},
        {"redis://secret@h/", "no password"},
        {"redis://:secret%zz@h/", "hex digits"},
        {"redis://:%00@h/", "hex digits"},
        {"unix://:secret@", "must begin with /"},
        {"unix://relative/path", "must begin with /"},
        {"unix:///r?database=1", "only parameter"},
        {"unix:///r?db=x", "database"},
        {"redis://:secret@h,i/", "only sentinel://"},
        {"unix://:secret@a,b/path", "path of the socket"},
        {"sentinel://:secret@h", "name of the master"},
        {"sentinel://:secret@h/", "name of the master"},
        {"sentinel://:secret@h//1", "name of the master"},
        {"sentinel://:secret@h/m/x", "database"},
        {"sentinel://:secret@h,,i/m", "no host"},
        {"sentinel://:secret@h,i:x/m", "not a URL"},
        {"sentinel://:secret@h/m?db=1", "no parameters"},
        {"sentinel://secret@h/m", "no password"},
    };

    (void)state;
    for (size_t i = 0; i < CRESS_COUNT(cases); i++) {
        struct cress_redis_address address;
        struct cress_error err = {.status = CRESS_OK};
        assert_int_equal(cress_redis_address_parse(cases[i].url, "store.url", &address, &err),
                         CRESS_CONFIG);
        assert_string_equal(err.code, "store_url");
        if (!strstr(err.message, cases[i].says) || strncmp(err.message, "store.url: ", 11) != 0) {
            fail_msg("%s: %s", cases[i].url, err.message);
        }
        assert_null(strstr(err.message, "secret"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_sentinels),
        cmocka_unit_test(test_bad),
    };
    return cmocka_run_group_tests_name("store_address", tests, NULL, NULL);
}
