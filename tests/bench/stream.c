// SPDX-License-Identifier: Apache-2.0
// How many jobs a second go through one stream program: the handler alone, without broker and
// store.
//
//   stream SECONDS IN_FLIGHT COMMAND
//   stream 3 256 'build/tests/bench/stream_echo 256'
//
// IN_FLIGHT runs are always begun; each that ends begins another. Prints jobs per second and the
// processor time of this process.
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "worker/handler/handler.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char payload[] = "\"https://example.com/image.png?width=200&height=150\"";

static struct {
    uv_loop_t loop;
    struct cress_task task;
    long long begun, ended, failed;
    int64_t until_ms;
    int open;
} bench;

struct job {
    struct cress_run run;
    char id[40];
};

static void begin(struct job *job)
{
    snprintf(job->id, sizeof job->id, "019a0000-0000-7000-8000-%012lld", bench.begun++);
    job->run.job.id = job->id;
    cress_stream_handler.start(&job->run);
}

static void on_done(struct cress_run *run, struct cress_outcome *outcome)
{
    bench.ended++;
    bench.failed += outcome->kind != CRESS_OUTCOME_SUCCEEDED;
    if (cress_clock_mono_ms() < bench.until_ms) {
        begin(CRESS_CONTAINER(run, struct job, run));
    } else if (--bench.open == 0) {
        cress_stream_handler.close(&bench.task);
    }
}

static const struct cress_run_sink sink = {.done = on_done}; /* the program says nothing else */

static void on_closed(struct cress_task *task)
{
    (void)task;
}

static void run_all(int in_flight, int seconds)
{
    struct job *jobs = cress_alloc((size_t)in_flight * sizeof *jobs);
    const int64_t start_ms = cress_clock_mono_ms();
    bench.until_ms = start_ms + (int64_t)seconds * 1000;
    bench.open = in_flight;
    for (int i = 0; i < in_flight; i++) {
        jobs[i].run = (struct cress_run){.sink = &sink,
                                         .task = &bench.task,
                                         .job = {.task = "bench",
                                                 .attempt = 1,
                                                 .max_attempts = 5,
                                                 .timeout_ms = 60000,
                                                 .payload = payload,
                                                 .payload_size = sizeof payload - 1}};
        begin(&jobs[i]);
    }
    uv_run(&bench.loop, UV_RUN_DEFAULT);
    const double took_s = (double)(cress_clock_mono_ms() - start_ms) / 1000;
    const double cpu_s = (double)clock() / CLOCKS_PER_SEC;
    printf("in_flight=%d jobs=%lld failed=%lld jobs_per_s=%.0f own_cpu_us_per_job=%.1f\n",
           in_flight, bench.ended, bench.failed, (double)bench.ended / took_s,
           cpu_s * 1e6 / (double)bench.ended);
    free(jobs);
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fputs("usage: stream SECONDS IN_FLIGHT COMMAND\n", stderr);
        return 2;
    }
    struct cress_services services = {.loop = &bench.loop};
    struct cress_task_config config = {.name = "bench",
                                       .handler = "stream",
                                       .command = argv[3],
                                       .other_exit = "retry",
                                       .output_max_bytes = 1 << 20,
                                       .instances = 1,
                                       .in_flight = 1};
    signal(SIGPIPE, SIG_IGN);
    uv_loop_init(&bench.loop);
    bench.task = (struct cress_task){.services = &services,
                                     .config = &config,
                                     .handler = &cress_stream_handler,
                                     .on_closed = on_closed};
    cress_stream_handler.open(&bench.task);
    run_all((int)strtol(argv[2], NULL, 10), (int)strtol(argv[1], NULL, 10));
    return uv_loop_close(&bench.loop) == 0 && bench.failed == 0 ? 0 : 1;
}
