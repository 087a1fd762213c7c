// SPDX-License-Identifier: Apache-2.0
// S3 with signature V4, over common/http and the signer.
//
// The body's SHA-256 is always signed, so the store refuses a body that changed on its way; and the
// ETag that it answers with is compared with the body's MD5, so a put counts only if the store
// holds what was sent.

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/version.h"
#include "common/object/backend.h"
#include "common/object/s3_error.h"
#include "common/object/s3_target.h"
#include "common/object/sigv4.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Of answers: error documents and the listing of one key. */
enum { MAX_ANSWER_BYTES = 1024 * 1024 };

/* host, 3 or 4 of Amazon's, 3 of the content's, Authorization, and the metadata. */
enum { MAX_HEADERS = 12 + CRESS_OBJECT_META_MAX };

struct s3 {
    struct cress_s3_target target;
    uv_loop_t *loop;
    struct cress_http *http;
    int64_t timeout_ms;
    char *host; /* as it is sent: with the bucket in front in virtual-host style */
    char *user_agent;
};

static enum cress_status s3_open(const struct cress_object_open *how, void **state, char **prefix,
                                 struct cress_error *err)
{
    struct cress_s3_target target;
    enum cress_status status = cress_s3_target_read(how->config, how->url, &target, err);
    if (status != CRESS_OK) {
        return status;
    }
    struct s3 *s3 = CRESS_NEW(struct s3);
    s3->target = target;
    s3->loop = how->loop;
    s3->http = how->http;
    s3->timeout_ms = how->config->s3_timeout_ms;
    s3->host = target.is_path_style ? cress_strdup(target.host)
                                    : cress_format("%s.%s", target.bucket, target.host);
    s3->user_agent = cress_format("Cress/%s", cress_version());
    *prefix = cress_strdup(target.prefix);
    *state = s3;
    return CRESS_OK;
}

static void s3_close(void *state)
{
    struct s3 *s3 = state;
    cress_s3_target_free(&s3->target);
    free(s3->host);
    free(s3->user_agent);
    free(s3);
}

/* --- the answer --- */

/* An ETag is the MD5, unless the store encrypts with a key of its own or the customer's. */
static bool etag_is_md5(const struct cress_http_response *response, const char *etag)
{
    const char *encryption = cress_http_header_value(response, "x-amz-server-side-encryption");
    const char *customer =
        cress_http_header_value(response, "x-amz-server-side-encryption-customer-algorithm");
    return strspn(etag, "0123456789abcdefABCDEF") == CRESS_MD5_TEXT_SIZE - 1 && !customer &&
           (!encryption || strcmp(encryption, "AES256") == 0);
}

static void confirm_put(struct cress_object_op *op, const struct cress_http_response *response)
{
    const char *header = cress_http_header_value(response, "etag");
    if (!header) {
        cress_error_set(
            &op->error, CRESS_UNAVAILABLE, "unconfirmed",
            "%.200s: the answer to the upload has no ETag: is s3.endpoint an S3 server?",
            response->url);
        return;
    }
    char etag[64] = "";
    header += header[0] == '"';
    snprintf(etag, sizeof etag, "%.*s", (int)strcspn(header, "\""), header);
    if (etag_is_md5(response, etag) && strcasecmp(etag, op->digest.md5) != 0) {
        cress_error_set(&op->error, CRESS_TEMPORARY, "unconfirmed",
                        "%.200s: the store has other content than was sent (ETag %s, MD5 %s)",
                        response->url, etag, op->digest.md5);
    }
}

static void copy_text(char *to, size_t size, const char *text)
{
    snprintf(to, size, "%s", text ? text : "");
}

static void take_found(struct cress_object_op *op, const struct cress_http_response *response)
{
    struct cress_object_found *found = &op->found;
    const char *length = cress_http_header_value(response, "content-length");
    found->exists = true;
    found->size = length ? strtoll(length, NULL, 10) : 0;
    copy_text(found->content_type, sizeof found->content_type,
              cress_http_header_value(response, "content-type"));
    copy_text(found->sha256, sizeof found->sha256,
              cress_http_header_value(response, "x-amz-meta-sha256"));
}

static void take_answer(struct cress_object_op *op, const struct cress_http_response *response)
{
    if (response->status == 200 && op->verb == CRESS_OBJECT_PUT) {
        confirm_put(op, response);
    } else if (response->status == 200 && op->verb == CRESS_OBJECT_HEAD) {
        take_found(op, response);
    } else if (response->status == 404 && op->verb == CRESS_OBJECT_HEAD) {
        op->found.exists = false;
    } else if (response->status != 200) {
        cress_s3_error_from_response(&op->error, response->status, response->body, response->url);
    } else if (!strstr(response->body, "<ListBucketResult")) {
        cress_error_set(&op->error, CRESS_CONFIG, NULL,
                        "%.200s: this does not answer like an S3 server: check s3.endpoint",
                        response->url);
    }
}

static void s3_answered_cb(const struct cress_http_response *response,
                           const struct cress_error *err, void *arg)
{
    struct cress_object_op *op = arg;
    op->call = NULL;
    if (err) {
        op->error = *err;
    } else {
        take_answer(op, response);
    }
    op->ended_cb(op);
}

/* --- the request --- */

struct headers {
    struct cress_http_header list[MAX_HEADERS];
    size_t count;
};

static void add_s3_header(struct headers *headers, const char *name, const char *value)
{
    if (value) {
        headers->list[headers->count++] = (struct cress_http_header){name, value};
    }
}

/* The path as it is sent and signed. */
static char *make_path(const struct s3 *s3, const char *key)
{
    struct cress_buf path = cress_buf_make(4 * CRESS_OBJECT_KEY_MAX);
    cress_buf_add_char(&path, '/');
    if (s3->target.is_path_style) {
        cress_buf_add_text(&path, s3->target.bucket);
        cress_buf_add_text(&path, key[0] ? "/" : "");
    }
    cress_sigv4_encode(key, true, &path);
    return cress_buf_take(&path);
}

static char *make_query(const struct cress_object_op *op)
{
    struct cress_buf query = cress_buf_make(256);
    if (op->verb == CRESS_OBJECT_CHECK) {
        /* A listing, for its errors have codes; those of HEAD have not. */
        const struct cress_http_header parameters[] = {{"list-type", "2"}, {"max-keys", "1"}};
        cress_sigv4_query(parameters, CRESS_COUNT(parameters), &query);
    }
    return cress_buf_take(&query);
}

static const char *method_for(enum cress_object_verb verb)
{
    switch (verb) {
    case CRESS_OBJECT_PUT:
        return "PUT";
    case CRESS_OBJECT_HEAD:
        return "HEAD";
    case CRESS_OBJECT_CHECK:
        break;
    }
    return "GET";
}

static void start_call(struct cress_object_op *op, const struct headers *headers, const char *path,
                       const char *query)
{
    struct s3 *s3 = op->state;
    char *url = cress_format("%s://%s%s%s%s", s3->target.is_https ? "https" : "http", s3->host,
                             path, query[0] ? "?" : "", query);
    struct cress_http_request request = {
        .method = method_for(op->verb),
        .url = url,
        .headers = headers->list,
        .header_count = headers->count,
        .user_agent = s3->user_agent,
        .timeout_ms = s3->timeout_ms,
        .max_bytes = MAX_ANSWER_BYTES,
    };
    if (op->verb == CRESS_OBJECT_PUT) {
        request.body = op->object.body;
        request.body_size = op->object.size;
        request.body_fd = op->object.fd;
    }
    op->call = cress_http_start(s3->http, &request, s3_answered_cb, op);
    free(url);
}

static void send_signed(struct cress_object_op *op, struct headers *headers)
{
    struct s3 *s3 = op->state;
    const struct cress_credentials *credentials = &s3->target.credentials;
    char empty[CRESS_SHA256_TEXT_SIZE];
    const char *payload =
        op->verb == CRESS_OBJECT_PUT ? op->digest.sha256 : cress_sha256("", 0, empty);
    char date[CRESS_SIGV4_DATE_SIZE];
    cress_sigv4_date(cress_clock_wall_ms(), date);
    add_s3_header(headers, "host", s3->host);
    add_s3_header(headers, "x-amz-date", date);
    add_s3_header(headers, "x-amz-content-sha256", payload);
    add_s3_header(headers, "x-amz-security-token", credentials->session_token);

    char *path = make_path(s3, op->key);
    char *query = make_query(op);
    const struct cress_sigv4_identity identity = {
        .access_key_id = credentials->access_key_id,
        .secret = credentials->secret,
        .region = s3->target.region,
        .service = "s3",
    };
    const struct cress_sigv4_request request = {
        .method = method_for(op->verb),
        .path = path,
        .query = query,
        .headers = headers->list,
        .header_count = headers->count,
        .payload_sha256 = payload,
    };
    struct cress_buf authorization = cress_buf_make(4096);
    cress_sigv4_authorize(&identity, &request, date, &authorization);
    add_s3_header(headers, "authorization", cress_buf_text(&authorization));
    start_call(op, headers, path, query);
    cress_buf_free(&authorization);
    free(query);
    free(path);
}

static void send_op(struct cress_object_op *op)
{
    struct headers headers = {.count = 0};
    char *names[CRESS_OBJECT_META_MAX] = {NULL};
    if (op->verb == CRESS_OBJECT_PUT) {
        add_s3_header(&headers, "content-type", op->object.content_type);
        add_s3_header(&headers, "cache-control", op->object.cache_control);
        add_s3_header(&headers, "content-encoding", op->object.content_encoding);
        for (size_t i = 0; i < op->object.meta_count; i++) {
            names[i] = cress_format("x-amz-meta-%s", op->object.meta[i].name);
            add_s3_header(&headers, names[i], op->object.meta[i].value);
        }
    }
    send_signed(op, &headers);
    for (size_t i = 0; i < CRESS_OBJECT_META_MAX; i++) {
        free(names[i]);
    }
}

static void hash_cb(uv_work_t *work)
{
    struct cress_object_op *op = work->data;
    /* A failure is in op->error. */
    op->has_digest = cress_digest_object(&op->object, &op->digest, &op->error) == CRESS_OK;
}

static void hashed_cb(uv_work_t *work, int status)
{
    (void)status;
    struct cress_object_op *op = work->data;
    if (op->abandoned) {
        cress_object_op_abandoned(op);
    } else if (op->has_digest) {
        send_op(op);
    } else {
        op->ended_cb(op);
    }
}

static void s3_start(struct cress_object_op *op)
{
    struct s3 *s3 = op->state;
    if (op->verb == CRESS_OBJECT_PUT && !op->has_digest) {
        /* A large body takes longer to hash than the loop may stand still. */
        uv_queue_work(s3->loop, &op->work, hash_cb, hashed_cb);
    } else {
        send_op(op);
    }
}

static void s3_abandon(struct cress_object_op *op)
{
    if (op->call) {
        cress_http_cancel(op->call);
    }
}

const struct cress_object_backend cress_object_s3 = {
    .open = s3_open,
    .close = s3_close,
    .start = s3_start,
    .abandon = s3_abandon,
};
