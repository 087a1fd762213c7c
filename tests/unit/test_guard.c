// SPDX-License-Identifier: Apache-2.0
// Tests of common/http/guard.h: both ends of each special range and the addresses beside them.
#include "common/http/guard.h"
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool permits(const struct cress_guard *guard, const char *text, int port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    if (inet_pton(AF_INET, text, &in.sin_addr) == 1) {
        return cress_guard_permits(guard, (struct sockaddr *)&in);
    }
    assert_int_equal(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
    return cress_guard_permits(guard, (struct sockaddr *)&in6);
}

static const char *const refused[] = {
    /* IPv4: first and last of each range */
    "0.0.0.0", "0.255.255.255", "10.0.0.0", "10.255.255.255", "100.64.0.0", "100.127.255.255",
    "127.0.0.0", "127.0.0.1", "127.255.255.255", "168.63.129.16", "169.254.0.0", "169.254.169.254",
    "169.254.255.255", "172.16.0.0", "172.31.255.255", "192.0.0.0", "192.0.0.255", "192.0.2.0",
    "192.0.2.255", "192.88.99.0", "192.88.99.255", "192.168.0.0", "192.168.255.255", "198.18.0.0",
    "198.19.255.255", "198.51.100.0", "198.51.100.255", "203.0.113.0", "203.0.113.255", "224.0.0.0",
    "239.255.255.255", "240.0.0.0", "255.255.255.255",
    /* IPv6 */
    "::", "::1", "::7f00:1", "100::1", "1fff:ffff::1", "4000::", "fc00::1",
    "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fe80::1", "fec0::1", "ff02::1",
    "2001::", "2001:0:1:2:3:4:5:6", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff",
    "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
    "3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff",
    /* IPv4 inside IPv6 */
    "::ffff:127.0.0.1", "::ffff:10.1.2.3", "::ffff:169.254.169.254", "64:ff9b::127.0.0.1",
    "64:ff9b::10.0.0.1", "64:ff9b:1::8.8.8.8", "64:ff9b:0:0:0:1:808:808",
    "2002:7f00:1::", "2002:a00:1::1", "2002:a9fe:a9fe::1", "::8.8.8.8"};

static const char *const permitted[] = {
    /* just beside the ranges */
    "1.0.0.0",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "168.63.129.15",
    "168.63.129.17",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "191.255.255.255",
    "192.0.1.0",
    "192.0.1.255",
    "192.0.3.0",
    "192.88.98.255",
    "192.88.100.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "198.51.99.255",
    "198.51.101.0",
    "203.0.112.255",
    "203.0.114.0",
    "223.255.255.255",
    "8.8.8.8",
    "2000::",
    "2001:200::",
    "2001:db7:ffff::1",
    "2001:db9::",
    "3ffe::1",
    "3fff:1000::",
    "2606:4700::1111",
    "2a00:1450:4001:80b::200e",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
    "2002:808:808::1"};

static void test_tables(void **state)
{
    (void)state;
    struct cress_guard *guard;
    assert_int_equal(cress_guard_make(NULL, &guard, NULL), CRESS_OK);
    for (size_t i = 0; i < COUNT(refused); i++) {
        if (permits(guard, refused[i], 80)) {
            fail_msg("%s is permitted", refused[i]);
        }
    }
    for (size_t i = 0; i < COUNT(permitted); i++) {
        if (!permits(guard, permitted[i], 80)) {
            fail_msg("%s is refused", permitted[i]);
        }
    }
    cress_guard_free(guard);
}

static void test_other_families(void **state)
{
    (void)state;
    struct cress_guard *guard;
    assert_int_equal(cress_guard_make(NULL, &guard, NULL), CRESS_OK);
    struct sockaddr_un local = {.sun_family = AF_UNIX, .sun_path = "/run/docker.sock"};
    assert_false(cress_guard_permits(guard, (struct sockaddr *)&local));
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    assert_false(cress_guard_permits(guard, &none));
    cress_guard_free(guard);
}

static void test_exceptions(void **state)
{
    (void)state;
    char *allow[] = {"127.0.0.1:8000", "[::1]:8000", "10.0.0.5:*", NULL};
    struct cress_guard *guard;
    assert_int_equal(cress_guard_make(allow, &guard, NULL), CRESS_OK);
    assert_true(permits(guard, "127.0.0.1", 8000));
    assert_true(permits(guard, "::ffff:127.0.0.1", 8000)); /* the same endpoint */
    assert_false(permits(guard, "127.0.0.1", 8001));
    assert_false(permits(guard, "127.0.0.2", 8000));
    assert_true(permits(guard, "::1", 8000));
    assert_false(permits(guard, "::1", 80));
    assert_true(permits(guard, "10.0.0.5", 1));
    assert_true(permits(guard, "10.0.0.5", 65535));
    assert_false(permits(guard, "10.0.0.6", 80));
    assert_true(permits(guard, "8.8.8.8", 80));
    cress_guard_free(guard);
}

static void test_bad_exceptions(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        ":",
        ":80",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:0",
        "127.0.0.1:65536",
        "127.0.0.1:-1",
        "127.0.0.1:80x",
        "127.0.0.1:**",
        "127.1:80",
        "localhost:80",
        "*:80",
        "::1:80",
        "[::1]",
        "[::1:80",
        "[]:80",
        "[127.0.0.1]:80",
        "10.0.0.0/8:80",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:80"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        char *allow[] = {"127.0.0.1:1", (char *)bad[i], NULL};
        struct cress_guard *guard = NULL;
        struct cress_error err;
        if (cress_guard_make(allow, &guard, &err) != CRESS_CONFIG) {
            fail_msg("\"%s\" is taken", bad[i]);
        }
        assert_null(guard);
        assert_non_null(strstr(err.message, bad[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables),
        cmocka_unit_test(test_other_families),
        cmocka_unit_test(test_exceptions),
        cmocka_unit_test(test_bad_exceptions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
