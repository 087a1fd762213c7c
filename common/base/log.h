// SPDX-License-Identifier: Apache-2.0
// Logging to stderr, for the operator at 3 a.m.: what happened, to which job, queue or peer, what
// is done now.
//
//   cress_log(CRESS_LOG_WARN, "broker connection lost", CRESS_KV("peer", peer), CRESS_KVI("ms", 250));
//
// writes
//
//   2026-11-23T18:00:00.123Z warn  broker connection lost peer=127.0.0.1:5672 ms=250
//
// or, with the format "json", one object a line. Under systemd (JOURNAL_STREAM is set) the time is
// left out and the line starts with the journal's <n> priority (sd-daemon(3)). A value is quoted
// when it needs it.
//
// Any thread; a line is one write(2). Never pass a secret.
#ifndef CRESS_BASE_LOG_H
#define CRESS_BASE_LOG_H

#include "common/base/status.h"

#include <stdint.h>

enum cress_log_level { CRESS_LOG_DEBUG, CRESS_LOG_INFO, CRESS_LOG_WARN, CRESS_LOG_ERROR };

struct cress_kv {
    const char *key;
    const char *text; /* NULL: `number` is the value */
    int64_t number;
};

static inline struct cress_kv cress_kv_text(const char *key, const char *text)
{
    return (struct cress_kv){.key = key, .text = text ? text : ""};
}

#define CRESS_KV(k, v)      cress_kv_text(k, v)
#define CRESS_KVI(k, v)     ((struct cress_kv){.key = (k), .number = (int64_t)(v)})
#define CRESS_KV_ERROR(err) CRESS_KV("code", (err)->code), CRESS_KV("error", (err)->message)

#define cress_log(level, ...) cress_log_select(level, __VA_ARGS__, CRESS_KV_END)
#define CRESS_KV_END          ((struct cress_kv){.key = NULL})
#define cress_log_select(level, event, ...) \
    cress_log_write(level, event, (const struct cress_kv[]){__VA_ARGS__})

/* Use cress_log(). `pairs` ends with a NULL key. */
void cress_log_write(enum cress_log_level level, const char *event, const struct cress_kv *pairs);

/* Before the first line, from one thread. `format` is "text" or "json"; `level` the least that is
 * written. */
void cress_log_configure(const char *program, enum cress_log_level level, const char *format);

/* First thing in main(), so that what is wrong with the configuration is said in the format that
 * environment or flags ask for; the file, which may be what is wrong, is not asked. */
void cress_log_begin(const char *program, int argc, char **argv);

/* What a program says at its start and its end, to whoever started it: "program: text", or a line of
 * the log where that is JSON. One thread. */
void cress_log_say(enum cress_log_level level, const char *format, ...) CRESS_PRINTF(2, 3);

/* "debug", "info", "warn" or "error"; false when `word` is none of them. */
bool cress_log_level_parse(const char *word, enum cress_log_level *level);

/* Repeats are counted, not repeated: true at most once in `interval_ms` for this `limit` (zeroed at
 * first); `*suppressed` then says how many times it was false since. One thread for each limit. */
struct cress_log_limit {
    int64_t next_ms;
    uint64_t suppressed;
};
bool cress_log_allow(struct cress_log_limit *limit, int64_t interval_ms, uint64_t *suppressed);

#endif
