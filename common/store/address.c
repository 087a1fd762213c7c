// SPDX-License-Identifier: Apache-2.0
// The URL of the store; see address.h.
#include "common/store/address.h"

#include "common/base/mem.h"
#include "common/base/text.h"
#include "common/base/url.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_PORT = 6379, DB_MAX = 1000000 };

static enum cress_status bad_url(struct cress_error *err, const char *what)
{
    return cress_error_set(err, CRESS_CONFIG, "store_url",
                           "store.url: %s; expected redis://[user:password@]host[:port][/db] or "
                           "unix:///path[?db=N]",
                           what);
}

/* "user:password" or ":password". */
static enum cress_status read_login(const char *userinfo, struct cress_redis_address *out,
                                    struct cress_error *err)
{
    if (!userinfo) {
        return CRESS_OK;
    }
    const char *colon = strchr(userinfo, ':');
    if (!colon) {
        return bad_url(err, "there is a user but no password");
    }
    out->password = cress_strdup(colon + 1);
    out->user = colon > userinfo ? cress_strndup(userinfo, (size_t)(colon - userinfo)) : NULL;
    if (!cress_url_decode(out->password) || (out->user && !cress_url_decode(out->user))) {
        return bad_url(err, "a % in user or password must be followed by two hex digits");
    }
    return CRESS_OK;
}

static enum cress_status read_db(const char *text, struct cress_redis_address *out,
                                 struct cress_error *err)
{
    int64_t db = 0;
    if (*text != '\0' && (!cress_text_to_int(text, &db) || db < 0 || db > DB_MAX)) {
        return bad_url(err, "the database is not a number");
    }
    out->db = (int)db;
    return CRESS_OK;
}

static enum cress_status read_tcp(const struct cress_url *url, struct cress_redis_address *out,
                                  struct cress_error *err)
{
    if (*url->host == '\0') {
        return bad_url(err, "there is no host");
    }
    if (url->query) {
        return bad_url(err, "redis:// takes no parameters");
    }
    out->host = cress_strdup(url->host);
    out->port = url->port > 0 ? url->port : DEFAULT_PORT;

    const enum cress_status status = read_db(*url->path ? url->path + 1 : "", out, err);
    const bool is_ipv6 = strchr(out->host, ':') != NULL;
    out->label = cress_format(is_ipv6 ? "[%s]:%d/%d" : "%s:%d/%d", out->host, out->port, out->db);
    return status;
}

static enum cress_status read_unix(const struct cress_url *url, struct cress_redis_address *out,
                                   struct cress_error *err)
{
    if (*url->host != '\0' || *url->path == '\0') {
        return bad_url(err, "the path of the socket must begin with /");
    }
    if (url->query && !cress_text_starts_with(url->query, "db=")) {
        return bad_url(err, "?db=N is the only parameter");
    }
    out->path = cress_strdup(url->path);
    out->label = cress_strdup(url->path);
    return read_db(url->query ? url->query + strlen("db=") : "", out, err);
}

static enum cress_status read_url(const struct cress_url *url, struct cress_redis_address *out,
                                  struct cress_error *err)
{
    const enum cress_status status = read_login(url->userinfo, out, err);
    if (status) {
        return status;
    }
    if (strcmp(url->scheme, "redis") == 0) {
        return read_tcp(url, out, err);
    }
    if (strcmp(url->scheme, "unix") == 0) {
        return read_unix(url, out, err);
    }
    if (strcmp(url->scheme, "rediss") == 0) {
        return cress_error_set(err, CRESS_CONFIG, "store_url",
                               "store.url: rediss:// needs TLS, which the hiredis of this build "
                               "lacks; use redis:// in a private network or through a TLS tunnel "
                               "such as stunnel");
    }
    return bad_url(err, "it begins with neither redis:// nor unix://");
}

enum cress_status cress_redis_address_parse(const char *text, struct cress_redis_address *out,
                                            struct cress_error *err)
{
    struct cress_redis_address address = {0};
    struct cress_url url;

    /* The parser's own message quotes the text, which may hold a password. */
    if (cress_url_parse(text, &url, NULL)) {
        return bad_url(err, "it is not a URL, or its port is not a number from 1 to 65535");
    }
    const enum cress_status status = read_url(&url, &address, err);
    cress_url_free(&url);
    if (status) {
        cress_redis_address_free(&address);
        return status;
    }
    *out = address;
    return CRESS_OK;
}

void cress_redis_address_free(struct cress_redis_address *address)
{
    free(address->host);
    free(address->path);
    free(address->user);
    free(address->password);
    free(address->label);
    *address = (struct cress_redis_address){0};
}
