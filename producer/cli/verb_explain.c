// SPDX-License-Identifier: Apache-2.0
// cress explain: why is this job not running?
#include "producer/explain.h"

#include "common/base/clock.h"
#include "producer/cli/cli.h"
#include "producer/cli/records.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { JSON_MAX_BYTES = 64 << 10 };

/* What applies to it, as far as that is known. */
static void print_terms(const struct cress_terms *terms)
{
    char timeout[CRESS_TIME_TEXT_MAX], base[CRESS_TIME_TEXT_MAX], cap[CRESS_TIME_TEXT_MAX];
    if (terms->max_attempts > 0 && terms->timeout_ms > 0) {
        printf("at most %" PRId64 " attempts of %s each", terms->max_attempts,
               cress_duration_format(terms->timeout_ms, timeout));
        if (terms->backoff) {
            printf(", with a delay between them (%s) from %s to %s", terms->backoff,
                   cress_duration_format(terms->backoff_base_ms, base),
                   cress_duration_format(terms->backoff_cap_ms, cap));
        }
        putchar('\n');
    }
}

static void on_job_explained(const struct cress_explanation *explanation,
                             const struct cress_error *err, void *arg)
{
    struct cress_cli *cli = arg;
    if (cress_cli_failed(cli, err)) {
        return;
    }
    struct cress_buf text = cress_buf_make(JSON_MAX_BYTES);
    if (cress_cli_json(cli)) {
        cress_explain_write_json(explanation, &text);
        puts(cress_buf_text(&text));
    } else {
        cress_buf_add_harmless(&text, explanation->text, strlen(explanation->text), "");
        printf("%s is %s: %s\n", explanation->record->id,
               cress_state_word(explanation->record->state), cress_buf_text(&text));
        if (!cress_state_is_terminal(explanation->record->state)) {
            print_terms(&explanation->terms);
        }
    }
    cress_buf_free(&text);
    cress_cli_end(cli, 0);
}

static void run_explain(struct cress_cli *cli)
{
    cress_explain(cress_cli_door(cli, cli->connect_timeout_ms), cli->args.operands[0],
                  on_job_explained, cli);
}

const struct cress_verb cress_verb_explain = {
    .name = "explain",
    .operands = "ID",
    .summary = "say why a job is not running",
    .about =
        "One sentence: who runs it since when, how it ended, when it is due, or what it waits "
        "for -\n"
        "a worker for its queue, one that has its task, its turn in a limit's line, or jobs "
        "before it\n"
        "(about how many). A second line says what applies to its attempts: its own words, else "
        "those of\n"
        "the workers that have its task. --json has the same with a word for the reason: see\n"
        "docs/http-api.md.\n",
    .examples = "  cress explain 01980c5e-7a1b-7d6e-b7a5-5a2c6e1f8a90\n"
                "  cress explain \"$id\" --json | jq -r .reason\n",
    .min_operands = 1,
    .max_operands = 1,
    .needs = CRESS_NEEDS_CONFIG | CRESS_NEEDS_STORE | CRESS_NEEDS_BROKER,
    .prepare = cress_records_check_ids,
    .run = run_explain,
};
