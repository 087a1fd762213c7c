// SPDX-License-Identifier: Apache-2.0
// URLs taken apart; see url.h.
#include "common/base/url.h"

#include "common/base/mem.h"
#include "common/base/text.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const char LETTERS[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

static void lower(char *text)
{
    for (; *text; text++) {
        if (*text >= 'A' && *text <= 'Z') {
            *text += 'a' - 'A';
        }
    }
}

/* Cuts `text` at the first of `any_of`; returns what comes after it, NULL when none is there. */
static char *cut(char *text, const char *any_of)
{
    char *end = text + strcspn(text, any_of);
    if (!*end) {
        return NULL;
    }
    *end = '\0';
    return end + 1;
}

static bool has_blanks_or_controls(const char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text <= ' ' || *text == 0x7F) {
            return true;
        }
    }
    return false;
}

/* Splits "user:password@host:port"; false when the port or the brackets are wrong. */
static bool split_authority(char *authority, struct cress_url *url)
{
    char *at = strrchr(authority, '@');
    url->userinfo = at ? authority : NULL;
    if (at) {
        *at = '\0';
        authority = at + 1;
    }
    char *rest;
    if (*authority == '[') {
        url->host = authority + 1;
        rest = cut(url->host, "]");
        if (!rest || (*rest && *rest != ':')) {
            return false;
        }
    } else {
        url->host = authority;
        rest = authority + strcspn(authority, ":");
    }
    if (*rest == ':') {
        *rest++ = '\0';
        int64_t port;
        if (!cress_text_to_int(rest, &port) || port < 1 || port > 65535) {
            return false;
        }
        url->port = (int)port;
    }
    lower(url->host);
    return true;
}

/* Takes `memory` apart; NULL when that worked, else what is wrong. The path needs a byte of its
 * own, because the slash it begins with ends the authority: `path` is room for a copy. */
static const char *split(char *memory, char *path, struct cress_url *url)
{
    const size_t scheme_size =
        strspn(memory, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-");
    if (scheme_size == 0 || !strchr(LETTERS, memory[0]) ||
        strncmp(memory + scheme_size, "://", 3) != 0) {
        return "it has no scheme (http://…)";
    }
    memory[scheme_size] = '\0';
    url->scheme = memory;
    lower(url->scheme);
    char *authority = memory + scheme_size + 3;
    cut(authority, "#");
    url->query = NULL;
    char *question = strchr(authority, '?');
    if (question) {
        *question = '\0';
        url->query = question + 1;
    }
    char *slash = strchr(authority, '/');
    *path = '\0';
    url->path = path;
    if (slash) {
        memcpy(path, slash, strlen(slash) + 1);
        *slash = '\0';
    }
    return split_authority(authority, url) ? NULL : "its host or port cannot be read";
}

enum cress_status cress_url_parse(const char *text, struct cress_url *url, struct cress_error *err)
{
    const char *problem = NULL;
    const size_t size = strlen(text);
    struct cress_url parts = {0};
    if (size > CRESS_URL_MAX) {
        problem = "it is longer than 8192 bytes";
    } else if (has_blanks_or_controls(text)) {
        problem = "it holds blanks or control characters; write them as %20 and so on";
    } else {
        parts.memory = cress_realloc_array(NULL, 2, size + 1);
        memcpy(parts.memory, text, size + 1);
        problem = split(parts.memory, parts.memory + size + 1, &parts);
    }
    if (problem) {
        free(parts.memory);
        char shown[200]; /* passwords do not belong into errors */
        cress_text_redact_url(text, shown, sizeof shown);
        return cress_error_set(err, CRESS_INVALID, "bad_url", "\"%s\" is not a usable URL: %s",
                               shown, problem);
    }
    *url = parts;
    return CRESS_OK;
}

void cress_url_free(struct cress_url *url)
{
    free(url->memory);
    *url = (struct cress_url){0};
}

char **cress_url_hosts(const char *text)
{
    const char *scheme_end = strstr(text, "://");
    const char *authority = scheme_end ? scheme_end + 3 : text;
    const char *end = authority + strcspn(authority, "/?#");
    const char *host = authority;
    for (const char *at = authority; at < end; at++) {
        host = *at == '@' ? at + 1 : host;
    }
    const int before = (int)(host - text);
    char **list = cress_realloc_array(NULL, 2, sizeof *list);
    size_t count = 0;
    for (;;) {
        const size_t cut_at = strcspn(host, ",");
        const int size = (int)(host + cut_at < end ? cut_at : (size_t)(end - host));
        list[count++] = cress_format("%.*s%.*s%s", before, text, size, host, end);
        list[count] = NULL;
        if (host + size == end) {
            return list;
        }
        host += size + 1;
        list = cress_realloc_array(list, count + 2, sizeof *list);
    }
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int cress_url_escape_value(const char *text)
{
    if (text[0] != '%' || hex_value(text[1]) < 0 || hex_value(text[2]) < 0) {
        return -1;
    }
    return hex_value(text[1]) * 16 + hex_value(text[2]);
}

bool cress_url_decode(char *text)
{
    for (const char *p = text; *p; p++) {
        if (*p == '%' && cress_url_escape_value(p) <= 0) {
            return false;
        }
    }
    char *out = text;
    for (const char *p = text; *p; p++) {
        if (*p == '%') {
            *out++ = (char)cress_url_escape_value(p);
            p += 2;
        } else {
            *out++ = *p;
        }
    }
    *out = '\0';
    return true;
}
