// SPDX-License-Identifier: Apache-2.0
// Tests of common/object: directories for real, and of S3 all that needs no server: URLs,
// endpoints, credentials, error documents, and what is refused before anything is sent.
#define _GNU_SOURCE /* unshare(2), for the full disk */
#include "common/object/credentials.h"
#include "common/object/object.h"
#include "common/object/s3_error.h"
#include "common/object/s3_target.h"
#include "tests/unit/object_end.h"

#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static char scratch[] = "/tmp/cress-test-object-XXXXXX";
static char small_disk[64]; /* a file system of 64 kB, "" when it could not be made */

struct fixture {
    uv_loop_t loop;
    struct cress_http *http;
    struct cress_config config;
    char root[128];
    bool is_closed;
};

static struct cress_config default_config(void)
{
    return (struct cress_config){
        .s3_endpoint = "",
        .s3_region = "us-east-1",
        .s3_style = "auto",
        .s3_backend = "v4",
        .s3_access_key_id = "id",
        .s3_secret_access_key = "secret",
        .s3_session_token = "",
        .s3_profile = "default",
        .s3_timeout_ms = 1000,
        .s3_attempts = 3,
    };
}

static void closed(void *arg)
{
    ((struct fixture *)arg)->is_closed = true;
}

static int set_up(void **state)
{
    static int number;
    struct fixture *f = calloc(1, sizeof *f);
    uv_loop_init(&f->loop);
    f->http = cress_http_open(&f->loop, 4);
    f->config = default_config();
    snprintf(f->root, sizeof f->root, "%s/%d", scratch, number++);
    assert_int_equal(mkdir(f->root, 0700), 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    cress_http_close(f->http, closed, f);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_true(f->is_closed);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    free(f);
    return 0;
}

/* --- running one request --- */

static struct cress_object_store *open_store(struct fixture *f, const char *url)
{
    struct cress_object_store *store;
    struct cress_error err;
    if (cress_object_store_open(&f->loop, f->http, &f->config, url, &store, &err) != CRESS_OK) {
        fail_msg("%s: %s", url, err.message);
    }
    return store;
}

static struct cress_object_store *open_directory(struct fixture *f, const char *below)
{
    char url[256];
    snprintf(url, sizeof url, "file://%s%s", f->root, below);
    return open_store(f, url);
}

/* Closes the store while the request is under way: it must end all the same. */
static struct end put_object(struct fixture *f, struct cress_object_store *store,
                             const struct cress_object *object)
{
    struct end end = {.calls = 0};
    cress_object_put(store, object, done_cb, &end);
    assert_int_equal(end.calls, 0);
    cress_object_store_close(store);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(end.calls, 1);
    return end;
}

static struct end put(struct fixture *f, const char *below, const char *key, const char *body)
{
    const struct cress_object object = {.key = key, .body = body, .size = strlen(body)};
    return put_object(f, open_directory(f, below), &object);
}

static struct end head(struct fixture *f, const char *key)
{
    struct end end = {.calls = 0};
    struct cress_object_store *store = open_directory(f, "");
    cress_object_head(store, key, head_cb, &end);
    assert_int_equal(end.calls, 0);
    cress_object_store_close(store);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(end.calls, 1);
    return end;
}

static struct end check(struct fixture *f, const char *below)
{
    struct end end = {.calls = 0};
    struct cress_object_store *store = open_directory(f, below);
    cress_object_check(store, done_cb, &end);
    cress_object_store_close(store);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(end.calls, 1);
    return end;
}

static void assert_file(const struct fixture *f, const char *name, const char *expected)
{
    char path[512];
    char text[256] = "";
    snprintf(path, sizeof path, "%s/%s", f->root, name);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    size_t n = fread(text, 1, sizeof text - 1, file);
    text[n] = '\0';
    (void)fclose(file);
    assert_string_equal(text, expected);
}

static int temporary_files;

static int count_temporary(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st;
    (void)type;
    temporary_files += strncmp(path + where->base, ".cress-", 7) == 0;
    return 0;
}

static void assert_no_temporary_files(const char *root)
{
    temporary_files = 0;
    nftw(root, count_temporary, 8, FTW_PHYS);
    assert_int_equal(temporary_files, 0);
}

/* --- a directory --- */

static void test_directory(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(put(f, "", "index.html", "one").err.status, CRESS_OK);
    assert_file(f, "index.html", "one");
    assert_int_equal(put(f, "", "index.html", "two").err.status, CRESS_OK);
    assert_file(f, "index.html", "two");
    assert_int_equal(put(f, "/new/base", "a/b/c d%41+?.css", "").err.status, CRESS_OK);
    assert_file(f, "new/base/a/b/c d%41+?.css", "");
    assert_int_equal(put(f, "/blank%20name/", "x", "y").err.status, CRESS_OK);
    assert_file(f, "blank name/x", "y");

    struct end end = head(f, "index.html");
    assert_int_equal(end.err.status, CRESS_OK);
    assert_true(end.exists);
    assert_int_equal(end.size, 3);
    assert_string_equal(end.type, "");
    char sha256[CRESS_SHA256_TEXT_SIZE];
    assert_string_equal(end.sha256, cress_sha256("two", 3, sha256));
    assert_true(head(f, "new/base/a/b/c d%41+?.css").exists);
    assert_false(head(f, "nothing").exists);
    assert_false(head(f, "no/such/directory").exists);
    assert_int_equal(head(f, "no/such/directory").err.status, CRESS_OK);
    assert_no_temporary_files(f->root);
}

static void test_directory_from_file(void **state)
{
    struct fixture *f = *state;
    FILE *file = tmpfile();
    assert_non_null(file);
    fputs("streamed", file);
    fflush(file);
    struct cress_object object = {.key = "k", .fd = fileno(file), .size = 8};
    assert_int_equal(put_object(f, open_directory(f, ""), &object).err.status, CRESS_OK);
    assert_file(f, "k", "streamed");
    object.size = 9;
    struct end end = put_object(f, open_directory(f, ""), &object);
    assert_failed(&end, CRESS_IO, "io");
    assert_file(f, "k", "streamed"); /* the earlier one stays */
    assert_no_temporary_files(f->root);
    (void)fclose(file);
}

static void test_directory_keys(void **state)
{
    struct fixture *f = *state;
    static const char *const bad[] = {"/etc/passwd", "..",  "../x", "a/../../x", "a/..",
                                      ".",           "./a", "a//b", "a/",        "a/./b",
                                      "/",           "",    "\xff", "a/\xc3"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct end end = put(f, "", bad[i], "x");
        assert_failed(&end, CRESS_INVALID, "bad_key");
        end = head(f, bad[i]);
        assert_failed(&end, CRESS_INVALID, "bad_key");
    }
    char longest[1100];
    memset(longest, 'a', sizeof longest);
    longest[1025] = '\0';
    struct end end = put(f, "", longest, "x");
    assert_failed(&end, CRESS_INVALID, "bad_key");
    longest[256] = '\0';
    end = put(f, "", longest, "x");
    assert_failed(&end, CRESS_INVALID, "bad_key");
    longest[255] = '\0';
    assert_int_equal(put(f, "", longest, "x").err.status, CRESS_OK);

    assert_int_equal(put(f, "", "file", "x").err.status, CRESS_OK);
    end = put(f, "", "file/below", "x");
    assert_failed(&end, CRESS_INVALID, "invalid");
    assert_int_equal(put(f, "", "dir/x", "x").err.status, CRESS_OK);
    end = put(f, "", "dir", "x");
    assert_failed(&end, CRESS_INVALID, "invalid");
    assert_no_temporary_files(f->root);
}

static void test_symlinks(void **state)
{
    struct fixture *f = *state;
    char path[512];
    char outside[256];
    snprintf(outside, sizeof outside, "%s-outside", f->root);
    assert_int_equal(mkdir(outside, 0700), 0);
    snprintf(path, sizeof path, "%s/secret", outside);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    (void)fclose(file);
    snprintf(path, sizeof path, "%s/link", f->root);
    assert_int_equal(symlink(outside, path), 0);
    snprintf(path, sizeof path, "%s/leaf", f->root);
    assert_int_equal(symlink("/etc/hostname", path), 0);

    struct end end = put(f, "", "link/escaped", "x");
    assert_failed(&end, CRESS_DENIED, "symlink_refused");
    end = put(f, "", "link/deeper/escaped", "x");
    assert_failed(&end, CRESS_DENIED, "symlink_refused");
    end = head(f, "link/secret");
    assert_failed(&end, CRESS_DENIED, "symlink_refused");
    end = head(f, "leaf");
    assert_failed(&end, CRESS_DENIED, "symlink_refused");
    snprintf(path, sizeof path, "%s/escaped", outside);
    assert_int_equal(access(path, F_OK), -1);
    /* A link in the file's own place is replaced, not followed. */
    assert_int_equal(put(f, "", "leaf", "mine").err.status, CRESS_OK);
    assert_file(f, "leaf", "mine");
}

static void test_head_of_odd_files(void **state)
{
    struct fixture *f = *state;
    char path[512];
    snprintf(path, sizeof path, "%s/fifo", f->root);
    assert_int_equal(mkfifo(path, 0600), 0);
    struct end end = head(f, "fifo"); /* does not wait for a writer */
    assert_failed(&end, CRESS_INVALID, "bad_key");
}

static void test_roots(void **state)
{
    struct fixture *f = *state;
    char root[160];
    char path[200];
    snprintf(root, sizeof root, "%s/site/", f->root);
    char *roots[] = {"/nowhere", root, NULL};
    f->config.publish_roots = roots;
    struct cress_object_store *store;
    struct cress_error err;
    static const char *const outside[] = {"", "/site2", "/sit"};
    for (size_t i = 0; i < COUNT(outside); i++) {
        char url[256];
        snprintf(url, sizeof url, "file://%s%s", f->root, outside[i]);
        assert_int_equal(cress_object_store_open(&f->loop, f->http, &f->config, url, &store, &err),
                         CRESS_DENIED);
        assert_string_equal(err.code, "directory_refused");
    }
    struct end end = put(f, "/site", "a", "x"); /* a root is the operator's to make */
    assert_failed(&end, CRESS_NOT_FOUND, "not_found");
    assert_int_equal(mkdir(root, 0700), 0);
    assert_int_equal(put(f, "/site", "a", "x").err.status, CRESS_OK);
    assert_int_equal(put(f, "/site/b//c", "d", "x").err.status, CRESS_OK);
    assert_file(f, "site/b/c/d", "x");
    /* A link in the rest of the URL's path leads no further than one in a key. */
    snprintf(path, sizeof path, "%s/link", root);
    assert_int_equal(symlink("/tmp", path), 0);
    end = put(f, "/site/link", "escaped", "x");
    assert_failed(&end, CRESS_DENIED, "symlink_refused");
}

static void test_check_directory(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(check(f, "").err.status, CRESS_OK);
    assert_int_equal(check(f, "/absent").err.status, CRESS_NOT_FOUND);
}

static void test_full_disk(void **state)
{
    struct fixture *f = *state;
    if (!small_disk[0]) {
        print_message("SKIPPED test_full_disk: a private tmpfs needs root\n");
        skip();
    }
    static char body[128 * 1024];
    memset(body, 'x', sizeof body);
    char url[128];
    snprintf(url, sizeof url, "file://%s", small_disk);
    struct cress_object object = {.key = "page", .body = "first", .size = 5};
    assert_int_equal(put_object(f, open_store(f, url), &object).err.status, CRESS_OK);
    object.body = body;
    object.size = sizeof body;
    struct end end = put_object(f, open_store(f, url), &object);
    assert_failed(&end, CRESS_NO_SPACE, "no_space");
    assert_no_temporary_files(small_disk);
    object.body = "again";
    object.size = 5;
    assert_int_equal(put_object(f, open_store(f, url), &object).err.status, CRESS_OK);
}

/* --- what is refused before anything is sent --- */

static void test_urls(void **state)
{
    struct fixture *f = *state;
    static const char *const bad[] = {
        "",          "s3:",           "http://h/b",       "s3://",         "s3:///prefix",
        "s3://ab",   "s3://Upper",    "s3://a_b",         "s3://-abc",     "s3://abc-",
        "s3://a..b", "s3://10.0.0.1", "s3://b%20c",       "file://host/x", "file:///a/../b",
        "file://",   "file:///a/.",   "file:///a/%2e%2e", "file:///a%00b", "file:x"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct cress_object_store *store;
        struct cress_error err;
        if (cress_object_store_open(&f->loop, f->http, &f->config, bad[i], &store, &err) !=
            CRESS_INVALID) {
            fail_msg("\"%s\" is taken", bad[i]);
        }
    }
}

static void test_bad_objects(void **state)
{
    struct fixture *f = *state;
    const struct cress_object objects[] = {
        {.key = "k", .content_type = "text/html\r\nX-Evil: 1"},
        {.key = "k", .cache_control = "a\nb"},
        {.key = "k", .meta = {{"ok", "a\rb"}}, .meta_count = 1},
        {.key = "k", .meta = {{"Bad", "x"}}, .meta_count = 1},
        {.key = "k", .meta = {{"", "x"}}, .meta_count = 1},
        {.key = "k", .meta_count = CRESS_OBJECT_META_MAX + 1},
        {.key = ""},
    };
    for (size_t i = 0; i < COUNT(objects); i++) {
        struct end end = put_object(f, open_store(f, "s3://bucket/prefix"), &objects[i]);
        assert_int_equal(end.err.status, CRESS_INVALID);
    }
}

static void test_unreachable(void **state)
{
    struct fixture *f = *state;
    f->config.s3_endpoint = "http://127.0.0.1:1";
    static const char *const backends[] = {"v4", "libs3"};
    for (size_t i = 0; i < COUNT(backends); i++) {
        f->config.s3_backend = (char *)backends[i];
        const struct cress_object object = {.key = "k", .body = "x", .size = 1};
        struct end end = put_object(f, open_store(f, "s3://bucket"), &object);
        assert_failed(&end, CRESS_UNAVAILABLE, "connect");
    }
}

static void test_targets(void **state)
{
    (void)state;
    static const struct {
        const char *url, *endpoint, *style;
        const char *host, *bucket, *prefix;
        bool is_https, is_path_style;
    } cases[] = {
        {"s3://pages", "", "auto", "s3.eu-west-1.amazonaws.com", "pages", "", true, false},
        {"s3://my.pages/a/b/", "", "auto", "s3.eu-west-1.amazonaws.com", "my.pages", "a/b", true,
         true},
        {"s3://pages//x//y", "http://Host:9000/", "auto", "host:9000", "pages", "x//y", false,
         true},
        {"s3://pages", "https://h:443", "virtual", "h", "pages", "", true, false},
        {"s3://pages", "http://h:80", "path", "h", "pages", "", false, true},
        {"s3://pages", "https://h:80", "path", "h:80", "pages", "", true, true},
        {"s3://pages", "http://[::1]:9000", "auto", "[::1]:9000", "pages", "", false, true},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct cress_config config = default_config();
        config.s3_region = "eu-west-1";
        config.s3_endpoint = (char *)cases[i].endpoint;
        config.s3_style = (char *)cases[i].style;
        struct cress_s3_target target;
        assert_int_equal(cress_s3_target_read(&config, cases[i].url, &target, NULL), CRESS_OK);
        assert_string_equal(target.host, cases[i].host);
        assert_string_equal(target.bucket, cases[i].bucket);
        assert_string_equal(target.prefix, cases[i].prefix);
        assert_int_equal(target.is_https, cases[i].is_https);
        assert_int_equal(target.is_path_style, cases[i].is_path_style);
        cress_s3_target_free(&target);
    }
}

static void test_bad_options(void **state)
{
    (void)state;
    static const struct {
        const char *endpoint, *style, *id;
    } cases[] = {
        {"ftp://h", "auto", "id"},         {"http://u:p@h", "auto", "id"},
        {"http://h/path", "auto", "id"},   {"h:9000", "auto", "id"},
        {"http://h?q", "auto", "id"},      {"http://", "auto", "id"},
        {"http://h", "other", "id"},       {"http://10.0.0.1:9000", "virtual", "id"},
        {"http://[::1]", "virtual", "id"}, {"http://h", "auto", ""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct cress_config config = default_config();
        config.s3_endpoint = (char *)cases[i].endpoint;
        config.s3_style = (char *)cases[i].style;
        config.s3_access_key_id = (char *)cases[i].id;
        struct cress_s3_target target;
        struct cress_error err;
        assert_int_equal(cress_s3_target_read(&config, "s3://pages", &target, &err), CRESS_CONFIG);
    }
}

/* --- credentials --- */

static void write_credentials(const struct fixture *f, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/credentials", f->root);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fputs(text, file);
    (void)fclose(file);
    setenv("AWS_SHARED_CREDENTIALS_FILE", path, 1);
}

static void test_credentials(void **state)
{
    struct fixture *f = *state;
    struct cress_credentials found;
    assert_int_equal(cress_credentials_find(&f->config, &found, NULL), CRESS_OK);
    assert_string_equal(found.access_key_id, "id");
    assert_string_equal(found.secret, "secret");
    assert_null(found.session_token);
    cress_credentials_free(&found);

    f->config.s3_access_key_id = f->config.s3_secret_access_key = "";
    write_credentials(f, "# a comment\n[other]\naws_access_key_id=wrong\n\n[ default ]\n"
                         "aws_access_key_id = AK \r\n; aws_access_key_id = no\n"
                         "aws_secret_access_key=a=b/c+d==\nregion = x\nnonsense\n"
                         "[work]\naws_access_key_id = W\naws_secret_access_key = S\n"
                         "aws_session_token = T");
    assert_int_equal(cress_credentials_find(&f->config, &found, NULL), CRESS_OK);
    assert_string_equal(found.access_key_id, "AK");
    assert_string_equal(found.secret, "a=b/c+d==");
    assert_null(found.session_token);
    cress_credentials_free(&found);
    f->config.s3_profile = "work";
    assert_int_equal(cress_credentials_find(&f->config, &found, NULL), CRESS_OK);
    assert_string_equal(found.access_key_id, "W");
    assert_string_equal(found.session_token, "T");
    cress_credentials_free(&found);
    write_credentials(f, "[work]\naws_access_key_id = new\naws_secret_access_key = new\n");
    assert_int_equal(cress_credentials_find(&f->config, &found, NULL), CRESS_OK);
    assert_string_equal(found.access_key_id, "W"); /* not read again yet */
    assert_string_equal(found.session_token, "T");
    cress_credentials_free(&found);
    f->config.s3_profile = "default"; /* not the one that is remembered */
    struct cress_error err;
    assert_int_equal(cress_credentials_find(&f->config, &found, &err), CRESS_CONFIG);

    write_credentials(f, "[other]\naws_access_key_id=wrong\n");
    f->config.s3_profile = "other"; /* has no secret */
    assert_int_equal(cress_credentials_find(&f->config, &found, &err), CRESS_CONFIG);
    assert_string_equal(err.code, "no_credentials");
    assert_non_null(strstr(err.message, "aws_secret_access_key"));
    setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/credentials", 1);
    assert_int_equal(cress_credentials_find(&f->config, &found, &err), CRESS_CONFIG);
    assert_non_null(strstr(err.message, "/nonexistent/credentials"));
    unsetenv("AWS_SHARED_CREDENTIALS_FILE");
}

/* --- errors --- */

static void test_errors(void **state)
{
    (void)state;
    static const struct {
        long http;
        const char *body;
        enum cress_status status;
        const char *code, *text;
    } cases[] = {
        {404,
         "<?xml version='1.0'?><Error><Code>NoSuchBucket</Code><Message>gone</Message></Error>",
         CRESS_NOT_FOUND, "NoSuchBucket", "create the bucket"},
        {403, "<Error><Code>AccessDenied</Code></Error>", CRESS_DENIED, "AccessDenied", "policy"},
        {403, "<Error><Code>SignatureDoesNotMatch</Code></Error>", CRESS_DENIED,
         "SignatureDoesNotMatch", "secret access key"},
        {403, "<Error><Code>RequestTimeTooSkewed</Code></Error>", CRESS_DENIED,
         "RequestTimeTooSkewed", "NTP"},
        {503, "<Error><Code>SlowDown</Code></Error>", CRESS_UNAVAILABLE, "SlowDown", "SlowDown"},
        {400, "<Error><Code>RequestTimeout</Code></Error>", CRESS_TIMEOUT, "RequestTimeout", ""},
        {400, "<Error><Code>Other</Code><Message>a &lt;b&gt; &amp;amp; \x1b[1m</Message></Error>",
         CRESS_INVALID, "Other", "a <b> &amp;  [1m"},
        {403, "", CRESS_DENIED, "http_403", "secret"},
        {404, "<html>not S3</html>", CRESS_NOT_FOUND, "http_404", "s3.endpoint"},
        {429, "", CRESS_UNAVAILABLE, "http_429", ""},
        {500, "<Code", CRESS_UNAVAILABLE, "http_500", ""},
        {500, "<Code>", CRESS_UNAVAILABLE, "http_500", ""},
        {500, "<Code>cut", CRESS_UNAVAILABLE, "http_500", ""},
        {502, "<Code></Code>", CRESS_UNAVAILABLE, "http_502", ""},
        {507, "", CRESS_NO_SPACE, "http_507", "full"},
        {301, "", CRESS_CONFIG, "http_301", "s3.region"},
        {501, "", CRESS_INVALID, "http_501", ""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct cress_error err;
        assert_int_equal(
            cress_s3_error_from_response(&err, (int)cases[i].http, cases[i].body, "http://h/b/k"),
            cases[i].status);
        assert_int_equal(err.status, cases[i].status);
        assert_string_equal(err.code, cases[i].code);
        assert_non_null(strstr(err.message, cases[i].text));
        assert_non_null(strstr(err.message, "http://h/b/k"));
    }
    /* Longer than there is room for: cut, not overrun. */
    char filler[3000];
    char big[8192];
    memset(filler, 'x', sizeof filler - 1);
    filler[sizeof filler - 1] = '\0';
    snprintf(big, sizeof big, "<Code>%s</Code><Message>%s</Message>", filler, filler);
    struct cress_error err;
    assert_int_equal(cress_s3_error_from_response(&err, 500, big, "w"), CRESS_UNAVAILABLE);
}

static void make_small_disk(void)
{
    char path[sizeof small_disk];
    snprintf(path, sizeof path, "%s/small", scratch);
    if (mkdir(path, 0700) == 0 && unshare(CLONE_NEWNS) == 0 &&
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
        mount("tmpfs", path, "tmpfs", 0, "size=64k") == 0) {
        memcpy(small_disk, path, sizeof small_disk);
    }
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st;
    (void)type;
    (void)where;
    return remove(path);
}

static int remove_scratch(void **state)
{
    (void)state;
    if (small_disk[0]) {
        umount(small_disk);
    }
    return nftw(scratch, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    if (!mkdtemp(scratch)) {
        return 1;
    }
    make_small_disk(); /* before there are threads: they would stay outside */
    const struct CMUnitTest tests[] = {
        TEST(test_directory),       TEST(test_directory_from_file), TEST(test_directory_keys),
        TEST(test_symlinks),        TEST(test_head_of_odd_files),   TEST(test_roots),
        TEST(test_check_directory), TEST(test_full_disk),           TEST(test_urls),
        TEST(test_bad_objects),     TEST(test_unreachable),         TEST(test_targets),
        TEST(test_bad_options),     TEST(test_credentials),         TEST(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, remove_scratch);
}
