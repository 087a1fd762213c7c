// SPDX-License-Identifier: Apache-2.0
// The supervisor: dead workers come back, a stop reaches them all. Real processes.
#include "worker/supervisor.h"

#include "common/base/log.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static volatile sig_atomic_t told;

static void on_term(int number)
{
    (void)number;
    told = 1;
}

static void say(int fd, char word)
{
    if (write(fd, &word, 1) != 1) {
        _exit(99);
    }
}

/* `ready_fd` learns when the signal would be noticed. */
static void wait_for_term(int ready_fd)
{
    sigset_t block, before;
    sigemptyset(&block);
    sigaddset(&block, SIGTERM);
    sigprocmask(SIG_BLOCK, &block, &before);
    sigdelset(&before, SIGTERM);
    signal(SIGTERM, on_term);
    say(ready_fd, 'b');
    while (!told) {
        sigsuspend(&before);
    }
}

/* Says that it was born, and ends well when told to. */
static int obedient(int parent_fd, void *arg)
{
    (void)parent_fd;
    wait_for_term(*(int *)arg);
    return 0;
}

static int rebellious(int parent_fd, void *arg)
{
    obedient(parent_fd, arg);
    return 3;
}

/* Says that it was born, and when the supervisor's end of the pipe is closed. */
static int orphan(int parent_fd, void *arg)
{
    char word;
    say(*(int *)arg, 'b');
    if (read(parent_fd, &word, 1) == 0) {
        say(*(int *)arg, 'o');
    }
    return 0;
}

static int dies_at_once(int parent_fd, void *arg)
{
    (void)parent_fd;
    say(*(int *)arg, 'b');
    return 1;
}

struct running {
    pid_t pid;
    int fd;
};

static struct running start(int processes, int (*worker)(int, void *))
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    const pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        cress_log_configure("test", CRESS_LOG_ERROR, "text");
        _exit(cress_supervise(processes, worker, &ends[1]));
    }
    close(ends[1]);
    return (struct running){.pid = pid, .fd = ends[0]};
}

static void expect(const struct running *running, char word)
{
    char got = 0;
    alarm(20); /* a hang ends the test program */
    assert_int_equal(read(running->fd, &got, 1), 1);
    alarm(0);
    assert_int_equal(got, word);
}

static int exit_status_of(const struct running *running)
{
    int status = -1;
    alarm(20);
    assert_int_equal(waitpid(running->pid, &status, 0), running->pid);
    alarm(0);
    close(running->fd);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void stop_reaches_all(void **state)
{
    (void)state;
    const struct running running = start(3, obedient);
    for (int i = 0; i < 3; i++) {
        expect(&running, 'b');
    }
    kill(running.pid, SIGTERM);
    assert_int_equal(exit_status_of(&running), 0);
}

static void a_bad_end_is_reported(void **state)
{
    (void)state;
    const struct running running = start(2, rebellious);
    expect(&running, 'b');
    expect(&running, 'b');
    kill(running.pid, SIGINT);
    assert_int_equal(exit_status_of(&running), 1);
}

static void dead_workers_come_back(void **state)
{
    (void)state;
    const struct running running = start(1, dies_at_once);
    for (int i = 0; i < 3; i++) {
        expect(&running, 'b');
    }
    kill(running.pid, SIGTERM);
    assert_int_equal(exit_status_of(&running) & ~1, 0);
}

static void workers_learn_of_the_parents_death(void **state)
{
    (void)state;
    const struct running running = start(1, orphan);
    expect(&running, 'b');
    kill(running.pid, SIGKILL);
    expect(&running, 'o');
    exit_status_of(&running);
}

static void only_short_lives_are_followed_by_a_pause(void **state)
{
    (void)state;
    assert_int_equal(cress_supervisor_pause_ms(10000, 1, UINT64_MAX), 0);
    assert_int_equal(cress_supervisor_pause_ms(9999, 1, 200), 200);
    assert_int_equal(cress_supervisor_pause_ms(0, 2, 400), 400);
    assert_int_equal(cress_supervisor_pause_ms(0, 100, 10000), 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stop_reaches_all),
        cmocka_unit_test(a_bad_end_is_reported),
        cmocka_unit_test(dead_workers_come_back),
        cmocka_unit_test(workers_learn_of_the_parents_death),
        cmocka_unit_test(only_short_lives_are_followed_by_a_pause),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
