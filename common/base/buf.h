// SPDX-License-Identifier: Apache-2.0
// A growing byte buffer with a cap: no buffer in Cress grows without one.
//
// The bytes are always followed by a NUL, so `data` can be read as text. A write that would pass
// the cap writes nothing, sets `overflowed` and returns false; so a writer of many pieces may check
// once, at the end. Small allocations abort on exhaustion, as everywhere in Cress. Not thread-safe.
#ifndef CRESS_BASE_BUF_H
#define CRESS_BASE_BUF_H

#include "common/base/status.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct cress_buf {
    char *data; /* never NULL after the first write; owned */
    size_t size;
    size_t capacity;
    size_t max_bytes; /* the cap on `size` */
    bool overflowed;
};

/* An empty buffer that holds at most `max_bytes`. Allocates nothing yet. */
struct cress_buf cress_buf_make(size_t max_bytes);

/* Frees the memory; the buffer is as after cress_buf_make() with the same cap. */
void cress_buf_free(struct cress_buf *buf);

/* Empties it and keeps the memory. */
void cress_buf_clear(struct cress_buf *buf);

/* Removes the first `size` bytes. */
void cress_buf_drop(struct cress_buf *buf, size_t size);

bool cress_buf_add(struct cress_buf *buf, const void *data, size_t size);
bool cress_buf_add_text(struct cress_buf *buf, const char *text);
bool cress_buf_add_char(struct cress_buf *buf, char c);
bool cress_buf_printf(struct cress_buf *buf, const char *format, ...) CRESS_PRINTF(2, 3);
bool cress_buf_vprintf(struct cress_buf *buf, const char *format, va_list args) CRESS_PRINTF(2, 0);

/* Appends `text` as a JSON string with quotes (RFC 8259, section 7). Invalid UTF-8 becomes U+FFFD;
 * what is hostile (cress_text_hostile_length()) is escaped, so that the JSON can be shown. */
bool cress_buf_add_json(struct cress_buf *buf, const char *text, size_t size);

/* Appends `text` for people: what is hostile (cress_text_hostile_length()) becomes a blank, what is
 * not UTF-8 a question mark. The ASCII characters in `keep` are left alone, such as "\n\t". */
bool cress_buf_add_harmless(struct cress_buf *buf, const char *text, size_t size, const char *keep);

/* Appends `name`, which is all that comes before the value, such as ,"id": with the comma and the
 * colon, and `text` as a JSON string, or null. */
bool cress_buf_add_member(struct cress_buf *buf, const char *name, const char *text);

/* The text so far, "" when nothing was written. Valid until the next write. */
const char *cress_buf_text(const struct cress_buf *buf);

/* Hands the memory to the caller, who frees it with free(); the buffer is empty again. Never
 * NULL. */
char *cress_buf_take(struct cress_buf *buf);

#endif
