// SPDX-License-Identifier: Apache-2.0
// Programs under wardens, on a real loop: what they are given, how they end, and what is left.
// Linked with the handler room alone (Makefile).
#define _GNU_SOURCE /* pipe2 */
#include "tests/unit/unit.h"
#include "worker/process/process.h"
#include "worker/process/warden.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WATCHDOG_S = 60 };

static struct {
    uv_loop_t loop;
    struct cress_wardens *wardens;
    struct cress_process process;
    struct cress_process_end end;
    int ended;
    bool closed;
} test;

static void on_end(struct cress_process *process, const struct cress_process_end *end, void *arg)
{
    assert_ptr_equal(arg, &test);
    assert_int_equal(cress_process_pid(process), 0);
    test.end = *end;
    test.ended++;
}

static void on_closed(void *arg)
{
    assert_ptr_equal(arg, &test);
    test.closed = true;
}

static int set_up(void **state)
{
    (void)state;
    memset(&test, 0, sizeof test);
    alarm(WATCHDOG_S);
    uv_loop_init(&test.loop);
    test.wardens = cress_wardens_open(&test.loop);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    cress_wardens_close(test.wardens, on_closed, &test);
    uv_run(&test.loop, UV_RUN_DEFAULT);
    return test.closed && uv_loop_close(&test.loop) == 0 && waitpid(-1, NULL, WNOHANG) < 0 ? 0 : -1;
}

/* Starts /bin/sh -c `script`. */
static void start(const char *script, struct cress_process_spec spec)
{
    static const char *const env[] = {"NAME=value", NULL};
    const char *const argv[] = {"/bin/sh", "-c", script, NULL};
    struct cress_error err;
    spec.argv = spec.argv ? spec.argv : argv;
    spec.env = spec.env ? spec.env : env;
    if (cress_process_start(test.wardens, &spec, on_end, &test, &test.process, &err) != CRESS_OK) {
        fail_msg("%s", err.message);
    }
}

static void wait_for_end(int ended)
{
    while (test.ended < ended) {
        uv_run(&test.loop, UV_RUN_ONCE);
    }
}

/* Without the loop, which does not hear of an end then. */
static void wait_until(bool it_runs)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    while ((cress_process_pid(&test.process) != 0) != it_runs) {
        nanosleep(&pause, NULL);
    }
}

/* Runs `script` to its end; what it has written to descriptor `fd` is in `said`. */
static void run_and_hear(const char *script, int fd, char *said, size_t size)
{
    int fds[CRESS_PROCESS_FDS_MAX];
    int pipe_fds[2];
    assert_int_equal(pipe(pipe_fds), 0);
    for (int i = 0; i < CRESS_PROCESS_FDS_MAX; i++) {
        fds[i] = i == fd ? pipe_fds[1] : -1;
    }
    start(script,
          (struct cress_process_spec){.fds = fds, .fd_count = (size_t)fd + 1, .lock_fd = -1});
    close(pipe_fds[1]);
    size_t length = 0;
    for (ssize_t n; (n = read(pipe_fds[0], said + length, size - 1 - length)) > 0;) {
        length += (size_t)n;
    }
    said[length] = '\0';
    close(pipe_fds[0]);
    wait_for_end(test.ended + 1);
}

static void status_time_and_memory_are_reported(void **state)
{
    (void)state;
    start("exit 3", (struct cress_process_spec){.lock_fd = -1});
    wait_for_end(1);
    assert_int_equal(test.end.exec_errno, 0);
    assert_true(WIFEXITED(test.end.status));
    assert_int_equal(WEXITSTATUS(test.end.status), 3);
    assert_true(test.end.rss_bytes > 0);
}

static void environment_and_descriptors_are_as_asked(void **state)
{
    (void)state;
    char said[256];
    run_and_hear("echo $NAME; ls /proc/self/fd", 1, said, sizeof said);
    assert_string_equal(said, "value\n0\n1\n2\n3\n"); /* 3 is the folder that ls reads */
    run_and_hear("ls /proc/self/fd >&9", 9, said, sizeof said);
    assert_string_equal(said, "0\n1\n2\n3\n9\n");
}

static void a_browsers_pipes(void **state)
{
    (void)state;
    int in[2], out[2];
    char said[16] = "";
    assert_int_equal(pipe(in), 0);
    assert_int_equal(pipe(out), 0);
    const int fds[] = {-1, -1, -1, in[0], out[1]};
    start("read line <&3; echo \"heard $line\" >&4",
          (struct cress_process_spec){.fds = fds, .fd_count = 5, .lock_fd = -1});
    close(in[0]);
    close(out[1]);
    assert_int_equal(write(in[1], "it\n", 3), 3);
    assert_int_equal(read(out[0], said, sizeof said - 1), 9);
    assert_string_equal(said, "heard it\n");
    close(in[1]);
    close(out[0]);
    wait_for_end(1);
}

static void one_warden_serves_one_after_another(void **state)
{
    (void)state;
    char first[32], second[32];
    run_and_hear("echo $PPID", 1, first, sizeof first);
    run_and_hear("echo $PPID", 1, second, sizeof second);
    assert_string_equal(first, second);
    run_and_hear("kill -9 $PPID; exec sleep 60", 1, first, sizeof first);
    assert_true(test.end.lost);
    run_and_hear("echo $PPID", 1, first, sizeof first);
    assert_string_not_equal(first, second); /* a new one */
    assert_false(test.end.lost);
}

static void an_idle_warden_that_was_killed_is_replaced(void **state)
{
    (void)state;
    char said[32];
    run_and_hear("echo $PPID", 1, said, sizeof said);
    assert_int_equal(kill((pid_t)strtol(said, NULL, 10), SIGKILL), 0);
    start("exit 4", (struct cress_process_spec){.lock_fd = -1});
    wait_for_end(2);
    /* whether it was known to be dead by then is a matter of luck: the end says so if not */
    assert_true(test.end.lost || WEXITSTATUS(test.end.status) == 4);
}

static void figures_are_of_one_program(void **state)
{
    (void)state;
    start("i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done",
          (struct cress_process_spec){.lock_fd = -1});
    wait_for_end(1);
    const int64_t busy_ms = test.end.cpu_ms;
    start("exit 0", (struct cress_process_spec){.lock_fd = -1});
    wait_for_end(2);
    assert_true(test.end.cpu_ms < busy_ms);
}

static void what_cannot_be_started_is_said(void **state)
{
    (void)state;
    const char *const argv[] = {"/no/such/program", NULL};
    start(NULL, (struct cress_process_spec){.argv = argv, .lock_fd = -1});
    wait_for_end(1);
    assert_int_equal(test.end.exec_errno, ENOENT);
    start(NULL, (struct cress_process_spec){.folder = "/no/such/folder", .lock_fd = -1});
    wait_for_end(2);
    assert_int_equal(test.end.exec_errno, ENOENT);
    start("exit 0", (struct cress_process_spec){.lock_fd = -1});
    wait_for_end(3);
    assert_int_equal(test.end.exec_errno, 0);
}

static void too_much_of_an_environment_is_refused(void **state)
{
    (void)state;
    static char big[CRESS_WARDEN_PAGE_BYTES + 1];
    memset(big, 'x', sizeof big - 1);
    const char *const env[] = {big, NULL};
    const char *const argv[] = {"/bin/true", NULL};
    const struct cress_process_spec spec = {.argv = argv, .env = env, .lock_fd = -1};
    struct cress_error err;
    assert_int_equal(cress_process_start(test.wardens, &spec, on_end, &test, &test.process, &err),
                     CRESS_TOO_LARGE);
    start("exit 0", (struct cress_process_spec){.lock_fd = -1});
    wait_for_end(1);
}

static void it_is_asked_and_killed(void **state)
{
    (void)state;
    start("trap 'exit 7' TERM; while :; do sleep 0.01; done",
          (struct cress_process_spec){.lock_fd = -1});
    wait_until(true);
    while (test.ended == 0) { /* the trap may not be set yet: then it dies of the signal */
        cress_process_ask(&test.process);
        uv_run(&test.loop, UV_RUN_ONCE);
    }
    assert_true(WEXITSTATUS(test.end.status) == 7 || WTERMSIG(test.end.status) == SIGTERM);
    start("trap '' TERM; setsid sleep 600 & sleep 600", (struct cress_process_spec){.lock_fd = -1});
    wait_until(true);
    cress_process_kill(&test.process);
    wait_for_end(2);
    assert_int_equal(WTERMSIG(test.end.status), SIGKILL);
    cress_process_kill(&test.process); /* it is over: nobody is killed */
    start("exit 0", (struct cress_process_spec){.lock_fd = -1});
    wait_for_end(3);
    assert_int_equal(test.end.status, 0);
}

/* An order that crosses the report of the end must not hit the next program. */
static void a_late_kill_harms_nobody(void **state)
{
    (void)state;
    int in[2];
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    start("read line", (struct cress_process_spec){.fds = in, .fd_count = 1, .lock_fd = -1});
    close(in[0]);
    wait_until(true);
    close(in[1]);
    wait_until(false);
    cress_process_kill(&test.process);
    wait_for_end(1);
    start("exit 5", (struct cress_process_spec){.lock_fd = -1});
    wait_for_end(2);
    assert_true(WIFEXITED(test.end.status));
    assert_int_equal(WEXITSTATUS(test.end.status), 5);
}

static void a_lock_is_held_until_nothing_is_left(void **state)
{
    (void)state;
    FILE *file = tmpfile();
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fileno(file));
    const int other = open(path, O_RDONLY);
    assert_int_equal(flock(fileno(file), LOCK_EX), 0);
    start("sleep 600", (struct cress_process_spec){.lock_fd = fileno(file)});
    wait_until(true);
    fclose(file);
    assert_int_not_equal(flock(other, LOCK_EX | LOCK_NB), 0);
    cress_process_kill(&test.process);
    wait_for_end(1);
    assert_int_equal(flock(other, LOCK_EX | LOCK_NB), 0);
    close(other);
}

static void limits_are_those_asked_for(void **state)
{
    (void)state;
    struct cress_rlimit limits[CRESS_RLIMITS_MAX];
    const struct cress_process_limits nothing = {0};
    assert_int_equal(cress_rlimits_make(&nothing, limits), 1);
    assert_int_equal(limits[0].resource, RLIMIT_CORE);
    assert_int_equal(limits[0].limit.rlim_max, 0);
    const struct cress_process_limits all = {.memory_max_bytes = 1,
                                             .cpu_max_ms = 1500,
                                             .files_max = 3,
                                             .file_size_max_bytes = 4,
                                             .processes_max = 5};
    assert_int_equal(cress_rlimits_make(&all, limits), CRESS_RLIMITS_MAX);
    assert_int_equal(limits[2].resource, RLIMIT_CPU);
    assert_int_equal(limits[2].limit.rlim_cur, 2);
    assert_int_equal(limits[2].limit.rlim_max, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(status_time_and_memory_are_reported, set_up, tear_down),
        cmocka_unit_test_setup_teardown(environment_and_descriptors_are_as_asked, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_browsers_pipes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_warden_serves_one_after_another, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_idle_warden_that_was_killed_is_replaced, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(figures_are_of_one_program, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_started_is_said, set_up, tear_down),
        cmocka_unit_test_setup_teardown(too_much_of_an_environment_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_is_asked_and_killed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_late_kill_harms_nobody, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_lock_is_held_until_nothing_is_left, set_up, tear_down),
        cmocka_unit_test(limits_are_those_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
