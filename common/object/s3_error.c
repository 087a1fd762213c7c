// SPDX-License-Identifier: Apache-2.0
// S3 errors: one table from the store's code to our status and what to do about it.
// Source: "Error Responses", Amazon S3 API Reference.

#include "common/object/s3_error.h"

#include "common/base/mem.h"

#include <stdio.h>
#include <string.h>

static const struct known_error {
    const char *code;
    enum cress_status status;
    const char *hint;
} known_errors[] = {
    {"AccessDenied", CRESS_DENIED,
     "the access key may not do this: check the policy of the key and of the bucket"},
    {"SignatureDoesNotMatch", CRESS_DENIED,
     "check the secret access key; if it is right, s3.region and s3.backend"},
    {"InvalidAccessKeyId", CRESS_DENIED,
     "the store does not know the access key: check AWS_ACCESS_KEY_ID"},
    {"ExpiredToken", CRESS_DENIED, "the session token has expired: get new credentials"},
    {"InvalidToken", CRESS_DENIED, "check AWS_SESSION_TOKEN: it must belong to the access key"},
    {"RequestTimeTooSkewed", CRESS_DENIED,
     "this machine's clock and the store's differ by more than 15 minutes: check NTP"},
    {"AccountProblem", CRESS_DENIED, "the account of the access key is blocked"},
    {"NoSuchBucket", CRESS_NOT_FOUND, "create the bucket first, or check its name and s3.endpoint"},
    {"NoSuchKey", CRESS_NOT_FOUND, "there is no such object"},
    {"InvalidBucketName", CRESS_INVALID, "the store does not accept the bucket's name"},
    {"KeyTooLongError", CRESS_INVALID, "the key is too long"},
    {"MetadataTooLarge", CRESS_INVALID, "the metadata exceed the store's limit (2 kB)"},
    {"EntityTooLarge", CRESS_TOO_LARGE, "the object exceeds the store's limit"},
    {"QuotaExceeded", CRESS_NO_SPACE, "the quota of the bucket or account is used up"},
    {"AuthorizationHeaderMalformed", CRESS_CONFIG, "set s3.region to the region of the bucket"},
    {"PermanentRedirect", CRESS_CONFIG,
     "the bucket lives elsewhere: set s3.region and s3.endpoint"},
    {"TemporaryRedirect", CRESS_CONFIG,
     "the bucket lives elsewhere: set s3.region and s3.endpoint"},
    {"IllegalLocationConstraintException", CRESS_CONFIG,
     "set s3.region to the region of the bucket"},
    {"NotImplemented", CRESS_INVALID, "the store does not offer this"},
    /* The rest is worth another try. The body was damaged on its way: */
    {"BadDigest", CRESS_TEMPORARY, NULL},
    {"XAmzContentSHA256Mismatch", CRESS_TEMPORARY, NULL},
    {"IncompleteBody", CRESS_TEMPORARY, NULL},
    {"OperationAborted", CRESS_TEMPORARY, NULL},
    {"RequestTimeout", CRESS_TIMEOUT, NULL},
    {"SlowDown", CRESS_UNAVAILABLE, NULL},
    {"InternalError", CRESS_UNAVAILABLE, NULL},
    {"ServiceUnavailable", CRESS_UNAVAILABLE, NULL},
};

static const struct known_error *find_known(const char *code)
{
    for (size_t i = 0; i < CRESS_COUNT(known_errors); i++) {
        if (strcmp(known_errors[i].code, code) == 0) {
            return &known_errors[i];
        }
    }
    return NULL;
}

/* For codes that the table does not have. */
static enum cress_status status_for_http(int http)
{
    switch (http) {
    case 401:
    case 403:
        return CRESS_DENIED;
    case 404:
        return CRESS_NOT_FOUND;
    case 408:
        return CRESS_TIMEOUT;
    case 413:
        return CRESS_TOO_LARGE;
    case 429:
        return CRESS_UNAVAILABLE;
    case 501:
        return CRESS_INVALID;
    case 507:
        return CRESS_NO_SPACE;
    default:
        break;
    }
    if (http / 100 == 3) {
        return CRESS_CONFIG;
    }
    return http / 100 == 4 ? CRESS_INVALID : CRESS_UNAVAILABLE;
}

/* When the store says no more than its HTTP status, as in answers to HEAD. */
static const char *hint_for_http(int http)
{
    switch (http) {
    case 401:
    case 403:
        return "check access key, secret and the policy of the bucket";
    case 404:
        return "check that the bucket exists, and s3.endpoint";
    case 507:
        return "the store is full";
    default:
        return http / 100 == 3 ? "the bucket lives elsewhere: set s3.region and s3.endpoint" : NULL;
    }
}

enum cress_status cress_s3_error_set(struct cress_error *err, int http, const char *code,
                                     const char *message, const char *where)
{
    char http_code[16];
    snprintf(http_code, sizeof http_code, "http_%d", http);
    const bool has_code = code && code[0];
    const struct known_error *known = has_code ? find_known(code) : NULL;
    const char *hint = known ? known->hint : hint_for_http(http);
    return cress_error_set(err, known ? known->status : status_for_http(http),
                           has_code ? code : http_code, "%.150s: the store answered %s%s%.160s%s%s",
                           where, has_code ? code : http_code, message && message[0] ? ": " : "",
                           message ? message : "", hint ? "; " : "", hint ? hint : "");
}

/* --- the error document --- */

static const struct entity {
    const char *text;
    char c;
} entities[] = {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}};

static size_t decode_char(const char *from, char *to)
{
    for (size_t i = 0; i < CRESS_COUNT(entities); i++) {
        size_t length = strlen(entities[i].text);
        if (strncmp(from, entities[i].text, length) == 0) {
            *to = entities[i].c;
            return length;
        }
    }
    /* It is shown to people, in logs: nothing that moves a cursor. */
    *to = (unsigned char)*from < ' ' || *from == 0x7f ? ' ' : *from;
    return 1;
}

/* Copies the text of the first element `name` that has no attributes. S3 errors are flat and of one
 * shape: this is no XML parser, and what it does not find is "". */
static void extract(const char *body, const char *name, char *out, size_t out_size)
{
    char tag[32];
    snprintf(tag, sizeof tag, "<%s>", name);
    out[0] = '\0';
    const char *from = strstr(body, tag);
    if (!from) {
        return;
    }
    from += strlen(tag);
    const char *end = strchr(from, '<');
    size_t n = 0;
    while (end && from < end && n + 1 < out_size) {
        from += decode_char(from, &out[n++]);
    }
    out[n] = '\0';
}

enum cress_status cress_s3_error_from_response(struct cress_error *err, int http, const char *body,
                                               const char *where)
{
    char code[CRESS_ERROR_CODE_MAX];
    char message[CRESS_ERROR_MESSAGE_MAX];
    extract(body, "Code", code, sizeof code);
    extract(body, "Message", message, sizeof message);
    return cress_s3_error_set(err, http, code, message, where);
}
