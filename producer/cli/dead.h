// SPDX-License-Identifier: Apache-2.0
// What the verbs below `cress dead` share: one walk, the letters that are meant, and what is done
// with each.
#ifndef CRESS_CLI_DEAD_H
#define CRESS_CLI_DEAD_H

#include "producer/cli/dead_walk.h"

struct cress_dead;

/* A verb below `cress dead`. */
struct cress_dead_verb {
    const char *name;
    const char *flags;   /* its own among the options of `dead`, separated by blanks */
    bool needs_id;       /* and takes just one */
    bool is_destructive; /* asks on a terminal, needs --yes elsewhere */
    bool revives;        /* likewise, unless a choice was made */
    void (*begin)(struct cress_dead *dead); /* NULL: nothing */
    /* A letter that is meant; it calls cress_dead_done() for it. */
    void (*letter)(struct cress_dead *dead, struct cress_dead_item *item);
    void (*tick)(struct cress_dead *dead); /* NULL: nothing */
    /* Ctrl-C: lets go of the letters that it has not begun. NULL: it holds none. */
    void (*stop)(struct cress_dead *dead);
    /* All is done; the exit code. */
    int (*end)(struct cress_dead *dead);
    void (*release)(struct cress_dead *dead); /* NULL: nothing */
};

struct cress_dead {
    struct cress_cli *cli;
    const struct cress_dead_verb *verb;
    struct cress_letter_filter filter;
    struct cress_dead_walk *walk;
    int64_t matched;
    bool dry_run;
    void *own; /* the verb's */
};

extern const struct cress_dead_verb cress_dead_list, cress_dead_show, cress_dead_groups,
    cress_dead_requeue, cress_dead_purge, cress_dead_export;

#endif
