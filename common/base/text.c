// SPDX-License-Identifier: Apache-2.0
// Small things done to text; see text.h.
#include "common/base/text.h"

#include "common/base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool cress_text_to_int(const char *text, int64_t *value)
{
    const char *digits = *text == '-' ? text + 1 : text;
    if (*digits < '0' || *digits > '9') {
        return false;
    }
    char *end;
    errno = 0;
    const long long n = strtoll(text, &end, 10);
    if (errno || *end) {
        return false;
    }
    *value = n;
    return true;
}

bool cress_text_to_bytes(const char *text, int64_t *bytes)
{
    static const char units[] = "kmgt";
    char digits[24];
    size_t n = strspn(text, "0123456789");
    if (n == 0 || n >= sizeof digits) {
        return false;
    }
    memcpy(digits, text, n);
    digits[n] = '\0';
    int64_t value;
    if (!cress_text_to_int(digits, &value)) {
        return false;
    }
    if (text[n]) {
        const char *unit = strchr(units, text[n] | 0x20);
        if (!unit || text[n + 1]) {
            return false;
        }
        for (const char *step = units; step <= unit; step++) {
            if (value > INT64_MAX / 1024) {
                return false;
            }
            value *= 1024;
        }
    }
    *bytes = value;
    return true;
}

bool cress_text_starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

size_t cress_text_utf8_length(const char *text, size_t size)
{
    const unsigned char *s = (const unsigned char *)text;
    if (size == 0) {
        return 0;
    }
    if (s[0] < 0x80) {
        return 1;
    }
    const size_t length = s[0] >= 0xF0 ? 4 : s[0] >= 0xE0 ? 3 : 2;
    if (s[0] < 0xC2 || s[0] > 0xF4 || size < length) {
        return 0;
    }
    for (size_t i = 1; i < length; i++) {
        if ((s[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    /* overlong forms, surrogates and what lies beyond U+10FFFF */
    const bool bad = (s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xED && s[1] > 0x9F) ||
                     (s[0] == 0xF0 && s[1] < 0x90) || (s[0] == 0xF4 && s[1] > 0x8F);
    return bad ? 0 : length;
}

bool cress_text_is_utf8(const char *text, size_t size)
{
    for (size_t i = 0; i < size;) {
        const size_t length = cress_text_utf8_length(text + i, size - i);
        if (length == 0) {
            return false;
        }
        i += length;
    }
    return true;
}

static bool is_hostile(unsigned code)
{
    return code < 0x20 || (code >= 0x7F && code < 0xA0) || code == 0x061C || code == 0x200E ||
           code == 0x200F || (code >= 0x2028 && code <= 0x202E) ||
           (code >= 0x2066 && code <= 0x2069);
}

size_t cress_text_hostile_length(const char *text, size_t size, unsigned *code)
{
    const unsigned char *s = (const unsigned char *)text;
    const size_t length = cress_text_utf8_length(text, size);
    unsigned number = 0;
    if (length == 0 || length > 3) { /* none has four bytes */
        return 0;
    }
    if (length == 1) {
        number = s[0];
    } else if (length == 2) {
        number = (s[0] & 0x1Fu) << 6 | (s[1] & 0x3Fu);
    } else {
        number = (s[0] & 0x0Fu) << 12 | (s[1] & 0x3Fu) << 6 | (s[2] & 0x3Fu);
    }
    if (!is_hostile(number)) {
        return 0;
    }
    *code = number;
    return length;
}

char **cress_text_split(const char *text)
{
    size_t count = 0;
    char **list = cress_realloc_array(NULL, 1, sizeof *list);
    while (*text) {
        text += strspn(text, ", \t");
        size_t n = strcspn(text, ",");
        const char *next = text + n;
        while (n && (text[n - 1] == ' ' || text[n - 1] == '\t')) {
            n--;
        }
        if (n) {
            list = cress_realloc_array(list, count + 2, sizeof *list);
            list[count++] = cress_strndup(text, n);
        }
        text = next;
    }
    list[count] = NULL;
    return list;
}

void cress_text_list_free(char **list)
{
    for (char **item = list; item && *item; item++) {
        free(*item);
    }
    free(list);
}

enum { WORD_MAX = 63 };

static size_t min3(size_t a, size_t b, size_t c)
{
    const size_t least = a < b ? a : b;
    return least < c ? least : c;
}

/* Edits (insert, delete, replace, swap neighbours) between two words of at most WORD_MAX
 * characters. */
static size_t edit_distance(const char *a, const char *b)
{
    const size_t n = strlen(a);
    const size_t m = strlen(b);
    size_t rows[3][WORD_MAX + 1];
    for (size_t j = 0; j <= m; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= n; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i + 2) % 3];
        const size_t *two_above = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            row[j] = min3(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                two_above[j - 2] + 1 < row[j]) {
                row[j] = two_above[j - 2] + 1;
            }
        }
    }
    return rows[n % 3][m];
}

const char *cress_text_closest(const char *word, const char *const *candidates)
{
    const size_t length = strlen(word);
    if (length > WORD_MAX) {
        return NULL;
    }
    const char *closest = NULL;
    size_t least = length / 3 + 2; /* more edits than this are another word, not a slip */
    for (; *candidates; candidates++) {
        if (strlen(*candidates) > WORD_MAX) {
            continue;
        }
        if (length >= 3 && strncmp(word, *candidates, length) == 0) {
            return *candidates; /* the beginning of a word is no slip */
        }
        const size_t distance = edit_distance(word, *candidates);
        if (distance < least && distance < length) {
            least = distance;
            closest = *candidates;
        }
    }
    return closest;
}

void cress_text_redact_url(const char *url, char *out, size_t out_size)
{
    const char *scheme_end = strstr(url, "://");
    const char *authority = scheme_end ? scheme_end + 3 : url;
    const char *end = authority + strcspn(authority, "/?#");
    const char *at = NULL;
    for (const char *p = authority; p < end; p++) {
        if (*p == '@') {
            at = p;
        }
    }
    if (at) {
        snprintf(out, out_size, "%.*s***%s", (int)(authority - url), url, at);
    } else {
        snprintf(out, out_size, "%s", url);
    }
}
