// SPDX-License-Identifier: Apache-2.0
// Logging to stderr; see log.h.
#include "common/base/log.h"

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 8192 };

static const struct level_info {
    const char *word;
    const char *padded;
    int journal_priority; /* syslog(3) */
} levels[] = {
    {"debug", "debug", 7}, {"info", "info ", 6}, {"warn", "warn ", 4}, {"error", "error", 3}};

/* Written once by cress_log_configure(), before there are threads. */
static struct {
    const char *program;
    enum cress_log_level level;
    bool json;
    bool journal;
} settings = {.program = "cress", .level = CRESS_LOG_INFO};

void cress_log_configure(const char *program, enum cress_log_level level, const char *format)
{
    settings.program = program;
    settings.level = level;
    settings.json = strcmp(format, "json") == 0;
    settings.journal = getenv("JOURNAL_STREAM") != NULL;
}

void cress_log_begin(const char *program, int argc, char **argv)
{
    static const char flag[] = "--log-format";
    const char *format = getenv("CRESS_LOG_FORMAT");
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strncmp(argv[i], flag, sizeof flag - 1) != 0) {
            continue;
        }
        const char *rest = argv[i] + sizeof flag - 1;
        format = *rest == '=' ? rest + 1 : *rest == '\0' && i + 1 < argc ? argv[i + 1] : format;
    }
    cress_log_configure(program, CRESS_LOG_INFO, format ? format : "text");
}

void cress_log_say(enum cress_log_level level, const char *format, ...)
{
    char text[CRESS_ERROR_MESSAGE_MAX + 64];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (settings.json) {
        cress_log(level, text);
    } else {
        fprintf(stderr, "%s: %s\n", settings.program, text);
    }
}

bool cress_log_level_parse(const char *word, enum cress_log_level *level)
{
    for (size_t i = 0; i < CRESS_COUNT(levels); i++) {
        if (strcmp(levels[i].word, word) == 0) {
            *level = (enum cress_log_level)i;
            return true;
        }
    }
    return false;
}

/* Whether a value can stand without quotes and cannot play tricks on a terminal. */
static bool is_plain(const char *value)
{
    const char *p = value;
    while (*p > ' ' && *p < 0x7F && !strchr("\"=\\", *p)) {
        p++;
    }
    return p > value && !*p;
}

static void write_text_value(struct cress_buf *line, const char *value)
{
    if (is_plain(value)) {
        cress_buf_add_text(line, value);
    } else {
        cress_buf_add_json(line, value, strlen(value));
    }
}

static void write_text(struct cress_buf *line, enum cress_log_level level, const char *event,
                       const struct cress_kv *pairs)
{
    if (settings.journal) {
        cress_buf_printf(line, "<%d>", levels[level].journal_priority);
    } else {
        char time[CRESS_TIME_TEXT_MAX];
        cress_buf_printf(line, "%s %s ", cress_time_format(cress_clock_wall_ms(), time),
                         levels[level].padded);
    }
    cress_buf_add_text(line, event);
    for (; pairs->key; pairs++) {
        cress_buf_printf(line, " %s=", pairs->key);
        if (pairs->text) {
            write_text_value(line, pairs->text);
        } else {
            cress_buf_printf(line, "%lld", (long long)pairs->number);
        }
    }
}

static void write_json(struct cress_buf *line, enum cress_log_level level, const char *event,
                       const struct cress_kv *pairs)
{
    char time[CRESS_TIME_TEXT_MAX];
    cress_buf_printf(line,
                     "{\"time\":\"%s\",\"level\":\"%s\",\"program\":\"%s\",\"pid\":%ld,\"event\":",
                     cress_time_format(cress_clock_wall_ms(), time), levels[level].word,
                     settings.program, (long)getpid());
    cress_buf_add_json(line, event, strlen(event));
    for (; pairs->key; pairs++) {
        cress_buf_printf(line, ",\"%s\":", pairs->key);
        if (pairs->text) {
            cress_buf_add_json(line, pairs->text, strlen(pairs->text));
        } else {
            cress_buf_printf(line, "%lld", (long long)pairs->number);
        }
    }
    cress_buf_add_char(line, '}');
}

void cress_log_write(enum cress_log_level level, const char *event, const struct cress_kv *pairs)
{
    if (level < settings.level) {
        return;
    }
    struct cress_buf line = cress_buf_make(LINE_MAX_BYTES);
    if (settings.json) {
        write_json(&line, level, event, pairs);
    } else {
        write_text(&line, level, event, pairs);
    }
    if (line.overflowed) { /* a line cut in the middle is neither text nor JSON: say less instead */
        cress_buf_clear(&line);
        const struct cress_kv none = {.key = NULL};
        if (settings.json) {
            write_json(&line, level, event, &none);
        } else {
            write_text(&line, level, event, &none);
        }
    }
    cress_buf_add_char(&line, '\n');
    /* one write(2) a line, so that lines of several threads and processes do not mix; a closed
     * stderr is no reason to stop */
    const ssize_t written = write(STDERR_FILENO, cress_buf_text(&line), line.size);
    (void)written;
    cress_buf_free(&line);
}

bool cress_log_allow(struct cress_log_limit *limit, int64_t interval_ms, uint64_t *suppressed)
{
    const int64_t now = cress_clock_mono_ms();
    if (now < limit->next_ms) {
        limit->suppressed++;
        return false;
    }
    *suppressed = limit->suppressed;
    limit->suppressed = 0;
    limit->next_ms = now + interval_ms;
    return true;
}
