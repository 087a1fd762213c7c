// SPDX-License-Identifier: Apache-2.0
// Tests of common/http/http.h against a small server in threads of this program.
//
// DESIGN
// The server has a thread that accepts and one for each connection. What it answers is chosen by
// the path; it counts connections. At the end its sockets are shut down, which ends every thread,
// also those that stall on purpose.
#include "common/base/clock.h"
#include "common/http/http.h"
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { MAX_CONNECTIONS = 64, BIG = 1 << 20, DEADLINE_MS = 10000 };

/* --- the server --- */

static struct {
    int listener;
    int port;
    pthread_t acceptor;
    pthread_mutex_t lock;
    int sockets[MAX_CONNECTIONS];
    pthread_t threads[MAX_CONNECTIONS];
    int count;
} server;

static bool send_all(int fd, const void *data, size_t size)
{
    for (const char *at = data; size > 0;) {
        ssize_t n = send(fd, at, size, MSG_NOSIGNAL);
        if (n <= 0) {
            return false;
        }
        at += n;
        size -= (size_t)n;
    }
    return true;
}

static bool send_text(int fd, const char *text)
{
    return send_all(fd, text, strlen(text));
}

static bool answer(int fd, const char *head, const void *body, size_t size)
{
    char text[4096];
    snprintf(text, sizeof text, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n", head, size);
    return send_text(fd, text) && send_all(fd, body, size);
}

static bool answer_gzip(int fd)
{
    static const unsigned char zeros[BIG];
    static _Thread_local unsigned char packed[BIG];
    z_stream z = {.next_in = (unsigned char *)zeros,
                  .avail_in = sizeof zeros,
                  .next_out = packed,
                  .avail_out = sizeof packed};
    deflateInit2(&z, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY);
    deflate(&z, Z_FINISH);
    size_t size = sizeof packed - z.avail_out;
    deflateEnd(&z);
    return answer(fd, "200 OK\r\nContent-Encoding: gzip", packed, size);
}

static bool answer_redirect(int fd, const char *to)
{
    char head[512];
    snprintf(head, sizeof head, "302 Found\r\nX-Hop: first\r\nLocation: %.400s", to);
    return answer(fd, head, "moved", 5);
}

static bool stall(int fd)
{
    char byte;
    return recv(fd, &byte, 1, 0) > 0;
}

static bool reset(int fd)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    return false;
}

static bool send_headers_for_ever(int fd)
{
    if (!send_text(fd, "HTTP/1.1 200 OK\r\n")) {
        return false;
    }
    while (
        send_text(fd, "X-Filler: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n")) {
    }
    return false;
}

/* Many short lines of one name, and an end: 200 kB. */
static bool send_many_headers(int fd)
{
    bool ok = send_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n");
    for (int i = 0; ok && i < 40000; i++) {
        ok = send_text(fd, "a:1\r\n");
    }
    return ok && send_text(fd, "\r\nok");
}

static bool send_a_long_header(int fd)
{
    static char line[200 * 1024];
    memset(line, 'a', sizeof line - 1);
    return send_text(fd, "HTTP/1.1 200 OK\r\nX-Long: ") && send_text(fd, line) && false;
}

/* `request` is the head; the body follows it there. False: close. */
static bool respond(int fd, const char *method, const char *path, const char *request,
                    const char *body, size_t body_size)
{
    static const char zeros[BIG];
    if (strcmp(path, "/echo") == 0) {
        return answer(fd, "200 OK", body, body_size);
    }
    if (strncmp(path, "/request", 8) == 0) {
        return answer(fd, "200 OK", request, strlen(request));
    }
    if (strncmp(path, "/redirect?", 10) == 0) {
        return answer_redirect(fd, path + 10);
    }
    if (strcmp(path, "/big") == 0) {
        return answer(fd, "200 OK", zeros, sizeof zeros);
    }
    if (strcmp(path, "/gzip") == 0) {
        return answer_gzip(fd);
    }
    if (strcmp(path, "/headers") == 0) {
        return send_headers_for_ever(fd);
    }
    if (strcmp(path, "/many-headers") == 0) {
        return send_many_headers(fd);
    }
    if (strcmp(path, "/long-header") == 0) {
        return send_a_long_header(fd);
    }
    if (strcmp(path, "/silent") == 0) {
        return stall(fd);
    }
    if (strcmp(path, "/stall") == 0) {
        return send_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc") && stall(fd);
    }
    if (strcmp(path, "/short") == 0) {
        send_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
        return false;
    }
    if (strcmp(path, "/reset") == 0) {
        send_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
        return reset(fd);
    }
    if (strcmp(path, "/nonsense") == 0) {
        send_text(fd, "220 mail.example ESMTP\r\n");
        return false;
    }
    if (strcmp(path, "/missing") == 0) {
        return answer(fd, "404 Not Found", "no such page", 12);
    }
    if (strcmp(method, "HEAD") == 0) {
        return send_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    }
    return answer(fd, "200 OK\r\nX-Mixed-Case:  Value \r\nX-Empty:", "hello", 5);
}

static bool serve_one(int fd)
{
    char request[65536];
    size_t size = 0;
    char *end = NULL;
    while (!end) {
        ssize_t n = recv(fd, request + size, sizeof request - 1 - size, 0);
        if (n <= 0) {
            return false;
        }
        size += (size_t)n;
        request[size] = '\0';
        end = strstr(request, "\r\n\r\n");
    }
    end += 4;
    const char *length = strstr(request, "Content-Length: ");
    size_t body_size = length ? strtoul(length + 16, NULL, 10) : 0;
    size_t head_size = (size_t)(end - request);
    while (size < head_size + body_size) {
        ssize_t n = recv(fd, request + size, sizeof request - 1 - size, 0);
        if (n <= 0) {
            return false;
        }
        size += (size_t)n;
    }
    request[size] = '\0';
    char method[16];
    char path[1024];
    sscanf(request, "%15s %1023s", method, path);
    char head[sizeof request];
    memcpy(head, request, head_size);
    head[head_size] = '\0';
    return respond(fd, method, path, head, end, body_size);
}

static void *serve_connection(void *arg)
{
    int slot = (int)(intptr_t)arg;
    pthread_mutex_lock(&server.lock);
    int fd = server.sockets[slot];
    pthread_mutex_unlock(&server.lock);
    while (serve_one(fd)) {
    }
    pthread_mutex_lock(&server.lock);
    server.sockets[slot] = -1;
    close(fd);
    pthread_mutex_unlock(&server.lock);
    return NULL;
}

static void *accept_connections(void *arg)
{
    (void)arg;
    for (;;) {
        int fd = accept(server.listener, NULL, NULL);
        if (fd < 0 || server.count == MAX_CONNECTIONS) {
            return NULL;
        }
        pthread_mutex_lock(&server.lock);
        int slot = server.count++;
        server.sockets[slot] = fd;
        pthread_create(&server.threads[slot], NULL, serve_connection, (void *)(intptr_t)slot);
        pthread_mutex_unlock(&server.lock);
    }
}

static int connections(void)
{
    pthread_mutex_lock(&server.lock);
    int count = server.count;
    pthread_mutex_unlock(&server.lock);
    return count;
}

/* --- a loop and a client for each test --- */

struct fixture {
    uv_loop_t loop;
    struct cress_http *http;
    struct cress_guard *guard; /* permits nothing but what is public */
    struct cress_guard *open;  /* permits the server too */
    bool is_closed;
};

static void closed(void *arg)
{
    struct fixture *f = arg;
    f->is_closed = true;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    memset(&server, 0, sizeof server);
    pthread_mutex_init(&server.lock, NULL);
    server.listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    assert_int_equal(bind(server.listener, (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(server.listener, 64), 0);
    getsockname(server.listener, (struct sockaddr *)&address, &length);
    server.port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&server.acceptor, NULL, accept_connections, NULL), 0);

    uv_loop_init(&f->loop);
    f->http = cress_http_open(&f->loop, 4);
    assert_int_equal(cress_guard_make(NULL, &f->guard, NULL), CRESS_OK);
    char allowed[64];
    snprintf(allowed, sizeof allowed, "127.0.0.1:%d", server.port);
    char *allow[] = {allowed, NULL};
    assert_int_equal(cress_guard_make(allow, &f->open, NULL), CRESS_OK);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    if (!f->is_closed) {
        cress_http_close(f->http, closed, f);
    }
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_true(f->is_closed);
    assert_int_equal(uv_loop_close(&f->loop), 0); /* no handle is left */
    cress_guard_free(f->guard);
    cress_guard_free(f->open);

    shutdown(server.listener, SHUT_RDWR);
    pthread_join(server.acceptor, NULL);
    close(server.listener);
    pthread_mutex_lock(&server.lock);
    for (int i = 0; i < server.count; i++) {
        if (server.sockets[i] >= 0) {
            shutdown(server.sockets[i], SHUT_RDWR);
        }
    }
    pthread_mutex_unlock(&server.lock);
    for (int i = 0; i < server.count; i++) {
        pthread_join(server.threads[i], NULL);
    }
    pthread_mutex_destroy(&server.lock);
    free(f);
    return 0;
}

/* What a call came to. */
struct end {
    int calls;
    struct cress_error err; /* CRESS_OK: there was a response */
    int status;
    int redirects;
    char url[512];
    char body[4096];
    size_t body_size;
    char mixed[32];
    char empty[8];
    bool has_hop;
    struct cress_http *close_http; /* close it in the callback */
    struct fixture *fixture;
    size_t data_size;                   /* by on_data */
    size_t data_limit;                  /* on_data refuses more; 0: no limit */
    struct cress_http_call *pause_call; /* on_data pauses it */
};

static void done_cb(const struct cress_http_response *response, const struct cress_error *err,
                    void *arg)
{
    struct end *end = arg;
    end->calls++;
    if (err) {
        assert_null(response);
        end->err = *err;
    } else {
        end->status = response->status;
        end->redirects = response->redirects;
        snprintf(end->url, sizeof end->url, "%s", response->url);
        snprintf(end->body, sizeof end->body, "%s", response->body);
        end->body_size = response->body_size;
        const char *mixed = cress_http_header_value(response, "x-mixed-case");
        const char *empty = cress_http_header_value(response, "x-empty");
        snprintf(end->mixed, sizeof end->mixed, "%s", mixed ? mixed : "absent");
        snprintf(end->empty, sizeof end->empty, "%s", empty ? empty : "absent");
        end->has_hop = cress_http_header_value(response, "x-hop") != NULL;
        assert_true(response->total_ms >= 0 && response->total_ms < DEADLINE_MS);
    }
    if (end->close_http) {
        cress_http_close(end->close_http, closed, end->fixture);
    }
}

static bool on_data(const void *data, size_t size, void *arg)
{
    (void)data;
    struct end *end = arg;
    end->data_size += size;
    if (end->pause_call) {
        cress_http_pause(end->pause_call, true);
    }
    return end->data_limit == 0 || end->data_size <= end->data_limit;
}

static struct cress_http_request request_for(char url[512], const char *path)
{
    snprintf(url, 512, "http://127.0.0.1:%d%s", server.port, path);
    return (struct cress_http_request){
        .method = "GET", .url = url, .timeout_ms = DEADLINE_MS, .max_bytes = 2 * BIG};
}

/* Runs until the call is over. */
static void finish(struct fixture *f, const struct end *end)
{
    while (end->calls == 0) {
        assert_true(uv_run(&f->loop, UV_RUN_ONCE) || end->calls);
    }
    assert_int_equal(end->calls, 1);
}

static struct end run(struct fixture *f, const struct cress_http_request *request)
{
    struct end end = {0};
    cress_http_start(f->http, request, done_cb, &end);
    assert_int_equal(end.calls, 0); /* never from within */
    finish(f, &end);
    return end;
}

static struct end get(struct fixture *f, const char *path, const struct cress_guard *guard)
{
    char url[512];
    struct cress_http_request request = request_for(url, path);
    request.guard = guard;
    request.max_redirects = 5;
    return run(f, &request);
}

static void assert_failed(const struct end *end, enum cress_status status, const char *code)
{
    if (end->err.status != status || strcmp(end->err.code, code) != 0) {
        fail_msg("%s %s: %s", cress_status_word(end->err.status), end->err.code, end->err.message);
    }
}

/* --- tests --- */

static void test_response(void **state)
{
    struct end end = get(*state, "/", NULL);
    assert_int_equal(end.err.status, CRESS_OK);
    assert_int_equal(end.status, 200);
    assert_string_equal(end.body, "hello");
    assert_string_equal(end.mixed, "Value");
    assert_string_equal(end.empty, "");
    end = get(*state, "/missing", NULL);
    assert_int_equal(end.status, 404);
    assert_string_equal(end.body, "no such page");
}

static void test_request_as_sent(void **state)
{
    char url[512];
    struct cress_http_request request = request_for(url, "/request");
    const struct cress_http_header headers[] = {{"X-One", "1"}, {"X-None", ""}};
    request.headers = headers;
    request.header_count = COUNT(headers);
    request.user_agent = "tester/1";
    struct end end = run(*state, &request);
    assert_non_null(strstr(end.body, "GET /request HTTP/1.1\r\n"));
    assert_non_null(strstr(end.body, "\r\nX-One: 1\r\n"));
    assert_non_null(strstr(end.body, "\r\nX-None:\r\n"));
    assert_non_null(strstr(end.body, "\r\nUser-Agent: tester/1\r\n"));
    assert_null(strstr(end.body, "Accept-Encoding"));
    assert_null(strstr(end.body, "Expect"));
    end = get(*state, "/request/\xc3\xa4?\xe9", NULL);
    assert_non_null(strstr(end.body, "GET /request/%C3%A4?%E9 HTTP/1.1\r\n"));
    /* The path is not normalised: the server redirects to the rest of it as it got it. */
    end = get(*state, "/redirect?/x/../%7e//y", NULL);
    assert_non_null(strstr(end.url, "/x/../%7e//y"));
}

static void test_methods(void **state)
{
    static const char *const methods[] = {"PUT", "POST", "DELETE"};
    for (size_t i = 0; i < COUNT(methods); i++) {
        char url[512];
        struct cress_http_request request = request_for(url, "/echo");
        request.method = methods[i];
        request.body = "some body";
        request.body_size = 9;
        struct end end = run(*state, &request);
        assert_string_equal(end.body, "some body");
    }
    char url[512];
    struct cress_http_request request = request_for(url, "/");
    request.method = "HEAD";
    struct end end = run(*state, &request);
    assert_int_equal(end.status, 200);
    assert_int_equal(end.body_size, 0);
    request = request_for(url, "/request");
    request.method = "PUT";
    end = run(*state, &request);
    assert_non_null(strstr(end.body, "\r\nContent-Length: 0\r\n"));
}

static void test_body_from_file(void **state)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    fputs("from a file", file);
    fflush(file);
    char url[512];
    struct cress_http_request request = request_for(url, "/echo");
    request.method = "PUT";
    request.body_fd = fileno(file);
    request.body_size = 11;
    struct end end = run(*state, &request);
    assert_string_equal(end.body, "from a file");
    request.body_size = 12; /* more than there is */
    end = run(*state, &request);
    assert_failed(&end, CRESS_IO, "io");
    (void)fclose(file);
}

static void test_connections_are_reused(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(get(f, "/", NULL).status, 200);
    }
    assert_int_equal(connections(), 1);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(get(f, "/", f->open).status, 200);
    }
    assert_int_equal(connections(), 2);
}

/* An idle connection to the server is there, twice; a guard that refuses the server must not get
 * it. */
static void test_guard_does_not_reuse(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(get(f, "/", NULL).status, 200);
    assert_int_equal(get(f, "/", f->open).status, 200);
    struct end end = get(f, "/", f->guard);
    assert_failed(&end, CRESS_DENIED, "address_refused");
    assert_int_equal(connections(), 2);
}

static void test_guard_refuses(void **state)
{
    struct fixture *f = *state;
    struct end end = get(f, "/", f->guard);
    assert_failed(&end, CRESS_DENIED, "address_refused");
    char expected[64];
    snprintf(expected, sizeof expected, "127.0.0.1:%d ", server.port);
    assert_non_null(strstr(end.err.message, expected));
    assert_non_null(strstr(end.err.message, "CRESS_RENDER_ALLOW"));
    static const char *const hosts[] = {"localhost",          "2130706433", "0x7f.1",
                                        "[::ffff:127.0.0.1]", "0",          "127.1"};
    for (size_t i = 0; i < COUNT(hosts); i++) {
        char url[512];
        struct cress_http_request request = request_for(url, "/");
        snprintf(url, sizeof url, "http://%s:%d/", hosts[i], server.port);
        request.guard = f->guard;
        end = run(f, &request);
        assert_failed(&end, CRESS_DENIED, "address_refused");
    }
    assert_int_equal(connections(), 0);
}

static void test_guard_refuses_after_redirect(void **state)
{
    struct fixture *f = *state;
    struct end end = get(f, "/redirect?http://127.0.0.2:1/", f->open);
    assert_failed(&end, CRESS_DENIED, "address_refused");
    assert_non_null(strstr(end.err.message, "127.0.0.2:1 "));
    end = get(f, "/redirect?http://169.254.169.254/latest/meta-data/", f->open);
    assert_failed(&end, CRESS_DENIED, "address_refused");
    end = get(f, "/redirect?file:///etc/passwd", f->open);
    assert_failed(&end, CRESS_DENIED, "scheme_refused");
    char path[128];
    snprintf(path, sizeof path, "/redirect?http://u:p@127.0.0.1:%d/", server.port);
    end = get(f, path, f->open);
    assert_failed(&end, CRESS_INVALID, "bad_url");
    assert_null(strstr(end.err.message, "u:p"));
}

static void test_refused_urls(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *url;
        enum cress_status status;
        const char *code;
    } cases[] = {
        {"gopher://127.0.0.1/", CRESS_DENIED, "scheme_refused"},
        {"file:///etc/passwd", CRESS_DENIED, "scheme_refused"},
        {"http://user:secret@127.0.0.1/", CRESS_INVALID, "bad_url"},
        {"127.0.0.1/", CRESS_INVALID, "bad_url"},
        {"", CRESS_INVALID, "bad_url"},
        {"http://127.0.0.1:99999/", CRESS_INVALID, "bad_url"},
        {"http://a b/", CRESS_INVALID, "bad_url"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char url[512];
        struct cress_http_request request = request_for(url, "/");
        request.url = cases[i].url;
        request.guard = f->guard;
        struct end end = run(f, &request);
        assert_failed(&end, cases[i].status, cases[i].code);
        assert_null(strstr(end.err.message, "secret"));
    }
}

static void test_redirects(void **state)
{
    struct fixture *f = *state;
    struct end end = get(f, "/redirect?/redirect?/", f->open);
    assert_int_equal(end.status, 200);
    assert_int_equal(end.redirects, 2);
    assert_string_equal(end.body, "hello");
    assert_false(end.has_hop); /* headers of the last response only */

    char url[512];
    struct cress_http_request request = request_for(url, "/redirect?/");
    end = run(f, &request);
    assert_int_equal(end.status, 302);
    assert_true(end.has_hop);
    assert_string_equal(end.body, "moved");

    request = request_for(url, "/redirect?/redirect?/redirect?/");
    request.max_redirects = 2;
    end = run(f, &request);
    assert_failed(&end, CRESS_TEMPORARY, "too_many_redirects");
}

static void test_size_limit(void **state)
{
    struct fixture *f = *state;
    char url[512];
    struct cress_http_request request = request_for(url, "/big");
    request.max_bytes = BIG;
    assert_int_equal(run(f, &request).body_size, BIG);
    request.max_bytes = BIG - 1;
    struct end end = run(f, &request);
    assert_failed(&end, CRESS_TOO_LARGE, "too_large");

    /* It is the decoded size that counts. */
    request = request_for(url, "/gzip");
    request.accept_encoding = true;
    assert_int_equal(run(f, &request).body_size, BIG);
    request.max_bytes = BIG - 1;
    end = run(f, &request);
    assert_failed(&end, CRESS_TOO_LARGE, "too_large");
    request.accept_encoding = false;
    end = run(f, &request);
    assert_true(end.body_size > 0 && end.body_size < BIG / 10);

    end = get(f, "/headers", NULL);
    assert_failed(&end, CRESS_TOO_LARGE, "too_large");
    end = get(f, "/many-headers", NULL);
    assert_failed(&end, CRESS_TOO_LARGE, "too_large");
    end = get(f, "/long-header", NULL);
    assert_failed(&end, CRESS_UNAVAILABLE, "http");
    assert_non_null(strstr(end.err.message, "header line is too long"));
}

static void test_timeouts(void **state)
{
    static const char *const paths[] = {"/silent", "/stall"};
    for (size_t i = 0; i < COUNT(paths); i++) {
        char url[512];
        struct cress_http_request request = request_for(url, paths[i]);
        request.timeout_ms = 100;
        int64_t started_ms = cress_clock_mono_ms();
        struct end end = run(*state, &request);
        assert_failed(&end, CRESS_TIMEOUT, "timeout");
        int64_t took_ms = cress_clock_mono_ms() - started_ms;
        assert_true(took_ms >= 100 && took_ms < 5000);
    }
}

/* Four stalled requests hold all connections of the host; the fifth waits, and its time counts. */
static void test_waiting_counts(void **state)
{
    struct fixture *f = *state;
    char url[512];
    char quick[512];
    struct cress_http_request request = request_for(url, "/silent");
    struct end stalled[4] = {{0}};
    struct cress_http_call *calls[4];
    for (int i = 0; i < 4; i++) {
        calls[i] = cress_http_start(f->http, &request, done_cb, &stalled[i]);
    }
    struct cress_http_request waiting = request_for(quick, "/");
    waiting.timeout_ms = 150;
    struct end end = run(f, &waiting);
    assert_failed(&end, CRESS_TIMEOUT, "timeout");
    assert_int_equal(connections(), 4);

    /* And one that still has time gets the first connection that is free. */
    waiting.timeout_ms = DEADLINE_MS;
    struct end last = {0};
    cress_http_start(f->http, &waiting, done_cb, &last);
    cress_http_cancel(calls[0]);
    finish(f, &last);
    assert_int_equal(last.status, 200);
    for (int i = 1; i < 4; i++) {
        cress_http_cancel(calls[i]);
    }
    for (int i = 0; i < 4; i++) {
        finish(f, &stalled[i]);
        assert_int_equal(stalled[i].err.status, CRESS_CANCELLED);
    }
}

static void test_broken_connections(void **state)
{
    struct fixture *f = *state;
    struct end end = get(f, "/reset", NULL);
    assert_failed(&end, CRESS_UNAVAILABLE, "reset");
    end = get(f, "/short", NULL);
    assert_failed(&end, CRESS_UNAVAILABLE, "reset");
    end = get(f, "/nonsense", NULL);
    assert_failed(&end, CRESS_UNAVAILABLE, "http");

    char url[512];
    struct cress_http_request request = request_for(url, "/");
    request.url = "http://127.0.0.1:1/"; /* tcpmux: nobody listens */
    end = run(f, &request);
    assert_failed(&end, CRESS_UNAVAILABLE, "connect");
    request.url = "http://no-such-host.invalid/";
    end = run(f, &request);
    assert_failed(&end, CRESS_UNAVAILABLE, "dns");
    snprintf(url, sizeof url, "https://127.0.0.1:%d/nonsense", server.port);
    request.url = url;
    request.timeout_ms = 2000;
    end = run(f, &request);
    assert_true(end.err.status == CRESS_UNAVAILABLE || end.err.status == CRESS_TIMEOUT);
}

static void test_cancel(void **state)
{
    struct fixture *f = *state;
    char url[512];
    struct cress_http_request request = request_for(url, "/silent");
    struct end end = {0};
    struct cress_http_call *call = cress_http_start(f->http, &request, done_cb, &end);
    cress_http_cancel(call);
    assert_int_equal(end.calls, 0);
    finish(f, &end);
    assert_failed(&end, CRESS_CANCELLED, "cancelled");
}

static void test_on_data(void **state)
{
    struct fixture *f = *state;
    char url[512];
    struct cress_http_request request = request_for(url, "/big");
    request.on_data = on_data;
    struct end end = run(f, &request);
    assert_int_equal(end.data_size, BIG);
    assert_int_equal(end.body_size, 0);

    struct end refusing = {.data_limit = 1000};
    cress_http_start(f->http, &request, done_cb, &refusing);
    finish(f, &refusing);
    assert_failed(&refusing, CRESS_CANCELLED, "cancelled");

    request = request_for(url, "/missing");
    request.on_data = on_data;
    end = run(f, &request);
    assert_int_equal(end.status, 404);
    assert_int_equal(end.data_size, 0);
}

struct resumer {
    uv_timer_t timer;
    struct end *end;
    struct cress_http_call *call;
    size_t seen;
    int pauses;
};

/* Nothing came in while it was paused; and nothing comes from within the resuming call. */
static void resume_cb(uv_timer_t *timer)
{
    struct resumer *r = timer->data;
    if (r->end->calls) {
        uv_close((uv_handle_t *)timer, NULL);
        return;
    }
    if (r->end->data_size == 0 || r->seen != r->end->data_size) {
        r->seen = r->end->data_size;
        return; /* look again: has it stopped? */
    }
    r->pauses++;
    if (r->pauses > 3) {
        r->end->pause_call = NULL;
    }
    cress_http_pause(r->call, false);
    assert_int_equal(r->end->data_size, r->seen);
}

static void test_pause(void **state)
{
    struct fixture *f = *state;
    char url[512];
    struct cress_http_request request = request_for(url, "/big");
    request.on_data = on_data;
    struct end end = {0};
    end.pause_call = cress_http_start(f->http, &request, done_cb, &end);
    struct resumer resumer = {.end = &end, .call = end.pause_call};
    uv_timer_init(&f->loop, &resumer.timer);
    resumer.timer.data = &resumer;
    uv_timer_start(&resumer.timer, resume_cb, 20, 20);
    finish(f, &end);
    assert_int_equal(end.err.status, CRESS_OK);
    assert_int_equal(end.data_size, BIG);
    assert_true(resumer.pauses > 3);
    uv_run(&f->loop, UV_RUN_DEFAULT);
}

static void test_close_under_way(void **state)
{
    struct fixture *f = *state;
    char url[512];
    char other[512];
    struct cress_http_request silent = request_for(url, "/silent");
    struct cress_http_request quick = request_for(other, "/");
    struct cress_http_request guarded = quick;
    struct cress_http_request name = request_for(url, "/silent");
    name.url = "http://no-such-host.invalid/";
    guarded.guard = f->open;
    struct end ends[3] = {{0}};
    struct end closing = {.close_http = f->http, .fixture = f};
    cress_http_start(f->http, &silent, done_cb, &ends[0]);
    cress_http_start(f->http, &guarded, done_cb, &closing);
    cress_http_start(f->http, &name, done_cb, &ends[1]);
    guarded.url = silent.url;
    cress_http_start(f->http, &guarded, done_cb, &ends[2]);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_true(f->is_closed);
    assert_int_equal(closing.status, 200);
    for (size_t i = 0; i < COUNT(ends); i++) {
        assert_int_equal(ends[i].calls, 1);
        assert_true(ends[i].err.status == CRESS_CANCELLED ||
                    ends[i].err.status == CRESS_UNAVAILABLE);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_response),
        TEST(test_request_as_sent),
        TEST(test_methods),
        TEST(test_body_from_file),
        TEST(test_connections_are_reused),
        TEST(test_guard_does_not_reuse),
        TEST(test_guard_refuses),
        TEST(test_guard_refuses_after_redirect),
        TEST(test_refused_urls),
        TEST(test_redirects),
        TEST(test_size_limit),
        TEST(test_timeouts),
        TEST(test_waiting_counts),
        TEST(test_broken_connections),
        TEST(test_cancel),
        TEST(test_on_data),
        TEST(test_pause),
        TEST(test_close_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
