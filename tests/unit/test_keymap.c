// SPDX-License-Identifier: Apache-2.0
// Tests of worker/render/keymap.h: the table that its header promises, and hostile URLs.
#include "worker/render/keymap.h"

#include "common/base/text.h"
#include "tests/unit/unit.h"

#include <stdio.h>

static const struct {
    const char *url;
    const char *key;
} cases[] = {
    {"https://site", "index.html"},
    {"https://site/", "index.html"},
    {"https://site/blog/", "blog/index.html"},
    {"https://site/blog", "blog/index.html"},
    {"https://site/a/page.html", "a/page.html"},
    {"https://site/a/page.html#top", "a/page.html"},
    {"https://site/list?page=2", "list/index.html?page=2"},
    {"https://site/list/?page=2", "list/index.html?page=2"},
    {"https://site/?a=1&b=%2Fetc%2Fpasswd", "index.html?a=1&b=%2Fetc%2Fpasswd"},
    {"https://site/?", "index.html"},
    {"https://site/x.html?q=a%20b", "x.html?q=a b"},
    {"https://site/caf%C3%A9", "caf\xC3\xA9/index.html"},
    {"https://site/caf\xC3\xA9", "caf\xC3\xA9/index.html"},
    {"https://site/%FF.html", "%FF.html"},
    {"https://site/a%00b.html", "a%00b.html"},
    {"https://site/a%2Fb.html", "a%2Fb.html"},
    {"https://site/a%2fb.html", "a%2Fb.html"},
    {"https://site/a%3Fb.html", "a%3Fb.html"},
    {"https://site/100%25.html", "100%25.html"},
    {"https://site/100%.html", "100%25.html"},
    {"https://site/a%0D%0Ab.html", "a%0D%0Ab.html"},
    {"https://site/a\\b.html", "a%5Cb.html"},
    {"https://site/a/../../b//c.css", "b/c.css"},
    {"https://site/../../../etc/passwd", "etc/passwd/index.html"},
    {"https://site/%2e%2e/%2E%2E/x.html", "x.html"},
    {"https://site/a/..%2f..%2fx.html", "a/..%2F..%2Fx.html"},
    {"https://site/a/./b/.", "a/b/index.html"},
    {"https://site/a/b/..", "a/index.html"},
    {"https://site/v1.2", "v1.2/index.html"},
    {"https://site/.well-known", ".well-known/index.html"},
    {"https://site/archive.tar.gz", "archive.tar.gz"},
    {"ftp://site/x", NULL},
    {"https://user:pw@site/x", NULL},
    {"https:///x", NULL},
    {"/relative", NULL},
    {"", NULL},
};

static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *key = NULL;
        struct cress_error err;
        const enum cress_status status = cress_key_from_url(cases[i].url, &key, &err);
        if (cases[i].key) {
            assert_int_equal(status, CRESS_OK);
            assert_string_equal(key, cases[i].key);
        } else {
            assert_int_equal(status, CRESS_INVALID);
            assert_string_equal(err.code, "bad_url");
        }
        free(key);
    }
}

/* What must hold for the key of any URL. */
static void check_invariants(const char *key)
{
    assert_true(strlen(key) > 0 && strlen(key) <= CRESS_KEY_MAX);
    assert_true(key[0] != '/');
    assert_true(cress_text_is_utf8(key, strlen(key)));
    assert_null(strstr(key, "//"));
    for (const char *p = key; *p;) {
        const size_t size = strcspn(p, "/");
        assert_true(size > 0 && size <= CRESS_KEY_SEGMENT_MAX);
        assert_false(size == 1 && p[0] == '.');
        assert_false(size == 2 && p[0] == '.' && p[1] == '.');
        p += size + (p[size] == '/');
    }
}

static void test_long_urls_are_cut_and_stay_different(void **state)
{
    (void)state;
    char url[4000], other[4000];
    char *a, *b;
    for (size_t letters = 100; letters < 1500; letters += 37) {
        char *p = url + snprintf(url, sizeof url, "https://site/");
        for (size_t i = 0; i < letters; i++, p += 2) {
            memcpy(p, "\xC3\xA4", 2);
        }
        snprintf(p, 10, ".html");
        snprintf(other, sizeof other, "%.*sx.html", (int)(strlen(url) - 5), url);
        assert_int_equal(cress_key_from_url(url, &a, NULL), CRESS_OK);
        assert_int_equal(cress_key_from_url(other, &b, NULL), CRESS_OK);
        check_invariants(a);
        check_invariants(b);
        assert_string_not_equal(a, b);
        assert_string_equal(a + strlen(a) - 5, ".html");
        free(a);
        free(b);
    }
}

static void test_deep_urls(void **state)
{
    (void)state;
    char url[4000] = "https://site";
    for (int i = 0; i < 900; i++) {
        memcpy(url + strlen("https://site") + (size_t)i * 3, "/ab", 4);
    }
    char *key;
    assert_int_equal(cress_key_from_url(url, &key, NULL), CRESS_OK);
    check_invariants(key);
    free(key);
}

static void test_any_bytes_give_a_sound_key(void **state)
{
    (void)state;
    uint64_t random = 88172645463325252U;
    for (int round = 0; round < 20000; round++) {
        char url[200] = "http://h/";
        const size_t length = 9 + (size_t)(round % 150);
        for (size_t i = 9; i < length; i++) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            url[i] = random & 1 ? "/.%2eE?Ff0"[random >> 8 & 7] : (char)(random >> 16);
        }
        char *key;
        if (cress_key_from_url(url, &key, NULL) == CRESS_OK) {
            check_invariants(key);
            free(key);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_long_urls_are_cut_and_stay_different),
        cmocka_unit_test(test_deep_urls),
        cmocka_unit_test(test_any_bytes_give_a_sound_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
