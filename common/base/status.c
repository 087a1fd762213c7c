// SPDX-License-Identifier: Apache-2.0
// Status codes and error values; see status.h.
#include "common/base/status.h"

#include "common/base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum status_class { GOOD, TEMPORARY, PERMANENT };

static const struct status_info {
    const char *word;
    enum status_class class;
    int exit_code;
    int http;
} infos[] = {
#define CRESS_STATUS(name, word_, class_, exit_, http_, title_) \
    [CRESS_##name] = {.word = word_, .class = class_, .exit_code = exit_, .http = http_},
#include "common/base/status.def"
#undef CRESS_STATUS
};

/* Every status of the public header has its row here. */
_Static_assert(sizeof infos / sizeof infos[0] == CRESS_CONFIG + 1, "status.def misses a status");

/* A cut text must not end inside a UTF-8 sequence. */
static void trim_partial_character(char *text)
{
    size_t n = strlen(text);
    size_t tail = 0;
    while (tail < 4 && tail < n && ((unsigned char)text[n - 1 - tail] & 0xC0) == 0x80) {
        tail++;
    }
    if (tail == n) {
        return;
    }
    const unsigned char lead = (unsigned char)text[n - 1 - tail];
    const size_t wanted = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : lead >= 0xC0 ? 1 : 0;
    if (tail < wanted) {
        text[n - 1 - tail] = '\0';
    }
}

/* Messages quote what foreign clients write, and go into JSON and headers, which are UTF-8. */
static void replace_stray_bytes(char *text)
{
    for (size_t left = strlen(text); left > 0;) {
        size_t length = cress_text_utf8_length(text, left);
        if (length == 0) {
            *text = '?';
            length = 1;
        }
        text += length;
        left -= length;
    }
}

enum cress_status cress_error_set(struct cress_error *err, enum cress_status status,
                                  const char *code, const char *format, ...)
{
    if (!err) {
        return status;
    }
    err->status = status;
    snprintf(err->code, sizeof err->code, "%s", code ? code : infos[status].word);
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    if (n >= (int)sizeof err->message) {
        trim_partial_character(err->message);
    }
    replace_stray_bytes(err->message);
    return status;
}

void cress_error_prefix(struct cress_error *err, const char *format, ...)
{
    if (!err) {
        return;
    }
    struct cress_error old = *err;
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof err->message) {
        *err = old;
        return;
    }
    const size_t room = sizeof err->message - (size_t)n;
    if (snprintf(err->message + n, room, ": %s", old.message) >= (int)room) {
        trim_partial_character(err->message);
    }
}

const char *cress_status_word(enum cress_status status)
{
    return infos[status].word;
}

int cress_status_exit_code(enum cress_status status)
{
    return infos[status].exit_code;
}

int cress_status_http(enum cress_status status)
{
    return infos[status].http;
}

bool cress_status_is_temporary(enum cress_status status)
{
    return infos[status].class == TEMPORARY;
}
