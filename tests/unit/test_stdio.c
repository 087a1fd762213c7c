// SPDX-License-Identifier: Apache-2.0
// Standard files that whoever started the program had closed.
#include "tests/unit/unit.h"

#include "common/base/stdio.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

static int code_of(pid_t pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* 0, or the number of what is wrong. Runs in a child without standard files. */
static int look_at_closed(void)
{
    cress_stdio_protect();
    char byte;
    if (fcntl(0, F_GETFD) < 0 || fcntl(1, F_GETFD) < 0 || fcntl(2, F_GETFD) < 0) {
        return 1;
    }
    if (read(0, &byte, 1) != -1 || errno != EBADF) {
        return 2;
    }
    return write(1, "x", 1) == -1 && errno == EBADF ? 0 : 3;
}

static void test_closed_files_become_unusable_ones(void **state)
{
    (void)state;
    const pid_t pid = fork();
    if (pid == 0) {
        close(0);
        close(1);
        close(2);
        _exit(look_at_closed());
    }
    assert_int_equal(code_of(pid), 0);
}

static void test_open_files_stay(void **state)
{
    (void)state;
    const pid_t pid = fork();
    if (pid == 0) {
        int ends[2];
        _exit(pipe(ends) == 0 && dup2(ends[1], 1) == 1 && (cress_stdio_protect(), 1) &&
                      write(1, "x", 1) == 1
                  ? 0
                  : 1);
    }
    assert_int_equal(code_of(pid), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_closed_files_become_unusable_ones),
        cmocka_unit_test(test_open_files_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
