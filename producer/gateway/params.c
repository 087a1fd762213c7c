// SPDX-License-Identifier: Apache-2.0
// What a request's path, query and headers ask for: see params.h.
#include "producer/gateway/params.h"

#include "common/base/clock.h"
#include "common/job/job.h"

#include <string.h>
#include <strings.h>

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool cress_params_decode(const char *text, size_t size, char *out, size_t out_size)
{
    size_t n = 0;
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        if (c == '%') {
            const int high = i + 2 < size ? hex_digit(text[i + 1]) : -1;
            const int low = i + 2 < size ? hex_digit(text[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return false;
            }
            c = (char)(high * 16 + low);
            i += 2;
        }
        if (c == '\0' || n + 1 >= out_size) {
            return false;
        }
        out[n++] = c;
    }
    out[n] = '\0';
    return true;
}

bool cress_params_query(const char *query, const char *name, char *out, size_t out_size)
{
    const size_t name_size = strlen(name);
    while (*query != '\0') {
        const size_t size = strcspn(query, "&");
        if (size > name_size && strncmp(query, name, name_size) == 0 && query[name_size] == '=') {
            return cress_params_decode(query + name_size + 1, size - name_size - 1, out, out_size);
        }
        query += size;
        query += *query == '&';
    }
    return false;
}

/* Finds the preference wait=N in `prefer`, a list such as "respond-async, wait=10". */
static bool preferred_wait(const char *prefer, int64_t *wait_ms)
{
    while (prefer != NULL && *prefer != '\0') {
        prefer += strspn(prefer, " \t,;");
        const size_t size = strcspn(prefer, " \t,;");
        char value[32];
        if (strncasecmp(prefer, "wait=", 5) == 0 && size - 5 < sizeof value) {
            memcpy(value, prefer + 5, size - 5);
            value[size - 5] = '\0';
            return cress_duration_parse(value, wait_ms, NULL) == CRESS_OK;
        }
        prefer += size;
    }
    return false;
}

enum cress_status cress_params_wait(const char *query, const char *prefer, int64_t max_ms,
                                    int64_t *wait_ms, bool *preferred, struct cress_error *err)
{
    char value[32];
    int64_t ms = 0;
    bool from_header = false;
    if (cress_params_query(query, "wait", value, sizeof value)) {
        if (cress_duration_parse(value, &ms, NULL) != CRESS_OK) {
            return cress_error_set(
                err, CRESS_MALFORMED, "bad_wait",
                "wait=%s is not a duration: expected seconds (wait=10) or 10s, 1m", value);
        }
    } else {
        from_header = preferred_wait(prefer, &ms);
    }
    *wait_ms = ms < max_ms ? ms : max_ms;
    *preferred = from_header;
    return CRESS_OK;
}

bool cress_params_etag_matches(const char *header, const char *etag)
{
    const size_t etag_size = strlen(etag);
    while (header != NULL && *header != '\0') {
        header += strspn(header, " \t,");
        if (*header == '*') {
            return true;
        }
        if (strncmp(header, "W/", 2) == 0) {
            header += 2;
        }
        if (*header != '"') {
            return false;
        }
        const char *end = strchr(header + 1, '"');
        if (end == NULL) {
            return false;
        }
        const size_t size = (size_t)(end + 1 - header);
        if (size == etag_size && memcmp(header, etag, size) == 0) {
            return true;
        }
        header = end + 1;
    }
    return false;
}

/* What stands between the quotes, with \" and \\ undone. False: not a Structured Field string, or
 * too long. */
static bool unquote(const char *text, char *out, size_t out_size)
{
    size_t size = 0;
    for (text++; *text != '"'; text++) {
        if (*text == '\\') {
            text++;
            if (*text != '"' && *text != '\\') {
                return false;
            }
        }
        if (*text == '\0' || size + 1 >= out_size) {
            return false;
        }
        out[size++] = *text;
    }
    out[size] = '\0';
    return text[1] == '\0';
}

static bool copy(const char *text, char *out, size_t out_size)
{
    const size_t size = strlen(text);
    if (size >= out_size) {
        return false;
    }
    memcpy(out, text, size + 1);
    return true;
}

enum cress_status cress_params_idempotency_key(const char *header, char *out,
                                               struct cress_error *err)
{
    char key[CRESS_IDEMPOTENCY_KEY_SIZE];
    if (!(header[0] == '"' ? unquote : copy)(header, key, sizeof key) ||
        !cress_unique_is_valid(key)) {
        return cress_error_set(err, CRESS_MALFORMED, "bad_idempotency_key",
                               "Idempotency-Key must have 1 to %d characters, in double quotes or "
                               "without any",
                               CRESS_JOB_UNIQUE_MAX);
    }
    memcpy(out, key, sizeof key);
    return CRESS_OK;
}

bool cress_params_is_json(const char *content_type)
{
    if (content_type == NULL) {
        return false;
    }
    const size_t size = strcspn(content_type, "; \t");
    static const char plain[] = "application/json", suffix[] = "+json";
    if (size == sizeof plain - 1) {
        return strncasecmp(content_type, plain, size) == 0;
    }
    return size > sizeof suffix && strncasecmp(content_type, "application/", 12) == 0 &&
           strncasecmp(content_type + size - (sizeof suffix - 1), suffix, sizeof suffix - 1) == 0;
}
