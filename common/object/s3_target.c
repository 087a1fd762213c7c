// SPDX-License-Identifier: Apache-2.0
// Reads s3://bucket/prefix and the s3 options.

#include "common/object/s3_target.h"

#include "common/base/mem.h"
#include "common/base/text.h"
#include "common/base/url.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#define ALPHANUMERIC "abcdefghijklmnopqrstuvwxyz0123456789"

static const char scheme[] = "s3://";

bool cress_s3_bucket_is_valid(const char *bucket)
{
    size_t length = strlen(bucket);
    struct in_addr v4;
    return length >= 3 && length <= 63 && strspn(bucket, ALPHANUMERIC ".-") == length &&
           strchr(ALPHANUMERIC, bucket[0]) && strchr(ALPHANUMERIC, bucket[length - 1]) &&
           !strstr(bucket, "..") && inet_pton(AF_INET, bucket, &v4) != 1;
}

static enum cress_status read_url(const char *url, struct cress_s3_target *target,
                                  struct cress_error *err)
{
    const char *bucket = url + strlen(scheme);
    size_t length = strcspn(bucket, "/");
    target->bucket = cress_strndup(bucket, length);
    if (!cress_s3_bucket_is_valid(target->bucket)) {
        return cress_error_set(
            err, CRESS_INVALID, "InvalidBucketName",
            "\"%s\" cannot be a bucket: expected 3 to 63 of a-z, 0-9, '.' and '-', "
            "as in s3://bucket/prefix",
            target->bucket);
    }
    const char *prefix = bucket + length;
    prefix += strspn(prefix, "/");
    size_t end = strlen(prefix);
    while (end > 0 && prefix[end - 1] == '/') {
        end--;
    }
    target->prefix = cress_strndup(prefix, end);
    return CRESS_OK;
}

/* The host as curl will send it, for it is signed: a port that is the scheme's own is left out. */
static char *host_header(const struct cress_url *url, bool is_https)
{
    const bool is_v6 = strchr(url->host, ':');
    const char *open = is_v6 ? "[" : "";
    const char *close = is_v6 ? "]" : "";
    if (url->port == 0 || url->port == (is_https ? 443 : 80)) {
        return cress_format("%s%s%s", open, url->host, close);
    }
    return cress_format("%s%s%s:%d", open, url->host, close, url->port);
}

static enum cress_status read_endpoint(const char *endpoint, struct cress_s3_target *target,
                                       struct cress_error *err)
{
    if (endpoint[0] == '\0') {
        target->is_https = true;
        target->host = cress_format("s3.%s.amazonaws.com", target->region);
        return CRESS_OK;
    }
    struct cress_url url;
    struct cress_error why;
    if (cress_url_parse(endpoint, &url, &why) != CRESS_OK) {
        cress_error_set(err, CRESS_CONFIG, NULL, "s3.endpoint: %.300s", why.message);
        return CRESS_CONFIG;
    }
    enum cress_status status = CRESS_OK;
    target->is_https = strcmp(url.scheme, "https") == 0;
    if ((!target->is_https && strcmp(url.scheme, "http") != 0) || !url.host[0] || url.userinfo ||
        url.query || (url.path[0] && strcmp(url.path, "/") != 0)) {
        status = CRESS_CONFIG;
        cress_error_set(err, status, NULL,
                        "s3.endpoint must look like https://host or http://host:port, "
                        "without path, user or query");
    } else {
        target->host = host_header(&url, target->is_https);
    }
    cress_url_free(&url);
    return status;
}

static bool is_literal_address(const char *host)
{
    char name[64];
    size_t length = strcspn(host, ":");
    struct in_addr v4;
    if (host[0] == '[' || length >= sizeof name) {
        return host[0] == '[';
    }
    memcpy(name, host, length);
    name[length] = '\0';
    return inet_pton(AF_INET, name, &v4) == 1;
}

static enum cress_status read_style(const struct cress_config *config,
                                    struct cress_s3_target *target, struct cress_error *err)
{
    if (strcmp(config->s3_style, "path") == 0) {
        target->is_path_style = true;
    } else if (strcmp(config->s3_style, "auto") == 0) {
        /* A dot in the bucket's name would not match the certificate for *.s3.amazonaws.com. */
        target->is_path_style = config->s3_endpoint[0] || strchr(target->bucket, '.');
    } else if (strcmp(config->s3_style, "virtual") != 0) {
        return cress_error_set(err, CRESS_CONFIG, NULL,
                               "s3.style is \"%s\": expected auto, path or virtual",
                               config->s3_style);
    }
    if (!target->is_path_style && is_literal_address(target->host)) {
        return cress_error_set(err, CRESS_CONFIG, NULL,
                               "s3.style = virtual needs a host name in s3.endpoint, not the "
                               "address %s",
                               target->host);
    }
    return CRESS_OK;
}

enum cress_status cress_s3_target_read(const struct cress_config *config, const char *url,
                                       struct cress_s3_target *out, struct cress_error *err)
{
    struct cress_s3_target target = {.region = cress_strdup(config->s3_region)};
    enum cress_status status = read_url(url, &target, err);
    if (status == CRESS_OK) {
        status = read_endpoint(config->s3_endpoint, &target, err);
    }
    if (status == CRESS_OK) {
        status = read_style(config, &target, err);
    }
    if (status == CRESS_OK) {
        status = cress_credentials_find(config, &target.credentials, err);
    }
    if (status == CRESS_OK) {
        *out = target;
    } else {
        cress_s3_target_free(&target);
    }
    return status;
}

void cress_s3_target_free(struct cress_s3_target *target)
{
    free(target->host);
    free(target->bucket);
    free(target->prefix);
    free(target->region);
    cress_credentials_free(&target->credentials);
    *target = (struct cress_s3_target){0};
}
