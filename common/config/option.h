// SPDX-License-Identifier: Apache-2.0
// Private to common/config and its tests: the rows of the tables, and the steps that loading
// consists of.
#ifndef CRESS_CONFIG_OPTION_H
#define CRESS_CONFIG_OPTION_H

#include "common/config/config.h"

enum cress_option_type {
    CRESS_TYPE_STRING,
    CRESS_TYPE_SECRET,
    CRESS_TYPE_URL,
    CRESS_TYPE_URLS,
    CRESS_TYPE_ENUM,
    CRESS_TYPE_JSON,
    CRESS_TYPE_LIST,
    CRESS_TYPE_INT,
    CRESS_TYPE_BOOL,
    CRESS_TYPE_MS,
    CRESS_TYPE_BYTES,
    CRESS_TYPE_RATE
};

/* What a value may be; see options.def. */
struct cress_allowed {
    int64_t min, max;
    const char *const *words; /* ends with NULL */
};

/* A row of a table. `env`, `flag` and `programs` are NULL for the options of named sections. */
struct cress_option {
    size_t offset; /* of its field in struct cress_config, cress_queue_config, … */
    enum cress_option_type type;
    const char *section, *key, *env, *flag, *programs, *fallback;
    struct cress_allowed allowed;
    const char *help;
};

/* CRESS_OPTION_<field> is a row's index in its table. */
enum {
#define CRESS_OPTION(field, ...) CRESS_OPTION_##field,
#include "common/config/options.def"
#undef CRESS_OPTION
    CRESS_OPTION_COUNT
};

/* Sections that have a name: [queue NAME], [task NAME], [schedule NAME]. */
enum cress_kind { CRESS_KIND_QUEUE, CRESS_KIND_TASK, CRESS_KIND_SCHEDULE, CRESS_KIND_COUNT };

struct cress_kind_table {
    const char *word;
    size_t name_max;
    size_t array_at, count_at; /* of its sections, in struct cress_config */
    size_t section_bytes;      /* of each: its name, and then its options */
    const char *header;        /* "queue NAME" */
    const char *about;         /* for the reference page */
    const struct cress_option *options;
    size_t option_count;
    const char *other_name; /* allowed beside A-Z a-z 0-9 . _ -; NULL: none */
};

extern const struct cress_option cress_options[CRESS_OPTION_COUNT];
extern const struct cress_kind_table cress_kinds[CRESS_KIND_COUNT];

/* --config FILE, which is no row of the table because no file can hold it. */
extern const struct cress_option cress_config_option;

struct cress_config_origins {
    char *options[CRESS_OPTION_COUNT];
    char ***sections[CRESS_KIND_COUNT]; /* of each section an array, one for each option */
};

/* One value and where it is kept: `owner` is the config or one of its named sections. */
struct cress_slot {
    const struct cress_option *option;
    const char *name; /* of the section; NULL when it has none */
    void *owner;
    char **origin;
};

struct cress_slot cress_config_slot(struct cress_config *config, size_t option);
struct cress_slot cress_config_named_slot(struct cress_config *config, enum cress_kind kind,
                                          size_t section, size_t option);

/* Reads `text` into the slot and remembers `origin`. CRESS_CONFIG says origin, key and what is
 * allowed. */
CRESS_MUST_CHECK enum cress_status cress_slot_set(const struct cress_slot *slot, const char *text,
                                                  const char *origin, struct cress_error *err);

/* Whether something other than the default stands there. */
bool cress_slot_is_set(const struct cress_slot *slot);

void cress_slot_free(const struct cress_slot *slot);

/* The value as it would be written in a file; `masked` without its secrets. The caller frees. */
char *cress_slot_format(const struct cress_slot *slot, bool masked);

/* What is allowed, as text: "1 to 10000", "text or json", "" when anything is. The caller frees. */
char *cress_option_allowed(const struct cress_option *option);

/* "a, b, c", with `last` in place of the last comma. The caller frees. */
char *cress_words_join(const char *const *words, const char *last);

/* A configuration that holds the defaults. */
struct cress_config *cress_config_make(void);

/* How many sections of `kind` there are, and the name of one. */
size_t cress_config_count(const struct cress_config *config, enum cress_kind kind);
const char *cress_config_name(const struct cress_config *config, enum cress_kind kind,
                              size_t section);

/* The index of section `name`; cress_config_count() when there is none. */
size_t cress_config_find(const struct cress_config *config, enum cress_kind kind, const char *name);

/* The index of section `name`, which is made with the defaults when there is none yet. */
size_t cress_config_add(struct cress_config *config, enum cress_kind kind, const char *name);

/* Reads an ini file; `name` is what errors and origins call it. */
CRESS_MUST_CHECK enum cress_status cress_config_read(struct cress_config *config, FILE *file,
                                                     const char *name, struct cress_error *err);

#endif
