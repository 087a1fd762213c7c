// SPDX-License-Identifier: Apache-2.0
// Lines read on the loop, from files and from pipes that are slow.
#include "tests/unit/unit.h"

#include "common/base/mem.h"
#include "producer/cli/input.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 8 };

struct reader {
    uv_loop_t loop;
    uv_idle_t idle;
    struct cress_input_lines *lines;
    struct cress_buf seen; /* "1:text|2!|" and "end" */
    bool pauses;           /* after each line; an idle handle resumes */
    int write_fd;          /* -1: none; else a byte of `rest` is written with each turn */
    const char *rest;
};

static bool on_line(const char *line, size_t size, int64_t number, void *arg)
{
    struct reader *reader = arg;
    if (line) {
        cress_buf_printf(&reader->seen, "%d:%.*s|", (int)number, (int)size, line);
    } else {
        cress_buf_printf(&reader->seen, "%d!|", (int)number);
    }
    return !reader->pauses;
}

static void on_end(const struct cress_error *err, void *arg)
{
    struct reader *reader = arg;
    cress_buf_add_text(&reader->seen, err ? "error" : "end");
    uv_close((uv_handle_t *)&reader->idle, NULL);
}

static void on_idle(uv_idle_t *idle)
{
    struct reader *reader = idle->data;
    if (reader->write_fd >= 0 && *reader->rest) {
        assert_int_equal(write(reader->write_fd, reader->rest++, 1), 1);
    } else if (reader->write_fd >= 0) {
        close(reader->write_fd);
        reader->write_fd = -1;
    }
    cress_input_lines_resume(reader->lines);
}

/* Reads `fd` to its end and compares what was seen. */
static void check(int fd, const char *slowly, int write_fd, bool pauses, const char *expected)
{
    struct reader reader = {
        .seen = cress_buf_make(4096), .pauses = pauses, .write_fd = write_fd, .rest = slowly};
    uv_loop_init(&reader.loop);
    uv_idle_init(&reader.loop, &reader.idle);
    reader.idle.data = &reader;
    uv_idle_start(&reader.idle, on_idle);
    const struct cress_input_lines_options options = {
        .max_bytes = LINE_MAX_BYTES, .on_line = on_line, .on_end = on_end, .arg = &reader};
    reader.lines = cress_input_lines_open(&reader.loop, fd, &options);
    uv_run(&reader.loop, UV_RUN_DEFAULT);
    cress_input_lines_close(reader.lines);
    uv_run(&reader.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&reader.loop), 0);
    assert_string_equal(cress_buf_text(&reader.seen), expected);
    cress_buf_free(&reader.seen);
}

static const struct {
    const char *text, *expected;
} cases[] = {
    {"", "end"},
    {"a", "1:a|end"},
    {"a\n", "1:a|end"},
    {"a\n\nb", "1:a|2:|3:b|end"},
    {"a\r\nb\r\n", "1:a|2:b|end"},
    {"12345678\n123456789\nx\n", "1:12345678|2!|3:x|end"},
    {"123456789", "1!|end"},
};

static void test_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < CRESS_COUNT(cases) * 2; i++) {
        FILE *file = tmpfile();
        fputs(cases[i / 2].text, file);
        fflush(file);
        rewind(file);
        check(dup(fileno(file)), "", -1, i % 2, cases[i / 2].expected);
        fclose(file);
    }
}

static void test_pipes_byte_by_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < CRESS_COUNT(cases) * 2; i++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        check(ends[0], cases[i / 2].text, ends[1], i % 2, cases[i / 2].expected);
    }
}

/* More than a chunk, in which a line too long begins and ends. */
static void test_a_very_long_line_is_skipped_in_little_memory(void **state)
{
    (void)state;
    FILE *file = tmpfile();
    fputs("a\n", file);
    for (int i = 0; i < 300 * 1024; i++) {
        fputc('x', file);
    }
    fputs("\nb\n", file);
    fflush(file);
    rewind(file);
    check(dup(fileno(file)), "", -1, false, "1:a|2!|3:b|end");
    fclose(file);
}

static void test_a_pipe_keeps_its_flags(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    const int kept = dup(ends[0]); /* as the shell's end of our standard input */
    check(ends[0], "a\n", ends[1], false, "1:a|end");
    assert_int_equal(fcntl(kept, F_GETFL) & O_NONBLOCK, 0);
    close(kept);
}

static void test_what_cannot_be_read_is_named(void **state)
{
    (void)state;
    int fd = -1;
    struct cress_error err;
    assert_int_equal(cress_input_open("/nonexistent", &fd, &err), CRESS_NOT_FOUND);
    assert_non_null(strstr(err.message, "/nonexistent"));
    assert_int_equal(cress_input_open("/", &fd, &err), CRESS_IO);
    assert_int_equal(fd, -1);
    struct cress_buf small = cress_buf_make(4);
    assert_int_equal(cress_input_read("/proc/self/status", &small, &err), CRESS_TOO_LARGE);
    cress_buf_free(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_pipes_byte_by_byte),
        cmocka_unit_test(test_a_very_long_line_is_skipped_in_little_memory),
        cmocka_unit_test(test_a_pipe_keeps_its_flags),
        cmocka_unit_test(test_what_cannot_be_read_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
