// SPDX-License-Identifier: Apache-2.0
// Tests of common/base/url.h.
#include "common/base/mem.h"
#include "common/base/text.h"
#include "common/base/url.h"
#include "tests/unit/unit.h"

static void test_parts(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *scheme, *userinfo, *host;
        int port;
        const char *path, *query;
    } cases[] = {
        {"http://Host/a/b?c=d#e", "http", NULL, "host", 0, "/a/b", "c=d"},
        {"HTTPS://u:p@w@h:8443", "https", "u:p@w", "h", 8443, "", NULL},
        {"http://[::1]:80/", "http", NULL, "::1", 80, "/", NULL},
        {"http://h?q/r@s", "http", NULL, "h", 0, "", "q/r@s"},
        {"http://h/#frag?no", "http", NULL, "h", 0, "/", NULL},
        {"http://h/?", "http", NULL, "h", 0, "/", ""},
        {"s3://bucket/some/prefix", "s3", NULL, "bucket", 0, "/some/prefix", NULL},
        {"file:///var/www", "file", NULL, "", 0, "/var/www", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct cress_url url;
        assert_int_equal(cress_url_parse(cases[i].text, &url, NULL), CRESS_OK);
        assert_string_equal(url.scheme, cases[i].scheme);
        assert_string_equal(url.host, cases[i].host);
        assert_string_equal(url.path, cases[i].path);
        assert_int_equal(url.port, cases[i].port);
        assert_string_equal(url.userinfo ? url.userinfo : "-",
                            cases[i].userinfo ? cases[i].userinfo : "-");
        assert_string_equal(url.query ? url.query : "-", cases[i].query ? cases[i].query : "-");
        cress_url_free(&url);
    }
}

static void test_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "host/path",
        "//host",
        "http:/host",
        "://host",
        "1http://h",
        "http://h:0/",
        "http://h:65536/",
        "http://h:x/",
        "http://[::1/",
        "http://[::1]x/",
        "http://h/a b",
        "http://h/\n",
        "http://h:/",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct cress_url url;
        struct cress_error err;
        assert_int_equal(cress_url_parse(bad[i], &url, &err), CRESS_INVALID);
        assert_string_equal(err.code, "bad_url");
    }
    struct cress_url parts;
    struct cress_error err;
    assert_int_equal(cress_url_parse("amqp://me:secret@h:x/", &parts, &err), CRESS_INVALID);
    assert_null(strstr(err.message, "secret"));
    char *huge = malloc(CRESS_URL_MAX + 10);
    memset(huge, 'a', CRESS_URL_MAX + 9);
    memcpy(huge, "http://", 7);
    huge[CRESS_URL_MAX + 9] = '\0';
    struct cress_url url;
    assert_int_equal(cress_url_parse(huge, &url, NULL), CRESS_INVALID);
    free(huge);
}

static void test_decoding(void **state)
{
    (void)state;
    char good[] = "a%20b%C3%a4%2F";
    assert_true(cress_url_decode(good));
    assert_string_equal(good, "a b\xC3\xA4/");
    char broken[] = "a%2";
    assert_false(cress_url_decode(broken));
    assert_string_equal(broken, "a%2");
    char nul[] = "a%00b";
    assert_false(cress_url_decode(nul));
}

static void test_several_hosts(void **state)
{
    (void)state;
    static const struct {
        const char *text, *urls[4];
    } cases[] = {
        {"amqp://u:p@a:1,b,[::1]:2/v",
         {"amqp://u:p@a:1/v", "amqp://u:p@b/v", "amqp://u:p@[::1]:2/v"}},
        {"amqp://u:p,q@r@a,b", {"amqp://u:p,q@r@a", "amqp://u:p,q@r@b"}},
        {"amqp://h/v,w?x=a,b", {"amqp://h/v,w?x=a,b"}},
        {"amqp://a,,b", {"amqp://a", "amqp://", "amqp://b"}},
        {"amqp://a,", {"amqp://a", "amqp://"}},
        {"amqp:///v", {"amqp:///v"}},
        {"a,b", {"a", "b"}},
        {"", {""}},
    };
    for (size_t i = 0; i < CRESS_COUNT(cases); i++) {
        char **urls = cress_url_hosts(cases[i].text);
        size_t count = 0;
        for (; urls[count]; count++) {
            assert_non_null(cases[i].urls[count]);
            assert_string_equal(urls[count], cases[i].urls[count]);
        }
        assert_null(cases[i].urls[count]);
        cress_text_list_free(urls);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_decoding),
        cmocka_unit_test(test_several_hosts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
