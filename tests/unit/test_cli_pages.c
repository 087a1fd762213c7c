// SPDX-License-Identifier: Apache-2.0
// What is generated from the table of verbs and checked in: the manual page and the completions.
// With CRESS_UPDATE_DOCS=1 they are written; else they must be up to date. And the pages written by
// hand must name every flag.
#include "tests/unit/unit.h"

#include "common/base/buf.h"
#include "common/base/mem.h"
#include "common/config/config.h"
#include "producer/cli/help.h"

#include <stdio.h>

static char *read_file(const char *path)
{
    struct cress_buf buf = cress_buf_make(1 << 20);
    FILE *file = fopen(path, "r");
    char chunk[4096];
    size_t size;
    while (file && (size = fread(chunk, 1, sizeof chunk, file)) > 0) {
        cress_buf_add(&buf, chunk, size);
    }
    if (file) {
        fclose(file);
    }
    return cress_buf_take(&buf);
}

static void print_bash(FILE *out)
{
    assert_true(cress_completion_print("bash", out));
}

static void print_zsh(FILE *out)
{
    assert_true(cress_completion_print("zsh", out));
}

static void print_fish(FILE *out)
{
    assert_true(cress_completion_print("fish", out));
}

static void test_generated_files_are_up_to_date(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        void (*print)(FILE *out);
    } files[] = {
        {"dist/man/cress.1", cress_help_manual},
        {"dist/completion/cress.bash", print_bash},
        {"dist/completion/_cress", print_zsh},
        {"dist/completion/cress.fish", print_fish},
    };
    for (size_t i = 0; i < CRESS_COUNT(files); i++) {
        if (getenv("CRESS_UPDATE_DOCS")) {
            FILE *file = fopen(files[i].path, "w");
            assert_non_null(file);
            files[i].print(file);
            fclose(file);
        }
        char *made = NULL;
        size_t size;
        FILE *out = open_memstream(&made, &size);
        files[i].print(out);
        fclose(out);
        char *committed = read_file(files[i].path);
        if (strcmp(made, committed) != 0) {
            fail_msg("%s differs from the table of verbs; run this program from the top of the "
                     "tree with CRESS_UPDATE_DOCS=1",
                     files[i].path);
        }
        free(made);
        free(committed);
    }
}

/* A manual page has \- for each dash. */
static char *without_backslashes(char *text)
{
    char *to = text;
    for (const char *from = text; *from; from++) {
        if (*from != '\\') {
            *to++ = *from;
        }
    }
    *to = '\0';
    return text;
}

static void check_flags(enum cress_program program, const char *path)
{
    char *flags = NULL;
    size_t size;
    FILE *out = open_memstream(&flags, &size);
    cress_config_print_flags(program, out);
    fclose(out);
    char *page = without_backslashes(read_file(path));
    int count = 0;
    for (char *line = flags; line && *line; count++) {
        char *end = strchr(line, '\n');
        char *flag = strstr(line, "--");
        flag[strcspn(flag, " \n")] = '\0';
        if (!strstr(page, flag)) {
            fail_msg("%s does not mention %s", path, flag);
        }
        line = end ? end + 1 : NULL;
    }
    assert_true(count > 3);
    free(flags);
    free(page);
}

static void test_manual_pages_name_every_flag(void **state)
{
    (void)state;
    check_flags(CRESS_PROGRAM_CLI, "dist/man/cress.1");
    check_flags(CRESS_PROGRAM_GATEWAY, "dist/man/cress-gateway.1");
    check_flags(CRESS_PROGRAM_WORKER, "dist/man/cress-worker.1");
}

static void test_help_opens_with_examples(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    cress_help_program(out);
    fclose(out);
    assert_ptr_equal(strstr(text, "Examples:\n"), text);
    assert_non_null(strstr(text, "--broker-url"));
    const char *codes = strstr(text, "\nExit codes:\n");
    assert_non_null(codes);
    assert_non_null(strstr(codes, "   69  unavailable"));
    assert_non_null(strstr(codes, "  130  interrupted"));
    free(text);
}

static void test_an_unknown_shell_has_no_completion(void **state)
{
    (void)state;
    assert_false(cress_completion_print("tcsh", stdout));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_generated_files_are_up_to_date),
        cmocka_unit_test(test_manual_pages_name_every_flag),
        cmocka_unit_test(test_help_opens_with_examples),
        cmocka_unit_test(test_an_unknown_shell_has_no_completion),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
