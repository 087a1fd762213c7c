// SPDX-License-Identifier: Apache-2.0
// The URL of the store; see address.h.
#include "common/store/address.h"

#include "common/base/mem.h"
#include "common/base/text.h"
#include "common/base/url.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_PORT = 6379, DEFAULT_SENTINEL_PORT = 26379, DB_MAX = 1000000 };

static enum cress_status bad_url(struct cress_error *err, const char *what)
{
    return cress_error_set(err, CRESS_CONFIG, "store_url",
                           "%s; expected redis://[user:password@]host[:port][/db], "
                           "sentinel://[user:password@]host[:port],.../master[/db] or "
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

/* "host:port", an IPv6 address in brackets. */
static char *format_peer(const char *host, int port)
{
    return cress_format(strchr(host, ':') ? "[%s]:%d" : "%s:%d", host, port);
}

/* Host and port, as redis:// and sentinel:// have them. */
static enum cress_status read_peer(const struct cress_url *url, int default_port,
                                   struct cress_redis_address *out, struct cress_error *err)
{
    if (*url->host == '\0') {
        return bad_url(err, "there is no host");
    }
    if (url->query) {
        return bad_url(err, "redis:// and sentinel:// take no parameters");
    }
    out->host = cress_strdup(url->host);
    out->port = url->port > 0 ? url->port : default_port;
    return CRESS_OK;
}

static enum cress_status read_tcp(const struct cress_url *url, struct cress_redis_address *out,
                                  struct cress_error *err)
{
    enum cress_status status = read_peer(url, DEFAULT_PORT, out, err);
    if (!status) {
        status = read_db(*url->path ? url->path + 1 : "", out, err);
    }
    if (!status) {
        char *peer = format_peer(url->host, out->port);
        out->label = cress_format("%s/%d", peer, out->db);
        free(peer);
    }
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

/* --- sentinels --- */

/* "/master" or "/master/db". */
static enum cress_status read_master(const char *path, struct cress_redis_address *out,
                                     struct cress_error *err)
{
    const char *name = *path ? path + 1 : "";
    const size_t size = strcspn(name, "/");
    if (size == 0) {
        return bad_url(err, "the name of the master is missing");
    }
    out->master = cress_strndup(name, size);
    return read_db(name[size] ? name + size + 1 : "", out, err);
}

static enum cress_status add_sentinel(const struct cress_url *url, struct cress_redis_address *out,
                                      struct cress_error *err)
{
    struct cress_redis_address sentinel = {0};
    const enum cress_status status = read_peer(url, DEFAULT_SENTINEL_PORT, &sentinel, err);
    if (status) {
        return status;
    }
    sentinel.label = format_peer(url->host, sentinel.port);
    char *label = out->label ? cress_format("%s,%s", out->label, sentinel.label)
                             : cress_format("%s by Sentinel %s", out->master, sentinel.label);
    free(out->label);
    out->label = label;
    out->sentinels =
        cress_realloc_array(out->sentinels, out->sentinel_count + 1, sizeof(*out->sentinels));
    out->sentinels[out->sentinel_count++] = sentinel;
    return CRESS_OK;
}

/* --- all of it --- */

static enum cress_status read_scheme(const struct cress_url *url, struct cress_redis_address *out,
                                     struct cress_error *err)
{
    if (strcmp(url->scheme, "redis") == 0) {
        return read_tcp(url, out, err);
    }
    if (strcmp(url->scheme, "unix") == 0) {
        return read_unix(url, out, err);
    }
    if (strcmp(url->scheme, "sentinel") == 0) {
        return read_master(url->path, out, err);
    }
    if (strcmp(url->scheme, "rediss") == 0) {
        return cress_error_set(err, CRESS_CONFIG, "store_url",
                               "rediss:// needs TLS, which the hiredis of this build lacks; use "
                               "redis:// in a private network or through a TLS tunnel such as "
                               "stunnel");
    }
    return bad_url(err, "it begins with none of redis://, sentinel:// and unix://");
}

/* One of the URLs that the text stands for, each with one host: the first says it all but for the
 * further Sentinels. */
static enum cress_status read_url(const char *text, bool first, struct cress_redis_address *out,
                                  struct cress_error *err)
{
    struct cress_url url;
    /* The parser's own message quotes the text, which may hold a password. */
    if (cress_url_parse(text, &url, NULL)) {
        return bad_url(err, "it is not a URL, or its port is not a number from 1 to 65535");
    }
    enum cress_status status = CRESS_OK;
    if (first) {
        status = read_login(url.userinfo, out, err);
        status = status ? status : read_scheme(&url, out, err);
    } else if (!out->master) {
        status = bad_url(err, "only sentinel:// takes several hosts");
    }
    if (!status && out->master) {
        status = add_sentinel(&url, out, err);
    }
    cress_url_free(&url);
    return status;
}

enum cress_status cress_redis_address_parse(const char *text, const char *option,
                                            struct cress_redis_address *out,
                                            struct cress_error *err)
{
    struct cress_redis_address address = {0};
    char **urls = cress_url_hosts(text);
    enum cress_status status = CRESS_OK;

    for (char **url = urls; *url && !status; url++) {
        status = read_url(*url, url == urls, &address, err);
    }
    cress_text_list_free(urls);
    if (status) {
        cress_redis_address_free(&address);
        cress_error_prefix(err, "%s", option);
        return status;
    }
    *out = address;
    return CRESS_OK;
}

void cress_redis_address_free(struct cress_redis_address *address)
{
    for (size_t i = 0; i < address->sentinel_count; i++) {
        free(address->sentinels[i].host);
        free(address->sentinels[i].label);
    }
    free(address->sentinels);
    free(address->host);
    free(address->path);
    free(address->master);
    free(address->user);
    free(address->password);
    free(address->label);
    *address = (struct cress_redis_address){0};
}
