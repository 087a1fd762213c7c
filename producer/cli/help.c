// SPDX-License-Identifier: Apache-2.0
// --help and the manual page, from the tables of verbs, options and exit codes.
#include "producer/cli/help.h"

#include "common/base/buf.h"
#include "common/base/mem.h"
#include "common/config/config.h"
#include "common/job/job.h"
#include "producer/cli/cli.h"

#include <stdlib.h>
#include <string.h>

static const struct exit_code {
    int code;
    const char *word, *title;
} exit_codes[] = {
#define CRESS_STATUS(name, word, class, exit_code, http, title) {exit_code, word, title},
#include "common/base/status.def"
#undef CRESS_STATUS
    {CRESS_EXIT_INTERRUPTED, "interrupted", "Ctrl-C (SIGINT)"},
    {CRESS_EXIT_PIPE, "pipe", "Nobody reads the output any more"},
    {CRESS_EXIT_TERMINATED, "terminated", "SIGTERM"},
};

static const char program_examples[] =
    "  id=$(cress enqueue cress.echo '{\"hello\": \"world\"}')     submit a job\n"
    "  cress status \"$id\" --watch                             is it done yet?\n"
    "  cress enqueue cress.echo 1 --wait=60s                  the exit code is the job's outcome\n"
    "  cress enqueue --jsonl jobs.jsonl                       many, one JSON object a line\n"
    "  cress prerender https://example.com/sitemap.xml --to s3://bucket/site --wait\n"
    "  cress send hello 'Hello World!'; cress receive hello --count 1\n"
    "  cress doctor                                           is everything there?\n";

/* --- --help --- */

/* "--name VALUE" as it is typed. The caller frees. */
static char *flag_usage(const struct cress_flag *flag)
{
    if (flag->letter) { /* those that have one take a value */
        return cress_format("-%c, --%s %s", flag->letter, flag->name, flag->value);
    }
    if (flag->kind == CRESS_FLAG_SWITCH) {
        return cress_format("--%s", flag->name);
    }
    return cress_format(flag->optional ? "--%s[=%s]" : "--%s %s", flag->name, flag->value);
}

/* A usage that is wider than its column has a line of its own. */
static void print_flags(const struct cress_flag *flag, FILE *out)
{
    enum { WIDTH = 23 };
    for (; flag && flag->name; flag++) {
        char *usage = flag_usage(flag);
        if (strlen(usage) > WIDTH) {
            fprintf(out, "  %s\n  %*s %s\n", usage, WIDTH, "", flag->help);
        } else {
            fprintf(out, "  %-*s %s\n", WIDTH, usage, flag->help);
        }
        free(usage);
    }
}

static void print_exit_codes(FILE *out)
{
    fputs("\nExit codes:\n", out);
    for (size_t i = 0; i < CRESS_COUNT(exit_codes); i++) {
        fprintf(out, "  %3d  %-12s %s\n", exit_codes[i].code, exit_codes[i].word,
                exit_codes[i].title);
    }
}

static void print_common(FILE *out)
{
    fputs("\nOptions of every verb:\n", out);
    print_flags(cress_common_flags, out);
    fputs("\nConfiguration flags (each is also an option of cress.conf and a variable; cress "
          "config show):\n",
          out);
    cress_config_print_flags(CRESS_PROGRAM_CLI, out);
    print_exit_codes(out);
}

void cress_help_program(FILE *out)
{
    fprintf(out,
            "Examples:\n%s\nUsage: cress VERB [operands] [options]\n\nVerbs (cress VERB --help "
            "says more):\n",
            program_examples);
    for (size_t i = 0; cress_verbs[i]; i++) {
        fprintf(out, "  %-12s %s\n", cress_verbs[i]->name, cress_verbs[i]->summary);
    }
    fputs("\nData go to stdout, messages to stderr. Tables on a terminal, tab-separated lines\n"
          "otherwise, JSON with --json. NO_COLOR, TERM=dumb and CLICOLOR_FORCE are honoured.\n",
          out);
    print_common(out);
}

void cress_help_verb(const struct cress_verb *verb, FILE *out)
{
    fprintf(out, "Examples:\n%s\nUsage: cress %s%s%s [options]\n\n%s.\n", verb->examples,
            verb->name, *verb->operands ? " " : "", verb->operands, verb->summary);
    if (*verb->about) {
        fprintf(out, "\n%s", verb->about);
    }
    if (verb == &cress_verb_enqueue) {
        fputs("\nBuilt-in tasks:\n", out);
        for (const char *const *name = cress_task_names(); *name; name++) {
            fprintf(out, "  %s\n", *name);
        }
    }
    if (verb->flags) {
        fputs("\nOptions:\n", out);
        print_flags(verb->flags, out);
    }
    print_common(out);
}

/* --- the manual page --- */

/* Text for man(7): backslashes, dashes and lines that would be requests are protected. */
static void roff(const char *text, FILE *out)
{
    bool at_start = true;
    for (; *text; text++) {
        if (at_start && (*text == '.' || *text == '\'')) {
            fputs("\\&", out);
        }
        if (*text == '\\') {
            fputs("\\e", out);
        } else if (*text == '-') {
            fputs("\\-", out);
        } else {
            fputc(*text, out);
        }
        at_start = *text == '\n';
    }
}

static void roff_literal(const char *text, FILE *out)
{
    fputs(".nf\n", out);
    roff(text, out);
    fputs(".fi\n", out);
}

static void roff_flags(const struct cress_flag *flag, FILE *out)
{
    for (; flag && flag->name; flag++) {
        char *usage = flag_usage(flag);
        fputs(".TP\n\\fB", out);
        roff(usage, out);
        fputs("\\fR\n", out);
        roff(flag->help, out);
        fputc('\n', out);
        free(usage);
    }
}

static void roff_verb(const struct cress_verb *verb, FILE *out)
{
    fputs(".SS cress ", out);
    roff(verb->name, out);
    fputc(' ', out);
    roff(verb->operands, out);
    fputc('\n', out);
    roff(verb->summary, out);
    fputs(".\n", out);
    if (*verb->about) {
        fputs(".PP\n", out);
        roff(verb->about, out);
    }
    roff_flags(verb->flags, out);
    fputs(".PP\nExamples:\n.PP\n", out);
    roff_literal(verb->examples, out);
}

static void roff_configuration(FILE *out)
{
    char *flags = NULL;
    size_t size;
    FILE *memory = open_memstream(&flags, &size);
    cress_config_print_flags(CRESS_PROGRAM_CLI, memory);
    fclose(memory);
    fputs(".SH CONFIGURATION\n", out);
    roff("Flags, before or behind the verb. Each is also an option of the configuration file "
         "(./cress.conf, ~/.config/cress/cress.conf or /etc/cress/cress.conf) and of the "
         "environment; "
         "the flag wins, then the environment, then the file. `cress config show --origin` prints "
         "all "
         "options and where their values came from.\n.PP\n",
         out);
    roff_literal(flags, out);
    free(flags);
}

void cress_help_manual(FILE *out)
{
    fputs(".\\\" SPDX-License-Identifier: Apache-2.0\n"
          ".\\\" Generated by `cress help --man`: do not edit.\n"
          ".TH CRESS 1 \"\" \"Cress\" \"User commands\"\n"
          ".SH NAME\ncress \\- submit jobs to a RabbitMQ job queue and follow them\n"
          ".SH SYNOPSIS\n.B cress\n.I VERB\n[operands] [options]\n"
          ".SH DESCRIPTION\n",
          out);
    roff(
        "Data go to stdout, messages to stderr. What is a table on a terminal is tab-separated "
        "lines "
        "otherwise, without a heading and with - for nothing; --json prints JSON. A job is safe "
        "when "
        "its id has been printed: its record is stored and the broker has confirmed its message.\n",
        out);
    fputs(".SH EXAMPLES\n", out);
    roff_literal(program_examples, out);
    fputs(".SH VERBS\n", out);
    for (size_t i = 0; cress_verbs[i]; i++) {
        roff_verb(cress_verbs[i], out);
    }
    fputs(".SH OPTIONS OF EVERY VERB\n", out);
    roff_flags(cress_common_flags, out);
    roff_configuration(out);
    fputs(".SH ENVIRONMENT\nThe variables of the configuration, such as\n.BR CRESS_BROKER_URL \" "
          "and \" CRESS_STORE_URL ;\n"
          ".BR NO_COLOR \", \" TERM \" and \" CLICOLOR_FORCE\nfor colours.\n.SH EXIT STATUS\n",
          out);
    for (size_t i = 0; i < CRESS_COUNT(exit_codes); i++) {
        fprintf(out, ".TP\n\\fB%d\\fR %s\n%s.\n", exit_codes[i].code, exit_codes[i].word,
                exit_codes[i].title);
    }
    fputs(".SH SEE ALSO\n.BR cress\\-gateway (1),\n.BR cress\\-worker (1)\n", out);
}
