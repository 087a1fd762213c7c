// SPDX-License-Identifier: Apache-2.0
// HTTP calls: a request given to curl, its response collected under limits, the end reported once.
//
// DESIGN
// Each guard has a pool of connections of its own (and "no guard" has one), for an idle connection
// is reused without a look at its address: it must have been dialled under the same rules.
//
// A call ends on the loop, outside of curl: in transfer_ended(), or in its timer. The timer is the
// deadline of the whole call (curl does not count the wait for a free connection), and brought
// forward it is the next turn of the loop, on which a call that was cancelled or never started ends
// and a paused one resumes. What goes wrong inside curl's callbacks is noted in `failure` and wins
// over curl's own code. After `done` the call lives on until its timer is closed.

#include "common/http/http.h"

#include "common/base/clock.h"
#include "common/base/list.h"
#include "common/base/mem.h"
#include "common/base/text.h"
#include "common/base/url.h"
#include "common/http/pool.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* Of one call, all its responses together; servers commonly allow 8 to 64 kB for each. The number
 * of lines counts too: curl takes quadratic time to read out that many of one name. */
enum { MAX_HEADER_BYTES = 256 * 1024, MAX_HEADER_LINES = 2000 };

/* Of a body that is sent together with its headers; curl copies it for that. */
enum { SMALL_BODY_BYTES = 16 * 1024 };

/* A host that does not answer should not use up the time that a second address might need. */
enum { MAX_CONNECT_MS = 10 * 1000 };

enum { CALL_MAGIC = 0x68747470 };

/* Handles that are kept for the next requests; each has some tens of kilobytes. */
enum { SPARES_MAX = 64 };

struct guarded_pool {
    const struct cress_guard *guard;
    struct cress_http_pool *pool;
};

struct cress_http {
    uv_loop_t *loop;
    int per_host;
    struct cress_list calls;
    struct guarded_pool *pools;
    size_t pool_count;
    size_t pools_open;
    CURL *spares[SPARES_MAX];
    size_t spare_count;
    void (*closed)(void *arg); /* not NULL: closing */
    void *closed_arg;
};

struct cress_http_call {
    unsigned magic;
    struct cress_list link;
    struct cress_http *http;
    struct cress_http_pool *pool; /* NULL: the transfer was not started */
    CURL *easy;
    struct curl_slist *headers;
    char **values; /* of the response's headers, as far as they were asked for */
    size_t value_count;
    char curl_error[CURL_ERROR_SIZE];
    uv_timer_t timer;
    int64_t started_ms; /* monotonic, like the deadline */
    int64_t deadline_ms;

    const char *body;
    size_t body_size;
    size_t body_sent;
    int body_fd;

    struct cress_buf received;
    int64_t received_bytes;
    int64_t max_bytes;
    size_t header_bytes;
    int header_lines;
    bool (*on_data)(const void *data, size_t size, void *arg);
    bool pause_wanted;
    bool is_held; /* curl keeps data back because of a pause */

    const struct cress_guard *guard;
    int permitted_hop;     /* the redirect on which an address was last permitted; -1: none yet */
    int refused_hop;       /* the same for a refused one */
    char refused_text[80]; /* its address and port */
    struct cress_error failure; /* CRESS_OK: none so far */

    cress_http_cb done;
    void *arg;
};

/* --- the end of a call --- */

static void shut_down(struct cress_http *http);

static void call_closed_cb(uv_handle_t *handle)
{
    struct cress_http_call *call = handle->data;
    struct cress_http *http = call->http;
    cress_list_remove(&call->link);
    call->magic = 0;
    free(call);
    if (http->closed && cress_list_is_empty(&http->calls)) {
        shut_down(http);
    }
}

/* curl 7.88 leaves the line break on an empty value. */
static char *trimmed(const char *text)
{
    size_t length = strlen(text);
    while (length > 0 && strchr(" \t\r\n", text[length - 1])) {
        length--;
    }
    return cress_strndup(text, length);
}

static void report_response(struct cress_http_call *call)
{
    long status = 0;
    long redirects = 0;
    char *url = NULL;
    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(call->easy, CURLINFO_REDIRECT_COUNT, &redirects);
    curl_easy_getinfo(call->easy, CURLINFO_EFFECTIVE_URL, &url);
    const struct cress_http_response response = {
        .status = (int)status,
        .url = url,
        .redirects = (int)redirects,
        .call = call,
        .body = cress_buf_text(&call->received),
        .body_size = call->received.size,
        .total_ms = cress_clock_mono_ms() - call->started_ms,
    };
    call->done(&response, NULL, call->arg);
}

/* --- handles of curl --- */

/* One that has done its work is used again: it holds buffers that cost more than all the rest of a
 * small request. */
static CURL *take_easy(struct cress_http *http)
{
    if (http->spare_count > 0) {
        return http->spares[--http->spare_count];
    }
    CURL *easy = curl_easy_init();
    if (!easy) {
        abort(); /* out of memory, as in cress_alloc() */
    }
    return easy;
}

static void give_back_easy(struct cress_http *http, CURL *easy, bool is_sound)
{
    if (is_sound && !http->closed && http->spare_count < SPARES_MAX) {
        curl_easy_reset(easy);
        http->spares[http->spare_count++] = easy;
    } else {
        curl_easy_cleanup(easy);
    }
}

/* On the loop, outside of curl. */
static void call_finish(struct cress_http_call *call)
{
    uv_close((uv_handle_t *)&call->timer, call_closed_cb);
    if (call->pool) {
        cress_http_pool_remove(call->pool, call->easy);
    }
    if (call->failure.status == CRESS_OK) {
        report_response(call);
    } else {
        call->done(NULL, &call->failure, call->arg);
    }
    give_back_easy(call->http, call->easy, call->failure.status == CRESS_OK);
    curl_slist_free_all(call->headers);
    cress_buf_free(&call->received);
    for (size_t i = 0; i < call->value_count; i++) {
        free(call->values[i]);
    }
    free(call->values);
}

static void set_refused(struct cress_http_call *call)
{
    cress_error_set(&call->failure, CRESS_DENIED, "address_refused",
                    "connecting to %s is not allowed: it is a private or special-purpose address. "
                    "If it is meant, add it to CRESS_RENDER_ALLOW",
                    call->refused_text);
}

static const struct curl_failure {
    CURLcode result;
    enum cress_status status;
    const char *code;
} curl_failures[] = {
    {CURLE_COULDNT_RESOLVE_HOST, CRESS_UNAVAILABLE, "dns"},
    {CURLE_COULDNT_CONNECT, CRESS_UNAVAILABLE, "connect"},
    {CURLE_SSL_CONNECT_ERROR, CRESS_UNAVAILABLE, "tls"},
    {CURLE_SSL_CERTPROBLEM, CRESS_UNAVAILABLE, "tls"},
    {CURLE_SSL_CIPHER, CRESS_UNAVAILABLE, "tls"},
    {CURLE_PEER_FAILED_VERIFICATION, CRESS_UNAVAILABLE, "tls"},
    {CURLE_SSL_CACERT_BADFILE, CRESS_UNAVAILABLE, "tls"},
    {CURLE_SSL_ISSUER_ERROR, CRESS_UNAVAILABLE, "tls"},
    {CURLE_SEND_ERROR, CRESS_UNAVAILABLE, "reset"},
    {CURLE_RECV_ERROR, CRESS_UNAVAILABLE, "reset"},
    {CURLE_GOT_NOTHING, CRESS_UNAVAILABLE, "reset"},
    {CURLE_PARTIAL_FILE, CRESS_UNAVAILABLE, "reset"},
    {CURLE_OPERATION_TIMEDOUT, CRESS_TIMEOUT, NULL},
    {CURLE_TOO_MANY_REDIRECTS, CRESS_TEMPORARY, "too_many_redirects"},
    {CURLE_URL_MALFORMAT, CRESS_INVALID, "bad_url"},
    {CURLE_LOGIN_DENIED, CRESS_INVALID, "bad_url"}, /* user and password in a guarded URL */
    {CURLE_UNSUPPORTED_PROTOCOL, CRESS_DENIED, "scheme_refused"},
};

/* What some of curl's results mean beyond their names. */
static void explain_result(struct cress_http_call *call, const char *url, CURLcode *result)
{
    if (*result == CURLE_UNSUPPORTED_PROTOCOL && cress_text_starts_with(url, "http")) {
        *result = CURLE_WEIRD_SERVER_REPLY; /* "HTTP/0.9", which means no HTTP at all */
    } else if (*result == CURLE_OUT_OF_MEMORY) {
        *result = CURLE_WEIRD_SERVER_REPLY; /* what is out is curl's room for one line: 100 kB */
        snprintf(call->curl_error, sizeof call->curl_error, "a header line is too long");
    }
}

static void set_curl_failure(struct cress_http_call *call, CURLcode result)
{
    long hop = 0;
    curl_easy_getinfo(call->easy, CURLINFO_REDIRECT_COUNT, &hop);
    if (result == CURLE_COULDNT_CONNECT && call->refused_hop == hop && call->permitted_hop != hop) {
        set_refused(call);
        return;
    }
    char *url = NULL;
    curl_easy_getinfo(call->easy, CURLINFO_EFFECTIVE_URL, &url);
    explain_result(call, url ? url : "", &result);
    /* What is not in the table is HTTP that makes no sense. */
    struct curl_failure failure = {result, CRESS_UNAVAILABLE, "http"};
    for (size_t i = 0; i < CRESS_COUNT(curl_failures); i++) {
        if (curl_failures[i].result == result) {
            failure = curl_failures[i];
        }
    }
    char redacted[256];
    cress_text_redact_url(url ? url : "", redacted, sizeof redacted);
    cress_error_set(&call->failure, failure.status, failure.code, "%s: %s", redacted,
                    call->curl_error[0] ? call->curl_error : curl_easy_strerror(result));
}

static void transfer_ended(CURL *easy, CURLcode result)
{
    char *private = NULL;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private);
    struct cress_http_call *call = (struct cress_http_call *)(void *)private;
    assert(call->magic == CALL_MAGIC);
    if (call->failure.status == CRESS_CANCELLED) {
        return; /* its timer ends it: closing relies on that */
    }
    if (result != CURLE_OK && call->failure.status == CRESS_OK) {
        set_curl_failure(call, result);
    }
    call_finish(call);
}

/* --- the timer --- */

static void call_timer_cb(uv_timer_t *timer);

static void wake_on_next_turn(struct cress_http_call *call)
{
    uv_timer_start(&call->timer, call_timer_cb, 0, 0);
}

static void resume(struct cress_http_call *call)
{
    call->is_held = false;
    curl_easy_pause(call->easy, CURLPAUSE_CONT);
}

static void call_timer_cb(uv_timer_t *timer)
{
    struct cress_http_call *call = timer->data;
    assert(call->magic == CALL_MAGIC);
    if (call->is_held && !call->pause_wanted && call->failure.status == CRESS_OK) {
        resume(call);
    }
    int64_t left_ms = call->deadline_ms - cress_clock_mono_ms();
    if (call->failure.status == CRESS_OK && left_ms <= 0) {
        cress_error_set(&call->failure, CRESS_TIMEOUT, NULL, "no complete answer within %lld ms",
                        (long long)(call->deadline_ms - call->started_ms));
    }
    if (call->failure.status != CRESS_OK) {
        call_finish(call);
    } else {
        uv_timer_start(timer, call_timer_cb, (uint64_t)left_ms, 0);
    }
}

/* --- curl's callbacks --- */

static bool guard_permits(struct cress_http_call *call, const struct curl_sockaddr *address)
{
    long hop = 0;
    curl_easy_getinfo(call->easy, CURLINFO_REDIRECT_COUNT, &hop);
    if (!call->guard || cress_guard_permits(call->guard, &address->addr)) {
        call->permitted_hop = (int)hop;
        return true;
    }
    call->refused_hop = (int)hop;
    char host[NI_MAXHOST] = "an address of an unknown family";
    char port[NI_MAXSERV] = "";
    getnameinfo(&address->addr, address->addrlen, host, sizeof host, port, sizeof port,
                NI_NUMERICHOST | NI_NUMERICSERV);
    snprintf(call->refused_text, sizeof call->refused_text,
             address->family == AF_INET6 ? "[%.60s]:%.5s" : "%.60s:%.5s", host, port);
    return false;
}

static curl_socket_t on_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    (void)purpose;
    if (!guard_permits(arg, address)) {
        return CURL_SOCKET_BAD;
    }
    /* Not inherited by the programs that a worker runs. curl makes it non-blocking. */
    int fd = socket(address->family, address->socktype, address->protocol);
    if (fd >= 0) {
        fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
    return fd;
}

// NOLINTNEXTLINE(readability-non-const-parameter): the type is curl's
static size_t on_header(char *data, size_t size, size_t count, void *arg)
{
    (void)data;
    struct cress_http_call *call = arg;
    call->header_bytes += size * count;
    call->header_lines++;
    if (call->header_bytes > MAX_HEADER_BYTES || call->header_lines > MAX_HEADER_LINES) {
        cress_error_set(&call->failure, CRESS_TOO_LARGE, NULL,
                        "response headers exceed %d bytes or %d lines", MAX_HEADER_BYTES,
                        MAX_HEADER_LINES);
        return 0;
    }
    return size * count;
}

static bool is_success(CURL *easy)
{
    long status = 0;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    return status / 100 == 2;
}

static size_t on_write(char *data, size_t size, size_t count, void *arg)
{
    struct cress_http_call *call = arg;
    size *= count;
    if (call->failure.status != CRESS_OK) {
        return 0;
    }
    if (call->pause_wanted) {
        call->is_held = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    call->received_bytes += (int64_t)size;
    if (call->received_bytes > call->max_bytes) {
        cress_error_set(&call->failure, CRESS_TOO_LARGE, NULL, "the response exceeds %lld bytes",
                        (long long)call->max_bytes);
        return 0;
    }
    if (!call->on_data) {
        cress_buf_add(&call->received, data, size);
    } else if (is_success(call->easy) && !call->on_data(data, size, call->arg)) {
        cress_error_set(&call->failure, CRESS_CANCELLED, NULL, "the receiver wants no more");
        wake_on_next_turn(call);
        return 0;
    }
    return size;
}

static size_t on_read(char *to, size_t size, size_t count, void *arg)
{
    struct cress_http_call *call = arg;
    size_t n = call->body_size - call->body_sent;
    n = n < size * count ? n : size * count;
    if (call->body) {
        memcpy(to, call->body + call->body_sent, n);
    } else if (n > 0) {
        ssize_t got;
        do {
            got = pread(call->body_fd, to, n, (off_t)call->body_sent);
        } while (got < 0 && errno == EINTR);
        if (got <= 0) {
            cress_error_set(&call->failure, CRESS_IO, NULL, "cannot read the request's body: %s",
                            got < 0 ? strerror(errno) : "the file became shorter");
            return CURL_READFUNC_ABORT;
        }
        n = (size_t)got;
    }
    call->body_sent += n;
    return n;
}

/* curl sends the body again when a reused connection turns out to be dead, and after redirects. */
static int on_seek(void *arg, curl_off_t offset, int origin)
{
    struct cress_http_call *call = arg;
    if (origin != SEEK_SET || offset < 0 || (size_t)offset > call->body_size) {
        return CURL_SEEKFUNC_FAIL;
    }
    call->body_sent = (size_t)offset;
    return CURL_SEEKFUNC_OK;
}

/* --- the request --- */

static void set_limits(CURL *easy, const struct cress_http_request *request)
{
    int64_t connect_ms =
        request->timeout_ms < MAX_CONNECT_MS ? request->timeout_ms : MAX_CONNECT_MS;
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, request->max_redirects > 0 ? 1L : 0L);
    curl_easy_setopt(easy, CURLOPT_MAXREDIRS, (long)request->max_redirects);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, request->guard ? 1L : 0L);
    curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* a proxy would hide the address dialled */
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    /* Ending a call must not wait for a name that is being resolved. */
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    /* So that `per_host` bounds requests too, and a pause holds one of them only. */
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
}

static void add_header(struct cress_http_call *call, const char *name, const char *value)
{
    /* curl takes "name:" as "do not send" and "name;" as the empty header. */
    char *line = value[0] ? cress_format("%s: %s", name, value) : cress_format("%s;", name);
    call->headers = curl_slist_append(call->headers, line);
    free(line);
}

/* A request line is ASCII (RFC 9112, section 3.2), and strict servers refuse anything else: what
 * follows the host is escaped. A name that is not ASCII is curl's to encode. */
static void set_url(CURL *easy, const char *text)
{
    struct cress_buf url = cress_buf_make(3 * CRESS_URL_MAX);
    const char *host = strstr(text, "://") + strlen("://");
    const char *rest = host + strcspn(host, "/?#");
    cress_buf_add(&url, text, (size_t)(rest - text));
    for (; *rest; rest++) {
        if ((unsigned char)*rest < 0x80) {
            cress_buf_add_char(&url, *rest);
        } else {
            cress_buf_printf(&url, "%%%02X", (unsigned char)*rest);
        }
    }
    curl_easy_setopt(easy, CURLOPT_URL, cress_buf_text(&url));
    cress_buf_free(&url);
}

/* curl then sends both in one piece, and needs no room of its own for the body. Redirects would make
 * a GET of it. */
static bool leaves_with_its_headers(const struct cress_http_request *request)
{
    return request->body && request->max_redirects == 0 && strcmp(request->method, "POST") == 0 &&
           request->body_size <= SMALL_BODY_BYTES;
}

static bool has_content_type(const struct cress_http_request *request)
{
    for (size_t i = 0; i < request->header_count; i++) {
        if (strcasecmp(request->headers[i].name, "content-type") == 0) {
            return true;
        }
    }
    return false;
}

static void set_body(struct cress_http_call *call, const struct cress_http_request *request)
{
    CURL *easy = call->easy;
    if (leaves_with_its_headers(request)) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_size);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body);
    } else if (request->body_size > 0 || strcmp(request->method, "PUT") == 0 ||
               strcmp(request->method, "POST") == 0) {
        /* PUT and POST have a body, if an empty one, and say Content-Length */
        curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
        curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->body_size);
    }
}

static void set_request(struct cress_http_call *call, const struct cress_http_request *request)
{
    CURL *easy = call->easy;
    set_url(easy, request->url);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    const bool is_get = strcmp(request->method, "GET") == 0;
    const bool is_head = strcmp(request->method, "HEAD") == 0;
    if (is_head) {
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    } else if (!is_get) {
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
    }
    set_body(call, request);
    if (request->user_agent) {
        curl_easy_setopt(easy, CURLOPT_USERAGENT, request->user_agent);
    }
    if (request->accept_encoding) {
        curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip");
    }
    for (size_t i = 0; i < request->header_count; i++) {
        add_header(call, request->headers[i].name, request->headers[i].value);
    }
    if (leaves_with_its_headers(request) && !has_content_type(request)) {
        call->headers =
            curl_slist_append(call->headers, "Content-Type:"); /* else it makes one up */
    }
    /* curl would ask "Expect: 100-continue" and lose a second at servers that do not know it. */
    call->headers = curl_slist_append(call->headers, "Expect:");
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, call->headers);
}

static void set_callbacks(struct cress_http_call *call)
{
    CURL *easy = call->easy;
    curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->curl_error);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, call);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_write);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(easy, CURLOPT_READDATA, call);
    curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek);
    curl_easy_setopt(easy, CURLOPT_SEEKDATA, call);
}

static struct cress_http_call *call_make(struct cress_http *http,
                                         const struct cress_http_request *request,
                                         cress_http_cb done, void *arg)
{
    struct cress_http_call *call = CRESS_NEW(struct cress_http_call);
    call->magic = CALL_MAGIC;
    call->http = http;
    call->easy = take_easy(http);
    call->started_ms = cress_clock_mono_ms();
    call->deadline_ms = call->started_ms + request->timeout_ms;
    call->body = request->body;
    call->body_size = request->body_size;
    call->body_fd = request->body_fd;
    call->received = cress_buf_make((size_t)request->max_bytes);
    call->max_bytes = request->max_bytes;
    call->on_data = request->on_data;
    call->guard = request->guard;
    call->permitted_hop = -1;
    call->refused_hop = -1;
    call->done = done;
    call->arg = arg;
    uv_timer_init(http->loop, &call->timer);
    call->timer.data = call;
    cress_list_append(&http->calls, &call->link);
    return call;
}

/* Of the URL as given; curl sees to those of redirects. */
static void check_url(struct cress_http_call *call, const struct cress_http_request *request)
{
    struct cress_url url;
    if (cress_url_parse(request->url, &url, &call->failure) != CRESS_OK) {
        return;
    }
    if (strcmp(url.scheme, "http") != 0 && strcmp(url.scheme, "https") != 0) {
        cress_error_set(&call->failure, CRESS_DENIED, "scheme_refused",
                        "only http and https are spoken, not %.32s", url.scheme);
    } else if (url.userinfo && request->guard) {
        cress_error_set(&call->failure, CRESS_INVALID, "bad_url",
                        "a URL with user and password is not accepted");
    }
    cress_url_free(&url);
}

static struct cress_http_pool *pool_for(struct cress_http *http, const struct cress_guard *guard)
{
    for (size_t i = 0; i < http->pool_count; i++) {
        if (http->pools[i].guard == guard) {
            return http->pools[i].pool;
        }
    }
    http->pools = cress_realloc_array(http->pools, http->pool_count + 1, sizeof *http->pools);
    struct cress_http_pool *pool = cress_http_pool_open(http->loop, http->per_host, transfer_ended);
    http->pools[http->pool_count++] = (struct guarded_pool){guard, pool};
    http->pools_open++;
    return pool;
}

struct cress_http_call *cress_http_start(struct cress_http *http,
                                         const struct cress_http_request *request,
                                         cress_http_cb done, void *arg)
{
    struct cress_http_call *call = call_make(http, request, done, arg);
    if (http->closed) {
        cress_http_cancel(call);
        return call;
    }
    check_url(call, request);
    if (call->failure.status == CRESS_OK) {
        set_limits(call->easy, request);
        set_request(call, request);
        set_callbacks(call);
        struct cress_http_pool *pool = pool_for(http, request->guard);
        if (cress_http_pool_add(pool, call->easy)) {
            call->pool = pool;
        } else {
            cress_error_set(&call->failure, CRESS_INTERNAL, NULL, "curl refused the transfer");
        }
    }
    if (call->failure.status == CRESS_OK) {
        uv_update_time(http->loop);
        uv_timer_start(&call->timer, call_timer_cb, (uint64_t)request->timeout_ms, 0);
    } else {
        wake_on_next_turn(call);
    }
    return call;
}

void cress_http_cancel(struct cress_http_call *call)
{
    assert(call->magic == CALL_MAGIC);
    cress_error_set(&call->failure, CRESS_CANCELLED, NULL, "the request was cancelled");
    wake_on_next_turn(call);
}

void cress_http_pause(struct cress_http_call *call, bool paused)
{
    assert(call->magic == CALL_MAGIC);
    call->pause_wanted = paused;
    if (!paused && call->is_held) {
        wake_on_next_turn(call);
    }
}

const char *cress_http_header_value(const struct cress_http_response *response, const char *name)
{
    struct cress_http_call *call = response->call;
    struct curl_header *header;
    if (curl_easy_header(call->easy, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK) {
        return NULL;
    }
    call->values = cress_realloc_array(call->values, call->value_count + 1, sizeof *call->values);
    return call->values[call->value_count++] = trimmed(header->value);
}

/* --- opening and closing --- */

struct cress_http *cress_http_open(uv_loop_t *loop, int per_host)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
    struct cress_http *http = CRESS_NEW(struct cress_http);
    http->loop = loop;
    http->per_host = per_host;
    cress_list_init(&http->calls);
    pool_for(http, NULL);
    return http;
}

static void pool_closed(void *arg)
{
    struct cress_http *http = arg;
    if (--http->pools_open > 0) {
        return;
    }
    curl_global_cleanup();
    void (*closed)(void *) = http->closed;
    void *closed_arg = http->closed_arg;
    free(http->pools);
    free(http);
    closed(closed_arg);
}

static void shut_down(struct cress_http *http)
{
    while (http->spare_count > 0) {
        curl_easy_cleanup(http->spares[--http->spare_count]);
    }
    for (size_t i = 0; i < http->pool_count; i++) {
        cress_http_pool_close(http->pools[i].pool, pool_closed, http);
    }
}

void cress_http_close(struct cress_http *http, void (*closed)(void *arg), void *arg)
{
    assert(!http->closed);
    http->closed = closed;
    http->closed_arg = arg;
    if (cress_list_is_empty(&http->calls)) {
        shut_down(http);
        return;
    }
    for (struct cress_list *node = http->calls.next; node != &http->calls; node = node->next) {
        struct cress_http_call *call = CRESS_CONTAINER(node, struct cress_http_call, link);
        if (!uv_is_closing((uv_handle_t *)&call->timer)) {
            cress_http_cancel(call);
        }
    }
}
