// SPDX-License-Identifier: Apache-2.0
// The HTTP server on libh2o 2.2.5 and libuv: the only file that knows h2o. See http.h.
//
// DESIGN
//
// h2o parses requests, decodes chunks and writes answers. Three things it does not do well enough
// are done around it:
//
//   strictness   Each read comes to on_connection_read() first; h2o gets the bytes when cress_head_check() has
//   passed the head. refusals     h2o closes a slow or crowded connection without a word and resets
//   one whose body is too large. Here
//                refuse() writes the answer, closes the sending side, and reads on for LINGER_MS
//                (RFC 9112, 9.6).
//   the clock    h2o's one request timeout is switched off; sweep() looks at each connection
//   instead.
//
// A connection goes round
//
//   HEAD --head passed--> BODY --complete--> HANDLING --respond--> SENDING --written--> HEAD
//     \____ refuse() _______/                                         \__ h2o's own error, written
//              \____________________________> DRAINING <_______________/
//
// While h2o is reading (HEAD, BODY) and in DRAINING, a read error given to h2o's own read callback
// makes it close the connection: that is close_conn(). In HANDLING and SENDING h2o does not read;
// bytes of later, pipelined requests lie in `ahead`, for h2o's request points into the input
// buffer, which must not move.
#include "producer/gateway/http.h"

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/list.h"
#include "common/base/mem.h"
#include "common/metrics/metrics.h"
#include "producer/gateway/head.h"
#include "producer/gateway/listen.h"
#include "producer/gateway/problem.h"

#include <h2o.h>
#include <h2o/http1.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

enum {
    LINGER_MS = 2000,
    /* Connections over the limit that may wait for their 503 to be read; those beyond are closed at
       once. */
    SPARE_CONNECTIONS = 256,
    /* Descriptors for everything else: broker, store, epoll, stdio. */
    SPARE_FILES = 64,
    /* A body may trickle: each pause below the timeout, but all of it within this many timeouts. */
    BODY_TIMEOUTS = 10,
    PIPELINE_MAX_BYTES = 65536,
};

static const uint64_t NEVER_MS = UINT64_C(1000) * 60 * 60 * 24 * 365;

enum conn_state { CONN_HEAD, CONN_BODY, CONN_HANDLING, CONN_SENDING, CONN_DRAINING };

struct cress_server {
    uv_loop_t *loop;
    struct cress_server_options options;
    uv_tcp_t listener;
    uv_timer_t sweep;
    struct cress_list conns;
    int64_t conn_count;
    int64_t draining_count; /* of these, those in DRAINING: they are answered and do not count
                               against the limit */
    int64_t max_connections;
    char url[CRESS_LISTEN_URL_MAX];
    h2o_globalconf_t config;
    h2o_context_t context;
    h2o_accept_ctx_t accept;
    h2o_socket_cb h2o_read;     /* h2o's own read callback: the same for all connections */
    char scratch[4096];         /* where watched connections read to */
    void (*drained)(void *arg); /* not NULL: draining */
    void *drained_arg;
};

struct conn {
    uv_tcp_t tcp;
    struct cress_list node;
    struct cress_server *server;
    h2o_socket_t *sock;
    enum conn_state state;
    int64_t since_ms; /* HEAD: idle, or since the first byte; else: since the last progress */
    int64_t begun_ms; /* the first byte of this request; 0: none yet */
    size_t progress;  /* bytes read or left to write when last looked at */
    size_t head_size;
    struct cress_buf ahead;
    struct exchange *exchange; /* in HANDLING */
    uv_write_t write;
    char *refusal;
};

/* One request and its answer, in the memory pool of h2o's request. */
struct exchange {
    struct cress_server_request request;
    h2o_generator_t generator;
    h2o_req_t *req;
    struct conn *conn;
    void (*gone)(struct cress_server_request *request, void *arg);
    void *gone_arg;
};

static void on_connection_read(h2o_socket_t *sock, const char *err);

static struct conn *conn_of(h2o_socket_t *sock)
{
    return sock->on_close.data;
}

static struct conn *conn_of_req(h2o_req_t *req)
{
    return conn_of(req->conn->callbacks->get_socket(req->conn));
}

static int64_t now_ms(const struct cress_server *server)
{
    return (int64_t)uv_now(server->loop);
}

static void set_state(struct conn *conn, enum conn_state state)
{
    conn->server->draining_count += (state == CONN_DRAINING) - (conn->state == CONN_DRAINING);
    conn->state = state;
    conn->since_ms = now_ms(conn->server);
    conn->progress = 0;
}

static void close_conn(struct conn *conn)
{
    conn->server->h2o_read(conn->sock, h2o_socket_error_closed);
}

static void drop_input(struct conn *conn)
{
    h2o_buffer_consume(&conn->sock->input, conn->sock->input->size);
}

static void close_sending_side(struct conn *conn)
{
    shutdown(h2o_socket_get_fd(conn->sock), SHUT_WR);
}

/* --- refusing --- */

static void on_refusal_written(uv_write_t *write, int status)
{
    struct conn *conn = CRESS_CONTAINER(write, struct conn, write);
    if (status == 0 && !uv_is_closing((uv_handle_t *)&conn->tcp)) {
        close_sending_side(conn);
    }
}

static char *refusal_text(int status, const char *code, const char *detail)
{
    char date[64];
    struct tm tm;
    const time_t now = (time_t)(cress_clock_wall_ms() / 1000);
    gmtime_r(&now, &tm);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &tm);

    struct cress_buf body = cress_buf_make(4096), text = cress_buf_make(8192);
    cress_problem_write(&body, status, code, detail, NULL);
    cress_buf_printf(&text,
                     "HTTP/1.1 %d %s\r\nDate: %s\r\nConnection: close\r\nContent-Length: %zu\r\n"
                     "Content-Type: " CRESS_PROBLEM_TYPE "\r\n%s\r\n%s",
                     status, cress_problem_title(status), date, body.size,
                     status == 503 ? "Retry-After: 1\r\n" : "", cress_buf_text(&body));
    cress_buf_free(&body);
    return cress_buf_take(&text);
}

/* Answers in h2o's place; only while h2o is reading. */
static void refuse(struct conn *conn, int status, const char *code, const char *detail)
{
    cress_metric_add(CRESS_METRIC_HTTP_REQUESTS, 1);
    cress_metric_add(CRESS_METRIC_HTTP_ERRORS, status >= 500);
    set_state(conn, CONN_DRAINING);
    drop_input(conn);
    h2o_socket_read_start(conn->sock, on_connection_read);
    conn->refusal = refusal_text(status, code, detail);
    const uv_buf_t text = uv_buf_init(conn->refusal, (unsigned)strlen(conn->refusal));
    if (uv_write(&conn->write, (uv_stream_t *)&conn->tcp, &text, 1, on_refusal_written) != 0) {
        close_conn(conn);
    }
}

/* h2o's own errors (broken chunks, a chunked body over the limit) pass here as the ostream of a
 * filter. */
struct restyle {
    h2o_ostream_t super;
    h2o_iovec_t body;
    bool written;
};

/* The first call sends our body in place of h2o's; the second comes when it is written, and would
 * let h2o close. */
static void send_restyled(h2o_ostream_t *super, h2o_req_t *req, h2o_iovec_t *bufs, size_t count,
                          h2o_send_state_t state)
{
    (void)bufs, (void)count, (void)state;
    struct restyle *restyle = CRESS_CONTAINER(super, struct restyle, super);
    if (!restyle->written) {
        restyle->written = true;
        h2o_ostream_send_next(super, req, &restyle->body, 1, H2O_SEND_STATE_IN_PROGRESS);
        return;
    }
    struct conn *conn = conn_of_req(req);
    set_state(conn, CONN_DRAINING);
    close_sending_side(conn);
    h2o_socket_read_start(conn->sock, on_connection_read);
}

static void on_setup_ostream(h2o_filter_t *self, h2o_req_t *req, h2o_ostream_t **slot)
{
    (void)self;
    struct conn *conn = conn_of_req(req);
    if (conn->state != CONN_SENDING) {
        const bool too_large = req->res.status == 413;
        struct cress_buf body = cress_buf_make(4096);
        cress_problem_write(&body, req->res.status, too_large ? "too_large" : "malformed_request",
                            too_large ? "the request body is over gateway.max_body"
                                      : "the request body is not valid chunked coding",
                            NULL);
        req->res.reason = cress_problem_title(req->res.status);
        req->res.content_length = body.size;
        req->res.headers.size = 0;
        h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CONTENT_TYPE, NULL,
                       H2O_STRLIT(CRESS_PROBLEM_TYPE));
        struct restyle *restyle = (struct restyle *)h2o_add_ostream(req, sizeof *restyle, slot);
        restyle->super.do_send = send_restyled;
        restyle->body = h2o_strdup(&req->pool, body.data, body.size);
        restyle->written = false;
        slot = &restyle->super.next;
        cress_buf_free(&body);
        cress_metric_add(CRESS_METRIC_HTTP_REQUESTS, 1);
        set_state(conn, CONN_SENDING);
    }
    h2o_setup_next_ostream(req, slot);
}

/* --- reading --- */

/* Empty lines before a request are skipped (RFC 9112, 2.2). */
static void skip_empty_lines(h2o_buffer_t **input)
{
    size_t n = 0;
    while (n + 1 < (*input)->size && memcmp((*input)->bytes + n, "\r\n", 2) == 0) {
        n += 2;
    }
    h2o_buffer_consume(input, n);
}

static void read_head(struct conn *conn)
{
    struct cress_server *server = conn->server;
    skip_empty_lines(&conn->sock->input);
    const h2o_buffer_t *input = conn->sock->input;
    if (input->size == 0) {
        return;
    }
    if (conn->begun_ms == 0) {
        conn->begun_ms = conn->since_ms = now_ms(server);
    }
    struct cress_head head;
    switch (cress_head_check(input->bytes, input->size, &head)) {
    case CRESS_HEAD_PARTIAL:
        return;
    case CRESS_HEAD_REFUSED:
        refuse(conn, head.status, head.code, head.detail);
        return;
    case CRESS_HEAD_COMPLETE:
        break;
    }
    if (head.content_length > server->options.max_body_bytes) {
        refuse(conn, 413, "too_large", "the request body is over gateway.max_body");
        return;
    }
    conn->head_size = head.size;
    set_state(conn, CONN_BODY);
    server->h2o_read(conn->sock, NULL);
}

static void on_connection_read(h2o_socket_t *sock, const char *err)
{
    struct conn *conn = conn_of(sock);
    if (err != NULL) {
        close_conn(conn);
    } else if (conn->state == CONN_HEAD) {
        read_head(conn);
    } else if (conn->state == CONN_BODY) {
        conn->server->h2o_read(sock, NULL);
    } else {
        drop_input(conn);
    }
}

/* --- requests --- */

static const char *pool_text(h2o_req_t *req, const char *text, size_t size)
{
    char *copy = h2o_mem_alloc_pool(&req->pool, size + 1);
    memcpy(copy, text, size);
    copy[size] = '\0';
    return copy;
}

/* The target is in origin form, absolute form or "*": head.c has seen to that. */
static void read_target(struct cress_server_request *request, h2o_req_t *req)
{
    h2o_iovec_t target = req->input.path;
    const char *end = target.base + target.len;
    const char *path = target.base;
    if (*path != '/' && *path != '*') {
        path = memchr(path + strlen("http://"), '/', target.len - strlen("http://"));
        path = path != NULL ? path : end;
    }
    const char *mark = memchr(path, '?', (size_t)(end - path));
    const char *path_end = mark != NULL ? mark : end;
    request->path = path == end ? "/" : pool_text(req, path, (size_t)(path_end - path));
    request->query = mark != NULL ? pool_text(req, mark + 1, (size_t)(end - mark - 1)) : "";
}

/* Takes what follows this request out of the input buffer. */
static void set_ahead_aside(struct conn *conn, h2o_req_t *req)
{
    h2o_buffer_t *input = conn->sock->input;
    const size_t end = conn->head_size + req->entity.len;
    if (input->size > end) {
        if (!cress_buf_add(&conn->ahead, input->bytes + end, input->size - end)) {
            req->http1_is_persistent = 0;
        }
        input->size = end;
    }
}

static void on_sent(h2o_generator_t *generator, h2o_req_t *req);

static int on_req(h2o_handler_t *self, h2o_req_t *req)
{
    (void)self;
    struct conn *conn = conn_of_req(req);
    if (conn->state == CONN_DRAINING) {
        return 0; /* it was refused while its last bytes were on the way */
    }
    struct cress_server *server = conn->server;
    struct exchange *exchange = h2o_mem_alloc_pool(&req->pool, sizeof *exchange);
    *exchange = (struct exchange){.generator.proceed = on_sent, .req = req, .conn = conn};
    struct cress_server_request *request = &exchange->request;
    request->method = pool_text(req, req->input.method.base, req->input.method.len);
    read_target(request, req);
    request->host = pool_text(req, req->input.authority.base, req->input.authority.len);
    request->body = req->entity.base != NULL ? req->entity.base : "";
    request->body_size = req->entity.len;
    request->begun_ms = cress_clock_mono_ms();
    request->owner = server->options.arg;
    set_ahead_aside(conn, req);
    set_state(conn, CONN_HANDLING);
    conn->exchange = exchange;
    server->options.on_request(request, server->options.arg);
    return 0;
}

const char *cress_server_request_header(struct cress_server_request *request, const char *name)
{
    h2o_req_t *req = CRESS_CONTAINER(request, struct exchange, request)->req;
    const size_t name_size = strlen(name);
    const char *joined = NULL;
    for (size_t i = 0; i < req->headers.size; i++) {
        const h2o_header_t *header = &req->headers.entries[i];
        if (!h2o_memis(header->name->base, header->name->len, name, name_size)) {
            continue;
        }
        if (joined == NULL) {
            joined = pool_text(req, header->value.base, header->value.len);
        } else {
            joined = h2o_concat(&req->pool, h2o_iovec_init(joined, strlen(joined)),
                                h2o_iovec_init(H2O_STRLIT(", ")), header->value)
                         .base;
        }
    }
    return joined;
}

void *cress_server_request_alloc(struct cress_server_request *request, size_t size)
{
    h2o_req_t *req = CRESS_CONTAINER(request, struct exchange, request)->req;
    void *memory = h2o_mem_alloc_pool(&req->pool, size);
    memset(memory, 0, size);
    return memory;
}

/* --- watching for a client that leaves --- */

static void alloc_scratch(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct cress_server *server = CRESS_CONTAINER(handle, struct conn, tcp)->server;
    *buf = uv_buf_init(server->scratch, sizeof server->scratch);
}

static void on_watch_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct conn *conn = CRESS_CONTAINER(stream, struct conn, tcp);
    if (n >= 0) {
        cress_buf_add(&conn->ahead, buf->base, (size_t)n);
        /* Enough is stored; the rest waits in the kernel, and so does the news that the client
         * left. */
        if (conn->ahead.size > PIPELINE_MAX_BYTES) {
            uv_read_stop(stream);
        }
        return;
    }
    uv_read_stop(stream);
    conn->exchange->gone(&conn->exchange->request, conn->exchange->gone_arg);
}

void cress_server_request_watch(struct cress_server_request *request,
                                void (*gone)(struct cress_server_request *request, void *arg),
                                void *arg)
{
    struct exchange *exchange = CRESS_CONTAINER(request, struct exchange, request);
    exchange->gone = gone;
    exchange->gone_arg = arg;
    uv_read_start((uv_stream_t *)&exchange->conn->tcp, alloc_scratch, on_watch_read);
}

/* --- answering --- */

void cress_response_add(struct cress_response *response, const char *name, const char *value)
{
    assert(response->field_count < CRESS_RESPONSE_FIELDS_MAX);
    response->fields[response->field_count++] = (struct cress_response_field){name, value};
}

static void count(const struct cress_server_request *request, int status)
{
    cress_metric_add(CRESS_METRIC_HTTP_REQUESTS, 1);
    cress_metric_add(CRESS_METRIC_HTTP_ERRORS, status >= 500);
    cress_metric_observe_ms(CRESS_METRIC_HTTP_SECONDS,
                            (double)(cress_clock_mono_ms() - request->begun_ms));
}

void cress_server_request_respond(struct cress_server_request *request,
                                  const struct cress_response *response)
{
    struct exchange *exchange = CRESS_CONTAINER(request, struct exchange, request);
    struct conn *conn = exchange->conn;
    h2o_req_t *req = exchange->req;
    if (exchange->gone != NULL) {
        uv_read_stop((uv_stream_t *)&conn->tcp);
    }
    count(request, response->status);
    conn->exchange = NULL;
    set_state(conn, CONN_SENDING);

    req->res.status = response->status;
    req->res.reason = cress_problem_title(response->status);
    for (size_t i = 0; i < response->field_count; i++) {
        const struct cress_response_field *field = &response->fields[i];
        const size_t size = strlen(field->value);
        h2o_add_header_by_str(&req->pool, &req->res.headers, field->name, strlen(field->name), 0,
                              NULL, pool_text(req, field->value, size), size);
    }
    const bool bodiless = response->status == 304 || response->status == 204;
    if (!bodiless) {
        req->res.content_length = response->body_size;
    }
    if (conn->server->drained != NULL) {
        req->http1_is_persistent = 0;
    }
    const bool sends_body = !bodiless && strcmp(request->method, "HEAD") != 0;
    h2o_iovec_t body = {NULL, 0};
    if (sends_body && response->body_size > 0) {
        body = h2o_strdup(&req->pool, response->body, response->body_size);
    }
    h2o_start_response(req, &exchange->generator);
    h2o_send(req, &body, body.len > 0, H2O_SEND_STATE_IN_PROGRESS);
}

/* The answer is written. Telling h2o that it was the last piece makes it close the connection or
 * read on; it is given an empty buffer to read on from, so that a pipelined request passes
 * read_head() as every other. */
static void on_sent(h2o_generator_t *generator, h2o_req_t *req)
{
    struct conn *conn = CRESS_CONTAINER(generator, struct exchange, generator)->conn;
    conn->begun_ms = 0;
    set_state(conn, CONN_HEAD);
    h2o_send(req, NULL, 0, H2O_SEND_STATE_FINAL);
    if (uv_is_closing((uv_handle_t *)&conn->tcp)) {
        return;
    }
    h2o_socket_read_start(conn->sock, on_connection_read);
    if (conn->ahead.size > 0) {
        const h2o_iovec_t room = h2o_buffer_reserve(&conn->sock->input, conn->ahead.size);
        memcpy(room.base, conn->ahead.data, conn->ahead.size);
        conn->sock->input->size += conn->ahead.size;
        cress_buf_free(&conn->ahead);
        read_head(conn);
    }
}

/* --- connections --- */

static void on_sweep_closed(uv_handle_t *handle)
{
    struct cress_server *server = CRESS_CONTAINER(handle, struct cress_server, sweep);
    server->drained(server->drained_arg);
}

static void end_if_drained(struct cress_server *server)
{
    if (server->drained != NULL && server->conn_count == 0) {
        uv_close((uv_handle_t *)&server->sweep, on_sweep_closed);
    }
}

static void free_conn(uv_handle_t *handle)
{
    struct conn *conn = CRESS_CONTAINER(handle, struct conn, tcp);
    cress_buf_free(&conn->ahead);
    free(conn->refusal);
    free(conn);
}

/* h2o has closed the socket. */
static void on_conn_close(void *arg)
{
    struct conn *conn = arg;
    struct cress_server *server = conn->server;
    set_state(conn, CONN_HEAD);
    cress_list_remove(&conn->node);
    cress_metric_set(CRESS_METRIC_HTTP_CONNECTIONS, --server->conn_count);
    if (server->conn_count == 0) {
        uv_timer_stop(&server->sweep);
        end_if_drained(server);
    }
}

static void look_at_progress(struct conn *conn, size_t bytes)
{
    if (bytes != conn->progress) {
        conn->progress = bytes;
        conn->since_ms = now_ms(conn->server);
    }
}

static void look_at_conn(struct conn *conn)
{
    const struct cress_server *server = conn->server;
    const int64_t limit = server->options.idle_timeout_ms;
    const int64_t now = now_ms(server);
    switch (conn->state) {
    case CONN_HEAD:
        if (now - conn->since_ms > limit && conn->begun_ms == 0) {
            close_conn(conn);
        } else if (now - conn->since_ms > limit) {
            refuse(conn, 408, "request_timeout", "the request header did not arrive in time");
        }
        break;
    case CONN_BODY:
        look_at_progress(conn, conn->sock->input->size);
        if (now - conn->since_ms > limit || now - conn->begun_ms > limit * BODY_TIMEOUTS) {
            refuse(conn, 408, "request_timeout", "the request body stopped arriving");
        }
        break;
    case CONN_SENDING:
        look_at_progress(conn, uv_stream_get_write_queue_size((uv_stream_t *)&conn->tcp));
        if (now - conn->since_ms > limit) {
            /* The client does not read. The write now fails and h2o closes. */
            shutdown(h2o_socket_get_fd(conn->sock), SHUT_RDWR);
        }
        break;
    case CONN_DRAINING:
        if (now - conn->since_ms > LINGER_MS) {
            close_conn(conn);
        }
        break;
    case CONN_HANDLING:
        break;
    }
}

static void on_sweep(uv_timer_t *timer)
{
    struct cress_server *server = CRESS_CONTAINER(timer, struct cress_server, sweep);
    struct cress_list *node = server->conns.next;
    while (node != &server->conns) {
        struct conn *conn = CRESS_CONTAINER(node, struct conn, node);
        node = node->next;
        look_at_conn(conn);
    }
}

static void start_sweeping(struct cress_server *server)
{
    const int64_t limit = server->options.idle_timeout_ms;
    const uint64_t interval = limit < 200 ? 20 : limit > 5000 ? 500 : (uint64_t)limit / 10;
    uv_timer_start(&server->sweep, on_sweep, interval, interval);
}

static void add_conn(struct cress_server *server, struct conn *conn)
{
    uv_tcp_nodelay(&conn->tcp, 1);
    conn->server = server;
    conn->ahead =
        cress_buf_make((size_t)server->options.max_body_bytes * 4 + PIPELINE_MAX_BYTES * 2);
    conn->sock = h2o_uv_socket_create((uv_stream_t *)&conn->tcp, free_conn);
    conn->sock->on_close.cb = on_conn_close;
    conn->sock->on_close.data = conn;
    cress_list_append(&server->conns, &conn->node);
    cress_metric_set(CRESS_METRIC_HTTP_CONNECTIONS, ++server->conn_count);
    if (server->conn_count == 1) {
        start_sweeping(server);
    }
    set_state(conn, CONN_HEAD);
    h2o_http1_accept(&server->accept, conn->sock, *h2o_get_timestamp(&server->context, NULL, NULL));
    server->h2o_read = conn->sock->_cb.read;
    h2o_socket_read_start(conn->sock, on_connection_read);
}

static void on_connection(uv_stream_t *stream, int status)
{
    struct cress_server *server = CRESS_CONTAINER(stream, struct cress_server, listener);
    if (status != 0) {
        return;
    }
    struct conn *conn = CRESS_NEW(struct conn);
    uv_tcp_init(server->loop, &conn->tcp);
    if (uv_accept(stream, (uv_stream_t *)&conn->tcp) != 0 ||
        server->conn_count >= server->max_connections + SPARE_CONNECTIONS) {
        uv_close((uv_handle_t *)&conn->tcp, free_conn);
        return;
    }
    add_conn(server, conn);
    if (server->conn_count - server->draining_count > server->max_connections) {
        refuse(conn, 503, "too_many_connections",
               "all connections (gateway.max_connections) are in use; try again soon");
    }
}

/* --- the server --- */

/* As many files as the system allows, and no more connections than files. */
static int64_t limit_connections(int64_t wanted)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return wanted;
    }
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    const int64_t possible = limit.rlim_max > INT32_MAX
                                 ? INT32_MAX
                                 : (int64_t)limit.rlim_max - SPARE_CONNECTIONS - SPARE_FILES;
    return wanted < possible ? wanted : possible > 1 ? possible : 1;
}

static void configure(struct cress_server *server)
{
    h2o_globalconf_t *config = &server->config;
    h2o_config_init(config);
    config->server_name = (h2o_iovec_t){NULL, 0};
    config->max_request_entity_size =
        (size_t)server->options.max_body_bytes + 1; /* h2o refuses at, not above */
    config->http1.req_timeout = NEVER_MS;
    config->http1.upgrade_to_http2 = 0;
    h2o_hostconf_t *host =
        h2o_config_register_host(config, h2o_iovec_init(H2O_STRLIT("cress")), 65535);
    h2o_create_handler(&host->fallback_path, sizeof(h2o_handler_t))->on_req = on_req;
    h2o_create_filter(&host->fallback_path, sizeof(h2o_filter_t))->on_setup_ostream =
        on_setup_ostream;
    h2o_context_init(&server->context, server->loop, config);
    server->accept.ctx = &server->context;
    server->accept.hosts = config->hosts;
}

enum cress_status cress_server_open(uv_loop_t *loop, const struct cress_server_options *options,
                                    struct cress_server **out, struct cress_error *err)
{
    struct cress_server *server = CRESS_NEW(struct cress_server);
    server->loop = loop;
    server->options = *options;
    server->options.listen = NULL;
    server->max_connections = limit_connections(options->max_connections);
    cress_list_init(&server->conns);
    configure(server);
    const enum cress_status status = cress_listen_open(loop, options->listen, &server->listener,
                                                       on_connection, server->url, err);
    if (status != CRESS_OK) {
        cress_server_free(server);
        return status;
    }
    uv_timer_init(loop, &server->sweep);
    *out = server;
    return CRESS_OK;
}

const char *cress_server_url(const struct cress_server *server)
{
    return server->url;
}

void cress_server_drain(struct cress_server *server, void (*drained)(void *arg), void *arg)
{
    server->drained = drained;
    server->drained_arg = arg;
    uv_close((uv_handle_t *)&server->listener, NULL);
    if (server->conn_count == 0) {
        end_if_drained(server);
        return;
    }
    struct cress_list *node = server->conns.next;
    while (node != &server->conns) {
        struct conn *conn = CRESS_CONTAINER(node, struct conn, node);
        node = node->next;
        if (conn->state == CONN_HEAD && conn->begun_ms == 0) {
            close_conn(conn);
        }
    }
}

void cress_server_free(struct cress_server *server)
{
    h2o_context_dispose(&server->context);
    h2o_config_dispose(&server->config);
    free(server);
}
