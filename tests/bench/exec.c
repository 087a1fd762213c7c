// SPDX-License-Identifier: Apache-2.0
// How many programs a second the handler exec runs, without broker and store, beside a bare loop of
// posix_spawn() and waitpid(), in turns.
//
//   exec ROUNDS JOBS IN_FLIGHT COMMAND
//   exec 3 2000 8 /bin/true
//
// Prints, for each round, both rates, their ratio, and the processor time of this process a job.
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "worker/handler/handler.h"

#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

const struct cress_handler *const cress_handler_groups[] = {NULL};

static struct {
    uv_loop_t loop;
    struct cress_task task;
    int left, open, failed;
} bench;

struct job {
    struct cress_run run;
    char id[40];
};

static void begin_one(struct job *job)
{
    bench.left--;
    bench.open++;
    cress_exec_handler.start(&job->run);
}

static void on_done(struct cress_run *run, struct cress_outcome *outcome)
{
    bench.open--;
    bench.failed += outcome->kind != CRESS_OUTCOME_SUCCEEDED;
    cress_run_clear(run);
    if (bench.left > 0) {
        begin_one(CRESS_CONTAINER(run, struct job, run));
    }
}

static void on_log(struct cress_run *run, const char *text, size_t size)
{
    (void)run;
    (void)text;
    (void)size;
}

static const struct cress_run_sink sink = {.done = on_done, .log = on_log};

static void on_closed(struct cress_task *task)
{
    (void)task;
}

static double run_handler(struct job *jobs, int count, int in_flight)
{
    const int64_t start_ms = cress_clock_mono_ms();
    bench.left = count;
    for (int i = 0; i < in_flight; i++) {
        begin_one(&jobs[i]);
    }
    while (bench.open > 0) {
        uv_run(&bench.loop, UV_RUN_ONCE);
    }
    return count * 1000.0 / (double)(cress_clock_mono_ms() - start_ms);
}

static double run_bare(const char *program, int count)
{
    const int64_t start_ms = cress_clock_mono_ms();
    for (int i = 0; i < count; i++) {
        char *const argv[] = {(char *)program, NULL};
        pid_t pid;
        if (posix_spawn(&pid, program, NULL, NULL, argv, environ) == 0) {
            waitpid(pid, NULL, 0);
        }
    }
    return count * 1000.0 / (double)(cress_clock_mono_ms() - start_ms);
}

static struct job *make_jobs(int count)
{
    struct job *jobs = cress_alloc((size_t)count * sizeof *jobs);
    for (int i = 0; i < count; i++) {
        snprintf(jobs[i].id, sizeof jobs[i].id, "job-%d", i);
        jobs[i].run = (struct cress_run){.sink = &sink,
                                         .services = bench.task.services,
                                         .task = &bench.task,
                                         .job = {.id = jobs[i].id,
                                                 .task = "bench",
                                                 .attempt = 1,
                                                 .timeout_ms = 60000,
                                                 .payload = "null",
                                                 .payload_size = 4}};
    }
    return jobs;
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fputs("usage: exec ROUNDS JOBS IN_FLIGHT COMMAND\n", stderr);
        return 2;
    }
    const int count = (int)strtol(argv[2], NULL, 10), in_flight = (int)strtol(argv[3], NULL, 10);
    struct cress_services services = {.loop = &bench.loop};
    struct cress_task_config config = {.name = "bench",
                                       .handler = "exec",
                                       .command = argv[4],
                                       .other_exit = "retry",
                                       .output_max_bytes = 1 << 20};
    signal(SIGPIPE, SIG_IGN);
    uv_loop_init(&bench.loop);
    bench.task = (struct cress_task){.services = &services,
                                     .config = &config,
                                     .handler = &cress_exec_handler,
                                     .on_closed = on_closed};
    cress_exec_handler.open(&bench.task);
    struct job *jobs = make_jobs(in_flight);
    for (long round = strtol(argv[1], NULL, 10); round > 0; round--) {
        const double bare = run_bare(argv[4], count);
        const clock_t before = clock();
        const double handler = run_handler(jobs, count, in_flight);
        printf("posix_spawn=%.0f/s exec=%.0f/s ratio=%.2f own_cpu_us_per_job=%.0f\n", bare, handler,
               handler / bare, (double)(clock() - before) * 1e6 / CLOCKS_PER_SEC / count);
    }
    cress_exec_handler.close(&bench.task);
    uv_run(&bench.loop, UV_RUN_DEFAULT);
    free(jobs);
    return uv_loop_close(&bench.loop) == 0 && bench.failed == 0 ? 0 : 1;
}
