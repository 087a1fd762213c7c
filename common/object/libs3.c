// SPDX-License-Identifier: Apache-2.0
// S3 through libs3: for servers that only know signature V2 (libs3 2.0), or to have it another way
// (libs3 4).
//
// Its calls block, so they run on libuv's thread pool. One source for both versions:
// S3_DEFAULT_REGION is a macro that came with signature V4. What libs3 2.0 does is known to be
// this, and dealt with:
//   - After "100 Continue", a failure without an XML body is reported as success. So each put is
//   followed by a HEAD
//     that must find the right size and MD5.
//   - It does not verify TLS certificates and cannot be told to: said once in the log.
//   - It has no timeout but 15 s below 1 kB/s; `s3.timeout` holds for libs3 4 only.
//   - It writes a blank in a key as '+', and so stores the object under another name: such keys are
//   refused.
//   - It has no session tokens: refused when the store is opened.

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/version.h"
#include "common/object/backend.h"
#include "common/object/s3_error.h"
#include "common/object/s3_target.h"

#include <libs3.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#ifdef S3_DEFAULT_REGION
enum { HAS_V4 = 1 };
#define TIMEOUT_ARGUMENT(ms) (ms),
#else
enum { HAS_V4 = 0 };
#define TIMEOUT_ARGUMENT(ms)
#endif

#ifdef S3_INIT_VERIFY_PEER
enum { INIT_FLAGS = S3_INIT_ALL | S3_INIT_VERIFY_PEER };
#else
enum { INIT_FLAGS = S3_INIT_ALL };
#endif

/* libs3 is initialised for the whole process, and once: its connections outlive a store, or each page
 * would have to make one. Loop thread only, like opening and closing. */
static bool is_initialised;

struct libs3 {
    struct cress_s3_target target;
    int timeout_ms;
};

static enum cress_status initialise(struct cress_error *err)
{
    if (!is_initialised) {
        char agent[64];
        snprintf(agent, sizeof agent, "Cress/%s", cress_version());
        S3Status status = S3_initialize(agent, INIT_FLAGS, NULL);
        if (status != S3StatusOK) {
            return cress_error_set(err, CRESS_INTERNAL, NULL, "libs3 does not start: %s",
                                   S3_get_status_name(status));
        }
    }
    is_initialised = true;
    return CRESS_OK;
}

static enum cress_status check_target(const struct cress_s3_target *target, struct cress_error *err)
{
    static bool has_warned;
    if (HAS_V4) {
        return CRESS_OK;
    }
    if (target->credentials.session_token) {
        return cress_error_set(err, CRESS_CONFIG, NULL,
                               "this libs3 knows no session tokens: set s3.backend = v4, or use "
                               "credentials without AWS_SESSION_TOKEN");
    }
    if (target->is_https && !has_warned) {
        has_warned = true;
        cress_log(CRESS_LOG_WARN,
                  "s3.backend = libs3: this libs3 does not verify TLS certificates; if the store "
                  "knows signature V4, set s3.backend = v4",
                  CRESS_KV("host", target->host));
    }
    return CRESS_OK;
}

static enum cress_status libs3_open(const struct cress_object_open *how, void **state,
                                    char **prefix, struct cress_error *err)
{
    struct cress_s3_target target;
    enum cress_status status = cress_s3_target_read(how->config, how->url, &target, err);
    if (status != CRESS_OK) {
        return status;
    }
    status = check_target(&target, err);
    if (status == CRESS_OK) {
        status = initialise(err);
    }
    if (status != CRESS_OK) {
        cress_s3_target_free(&target);
        return status;
    }
    struct libs3 *libs3 = CRESS_NEW(struct libs3);
    libs3->target = target;
    libs3->timeout_ms = (int)how->config->s3_timeout_ms;
    *prefix = cress_strdup(target.prefix);
    *state = libs3;
    return CRESS_OK;
}

static void libs3_close(void *state)
{
    struct libs3 *libs3 = state;
    cress_s3_target_free(&libs3->target);
    free(libs3);
}

static S3BucketContext bucket_context(const struct libs3 *libs3)
{
    const struct cress_s3_target *target = &libs3->target;
    return (S3BucketContext){
        .hostName = target->host,
        .bucketName = target->bucket,
        .protocol = target->is_https ? S3ProtocolHTTPS : S3ProtocolHTTP,
        .uriStyle = target->is_path_style ? S3UriStylePath : S3UriStyleVirtualHost,
        .accessKeyId = target->credentials.access_key_id,
        .secretAccessKey = target->credentials.secret,
#ifdef S3_DEFAULT_REGION
        .securityToken = target->credentials.session_token,
        .authRegion = target->region,
#endif
    };
}

/* --- libs3's callbacks --- */

struct request {
    struct cress_object_op *op;
    size_t sent;
    struct cress_object_found found;
    char etag[64];
    S3Status status;
    char message[256];
    struct cress_error read_error;
};

static S3Status on_properties(const S3ResponseProperties *properties, void *arg)
{
    struct request *request = arg;
    struct cress_object_found *found = &request->found;
    const char *type = properties->contentType;
    const char *etag = properties->eTag ? properties->eTag : "";
    etag += etag[0] == '"';
    found->size = (int64_t)properties->contentLength;
    snprintf(found->content_type, sizeof found->content_type, "%s", type ? type : "");
    snprintf(request->etag, sizeof request->etag, "%.*s", (int)strcspn(etag, "\""), etag);
    for (int i = 0; i < properties->metaDataCount; i++) {
        if (strcasecmp(properties->metaData[i].name, "sha256") == 0) {
            snprintf(found->sha256, sizeof found->sha256, "%s", properties->metaData[i].value);
        }
    }
    return S3StatusOK;
}

static void on_complete(S3Status status, const S3ErrorDetails *details, void *arg)
{
    struct request *request = arg;
    request->status = status;
    snprintf(request->message, sizeof request->message, "%s",
             details && details->message ? details->message : "");
}

static int on_upload(int size, char *to, void *arg)
{
    struct request *request = arg;
    const struct cress_object *object = &request->op->object;
    size_t n = object->size - request->sent;
    n = n < (size_t)size ? n : (size_t)size;
    if (object->body) {
        memcpy(to, (const char *)object->body + request->sent, n);
    } else if (cress_read_fully(object->fd, to, n, request->sent, &request->read_error) !=
               CRESS_OK) {
        return -1;
    }
    request->sent += n;
    return (int)n;
}

static S3Status on_list(int is_truncated, const char *next_marker, int content_count,
                        const S3ListBucketContent *contents, int prefix_count,
                        const char **prefixes, void *arg)
{
    (void)is_truncated;
    (void)next_marker;
    (void)content_count;
    (void)contents;
    (void)prefix_count;
    (void)prefixes;
    (void)arg;
    return S3StatusOK;
}

/* --- errors --- */

static const struct connection_error {
    S3Status status;
    const char *code;
    const char *text;
} connection_errors[] = {
    {S3StatusNameLookupError, "dns", "the name of the store cannot be resolved"},
    {S3StatusFailedToConnect, "connect", "the store does not accept connections"},
    {S3StatusServerFailedVerification, "tls", "the store's certificate is not valid"},
    {S3StatusConnectionFailed, "reset", "the connection was lost or too slow"},
    {S3StatusInternalError, "reset", "the connection failed"},
};

/* libs3 turns an HTTP status that came without an XML document into one of few. */
static int http_status(S3Status status)
{
    switch (status) {
    case S3StatusHttpErrorMovedTemporarily:
        return 307;
    case S3StatusHttpErrorBadRequest:
        return 400;
    case S3StatusHttpErrorForbidden:
        return 403;
    case S3StatusHttpErrorNotFound:
        return 404;
    case S3StatusHttpErrorConflict:
        return 409;
    default:
        break;
    }
    /* XmlParseFailure is an error page from in front of the store. */
    const bool may_pass = status == S3StatusHttpErrorUnknown || status == S3StatusErrorUnknown ||
                          status == S3StatusXmlParseFailure || S3_status_is_retryable(status);
    return may_pass ? 503 : 400;
}

static enum cress_status request_status(const struct libs3 *libs3, const struct request *request,
                                        struct cress_error *err)
{
    if (request->status == S3StatusOK) {
        return CRESS_OK;
    }
    if (request->read_error.status != CRESS_OK) {
        *err = request->read_error;
        return err->status;
    }
    char *where =
        cress_format("%s/%s/%.100s", libs3->target.host, libs3->target.bucket, request->op->key);
    enum cress_status status = CRESS_OK;
    for (size_t i = 0; i < CRESS_COUNT(connection_errors); i++) {
        if (connection_errors[i].status == request->status) {
            status = cress_error_set(err, CRESS_UNAVAILABLE, connection_errors[i].code, "%s: %s",
                                     where, connection_errors[i].text);
        }
    }
    if (status == CRESS_OK) {
        const char *name = S3_get_status_name(request->status);
        const char *prefix = "Error";
        const bool has_code =
            strncmp(name, prefix, strlen(prefix)) == 0 && request->status != S3StatusErrorUnknown;
        status =
            cress_s3_error_set(err, http_status(request->status),
                               has_code ? name + strlen(prefix) : NULL, request->message, where);
    }
    free(where);
    return status;
}

/* --- the three verbs --- */

static void libs3_head(const struct libs3 *libs3, struct request *request)
{
    const S3BucketContext context = bucket_context(libs3);
    const S3ResponseHandler handler = {on_properties, on_complete};
    S3_head_object(&context, request->op->key, NULL, TIMEOUT_ARGUMENT(libs3->timeout_ms) & handler,
                   request);
}

static bool is_absent(const struct request *request)
{
    return request->status == S3StatusHttpErrorNotFound ||
           request->status == S3StatusErrorNoSuchKey;
}

static enum cress_status libs3_run_head(const struct libs3 *libs3, struct cress_object_op *op,
                                        struct cress_error *err)
{
    struct request request = {.op = op};
    libs3_head(libs3, &request);
    if (is_absent(&request)) {
        op->found.exists = false;
        return CRESS_OK;
    }
    enum cress_status status = request_status(libs3, &request, err);
    if (status == CRESS_OK) {
        op->found = request.found;
        op->found.exists = true;
    }
    return status;
}

static enum cress_status libs3_confirm(const struct libs3 *libs3, struct cress_object_op *op,
                                       struct cress_error *err)
{
    struct request request = {.op = op};
    libs3_head(libs3, &request);
    if (is_absent(&request)) {
        return cress_error_set(err, CRESS_UNAVAILABLE, "unconfirmed",
                               "%.200s: the store does not have what was uploaded", op->key);
    }
    enum cress_status status = request_status(libs3, &request, err);
    if (status != CRESS_OK) {
        return status;
    }
    /* An ETag of another shape is not an MD5. */
    const bool is_md5 = strspn(request.etag, "0123456789abcdefABCDEF") == CRESS_MD5_TEXT_SIZE - 1;
    if (request.found.size != (int64_t)op->object.size ||
        (is_md5 && strcasecmp(request.etag, op->digest.md5) != 0)) {
        return cress_error_set(
            err, CRESS_TEMPORARY, "unconfirmed",
            "%.200s: the store has other content than was sent (%lld bytes, ETag "
            "%s; sent %zu, MD5 %s)",
            op->key, (long long)request.found.size, request.etag, op->object.size, op->digest.md5);
    }
    return CRESS_OK;
}

static void libs3_put(const struct libs3 *libs3, struct request *request)
{
    const struct cress_object_op *op = request->op;
    S3NameValue meta[CRESS_OBJECT_META_MAX];
    for (size_t i = 0; i < op->object.meta_count; i++) {
        meta[i] = (S3NameValue){op->object.meta[i].name, op->object.meta[i].value};
    }
    char md5[2 * CRESS_MD5_SIZE];
    EVP_EncodeBlock((unsigned char *)md5, op->digest.md5_bytes, CRESS_MD5_SIZE);
    const S3PutProperties properties = {
        .contentType = op->object.content_type,
        .md5 = md5,
        .cacheControl = op->object.cache_control,
        .contentEncoding = op->object.content_encoding,
        .expires = -1,
        .cannedAcl = S3CannedAclPrivate,
        .metaDataCount = (int)op->object.meta_count,
        .metaData = meta,
    };
    S3BucketContext context = bucket_context(libs3);
    S3PutObjectHandler handler = {{on_properties, on_complete}, on_upload};
    S3_put_object(&context, op->key, op->object.size, &properties, NULL,
                  TIMEOUT_ARGUMENT(libs3->timeout_ms) & handler, request);
}

static enum cress_status libs3_run_put(const struct libs3 *libs3, struct cress_object_op *op,
                                       struct cress_error *err)
{
    if (!op->has_digest) {
        enum cress_status status = cress_digest_object(&op->object, &op->digest, err);
        if (status != CRESS_OK) {
            return status;
        }
        op->has_digest = true;
    }
    struct request request = {.op = op};
    libs3_put(libs3, &request);
    enum cress_status status = request_status(libs3, &request, err);
    return status == CRESS_OK ? libs3_confirm(libs3, op, err) : status;
}

static enum cress_status libs3_run_check(const struct libs3 *libs3, struct cress_object_op *op,
                                         struct cress_error *err)
{
    struct request request = {.op = op};
    S3BucketContext context = bucket_context(libs3);
    const S3ListBucketHandler handler = {{on_properties, on_complete}, on_list};
    S3_list_bucket(&context, NULL, NULL, NULL, 1, NULL,
                   TIMEOUT_ARGUMENT(libs3->timeout_ms) & handler, &request);
    return request_status(libs3, &request, err);
}

/* curl takes "." and ".." out of the path unless told otherwise, which libs3 does not do. */
static bool has_dots(const char *key)
{
    for (const char *part = key;; part++) {
        size_t length = strcspn(part, "/");
        if (cress_part_is_dots(part, length)) {
            return true;
        }
        part += length;
        if (*part == '\0') {
            return false;
        }
    }
}

static enum cress_status libs3_run(struct cress_object_op *op, struct cress_error *err)
{
    const struct libs3 *libs3 = op->state;
    if (has_dots(op->key) || (!HAS_V4 && strchr(op->key, ' '))) {
        return cress_error_set(err, CRESS_INVALID, "bad_key",
                               "this libs3 cannot send the key \"%.200s\", for it has a blank, or "
                               "\".\" or \"..\" as a part: set s3.backend = v4",
                               op->key);
    }
    switch (op->verb) {
    case CRESS_OBJECT_PUT:
        return libs3_run_put(libs3, op, err);
    case CRESS_OBJECT_HEAD:
        return libs3_run_head(libs3, op, err);
    case CRESS_OBJECT_CHECK:
        break;
    }
    return libs3_run_check(libs3, op, err);
}

const struct cress_object_backend cress_object_libs3 = {
    .open = libs3_open,
    .close = libs3_close,
    .run = libs3_run,
};
