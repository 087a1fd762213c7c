// SPDX-License-Identifier: Apache-2.0
// A growing byte buffer with a cap; see buf.h.
#include "common/base/buf.h"

#include "common/base/mem.h"
#include "common/base/text.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 256 };

struct cress_buf cress_buf_make(size_t max_bytes)
{
    return (struct cress_buf){.max_bytes = max_bytes};
}

void cress_buf_free(struct cress_buf *buf)
{
    free(buf->data);
    *buf = cress_buf_make(buf->max_bytes);
}

void cress_buf_clear(struct cress_buf *buf)
{
    buf->size = 0;
    buf->overflowed = false;
    if (buf->data) {
        buf->data[0] = '\0';
    }
}

void cress_buf_drop(struct cress_buf *buf, size_t size)
{
    if (size > 0) {
        buf->size -= size;
        memmove(buf->data, buf->data + size, buf->size + 1);
    }
}

/* Room for `more` bytes and the NUL. */
static bool reserve(struct cress_buf *buf, size_t more)
{
    if (more > buf->max_bytes - buf->size) {
        buf->overflowed = true;
        return false;
    }
    const size_t needed = buf->size + more + 1;
    if (needed <= buf->capacity) {
        return true;
    }
    size_t capacity = buf->capacity ? buf->capacity : FIRST_CAPACITY;
    while (capacity < needed) {
        capacity *= 2;
    }
    buf->data = cress_realloc_array(buf->data, capacity, 1);
    buf->capacity = capacity;
    return true;
}

bool cress_buf_add(struct cress_buf *buf, const void *data, size_t size)
{
    if (!reserve(buf, size)) {
        return false;
    }
    if (size) {
        memcpy(buf->data + buf->size, data, size);
    }
    buf->size += size;
    buf->data[buf->size] = '\0';
    return true;
}

bool cress_buf_add_text(struct cress_buf *buf, const char *text)
{
    return cress_buf_add(buf, text, strlen(text));
}

bool cress_buf_add_char(struct cress_buf *buf, char c)
{
    return cress_buf_add(buf, &c, 1);
}

bool cress_buf_vprintf(struct cress_buf *buf, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    const int n = vsnprintf(NULL, 0, format, args);
    const bool ok = n >= 0 && reserve(buf, (size_t)n);
    if (ok) {
        vsnprintf(buf->data + buf->size, (size_t)n + 1, format, again);
        buf->size += (size_t)n;
    }
    va_end(again);
    return ok;
}

bool cress_buf_printf(struct cress_buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const bool ok = cress_buf_vprintf(buf, format, args);
    va_end(args);
    return ok;
}

/* The escape of an ASCII character inside a JSON string, or NULL when it stands for itself. */
static const char *json_escape(unsigned char c, char room[8])
{
    switch (c) {
    case '"':
        return "\\\"";
    case '\\':
        return "\\\\";
    case '\n':
        return "\\n";
    case '\r':
        return "\\r";
    case '\t':
        return "\\t";
    default:
        if (c < 0x20 || c == 0x7F) {
            snprintf(room, 8, "\\u%04x", c);
            return room;
        }
        return NULL;
    }
}

/* The same for a character that is not ASCII, and its length. */
static const char *json_escape_wide(const char *text, size_t size, char room[8], size_t *length)
{
    unsigned code;
    *length = cress_text_utf8_length(text, size);
    if (*length == 0) {
        *length = 1;
        return "\xEF\xBF\xBD";
    }
    if (cress_text_hostile_length(text, size, &code) == 0) {
        return NULL;
    }
    snprintf(room, 8, "\\u%04x", code);
    return room;
}

bool cress_buf_add_json(struct cress_buf *buf, const char *text, size_t size)
{
    const size_t start = buf->size;
    bool ok = cress_buf_add_char(buf, '"');
    size_t plain = 0; /* where the run of characters that stand for themselves began */
    for (size_t i = 0; ok && i < size;) {
        const unsigned char c = (unsigned char)text[i];
        char room[8];
        const char *instead = NULL;
        size_t length = 1;
        if (c < 0x80) {
            instead = json_escape(c, room);
        } else {
            instead = json_escape_wide(text + i, size - i, room, &length);
        }
        if (instead) {
            ok = cress_buf_add(buf, text + plain, i - plain) && cress_buf_add_text(buf, instead);
            plain = i + length;
        }
        i += length;
    }
    ok = ok && cress_buf_add(buf, text + plain, size - plain) && cress_buf_add_char(buf, '"');
    if (!ok) {
        buf->size = start;
        if (buf->data) {
            buf->data[start] = '\0';
        }
    }
    return ok;
}

bool cress_buf_add_harmless(struct cress_buf *buf, const char *text, size_t size, const char *keep)
{
    size_t plain = 0; /* where the run of harmless characters began */
    bool ok = true;
    for (size_t i = 0; ok && i < size;) {
        unsigned code;
        const size_t length = cress_text_utf8_length(text + i, size - i);
        const bool is_kept = text[i] != '\0' && strchr(keep, text[i]);
        const bool is_hostile =
            !is_kept && cress_text_hostile_length(text + i, size - i, &code) > 0;
        const size_t step = length > 0 ? length : 1;
        if (is_hostile || length == 0) {
            ok = cress_buf_add(buf, text + plain, i - plain) &&
                 cress_buf_add_char(buf, is_hostile ? ' ' : '?');
            plain = i + step;
        }
        i += step;
    }
    return ok && cress_buf_add(buf, text + plain, size - plain);
}

bool cress_buf_add_member(struct cress_buf *buf, const char *name, const char *text)
{
    cress_buf_add_text(buf, name);
    return text ? cress_buf_add_json(buf, text, strlen(text)) : cress_buf_add_text(buf, "null");
}

const char *cress_buf_text(const struct cress_buf *buf)
{
    return buf->data ? buf->data : "";
}

char *cress_buf_take(struct cress_buf *buf)
{
    char *data = buf->data ? buf->data : cress_strdup("");
    *buf = cress_buf_make(buf->max_bytes);
    return data;
}
