// SPDX-License-Identifier: Apache-2.0
// The signer: canonical request -> string to sign -> HMAC under a key derived from day, region and
// service.

#include "common/object/sigv4.h"

#include "common/base/mem.h"
#include "common/object/digest.h"

#include <assert.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Of what is signed: a path of 1024 bytes is at most 3 kB encoded, headers are capped at 16 kB by
 * S3. */
enum { MAX_SIGNED_BYTES = 64 * 1024 };

enum { MAC_SIZE = 32, SIGNATURE_TEXT_SIZE = CRESS_SHA256_TEXT_SIZE, DAY_LENGTH = 8 };

const char *cress_sigv4_date(int64_t wall_ms, char text[CRESS_SIGV4_DATE_SIZE])
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    strftime(text, CRESS_SIGV4_DATE_SIZE, "%Y%m%dT%H%M%SZ", &utc);
    return text;
}

static bool is_unreserved(char c)
{
    /* Not isalnum(): that follows the locale. */
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == '~';
}

void cress_sigv4_encode(const char *text, bool keep_slash, struct cress_buf *out)
{
    for (; *text; text++) {
        if (is_unreserved(*text) || (*text == '/' && keep_slash)) {
            cress_buf_add_char(out, *text);
        } else {
            cress_buf_printf(out, "%%%02X", (unsigned)(unsigned char)*text);
        }
    }
}

static int compare_pairs(const void *left, const void *right)
{
    const struct cress_http_header *a = left;
    const struct cress_http_header *b = right;
    int names = strcmp(a->name, b->name);
    return names ? names : strcmp(a->value, b->value);
}

static char *encoded(const char *text)
{
    struct cress_buf buf = cress_buf_make(MAX_SIGNED_BYTES);
    cress_sigv4_encode(text, false, &buf);
    return cress_buf_take(&buf);
}

void cress_sigv4_query(const struct cress_http_header *parameters, size_t count,
                       struct cress_buf *out)
{
    assert(count <= CRESS_SIGV4_QUERY_MAX);
    struct cress_http_header pairs[CRESS_SIGV4_QUERY_MAX];
    /* Sorted as they are sent: '-' and '%' order otherwise than the bytes they stand for. */
    for (size_t i = 0; i < count; i++) {
        pairs[i].name = encoded(parameters[i].name);
        pairs[i].value = encoded(parameters[i].value);
    }
    qsort(pairs, count, sizeof pairs[0], compare_pairs);
    for (size_t i = 0; i < count; i++) {
        cress_buf_printf(out, "%s%s=%s", i ? "&" : "", pairs[i].name, pairs[i].value);
        free((char *)pairs[i].name);
        free((char *)pairs[i].value);
    }
}

/* Blanks at both ends go, runs of them inside become one. */
static void add_trimmed(struct cress_buf *out, const char *value)
{
    bool blank = false;
    bool first = true;
    for (; *value; value++) {
        if (*value == ' ' || *value == '\t') {
            blank = true;
            continue;
        }
        if (blank && !first) {
            cress_buf_add_char(out, ' ');
        }
        cress_buf_add_char(out, *value);
        blank = first = false;
    }
}

static void add_signed_names(struct cress_buf *out, const struct cress_sigv4_request *request)
{
    for (size_t i = 0; i < request->header_count; i++) {
        cress_buf_printf(out, "%s%s", i ? ";" : "", request->headers[i].name);
    }
}

/* Expects sorted headers. */
static void add_canonical_request(struct cress_buf *out, const struct cress_sigv4_request *request)
{
    cress_buf_printf(out, "%s\n%s\n%s\n", request->method, request->path, request->query);
    for (size_t i = 0; i < request->header_count; i++) {
        cress_buf_printf(out, "%s:", request->headers[i].name);
        add_trimmed(out, request->headers[i].value);
        cress_buf_add_char(out, '\n');
    }
    cress_buf_add_char(out, '\n');
    add_signed_names(out, request);
    cress_buf_printf(out, "\n%s", request->payload_sha256);
}

static void mac(const void *key, size_t key_size, const char *data, size_t size,
                unsigned char out[MAC_SIZE])
{
    unsigned length = MAC_SIZE;
    HMAC(EVP_sha256(), key, (int)key_size, (const unsigned char *)data, size, out, &length);
}

static void derive_key(const struct cress_sigv4_identity *identity, const char *date,
                       unsigned char key[MAC_SIZE])
{
    char *start = cress_format("AWS4%s", identity->secret);
    mac(start, strlen(start), date, DAY_LENGTH, key);
    OPENSSL_cleanse(start, strlen(start));
    free(start);
    mac(key, MAC_SIZE, identity->region, strlen(identity->region), key);
    mac(key, MAC_SIZE, identity->service, strlen(identity->service), key);
    mac(key, MAC_SIZE, "aws4_request", strlen("aws4_request"), key);
}

static char *make_scope(const struct cress_sigv4_identity *identity, const char *date)
{
    return cress_format("%.*s/%s/%s/aws4_request", DAY_LENGTH, date, identity->region,
                        identity->service);
}

static void sign(const struct cress_sigv4_identity *identity,
                 const struct cress_sigv4_request *request, const char *date, const char *scope,
                 char signature[SIGNATURE_TEXT_SIZE])
{
    struct cress_buf canonical = cress_buf_make(MAX_SIGNED_BYTES);
    add_canonical_request(&canonical, request);
    char hash[CRESS_SHA256_TEXT_SIZE];
    cress_sha256(cress_buf_text(&canonical), canonical.size, hash);
    cress_buf_free(&canonical);

    char *text = cress_format("AWS4-HMAC-SHA256\n%s\n%s\n%s", date, scope, hash);
    unsigned char key[MAC_SIZE];
    unsigned char bytes[MAC_SIZE];
    derive_key(identity, date, key);
    mac(key, sizeof key, text, strlen(text), bytes);
    OPENSSL_cleanse(key, sizeof key);
    free(text);
    cress_hex(bytes, sizeof bytes, signature);
}

void cress_sigv4_authorize(const struct cress_sigv4_identity *identity,
                           const struct cress_sigv4_request *request, const char *date,
                           struct cress_buf *authorization)
{
    qsort(request->headers, request->header_count, sizeof request->headers[0], compare_pairs);
    char *scope = make_scope(identity, date);
    char signature[SIGNATURE_TEXT_SIZE];
    sign(identity, request, date, scope, signature);
    cress_buf_printf(authorization,
                     "AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=", identity->access_key_id,
                     scope);
    add_signed_names(authorization, request);
    cress_buf_printf(authorization, ", Signature=%s", signature);
    free(scope);
}

void cress_sigv4_presign(const struct cress_sigv4_identity *identity, const char *host,
                         const char *path, const char *date, int64_t expires_s,
                         struct cress_buf *query)
{
    char *scope = make_scope(identity, date);
    char *credential = cress_format("%s/%s", identity->access_key_id, scope);
    char *expires = cress_format("%lld", (long long)expires_s);
    const struct cress_http_header parameters[] = {
        {"X-Amz-Algorithm", "AWS4-HMAC-SHA256"},
        {"X-Amz-Credential", credential},
        {"X-Amz-Date", date},
        {"X-Amz-Expires", expires},
        {"X-Amz-SignedHeaders", "host"},
        {"X-Amz-Security-Token", identity->session_token},
    };
    struct cress_buf canonical = cress_buf_make(MAX_SIGNED_BYTES);
    cress_sigv4_query(parameters, CRESS_COUNT(parameters) - (identity->session_token ? 0 : 1),
                      &canonical);
    struct cress_http_header headers[] = {{"host", host}};
    const struct cress_sigv4_request request = {
        .method = "GET",
        .path = path,
        .query = cress_buf_text(&canonical),
        .headers = headers,
        .header_count = CRESS_COUNT(headers),
        .payload_sha256 = "UNSIGNED-PAYLOAD",
    };
    char signature[SIGNATURE_TEXT_SIZE];
    sign(identity, &request, date, scope, signature);
    cress_buf_printf(query, "%s&X-Amz-Signature=%s", request.query, signature);
    cress_buf_free(&canonical);
    free(expires);
    free(credential);
    free(scope);
}
