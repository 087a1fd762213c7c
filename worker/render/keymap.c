// SPDX-License-Identifier: Apache-2.0
// Which object key a page is stored under; see keymap.h.
#include "worker/render/keymap.h"

#include "common/base/buf.h"
#include "common/base/mem.h"
#include "common/base/text.h"
#include "common/base/url.h"
#include "common/object/object.h"

#include <stdlib.h>
#include <string.h>

enum { HASH_DIGITS = 32, EXTENSION_MAX = 8 };

/* Decodes every well-formed escape of `text`; a % that begins none stands for itself. */
static void decode_bytes(const char *text, size_t size, struct cress_buf *bytes)
{
    for (size_t i = 0; i < size; i++) {
        const int value = i + 2 < size ? cress_url_escape_value(text + i) : -1;
        if (value >= 0) {
            cress_buf_add_char(bytes, (char)value);
            i += 2;
        } else {
            cress_buf_add_char(bytes, text[i]);
        }
    }
}

/* Writes bytes as part of a key: UTF-8 as it is, the rest as %XX. */
static void write_part(struct cress_buf *key, const char *bytes, size_t size, const char *escaped)
{
    for (size_t i = 0; i < size;) {
        const unsigned char c = (unsigned char)bytes[i];
        const size_t length = cress_text_utf8_length(bytes + i, size - i);
        if (length == 0 || c < 0x20 || c == 0x7F || strchr(escaped, c)) {
            cress_buf_printf(key, "%%%02X", c);
            i++;
        } else {
            cress_buf_add(key, bytes + i, length);
            i += length;
        }
    }
}

/* The extension of a segment with its dot, or "": a few letters or digits, at least one letter
 * ("1.2" has none). */
static const char *extension_of(const char *segment)
{
    const char *dot = strrchr(segment, '.');
    if (!dot || dot == segment) {
        return "";
    }
    const size_t size =
        strspn(dot + 1, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");
    const bool has_letter =
        strpbrk(dot + 1, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") != NULL;
    return size > 0 && size < EXTENSION_MAX && !dot[1 + size] && has_letter ? dot : "";
}

/* Cuts `text` to at most `max` bytes, its hash and `extension` included. */
static void shorten(struct cress_buf *text, size_t from, size_t max, const char *extension)
{
    if (text->size - from <= max) {
        return;
    }
    char hash[CRESS_SHA256_TEXT_SIZE];
    cress_sha256(text->data + from, text->size - from, hash);
    size_t kept = from + max - 1 - HASH_DIGITS - strlen(extension);
    while (kept > from && ((unsigned char)text->data[kept] & 0xC0) == 0x80) {
        kept--;
    }
    text->size = kept;
    cress_buf_printf(text, "~%.*s%s", HASH_DIGITS, hash, extension);
}

/* Drops the last segment of the path so far. */
static void drop_segment(struct cress_buf *path)
{
    while (path->size > 0 && path->data[path->size - 1] != '/') {
        path->size--;
    }
    if (path->size > 0) {
        path->size--; /* the slash in front of it */
    }
    path->data[path->size] = '\0';
}

static bool is_exactly(const struct cress_buf *bytes, const char *text)
{
    return bytes->size == strlen(text) && memcmp(cress_buf_text(bytes), text, bytes->size) == 0;
}

/* Adds one segment of the URL's path as it was written. True when the path now ends in a file
 * name. */
static bool add_segment(struct cress_buf *path, const char *raw, size_t size)
{
    struct cress_buf bytes = cress_buf_make(CRESS_URL_MAX);
    decode_bytes(raw, size, &bytes);
    bool is_file = false;
    if (is_exactly(&bytes, "..")) {
        if (path->size > 0) {
            drop_segment(path);
        }
    } else if (bytes.size > 0 && !is_exactly(&bytes, ".")) {
        if (path->size > 0) {
            cress_buf_add_char(path, '/');
        }
        const size_t start = path->size;
        write_part(path, bytes.data, bytes.size, "/?%\\");
        const char *extension = extension_of(path->data + start);
        is_file = *extension != '\0';
        char *copy = cress_strdup(extension); /* shortening cuts the text that it points into */
        shorten(path, start, CRESS_KEY_SEGMENT_MAX, copy);
        free(copy);
    }
    cress_buf_free(&bytes);
    return is_file;
}

static void write_key(const struct cress_url *url, struct cress_buf *key)
{
    bool is_file = false;
    for (const char *p = url->path; *p;) {
        p++; /* the slash that every segment begins with */
        const size_t size = strcspn(p, "/");
        is_file = add_segment(key, p, size);
        p += size;
    }
    if (!is_file) {
        cress_buf_add_text(key, key->size > 0 ? "/index.html" : "index.html");
    }
    if (url->query && *url->query) {
        const char *slash = strrchr(key->data, '/');
        const size_t last_segment = slash ? (size_t)(slash + 1 - key->data) : 0;
        struct cress_buf bytes = cress_buf_make(CRESS_URL_MAX);
        decode_bytes(url->query, strlen(url->query), &bytes);
        cress_buf_add_char(key, '?');
        write_part(key, bytes.data, bytes.size, "/%\\");
        shorten(key, last_segment, CRESS_KEY_SEGMENT_MAX, "");
        cress_buf_free(&bytes);
    }
    shorten(key, 0, CRESS_KEY_MAX, "");
}

enum cress_status cress_key_from_url(const char *text, char **key, struct cress_error *err)
{
    struct cress_url url;
    const enum cress_status status = cress_url_parse(text, &url, err);
    if (status) {
        return status;
    }
    if ((strcmp(url.scheme, "http") != 0 && strcmp(url.scheme, "https") != 0) || !*url.host ||
        url.userinfo) {
        char shown[200];
        cress_text_redact_url(text, shown, sizeof shown);
        cress_url_free(&url);
        return cress_error_set(err, CRESS_INVALID, "bad_url",
                               "\"%s\" cannot be rendered: expected http://host/… or "
                               "https://host/… without user and password",
                               shown);
    }
    struct cress_buf buf = cress_buf_make(
        8 * CRESS_URL_MAX); /* an escape writes three bytes for one, a hash adds 33 */
    write_key(&url, &buf);
    *key = cress_buf_take(&buf);
    cress_url_free(&url);
    return CRESS_OK;
}
