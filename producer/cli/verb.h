// SPDX-License-Identifier: Apache-2.0
// What a verb is, and the table of all verbs: dispatch, --help, completion and the manual page are
// made from it.
//
// To add one: write verb_<name>.c, declare its row below and name it in verbs.c.
#ifndef CRESS_CLI_VERB_H
#define CRESS_CLI_VERB_H

#include "producer/cli/args.h"

struct cress_cli;

/* What must be there before run() is called. A broker or store that is not there within
 * --connect-timeout, then or later, ends the program. CRESS_OPENS_BOTH: both are opened, but the
 * verb itself looks whether they are there. */
enum cress_need {
    CRESS_NEEDS_CONFIG = 1,
    CRESS_NEEDS_STORE = 2,
    CRESS_NEEDS_BROKER = 4,
    CRESS_NEEDS_CONSUMER = 8, /* the broker, with a connection that consumes too */
    CRESS_OPENS_BOTH = 16,
};

struct cress_verb {
    const char *name;
    const char *operands;           /* "TASK [JSON|@FILE|-]"; "" when it takes none */
    const char *summary;            /* one line, no full stop */
    const char *about;              /* paragraphs of plain text, "" or ending in a newline */
    const char *examples;           /* whole lines, indented by two blanks */
    const struct cress_flag *flags; /* ends with a NULL name; NULL: none of its own */
    const char *const *words;       /* what its first operand can be; NULL: anything */
    int min_operands;
    int max_operands; /* -1: any number */
    unsigned needs;

    /* Checks and reads what the user gave, before anything is connected; may block. NULL:
     * nothing. */
    enum cress_status (*prepare)(struct cress_cli *cli, struct cress_error *err);
    /* Does it, on the loop; it is over when cress_cli_end() is called. */
    void (*run)(struct cress_cli *cli);
    /* Ctrl-C, or a server is away for too long: tidies up and calls cress_cli_end(), after Ctrl-C
     * perhaps when what is under way has been answered; after two seconds it is called once more,
     * and says what was not. NULL: the program says why and ends. */
    void (*stop)(struct cress_cli *cli, const struct cress_error *why);
    /* It is over: closes the handles that it has on the loop. NULL: it has none. */
    void (*close)(struct cress_cli *cli);
    /* Frees cli->state, after the last callback. NULL: nothing to free. */
    void (*release)(struct cress_cli *cli);
};

extern const struct cress_verb cress_verb_enqueue, cress_verb_batch, cress_verb_status,
    cress_verb_wait, cress_verb_cancel, cress_verb_result, cress_verb_explain, cress_verb_logs,
    cress_verb_prerender, cress_verb_send, cress_verb_receive, cress_verb_queues, cress_verb_limits,
    cress_verb_pause, cress_verb_resume, cress_verb_dead, cress_verb_worker, cress_verb_workers,
    cress_verb_cron, cress_verb_config, cress_verb_doctor, cress_verb_completion,
    cress_verb_version, cress_verb_help;

/* In the order of --help; ends with NULL. */
extern const struct cress_verb *const cress_verbs[];

/* The options that every verb has. */
extern const struct cress_flag cress_common_flags[];

/* NULL: there is none of that name, and `*closest` is what may have been meant, or NULL. */
const struct cress_verb *cress_verb_find(const char *name, const char **closest);

#endif
