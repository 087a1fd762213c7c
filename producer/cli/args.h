// SPDX-License-Identifier: Apache-2.0
// The words behind a verb: options from a table, and operands.
//
// --name VALUE and --name=VALUE, or -n VALUE where an option has a letter; a switch takes none; "--" ends the options; "-" alone is an
// operand. Values are read and checked here, so that verbs only ask for them. Pure functions.
#ifndef CRESS_CLI_ARGS_H
#define CRESS_CLI_ARGS_H

#include "common/base/status.h"

#include <stdbool.h>
#include <stdint.h>

enum cress_flag_kind {
    CRESS_FLAG_SWITCH,
    CRESS_FLAG_TEXT,
    CRESS_FLAG_WORD,     /* one of `words` */
    CRESS_FLAG_NUMBER,   /* from `min` to `max` */
    CRESS_FLAG_DURATION, /* "10m"; held in milliseconds */
    CRESS_FLAG_TIME,     /* RFC 3339; held as wall clock milliseconds */
};

/* An option; a table of them ends with a NULL name. */
struct cress_flag {
    const char *name; /* without the dashes */
    char letter;      /* for -n instead of --name; 0: none */
    enum cress_flag_kind kind;
    const char *value; /* what --help calls it; NULL for a switch */
    const char *help;
    const char *const *words; /* ends with NULL */
    int64_t min, max;
    bool optional; /* may stand without a value, which then only --name=VALUE can give */
    bool is_file;  /* completion offers file names */
    bool is_queue; /* completion offers queue names */
    bool is_list;  /* several values are one, with commas between: given twice it is an error */
};

enum { CRESS_FLAGS_MAX = 24 };

struct cress_flag_value {
    const struct cress_flag *flag;
    bool given;
    const char *text; /* NULL: no value */
    int64_t number;
};

struct cress_args {
    struct cress_flag_value values[CRESS_FLAGS_MAX];
    size_t value_count;
    char **operands; /* in argv */
    int operand_count;
};

/* Reads the `argc` words at `argv`, whose operands are moved to its front. `own` and `common`
 * are tables of options (`own` may be NULL). CRESS_USAGE says which word is wrong and what was
 * meant. */
CRESS_MUST_CHECK enum cress_status cress_args_parse(const struct cress_flag *own,
                                                    const struct cress_flag *common, int argc,
                                                    char **argv, struct cress_args *args,
                                                    struct cress_error *err);

/* Each asks for an option of the tables, by name. */
bool cress_args_has(const struct cress_args *args, const char *name);
const char *cress_args_text(const struct cress_args *args, const char *name); /* NULL: not given */
int64_t cress_args_number(const struct cress_args *args, const char *name, int64_t fallback);

#endif
