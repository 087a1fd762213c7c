// SPDX-License-Identifier: Apache-2.0
// The tables of options in memory, and single values: read, checked and written by their type.
#include "common/config/option.h"

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/text.h"
#include "common/base/url.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

// clang-format off
#define ANYTHING        {0, 0, NULL}
#define RANGE(min, max) {(min), (max), NULL}
#define WORDS(...)      {0, 0, (const char *const[]){__VA_ARGS__, NULL}}
#define WORDS_OF(words) {0, 0, (words)}

static const char *const backoff_or_default[] = {"default",
#define CRESS_BACKOFF(name, word, delay) word,
#include "common/base/backoffs.def"
#undef CRESS_BACKOFF
    NULL};

static const char backoff_help[] = "delay before the next attempt of a job that names none"
#define CRESS_BACKOFF(name, word, delay) "; " word ": " delay
#include "common/base/backoffs.def"
#undef CRESS_BACKOFF
    ;

const struct cress_option cress_options[CRESS_OPTION_COUNT] = {
#define CRESS_OPTION(field, type, section, key, env, flag, programs, fallback, allowed, help) \
    {offsetof(struct cress_config, field), CRESS_TYPE_##type, \
     section, key, env, flag, programs, fallback, allowed, help},
#include "common/config/options.def"
#undef CRESS_OPTION
};

static const struct cress_option queue_options[] = {
#define CRESS_QUEUE_OPTION(field, type, key, fallback, allowed, help) \
    {offsetof(struct cress_queue_config, field), CRESS_TYPE_##type, \
     "queue", key, NULL, NULL, NULL, fallback, allowed, help},
#include "common/config/queue_options.def"
#undef CRESS_QUEUE_OPTION
};

static const struct cress_option task_options[] = {
#define CRESS_TASK_OPTION(field, type, key, fallback, allowed, help) \
    {offsetof(struct cress_task_config, field), CRESS_TYPE_##type, \
     "task", key, NULL, NULL, NULL, fallback, allowed, help},
#include "common/config/task_options.def"
#undef CRESS_TASK_OPTION
};

static const struct cress_option schedule_options[] = {
#define CRESS_SCHEDULE_OPTION(field, type, key, fallback, allowed, help) \
    {offsetof(struct cress_schedule_config, field), CRESS_TYPE_##type, \
     "schedule", key, NULL, NULL, NULL, fallback, allowed, help},
#include "common/config/schedule_options.def"
#undef CRESS_SCHEDULE_OPTION
};
// clang-format on

#define SECTIONS(array, count, type)                  \
    .array_at = offsetof(struct cress_config, array), \
    .count_at = offsetof(struct cress_config, count), .section_bytes = sizeof(struct type)
#define OPTIONS(table) .options = table, .option_count = CRESS_COUNT(table)

const struct cress_kind_table cress_kinds[CRESS_KIND_COUNT] = {
    [CRESS_KIND_QUEUE] = {.word = "queue",
                          .name_max = 200,
                          SECTIONS(queues, queue_count, cress_queue_config),
                          .header = "queue NAME",
                          .about = "One section for each queue that differs from the defaults.",
                          OPTIONS(queue_options)},
    [CRESS_KIND_TASK] = {.word = "task",
                         .name_max = 200,
                         SECTIONS(tasks, task_count, cress_task_config),
                         .header = "task NAME",
                         .about = "One section for each task of your own. NAME is the task's, or "
                                  "`*` for any task that has no section and is not built in.",
                         OPTIONS(task_options),
                         .other_name = "*"},
    [CRESS_KIND_SCHEDULE] = {.word = "schedule",
                             .name_max = 64, /* it is part of its jobs' ids */
                             SECTIONS(schedules, schedule_count, cress_schedule_config),
                             .header = "schedule NAME",
                             .about = "One section for each job that is run by the clock; see "
                                      "[schedules.md](schedules.md).",
                             OPTIONS(schedule_options)},
};

const struct cress_option cress_config_option = {
    .type = CRESS_TYPE_STRING,
    .env = "CRESS_CONFIG",
    .flag = "config",
    .programs = "CGW",
    .fallback = "",
    .help = "configuration file to read instead of the usual ones",
};

/* The store keeps the times of so many starts. */
enum { RATE_MAX = 100000 };

/* A value of any type while it is on its way: the member that the type's field has. */
union value {
    char *text;
    char **list;
    int64_t number;
    bool truth;
    struct cress_rate rate;
};

static size_t size_of(enum cress_option_type type)
{
    switch (type) {
    case CRESS_TYPE_LIST:
        return sizeof(char **);
    case CRESS_TYPE_INT:
    case CRESS_TYPE_MS:
    case CRESS_TYPE_BYTES:
        return sizeof(int64_t);
    case CRESS_TYPE_BOOL:
        return sizeof(bool);
    case CRESS_TYPE_RATE:
        return sizeof(struct cress_rate);
    default:
        return sizeof(char *);
    }
}

static void *field_of(const struct cress_slot *slot)
{
    return (char *)slot->owner + slot->option->offset;
}

static union value load_value(const struct cress_slot *slot)
{
    union value value = {0};
    memcpy(&value, field_of(slot), size_of(slot->option->type));
    return value;
}

static void store_value(const struct cress_slot *slot, union value value)
{
    memcpy(field_of(slot), &value, size_of(slot->option->type));
}

/* --- writing --- */

static char *format_bytes(int64_t bytes)
{
    static const char units[] = {'G', 'M', 'k'};
    for (size_t i = 0; i < sizeof(units); i++) {
        const int64_t unit = INT64_C(1) << (10 * (sizeof(units) - i));
        if (bytes != 0 && bytes % unit == 0) {
            return cress_format("%" PRId64 "%c", bytes / unit, units[i]);
        }
    }
    return cress_format("%" PRId64, bytes);
}

static char *format_number(enum cress_option_type type, int64_t number)
{
    char text[CRESS_TIME_TEXT_MAX];
    switch (type) {
    case CRESS_TYPE_MS:
        return cress_strdup(cress_duration_format(number, text));
    case CRESS_TYPE_BYTES:
        return format_bytes(number);
    default:
        return cress_format("%" PRId64, number);
    }
}

static const struct {
    char letter;
    int64_t ms;
} rate_periods[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}};

static char *format_rate(struct cress_rate rate)
{
    for (size_t i = 0; i < CRESS_COUNT(rate_periods); i++) {
        if (rate.count > 0 && rate_periods[i].ms == rate.period_ms) {
            return cress_format("%" PRId64 "/%c", rate.count, rate_periods[i].letter);
        }
    }
    return cress_strdup("0");
}

char *cress_words_join(const char *const *words, const char *last)
{
    struct cress_buf buf = cress_buf_make(SIZE_MAX);
    for (size_t i = 0; words[i]; i++) {
        if (i > 0) {
            cress_buf_add_text(&buf, words[i + 1] ? ", " : last);
        }
        cress_buf_add_text(&buf, words[i]);
    }
    return cress_buf_take(&buf);
}

static char *redact(const char *url)
{
    const size_t size = strlen(url) + sizeof("***@");
    char *text = cress_alloc(size);
    cress_text_redact_url(url, text, size);
    return text;
}

char *cress_slot_format(const struct cress_slot *slot, bool masked)
{
    const enum cress_option_type type = slot->option->type;
    const union value value = load_value(slot);
    switch (type) {
    case CRESS_TYPE_LIST:
        return cress_words_join((const char *const *)value.list, ", ");
    case CRESS_TYPE_BOOL:
        return cress_strdup(value.truth ? "true" : "false");
    case CRESS_TYPE_INT:
    case CRESS_TYPE_MS:
    case CRESS_TYPE_BYTES:
        return format_number(type, value.number);
    case CRESS_TYPE_RATE:
        return format_rate(value.rate);
    case CRESS_TYPE_SECRET:
        return cress_strdup(masked && *value.text ? "***" : value.text);
    case CRESS_TYPE_URL:
    case CRESS_TYPE_URLS:
        return masked ? redact(value.text) : cress_strdup(value.text);
    default:
        return cress_strdup(value.text);
    }
}

static char *format_schemes(const char *const *schemes)
{
    char *list = cress_words_join(schemes, ":// or ");
    char *text = cress_format("%s://", list);
    free(list);
    return text;
}

static bool is_url(enum cress_option_type type)
{
    return type == CRESS_TYPE_URL || type == CRESS_TYPE_URLS;
}

char *cress_option_allowed(const struct cress_option *option)
{
    const struct cress_allowed *allowed = &option->allowed;
    if (option->type == CRESS_TYPE_BOOL) {
        return cress_strdup("true or false");
    }
    if (option->type == CRESS_TYPE_RATE) {
        return cress_format("0, or 1 to %d a second (/s), minute (/m) or hour (/h)", RATE_MAX);
    }
    if (is_url(option->type)) {
        return format_schemes(allowed->words);
    }
    if (allowed->words) {
        return cress_words_join(allowed->words, " or ");
    }
    if (allowed->max == 0) {
        return cress_strdup("");
    }
    char *min = format_number(option->type, allowed->min);
    char *max = format_number(option->type, allowed->max);
    char *text = cress_format("%s to %s", min, max);
    free(min);
    free(max);
    return text;
}

/* --- reading --- */

static bool is_one_of(const char *text, const char *const *words)
{
    for (; *words; words++) {
        if (strcmp(text, *words) == 0) {
            return true;
        }
    }
    return false;
}

static bool read_bool(const char *text, bool *truth)
{
    static const char *const yes[] = {"true", "yes", "on", "1", NULL};
    static const char *const no[] = {"false", "no", "off", "0", NULL};
    *truth = is_one_of(text, yes);
    return *truth || is_one_of(text, no);
}

/* "100/s"; "0" is no limit, and so is nothing. */
static bool read_rate(const char *text, struct cress_rate *rate)
{
    char count[24];
    const size_t size = strcspn(text, "/");
    *rate = (struct cress_rate){0};
    if (size == 0 || strcmp(text, "0") == 0) {
        return *text == '\0' || *text == '0';
    }
    if (size >= sizeof(count) || text[size] == '\0' || text[size + 1] == '\0' || text[size + 2]) {
        return false;
    }
    memcpy(count, text, size);
    count[size] = '\0';
    for (size_t i = 0; i < CRESS_COUNT(rate_periods); i++) {
        if (rate_periods[i].letter == text[size + 1]) {
            rate->period_ms = rate_periods[i].ms;
        }
    }
    return rate->period_ms && cress_text_to_int(count, &rate->count) && rate->count >= 1 &&
           rate->count <= RATE_MAX;
}

static bool read_url(const char *text, bool needs_host, const char *const *schemes)
{
    struct cress_url url;
    if (cress_url_parse(text, &url, NULL) != CRESS_OK) {
        return false;
    }
    const bool good = is_one_of(url.scheme, schemes) && (*url.host || !needs_host);
    cress_url_free(&url);
    return good;
}

static bool read_urls(const char *text, const char *const *schemes)
{
    char **urls = cress_url_hosts(text);
    bool good = true;
    for (char **url = urls; *url; url++) {
        good = good && read_url(*url, urls[1], schemes);
    }
    cress_text_list_free(urls);
    return good;
}

static bool read_any_url(const struct cress_option *option, const char *text)
{
    if (!*text && !*option->fallback) {
        return true; /* empty only where that is the default */
    }
    return option->type == CRESS_TYPE_URLS ? read_urls(text, option->allowed.words)
                                           : read_url(text, false, option->allowed.words);
}

/* Reads `text` into `*value`; false when it is none of the type. Texts and lists are the caller's
 * to free. */
static bool read_value(const struct cress_option *option, const char *text, union value *value)
{
    switch (option->type) {
    case CRESS_TYPE_LIST:
        value->list = cress_text_split(text);
        return true;
    case CRESS_TYPE_INT:
        return cress_text_to_int(text, &value->number);
    case CRESS_TYPE_BYTES:
        return cress_text_to_bytes(text, &value->number);
    case CRESS_TYPE_MS:
        return cress_duration_parse(text, &value->number, NULL) == CRESS_OK;
    case CRESS_TYPE_BOOL:
        return read_bool(text, &value->truth);
    case CRESS_TYPE_RATE:
        return read_rate(text, &value->rate);
    case CRESS_TYPE_URL:
    case CRESS_TYPE_URLS:
        if (!read_any_url(option, text)) {
            return false;
        }
        break;
    case CRESS_TYPE_ENUM:
        if (!is_one_of(text, option->allowed.words)) {
            return false;
        }
        break;
    default:
        break;
    }
    value->text = cress_strdup(text);
    return true;
}

static bool is_number(enum cress_option_type type)
{
    return type == CRESS_TYPE_INT || type == CRESS_TYPE_MS || type == CRESS_TYPE_BYTES;
}

static bool is_text(enum cress_option_type type)
{
    return !is_number(type) && type != CRESS_TYPE_BOOL && type != CRESS_TYPE_RATE &&
           type != CRESS_TYPE_LIST;
}

static const char *describe_type(enum cress_option_type type)
{
    switch (type) {
    case CRESS_TYPE_INT:
        return "a number";
    case CRESS_TYPE_MS:
        return "a duration such as 10s";
    case CRESS_TYPE_BYTES:
        return "a size such as 16M";
    case CRESS_TYPE_RATE:
        return "a rate such as 100/s";
    default:
        return "one of the words";
    }
}

/* A URL is not repeated in the message: it may hold a password. */
static enum cress_status refuse_value(const struct cress_option *option, const char *text,
                                      bool in_range, struct cress_error *err)
{
    char *allowed = cress_option_allowed(option);
    if (is_url(option->type)) {
        cress_error_set(err, CRESS_CONFIG, NULL, "not a URL of the right kind; allowed: %s",
                        allowed);
    } else if (!in_range) {
        cress_error_set(err, CRESS_CONFIG, NULL, "\"%s\" is out of range; allowed: %s", text,
                        allowed);
    } else {
        cress_error_set(err, CRESS_CONFIG, NULL, "\"%s\" is not %s; allowed: %s", text,
                        describe_type(option->type), allowed);
    }
    free(allowed);
    return CRESS_CONFIG;
}

static enum cress_status set_value(const struct cress_slot *slot, const char *text,
                                   struct cress_error *err)
{
    const struct cress_option *option = slot->option;
    union value value = {0};
    if (!read_value(option, text, &value)) {
        return refuse_value(option, text, true, err);
    }
    if (is_number(option->type) &&
        (value.number < option->allowed.min || value.number > option->allowed.max)) {
        return refuse_value(option, text, false, err);
    }
    cress_slot_free(slot);
    store_value(slot, value);
    return CRESS_OK;
}

enum cress_status cress_slot_set(const struct cress_slot *slot, const char *text,
                                 const char *origin, struct cress_error *err)
{
    const struct cress_option *option = slot->option;
    const enum cress_status status = set_value(slot, text, err);
    if (status == CRESS_OK) {
        *slot->origin = cress_strdup(origin);
    } else if (slot->name) {
        cress_error_prefix(err, "%s: %s %s.%s", origin, option->section, slot->name, option->key);
    } else {
        cress_error_prefix(err, "%s: %s.%s", origin, option->section, option->key);
    }
    return status;
}

bool cress_slot_is_set(const struct cress_slot *slot)
{
    return *slot->origin && strcmp(*slot->origin, "default") != 0;
}

void cress_slot_free(const struct cress_slot *slot)
{
    const union value value = load_value(slot);
    if (slot->option->type == CRESS_TYPE_LIST) {
        cress_text_list_free(value.list);
    } else if (is_text(slot->option->type)) {
        free(value.text);
    }
    store_value(slot, (union value){0});
    free(*slot->origin);
    *slot->origin = NULL;
}
