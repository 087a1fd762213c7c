// SPDX-License-Identifier: Apache-2.0
// Verdicts about programs; see exec_verdict.h.
#include "worker/handler/exec_verdict.h"

#include "common/base/json.h"
#include "common/base/mem.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

/* sysexits.h, which POSIX lacks. */
enum { EXIT_DATAERR = 65, EXIT_TEMPFAIL = 75 };

/* --- the log's last line --- */

enum { LINE_MAX_BYTES = 200 };

static void last_log_line(const struct cress_exec_facts *facts, const char **line, int *size)
{
    const char *end = facts->log + facts->log_size;
    while (end > facts->log && (end[-1] == '\n' || end[-1] == '\r' || end[-1] == ' ')) {
        end--;
    }
    const char *start = end;
    while (start > facts->log && start[-1] != '\n' && end - start < LINE_MAX_BYTES) {
        start--;
    }
    *line = start;
    *size = (int)(end - start);
}

static void set_verdict(struct cress_outcome *outcome, enum cress_outcome_kind kind,
                        const char *code, const struct cress_exec_facts *facts, const char *what)
{
    const char *line = "";
    int size = 0;
    if (facts->log_size > 0) {
        last_log_line(facts, &line, &size);
    }
    outcome->kind = kind;
    cress_error_set(&outcome->error, CRESS_TEMPORARY, code, "%s%s%.*s", what, size ? ": " : "",
                    size, line);
}

/* --- memory --- */

static bool mentions(const char *text, size_t size, const char *word)
{
    const size_t length = strlen(word);
    for (size_t i = 0; i + length <= size; i++) {
        if (memcmp(text + i, word, length) == 0) {
            return true;
        }
    }
    return false;
}

/* A program without memory ends in its own way: malloc() fails, and then it aborts, crashes or says
 * so. Only its memory and its last words tell. */
static bool complained_of_memory(const struct cress_exec_facts *facts)
{
    static const char *const words[] = {"MemoryError",  "bad_alloc",     "annot allocate memory",
                                        "ut of memory", "failed to map", "ENOMEM"};
    for (size_t i = 0; facts->task->memory_max_bytes && i < CRESS_COUNT(words); i++) {
        if (mentions(facts->log, facts->log_size, words[i])) {
            return true;
        }
    }
    return false;
}

/* What is not resident counts against the limit too: code, stacks, mappings. */
static bool filled_memory(const struct cress_exec_facts *facts)
{
    const int64_t max = facts->task->memory_max_bytes;
    return max && facts->end.rss_bytes >= max - max / 5;
}

/* --- ends --- */

static bool used_up_cpu(const struct cress_exec_facts *facts, int number)
{
    return number == SIGXCPU || (number == SIGKILL && facts->task->cpu_max_ms &&
                                 facts->end.cpu_ms >= facts->task->cpu_max_ms);
}

static void judge_signal(const struct cress_exec_facts *facts, int number,
                         struct cress_outcome *outcome)
{
    char code[CRESS_ERROR_CODE_MAX];
    char what[128];
    if (facts->stop == CRESS_EXEC_ASKED && number == SIGTERM) {
        set_verdict(outcome, CRESS_OUTCOME_TIMED_OUT, "soft_timeout", facts,
                    "the program ended when it was asked to, at the soft timeout");
    } else if (used_up_cpu(facts, number)) {
        set_verdict(outcome, CRESS_OUTCOME_CRASHED, "cpu", facts,
                    "the program used more processor time than cpu_max");
    } else if (number == SIGXFSZ) {
        set_verdict(outcome, CRESS_OUTCOME_CRASHED, "file_size", facts,
                    "the program wrote a file larger than file_size_max");
    } else if (complained_of_memory(facts) || filled_memory(facts)) {
        set_verdict(outcome, CRESS_OUTCOME_CRASHED, "oom", facts,
                    "the program needed more memory than memory_max");
    } else {
        snprintf(code, sizeof code, "signal %d", number);
        snprintf(what, sizeof what, "the program was ended by signal %d (%s)", number,
                 strsignal(number));
        set_verdict(outcome, CRESS_OUTCOME_CRASHED, code, facts, what);
    }
}

static void judge_exit(const struct cress_exec_facts *facts, int status,
                       struct cress_outcome *outcome)
{
    char code[CRESS_ERROR_CODE_MAX];
    char what[128];
    const bool has_said = status == EXIT_TEMPFAIL || status == EXIT_DATAERR;
    if (!has_said && facts->stop == CRESS_EXEC_ASKED) {
        set_verdict(outcome, CRESS_OUTCOME_TIMED_OUT, "soft_timeout", facts,
                    "the program failed after it was asked to end, at the soft timeout");
        return;
    }
    if (!has_said && complained_of_memory(facts)) {
        set_verdict(outcome, CRESS_OUTCOME_CRASHED, "oom", facts,
                    "the program needed more memory than memory_max");
        return;
    }
    const bool never =
        has_said ? status == EXIT_DATAERR : strcmp(facts->task->other_exit, "fail") == 0;
    snprintf(code, sizeof code, "exit %d", status);
    snprintf(what, sizeof what, "the program ended with exit status %d", status);
    set_verdict(outcome, never ? CRESS_OUTCOME_FAILED : CRESS_OUTCOME_RETRY, code, facts, what);
}

void cress_exec_judge(const struct cress_exec_facts *facts, struct cress_outcome *outcome)
{
    const struct cress_process_end *end = &facts->end;
    const struct cress_exec_facts silent = {.task = facts->task};
    *outcome = (struct cress_outcome){.kind = CRESS_OUTCOME_SUCCEEDED};
    if (facts->stop == CRESS_EXEC_TIMED_OUT) {
        set_verdict(outcome, CRESS_OUTCOME_TIMED_OUT, "hard_timeout", facts,
                    "the program ran longer than the job's timeout and was killed");
    } else if (facts->stop == CRESS_EXEC_OVERFLOWED) {
        set_verdict(outcome, CRESS_OUTCOME_FAILED, "too_large", &silent,
                    "the program wrote more than output_max and was killed");
    } else if (end->exec_errno) {
        set_verdict(outcome, CRESS_OUTCOME_RETRY, "no_program", &silent, strerror(end->exec_errno));
        cress_error_prefix(&outcome->error, "the program cannot be started");
    } else if (end->lost) {
        set_verdict(outcome, CRESS_OUTCOME_CRASHED, "lost", facts,
                    "the process that watches the program was killed");
    } else if (WIFSIGNALED(end->status)) {
        judge_signal(facts, WTERMSIG(end->status), outcome);
    } else if (WEXITSTATUS(end->status) != 0) {
        judge_exit(facts, WEXITSTATUS(end->status), outcome);
    }
}

/* --- what it says --- */

static char *make_string(const char *text, size_t size)
{
    if (size > 0 && text[size - 1] == '\n') {
        size--;
    }
    if (size > 0 && text[size - 1] == '\r') {
        size--;
    }
    struct cress_buf quoted = cress_buf_make(SIZE_MAX);
    cress_buf_add_json(&quoted, text, size);
    return cress_buf_take(&quoted);
}

char *cress_exec_result(const char *output, size_t size)
{
    if (size == 0) {
        return NULL;
    }
    struct cress_json value;
    return cress_json_find_fault(output, size, &value, NULL) ? cress_strndup(value.text, value.size)
                                                             : make_string(output, size);
}

void cress_exec_progress(const char *line, int *percent, const char **message)
{
    char *end;
    const long number = strtol(line, &end, 10);
    const bool has_number = *line >= '0' && *line <= '9' && number <= 100 &&
                            (*end == '\0' || *end == ' ' || *end == '%');
    *percent = has_number ? (int)number : -1;
    *message = has_number ? end + strspn(end, " %") : line;
}
