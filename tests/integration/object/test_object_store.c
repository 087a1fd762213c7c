// SPDX-License-Identifier: Apache-2.0
// Both S3 backends against a strict server, read back by boto3, and against a server with faults
// (peer.py). Needs the environment of scripts/stack, and the root of the checkout as working
// directory.
#include "common/object/object.h"
#include "common/object/s3_target.h"
#include "common/object/sigv4.h"

#include "common/base/clock.h"
#include "tests/unit/object_end.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define PYTHON       "/usr/bin/python3"
#define PEER         "tests/integration/object/peer.py"

static const char *const backends[] = {"v4", "libs3"};

struct fixture {
    uv_loop_t loop;
    struct cress_http *http;
    struct cress_config *config;
    bool is_closed;
};

/* The server with faults: ends when its stdin does. */
static struct {
    pid_t pid;
    int to;
    char endpoint[64];
} faulty;

static int start_faulty(void **state)
{
    (void)state;
    int to[2];
    int from[2];
    assert_int_equal(pipe(to) | pipe(from), 0);
    faulty.pid = fork();
    if (faulty.pid == 0) {
        dup2(to[0], STDIN_FILENO);
        dup2(from[1], STDOUT_FILENO);
        close(to[1]);
        execl(PYTHON, PYTHON, PEER, "faults", (char *)NULL);
        _exit(127);
    }
    close(to[0]);
    close(from[1]);
    faulty.to = to[1];
    FILE *out = fdopen(from[0], "r");
    char line[16] = "";
    assert_non_null(fgets(line, sizeof line, out));
    long port = strtol(line, NULL, 10);
    (void)fclose(out);
    snprintf(faulty.endpoint, sizeof faulty.endpoint, "http://127.0.0.1:%ld", port);
    return 0;
}

static int stop_faulty(void **state)
{
    (void)state;
    close(faulty.to);
    int status;
    assert_int_equal(waitpid(faulty.pid, &status, 0), faulty.pid);
    return 0;
}

static void closed(void *arg)
{
    ((struct fixture *)arg)->is_closed = true;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    char *argv[] = {"test", NULL};
    int argc = 1;
    struct cress_error err;
    if (cress_config_load(CRESS_PROGRAM_WORKER, &argc, argv, &f->config, &err) != CRESS_OK) {
        fail_msg("%s", err.message);
    }
    uv_loop_init(&f->loop);
    f->http = cress_http_open(&f->loop, 4);
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
    cress_config_free(f->config);
    free(f);
    return 0;
}

static void set(char **option, const char *value)
{
    free(*option);
    *option = strdup(value);
}

/* --- running requests --- */

static struct cress_object_store *open_store(struct fixture *f, const char *backend,
                                             const char *url)
{
    set(&f->config->s3_backend, backend);
    struct cress_object_store *store;
    struct cress_error err;
    if (cress_object_store_open(&f->loop, f->http, f->config, url, &store, &err) != CRESS_OK) {
        fail_msg("%s: %s", url, err.message);
    }
    return store;
}

static void finish(struct fixture *f, struct cress_object_store *store, const struct end *end)
{
    cress_object_store_close(store);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(end->calls, 1);
}

static struct end put(struct fixture *f, const char *backend, const char *url,
                      const struct cress_object *object)
{
    struct end end = {.calls = 0};
    struct cress_object_store *store = open_store(f, backend, url);
    cress_object_put(store, object, done_cb, &end);
    finish(f, store, &end);
    return end;
}

static struct end put_text(struct fixture *f, const char *backend, const char *url)
{
    const struct cress_object object = {.key = "page", .body = "hello", .size = 5};
    return put(f, backend, url, &object);
}

static struct end head(struct fixture *f, const char *backend, const char *url, const char *key)
{
    struct end end = {.calls = 0};
    struct cress_object_store *store = open_store(f, backend, url);
    cress_object_head(store, key, head_cb, &end);
    finish(f, store, &end);
    return end;
}

static struct end check(struct fixture *f, const char *backend, const char *url)
{
    struct end end = {.calls = 0};
    struct cress_object_store *store = open_store(f, backend, url);
    cress_object_check(store, done_cb, &end);
    finish(f, store, &end);
    return end;
}

static const char *pages_url(const char *prefix)
{
    static char url[256];
    const char *bucket = getenv("CRESS_S3_BUCKET");
    assert_non_null(bucket);
    snprintf(url, sizeof url, "s3://%s%s", bucket, prefix);
    return url;
}

/* --- the strict server --- */

/* The first three libs3 2.0 refuses: it would store them under other names. */
static const char *const odd_keys[] = {"../up",
                                       "a b/c d.html",
                                       "\"quoted\" 'too'",
                                       "index.html",
                                       "stra\xc3\x9f\x65/\xf0\x9f\x8c\xb1.html",
                                       "100%/%41",
                                       "a+b",
                                       "~user/",
                                       "what?q=1&r=2#x",
                                       "a//b",
                                       "(a)!*@:,;$=[]{}|^`<>\\",
                                       "-_."};

static size_t first_key(const char *backend)
{
    return strcmp(backend, "libs3") == 0 ? 3 : 0;
}

/* `body` is of the key's own, so that a mix-up shows. */
static void put_odd_keys(struct fixture *f, const char *backend, const char *url)
{
    for (size_t i = first_key(backend); i < COUNT(odd_keys); i++) {
        char sha256[CRESS_SHA256_TEXT_SIZE];
        cress_sha256(odd_keys[i], strlen(odd_keys[i]), sha256);
        const struct cress_object object = {
            .key = odd_keys[i],
            .body = odd_keys[i],
            .size = strlen(odd_keys[i]),
            .content_type = "text/html; charset=utf-8",
            .cache_control = "public,  max-age=300",
            .content_encoding = "identity",
            .meta = {{"sha256", sha256},
                     {"note", "a note"},
                     {"note-more", "x"},
                     {"rendered-at", "12"}},
            .meta_count = 4,
        };
        struct end end = put(f, backend, url, &object);
        assert_good(&end);
        end = head(f, backend, url, odd_keys[i]);
        assert_good(&end);
        assert_true(end.exists);
        assert_int_equal(end.size, strlen(odd_keys[i]));
        assert_string_equal(end.type, "text/html; charset=utf-8");
        assert_string_equal(end.sha256, sha256);
    }
}

static void to_hex(const char *text, char *out)
{
    for (; *text; text++, out += 2) {
        snprintf(out, 3, "%02x", (unsigned)(unsigned char)*text);
    }
}

/* What boto3 sees of the key. */
static void expect_line(const char *prefix, const char *key, char line[4096])
{
    char sha256[CRESS_SHA256_TEXT_SIZE];
    char whole[512];
    cress_sha256(key, strlen(key), sha256);
    snprintf(whole, sizeof whole, "%s/%s", prefix, key);
    const char *fields[] = {
        whole, "text/html; charset=utf-8", "public,  max-age=300", "identity", sha256, "a note",
        key};
    char *at = line;
    for (size_t i = 0; i < COUNT(fields); i++) {
        to_hex(fields[i], at);
        at += 2 * strlen(fields[i]);
        *at++ = i + 1 < COUNT(fields) ? ' ' : '\n';
    }
    *at = '\0';
}

static char *read_output(const char *command)
{
    FILE *out = popen(command, "r");
    assert_non_null(out);
    struct cress_buf text = cress_buf_make(1 << 20);
    char chunk[4096];
    for (size_t n; (n = fread(chunk, 1, sizeof chunk, out)) > 0;) {
        cress_buf_add(&text, chunk, n);
    }
    assert_int_equal(pclose(out), 0);
    return cress_buf_take(&text);
}

static void test_odd_keys(void **state)
{
    for (size_t b = 0; b < COUNT(backends); b++) {
        char prefix[64];
        char url[80];
        char command[256];
        snprintf(prefix, sizeof prefix, "odd-%s-%ld", backends[b], (long)getpid());
        snprintf(url, sizeof url, "/%s", prefix);
        put_odd_keys(*state, backends[b], pages_url(url));
        snprintf(command, sizeof command, PYTHON " " PEER " dump %s/", prefix);
        char *seen = read_output(command);
        size_t lines = 0;
        for (const char *c = seen; *c; c++) {
            lines += *c == '\n';
        }
        assert_int_equal(lines, COUNT(odd_keys) - first_key(backends[b]));
        for (size_t i = first_key(backends[b]); i < COUNT(odd_keys); i++) {
            char line[4096];
            expect_line(prefix, odd_keys[i], line);
            if (!strstr(seen, line)) {
                fail_msg("%s: %s is not as it was sent", backends[b], odd_keys[i]);
            }
        }
        free(seen);
    }
    for (size_t i = 0; i < first_key("libs3"); i++) {
        const struct cress_object object = {.key = odd_keys[i], .body = "", .size = 0};
        struct end end = put(*state, "libs3", pages_url(""), &object);
        assert_failed(&end, CRESS_INVALID, "bad_key");
    }
}

static void test_bodies(void **state)
{
    enum { SIZE = 3 * 1024 * 1024 }; /* above curl's threshold for Expect: 100-continue */
    char *big = calloc(1, SIZE);
    FILE *file = tmpfile();
    assert_non_null(file);
    assert_int_equal(fwrite(big, 1, SIZE, file), SIZE);
    fflush(file);
    const struct cress_object objects[] = {
        {.key = "bodies/empty", .body = "", .size = 0},
        {.key = "bodies/memory", .body = big, .size = SIZE},
        {.key = "bodies/file", .fd = fileno(file), .size = SIZE},
    };
    for (size_t b = 0; b < COUNT(backends); b++) {
        for (size_t i = 0; i < COUNT(objects); i++) {
            struct end end = put(*state, backends[b], pages_url(""), &objects[i]);
            assert_good(&end);
            end = head(*state, backends[b], pages_url(""), objects[i].key);
            assert_true(end.exists);
            assert_int_equal(end.size, objects[i].size);
            assert_string_equal(end.type, "application/octet-stream");
            assert_string_equal(end.sha256, "");
        }
        assert_false(head(*state, backends[b], pages_url(""), "bodies/none").exists);
    }
    (void)fclose(file);
    free(big);
}

static void test_check(void **state)
{
    for (size_t b = 0; b < COUNT(backends); b++) {
        struct end end = check(*state, backends[b], pages_url("/prefix"));
        assert_good(&end);
        end = check(*state, backends[b], "s3://no-such-bucket");
        assert_failed(&end, CRESS_NOT_FOUND, "NoSuchBucket");
    }
}

static void test_missing_bucket(void **state)
{
    for (size_t b = 0; b < COUNT(backends); b++) {
        struct end end = put_text(*state, backends[b], "s3://no-such-bucket/x");
        assert_failed(&end, CRESS_NOT_FOUND, "NoSuchBucket");
        assert_non_null(strstr(end.err.message, "create the bucket"));
    }
}

static void test_wrong_keys(void **state)
{
    struct fixture *f = *state;
    char *right_id = strdup(f->config->s3_access_key_id);
    for (size_t b = 0; b < COUNT(backends); b++) {
        set(&f->config->s3_access_key_id, right_id);
        set(&f->config->s3_secret_access_key, "not-the-secret");
        struct end end = put_text(f, backends[b], pages_url(""));
        assert_failed(&end, CRESS_DENIED, "SignatureDoesNotMatch");
        assert_null(strstr(end.err.message, "not-the-secret"));
        end = check(f, backends[b], pages_url(""));
        assert_failed(&end, CRESS_DENIED, "SignatureDoesNotMatch");
        end = head(f, backends[b], pages_url(""), "k");
        assert_failed(&end, CRESS_DENIED, NULL);
        set(&f->config->s3_access_key_id, "nobody:knows");
        end = put_text(f, backends[b], pages_url(""));
        assert_failed(&end, CRESS_DENIED, NULL);
    }
    free(right_id);
}

static void test_wrong_region(void **state)
{
    struct fixture *f = *state;
    set(&f->config->s3_region, "eu-nowhere-1");
    struct end end = put_text(f, "v4", pages_url(""));
    assert_failed(&end, CRESS_CONFIG, "AuthorizationHeaderMalformed");
    assert_non_null(strstr(end.err.message, "s3.region"));
}

static void test_presigned_url(void **state)
{
    struct fixture *f = *state;
    const struct cress_object object = {.key = "pre signed+.txt", .body = "by link", .size = 7};
    struct end end = put(f, "v4", pages_url(""), &object);
    assert_good(&end);
    struct cress_s3_target target;
    assert_int_equal(cress_s3_target_read(f->config, pages_url(""), &target, NULL), CRESS_OK);
    const struct cress_sigv4_identity identity = {.access_key_id = target.credentials.access_key_id,
                                                  .secret = target.credentials.secret,
                                                  .region = target.region,
                                                  .service = "s3"};
    struct cress_buf path = cress_buf_make(1024);
    struct cress_buf query = cress_buf_make(4096);
    char date[CRESS_SIGV4_DATE_SIZE];
    cress_buf_printf(&path, "/%s/", target.bucket);
    cress_sigv4_encode(object.key, true, &path);
    cress_sigv4_presign(&identity, target.host, cress_buf_text(&path),
                        cress_sigv4_date(cress_clock_wall_ms(), date), 60, &query);
    char command[8192];
    snprintf(command, sizeof command, PYTHON " " PEER " get 'http://%s%s?%s'", target.host,
             cress_buf_text(&path), cress_buf_text(&query));
    char *seen = read_output(command);
    assert_string_equal(seen, "by link");
    free(seen);
    cress_buf_free(&path);
    cress_buf_free(&query);
    cress_s3_target_free(&target);
}

/* --- the server with faults --- */

static int puts_to(const char *bucket)
{
    char command[256];
    snprintf(command, sizeof command, PYTHON " " PEER " get %s/count/%s", faulty.endpoint, bucket);
    char *text = read_output(command);
    int count = (int)strtol(text, NULL, 10);
    free(text);
    return count;
}

static void assert_fault(struct fixture *f, const char *backend, const char *bucket,
                         enum cress_status status, const char *code, int attempts)
{
    char url[64];
    snprintf(url, sizeof url, "s3://%s", bucket);
    int before = puts_to(bucket);
    struct end end = put_text(f, backend, url);
    assert_failed(&end, status, code);
    int puts = puts_to(bucket) - before;
    /* curl itself sends once more when a reused connection is lost before an answer. */
    assert_true(puts == attempts || (puts > attempts && strcmp(bucket, "resets") == 0));
}

static void test_faults(void **state)
{
    struct fixture *f = *state;
    set(&f->config->s3_endpoint, faulty.endpoint);
    f->config->s3_attempts = 3;
    /* libs3 2.0 takes 503 after 100 for success, and the HEAD after them finds nothing. */
    assert_fault(f, "v4", "continue-503", CRESS_UNAVAILABLE, "http_503", 3);
    assert_fault(f, "libs3", "continue-503", CRESS_UNAVAILABLE, NULL, 3);
    assert_fault(f, "v4", "plain-500", CRESS_UNAVAILABLE, "http_500", 3);
    assert_fault(f, "libs3", "plain-500", CRESS_UNAVAILABLE, NULL, 3);
    assert_fault(f, "v4", "resets", CRESS_UNAVAILABLE, "reset", 3);
    assert_fault(f, "libs3", "resets", CRESS_UNAVAILABLE, NULL, 3);
    assert_fault(f, "v4", "truncates", CRESS_UNAVAILABLE, "reset", 3);
    assert_fault(f, "v4", "not-s3", CRESS_UNAVAILABLE, "unconfirmed", 3);
    assert_fault(f, "v4", "forgets", CRESS_TEMPORARY, "unconfirmed", 3);
    assert_fault(f, "libs3", "forgets", CRESS_UNAVAILABLE, "unconfirmed", 3);
    assert_fault(f, "v4", "denied", CRESS_DENIED, "http_403", 1);
    assert_fault(f, "v4", "full", CRESS_NO_SPACE, "http_507", 1);
    f->config->s3_timeout_ms = 200; /* libs3 2.0 has no such limit */
    assert_fault(f, "v4", "stalls", CRESS_TIMEOUT, "timeout", 3);
    struct end end = check(f, "v4", "s3://not-s3");
    assert_failed(&end, CRESS_CONFIG, NULL);
}

static void test_recovery(void **state)
{
    struct fixture *f = *state;
    set(&f->config->s3_endpoint, faulty.endpoint);
    f->config->s3_attempts = 2;
    for (size_t b = 0; b < COUNT(backends); b++) {
        assert_fault(f, backends[b], "recovers", CRESS_OK, NULL, 2);
    }
    assert_fault(f, "v4", "encrypts", CRESS_OK, NULL, 1); /* its ETag is no MD5, and says so */
}

/* Many at once, in all ways: nothing is lost, nothing left behind. */
static void test_many(void **state)
{
    struct fixture *f = *state;
    enum { MANY = 60 };
    static struct end ends[MANY];
    memset(ends, 0, sizeof ends);
    char keys[MANY][32];
    for (size_t b = 0; b < COUNT(backends); b++) {
        struct cress_object_store *store = open_store(f, backends[b], pages_url("/many"));
        for (int i = (int)b; i < MANY; i += 2) {
            snprintf(keys[i], sizeof keys[i], "%d.html", i);
            const struct cress_object object = {
                .key = keys[i], .body = keys[i], .size = strlen(keys[i])};
            cress_object_put(store, &object, done_cb, &ends[i]);
        }
        cress_object_store_close(store);
    }
    uv_run(&f->loop, UV_RUN_DEFAULT);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(ends[i].calls, 1);
        assert_good(&ends[i]);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_odd_keys),       TEST(test_bodies),     TEST(test_check),
        TEST(test_missing_bucket), TEST(test_wrong_keys), TEST(test_wrong_region),
        TEST(test_presigned_url),  TEST(test_faults),     TEST(test_recovery),
        TEST(test_many),
    };
    return cmocka_run_group_tests(tests, start_faulty, stop_faulty);
}
