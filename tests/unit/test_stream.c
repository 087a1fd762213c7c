// SPDX-License-Identifier: Apache-2.0
// The handler `stream` with real programs on a real loop; the ends of runs are caught here. Each
// test ends with the task closed and the loop empty, and so with no program left. Linked with the
// handler room alone (Makefile): it needs nothing of the worker.
#include "common/base/clock.h"
#include "common/base/log.h"
#include "tests/unit/unit.h"
#include "worker/handler/handler.h"

#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { JOBS_MAX = 16, TIMEOUT_MS = 20000, WATCHDOG_S = 60 };

/* One program for all tests: its first argument says how it behaves. */
static const char program_text[] =
    "import sys, json, os, threading, time\n"
    "mode = sys.argv[1]\n"
    "voice = threading.Lock()\n"
    "def say(**line):\n"
    "    with voice: print(json.dumps(line), flush=True)\n"
    "def jobs():\n"
    "    for line in sys.stdin:\n"
    "        yield json.loads(line)\n"
    "def later(i):\n"
    "    while not os.path.exists(sys.argv[0] + '.go'): time.sleep(0.01)\n"
    "    say(id=i, result=os.getpid())\n"
    "if mode == 'told':\n"
    "    say(cress=1, concurrency=4, cancel=True)\n"
    "if mode in ('four', 'innocent', 'late', 'untold'):\n"
    "    say(cress=1, concurrency=4)\n"
    "held = []\n"
    "for job in jobs():\n"
    "    if 'cancel' in job:\n"
    "        say(id=job['cancel'], error={'code': 'told', 'retry': False})\n"
    "        continue\n"
    "    i = job['id']\n"
    "    if mode == 'echo':\n"
    "        say(id=i, result=job)\n"
    "    elif mode == 'pid':\n"
    "        say(id=i, result=os.getpid())\n"
    "    elif mode == 'all':\n"
    "        say(id=i, progress=40, message='half way')\n"
    "        say(id=i, log='fetched')\n"
    "        say(id=i, error={'code': 'gone', 'message': 'no file', 'retry': False})\n"
    "    elif mode == 'later':\n"
    "        say(id=i, error={'message': 'busy', 'retry_after_ms': 1500})\n"
    "    elif mode == 'four':\n"
    "        held.append(i)\n"
    "        if len(held) == 4:\n"
    "            for i in reversed(held): say(id=i, result=len(held))\n"
    "            held = []\n"
    "    elif mode == 'die':\n"
    "        print('cannot go on', file=sys.stderr, flush=True)\n"
    "        os.kill(os.getpid(), 11) if job['payload'] else say(id=i, result=os.getpid())\n"
    "    elif mode == 'leave':\n"
    "        sys.exit(3)\n"
    "    elif mode == 'garbage':\n"
    "        print('Hello!', flush=True)\n"
    "        time.sleep(60)\n"
    "    elif mode == 'long':\n"
    "        say(id=i, result='x' * 100000)\n"
    "    elif mode == 'stranger':\n"
    "        say(id='nobody', result=1)\n"
    "        time.sleep(60)\n"
    "    elif mode == 'innocent':\n"
    "        if job['payload']: time.sleep(60)\n"
    "        held.append(i)\n"
    "        if len(held) == 3:\n"
    "            for i in held: say(id=i, result=job['attempt'])\n"
    "    elif mode in ('told', 'untold'):\n"
    "        say(id=i, log='got')\n"
    "        if job['payload'] == 'release':\n"
    "            for other in held: say(id=other, result=0)\n"
    "            say(id=i, result=os.getpid())\n"
    "        elif job['payload'] == 'pid':\n"
    "            say(id=i, result=os.getpid())\n"
    "        elif job['payload'] == 'short':\n"
    "            threading.Thread(target=later, args=(i,)).start()\n"
    "        else:\n"
    "            held.append(i)\n"
    "    elif mode == 'grow':\n"
    "        held.append(b'x' * (40 << 20))\n"
    "        say(id=i, result=os.getpid())\n"
    "    elif mode == 'deaf':\n"
    "        os.close(0)\n"
    "        time.sleep(60)\n"
    "    elif mode == 'late':\n"
    "        say(id=i, result=os.environ['CRESS_TASK'] + os.environ['CRESS_STREAM_VERSION'])\n";

static char program_path[] = "/tmp/cress-test-stream-XXXXXX";

struct job {
    struct cress_run run;
    char id[16];
    bool ended;
    struct cress_outcome outcome;
    int percent;
    char message[64];
    char log[64];
};

static struct {
    uv_loop_t loop;
    struct cress_services services;
    struct cress_task_config config;
    struct cress_task task;
    char command[256];
    bool closed;
    struct job jobs[JOBS_MAX];
    int given, ended;
} test;

/* --- what the handler calls --- */

const struct cress_handler *const cress_handler_groups[] = {NULL};

static void catch_end(struct cress_run *run, struct cress_outcome *outcome)
{
    struct job *job = CRESS_CONTAINER(run, struct job, run);
    assert_false(job->ended);
    assert_null(run->state);
    job->ended = true;
    job->outcome = *outcome;
    outcome->result = NULL;
    test.ended++;
}

static void catch_progress(struct cress_run *run, int percent, const char *message)
{
    struct job *job = CRESS_CONTAINER(run, struct job, run);
    job->percent = percent;
    snprintf(job->message, sizeof job->message, "%s", message ? message : "");
}

static void catch_log(struct cress_run *run, const char *text, size_t size)
{
    struct job *job = CRESS_CONTAINER(run, struct job, run);
    const size_t used = strlen(job->log);
    snprintf(job->log + used, sizeof job->log - used, "%.*s", (int)size, text);
}

static const struct cress_run_sink sink = {
    .done = catch_end, .progress = catch_progress, .log = catch_log};

static void catch_closed(struct cress_task *task)
{
    assert_null(task->state);
    test.closed = true;
}

/* --- driving it --- */

static void open_task(const char *command)
{
    memset(&test, 0, sizeof test);
    uv_loop_init(&test.loop);
    snprintf(test.command, sizeof test.command, "%s", command);
    test.services.loop = &test.loop;
    test.config = (struct cress_task_config){.name = "thumb",
                                             .handler = "stream",
                                             .command = test.command,
                                             .other_exit = "retry",
                                             .output_max_bytes = 65536,
                                             .instances = 1,
                                             .in_flight = 1};
    test.task = (struct cress_task){
        .services = &test.services,
        .config = &test.config,
        .handler = &cress_stream_handler,
        .on_closed = catch_closed,
    };
}

static void open_mode(const char *mode)
{
    char command[256];
    snprintf(command, sizeof command, "/usr/bin/python3 %s %s", program_path, mode);
    open_task(command);
}

static struct job *give(const char *payload)
{
    if (!test.task.state) {
        cress_stream_handler.open(&test.task);
    }
    struct job *job = &test.jobs[test.given++];
    snprintf(job->id, sizeof job->id, "job-%d", test.given);
    job->run = (struct cress_run){.services = &test.services,
                                  .sink = &sink,
                                  .task = &test.task,
                                  .handler = &cress_stream_handler,
                                  .job = {.id = job->id,
                                          .task = "thumb",
                                          .attempt = 1,
                                          .max_attempts = 5,
                                          .timeout_ms = TIMEOUT_MS,
                                          .payload = payload,
                                          .payload_size = strlen(payload)}};
    cress_stream_handler.start(&job->run);
    return job;
}

static void run_until(int ended)
{
    while (test.ended < ended && uv_run(&test.loop, UV_RUN_ONCE)) {
    }
    assert_int_equal(test.ended, ended);
}

static void close_task(void)
{
    cress_stream_handler.close(&test.task);
    assert_int_equal(uv_run(&test.loop, UV_RUN_DEFAULT), 0);
    assert_true(test.closed);
    assert_int_equal(uv_loop_close(&test.loop), 0);
    for (int i = 0; i < test.given; i++) {
        assert_true(test.jobs[i].ended);
        free(test.jobs[i].outcome.result);
        cress_run_clear(&test.jobs[i].run);
    }
}

static long long number(const struct job *job)
{
    assert_int_equal(job->outcome.kind, CRESS_OUTCOME_SUCCEEDED);
    return strtoll(job->outcome.result, NULL, 10);
}

static void assert_end(const struct job *job, enum cress_outcome_kind kind, const char *code)
{
    if (job->outcome.kind != kind) {
        fail_msg("kind %d: %s: %s", (int)job->outcome.kind, job->outcome.error.code,
                 job->outcome.error.message);
    }
    assert_string_equal(job->outcome.error.code, code);
}

/* --- tests --- */

static void a_job_is_a_line_and_so_is_its_answer(void **state)
{
    (void)state;
    open_mode("echo");
    const int64_t before_ms = cress_clock_wall_ms();
    const struct job *job = give("{\n\"a\": [1]}");
    run_until(1);
    assert_int_equal(job->outcome.kind, CRESS_OUTCOME_SUCCEEDED);
    const char *id;
    json_int_t attempt, deadline_ms, one;
    json_t *result = json_loads(job->outcome.result, 0, NULL);
    assert_int_equal(json_unpack(result, "{s:s, s:I, s:I, s:{s:[I]}}", "id", &id, "attempt",
                                 &attempt, "deadline_ms", &deadline_ms, "payload", "a", &one),
                     0);
    assert_string_equal(id, "job-1");
    assert_int_equal(attempt, 1);
    assert_true(deadline_ms >= before_ms + TIMEOUT_MS);
    assert_true(deadline_ms <= cress_clock_wall_ms() + TIMEOUT_MS);
    json_decref(result);
    close_task();
}

static void says_what_it_wants_to_say(void **state)
{
    (void)state;
    open_mode("all");
    const struct job *job = give("1");
    run_until(1);
    assert_end(job, CRESS_OUTCOME_FAILED, "gone");
    assert_string_equal(job->outcome.error.message, "no file");
    assert_int_equal(job->percent, 40);
    assert_string_equal(job->message, "half way");
    assert_string_equal(job->log, "fetched\n");
    close_task();
}

static void asks_for_another_try(void **state)
{
    (void)state;
    open_mode("later");
    const struct job *job = give("1");
    run_until(1);
    assert_end(job, CRESS_OUTCOME_RETRY, "task_failed");
    assert_int_equal(job->outcome.retry_after_ms, 1500);
    close_task();
}

static void one_program_answers_job_after_job(void **state)
{
    (void)state;
    open_mode("pid");
    for (int i = 0; i < 5; i++) {
        give("1");
    }
    run_until(5);
    for (int i = 1; i < 5; i++) {
        assert_int_equal(number(&test.jobs[i]), number(&test.jobs[0]));
    }
    close_task();
}

static void a_greeting_brings_several_jobs_in_flight(void **state)
{
    (void)state;
    open_mode("four");
    for (int i = 0; i < 8; i++) {
        give("1");
    }
    run_until(8);
    assert_int_equal(number(&test.jobs[7]), 4);
    close_task();
}

static void instances_share_the_jobs(void **state)
{
    (void)state;
    open_mode("pid");
    test.config.instances = 2;
    const struct job *first = give("1");
    const struct job *second = give("1");
    run_until(2);
    assert_int_not_equal(number(first), number(second));
    close_task();
}

static void a_crash_costs_an_attempt_and_the_next_program_goes_on(void **state)
{
    (void)state;
    open_mode("die");
    const struct job *bad = give("true");
    const struct job *good = give("false");
    run_until(2);
    assert_end(bad, CRESS_OUTCOME_CRASHED, "signal 11");
    assert_non_null(strstr(bad->outcome.error.message, "cannot go on"));
    assert_true(number(good) > 0);
    close_task();
}

static void an_exit_without_an_answer_is_a_crash(void **state)
{
    (void)state;
    open_mode("leave");
    const struct job *job = give("1");
    run_until(1);
    assert_end(job, CRESS_OUTCOME_CRASHED, "exit 3");
    close_task();
}

static void wrong_lines_end_the_program(void **state)
{
    (void)state;
    static const struct {
        const char *mode, *code;
    } table[] = {
        {"garbage", "bad_line"},
        {"long", "line_too_long"},
        {"stranger", "unknown_id"},
    };
    for (size_t i = 0; i < CRESS_COUNT(table); i++) {
        open_mode(table[i].mode);
        const struct job *job = give("1");
        run_until(1);
        assert_end(job, CRESS_OUTCOME_CRASHED, table[i].code);
        close_task();
    }
}

static void one_job_is_stopped_and_the_others_go_on(void **state)
{
    (void)state;
    open_mode("innocent");
    test.config.in_flight = 4;
    struct job *guilty = give("true");
    for (int i = 0; i < 3; i++) {
        give("false");
    }
    for (int i = 0; i < 20; i++) { /* the program has them by now, or not: both must work */
        uv_run(&test.loop, UV_RUN_NOWAIT);
    }
    cress_stream_handler.stop(&guilty->run, CRESS_STOP_TIMED_OUT);
    run_until(4);
    assert_int_equal(guilty->outcome.kind, CRESS_OUTCOME_CANCELLED);
    for (int i = 1; i < 4; i++) {
        assert_int_equal(number(&test.jobs[i]), 1);
    }
    close_task();
}

/* What the jobs "short" wait for. */
static void let_go(bool go)
{
    char path[64];
    snprintf(path, sizeof path, "%s.go", program_path);
    if (go) {
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        fclose(file);
    } else {
        unlink(path);
    }
}

/* Gives a job that its program keeps, and two that it answers once they are let go; all have been
 * begun. */
static struct job *give_one_and_neighbours(void)
{
    test.config.in_flight = 4;
    let_go(false);
    struct job *held = give("\"hold\"");
    give("\"short\"");
    give("\"short\"");
    while (!test.jobs[0].log[0] || !test.jobs[1].log[0] || !test.jobs[2].log[0]) {
        uv_run(&test.loop, UV_RUN_ONCE);
    }
    return held;
}

static void assert_neighbours_ran_once(void)
{
    let_go(false);
    assert_true(number(&test.jobs[1]) > 0);
    assert_int_equal(number(&test.jobs[1]), number(&test.jobs[2]));
    assert_string_equal(test.jobs[1].log, "got\n");
    assert_string_equal(test.jobs[2].log, "got\n");
}

static void a_cancelled_job_leaves_its_neighbours_alone(void **state)
{
    (void)state;
    open_mode("untold");
    struct job *held = give_one_and_neighbours();
    cress_stream_handler.stop(&held->run, CRESS_STOP_CANCELLED);
    assert_int_equal(held->outcome.kind, CRESS_OUTCOME_CANCELLED); /* at once */
    assert_int_equal(test.ended, 1);
    const struct job *next = give("\"pid\""); /* not for a program that has an abandoned job */
    run_until(2);                             /* and yet at once, in a new one */
    assert_true(next->ended);
    let_go(true);
    run_until(4);
    assert_neighbours_ran_once();
    assert_int_not_equal(number(next), number(&test.jobs[1]));
    close_task();
}

static void a_program_that_answers_the_abandoned_goes_on(void **state)
{
    (void)state;
    open_mode("untold");
    struct job *held = give_one_and_neighbours();
    struct job *release = give("\"release\"");
    cress_stream_handler.stop(&held->run, CRESS_STOP_CANCELLED);
    let_go(true);
    run_until(4);
    const struct job *next = give("\"pid\"");
    run_until(5);
    assert_neighbours_ran_once();
    assert_int_equal(number(release), number(next));
    close_task();
}

static void a_program_that_knows_cancel_is_told(void **state)
{
    (void)state;
    open_mode("told");
    struct job *held = give_one_and_neighbours();
    cress_stream_handler.stop(&held->run, CRESS_STOP_CANCELLED);
    assert_int_equal(test.ended, 0);
    const struct job *next = give("\"pid\"");
    let_go(true);
    run_until(4);
    if (held->outcome.kind != CRESS_OUTCOME_CANCELLED) { /* not answered in time: a busy machine */
        assert_end(held, CRESS_OUTCOME_FAILED, "told");
    }
    assert_neighbours_ran_once();
    assert_int_equal(number(next), number(&test.jobs[1]));
    close_task();
}

static void all_jobs_of_a_program_are_cancelled(void **state)
{
    (void)state;
    open_mode("untold");
    test.config.in_flight = 4;
    for (int i = 0; i < 3; i++) {
        give("\"hold\"");
    }
    while (!test.jobs[0].log[0] || !test.jobs[1].log[0] || !test.jobs[2].log[0]) {
        uv_run(&test.loop, UV_RUN_ONCE);
    }
    for (int i = 0; i < 3; i++) {
        cress_stream_handler.stop(&test.jobs[i].run, CRESS_STOP_CANCELLED);
    }
    run_until(3);
    assert_int_equal(test.jobs[2].outcome.kind, CRESS_OUTCOME_CANCELLED);
    close_task();
}

static void a_waiting_job_is_stopped_alone(void **state)
{
    (void)state;
    open_mode("pid");
    const struct job *first = give("1");
    struct job *second = give("1");
    cress_stream_handler.stop(&second->run, CRESS_STOP_SHUTDOWN);
    assert_int_equal(second->outcome.kind, CRESS_OUTCOME_CANCELLED);
    run_until(2);
    assert_true(number(first) > 0);
    close_task();
}

static void is_replaced_after_recycle_jobs(void **state)
{
    (void)state;
    open_mode("pid");
    test.config.recycle_jobs = 2;
    for (int i = 0; i < 4; i++) {
        give("1");
    }
    run_until(4);
    assert_int_equal(number(&test.jobs[0]), number(&test.jobs[1]));
    assert_int_not_equal(number(&test.jobs[1]), number(&test.jobs[2]));
    assert_int_equal(number(&test.jobs[2]), number(&test.jobs[3]));
    close_task();
}

static void is_replaced_when_it_has_grown(void **state)
{
    (void)state;
    open_mode("grow");
    test.config.recycle_memory_bytes = 30 << 20;
    const struct job *first = give("1");
    const struct job *second = give("1");
    run_until(2);
    assert_int_not_equal(number(first), number(second));
    close_task();
}

static void a_program_that_is_not_there_is_said_clearly(void **state)
{
    (void)state;
    struct cress_error err;
    open_task("/no/such/program");
    assert_int_equal(cress_stream_handler.check(&test.config, &err), CRESS_CONFIG);
    assert_non_null(strstr(err.message, "/no/such/program"));
    const struct job *first = give("1");
    const struct job *second = give("1");
    run_until(2);
    assert_end(first, CRESS_OUTCOME_RETRY, "no_program");
    assert_end(second, CRESS_OUTCOME_RETRY, "no_program");
    close_task();
}

static void a_file_that_is_no_program_is_said_clearly(void **state)
{
    (void)state;
    open_task(program_path);
    chmod(program_path, 0700); /* a script without #! */
    const struct job *job = give("1");
    run_until(1);
    assert_end(job, CRESS_OUTCOME_RETRY, "no_program");
    close_task();
}

static void a_program_that_stops_reading_is_given_up(void **state)
{
    (void)state;
    open_mode("deaf");
    struct job *job = give("1");
    while (uv_run(&test.loop, UV_RUN_NOWAIT) && job->run.state && test.ended == 0) {
        cress_stream_handler.stop(&job->run, CRESS_STOP_TIMED_OUT);
        uv_run(&test.loop, UV_RUN_ONCE);
    }
    assert_int_equal(job->outcome.kind, CRESS_OUTCOME_CANCELLED);
    close_task();
}

static void its_environment_names_task_and_version(void **state)
{
    (void)state;
    open_mode("late");
    const struct job *job = give("1");
    run_until(1);
    assert_string_equal(job->outcome.result, "\"thumb1\"");
    close_task();
}

static int write_program(void **state)
{
    (void)state;
    const int fd = mkstemp(program_path);
    const ssize_t size = (ssize_t)sizeof program_text - 1;
    alarm(WATCHDOG_S);
    cress_log_configure("test_stream", CRESS_LOG_ERROR, "text");
    signal(SIGPIPE, SIG_IGN);
    return fd >= 0 && write(fd, program_text, (size_t)size) == size ? close(fd) : -1;
}

static int remove_program(void **state)
{
    (void)state;
    let_go(false);
    return unlink(program_path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_is_a_line_and_so_is_its_answer),
        cmocka_unit_test(says_what_it_wants_to_say),
        cmocka_unit_test(asks_for_another_try),
        cmocka_unit_test(one_program_answers_job_after_job),
        cmocka_unit_test(a_greeting_brings_several_jobs_in_flight),
        cmocka_unit_test(instances_share_the_jobs),
        cmocka_unit_test(a_crash_costs_an_attempt_and_the_next_program_goes_on),
        cmocka_unit_test(an_exit_without_an_answer_is_a_crash),
        cmocka_unit_test(wrong_lines_end_the_program),
        cmocka_unit_test(one_job_is_stopped_and_the_others_go_on),
        cmocka_unit_test(a_cancelled_job_leaves_its_neighbours_alone),
        cmocka_unit_test(a_program_that_answers_the_abandoned_goes_on),
        cmocka_unit_test(a_program_that_knows_cancel_is_told),
        cmocka_unit_test(all_jobs_of_a_program_are_cancelled),
        cmocka_unit_test(a_waiting_job_is_stopped_alone),
        cmocka_unit_test(is_replaced_after_recycle_jobs),
        cmocka_unit_test(is_replaced_when_it_has_grown),
        cmocka_unit_test(a_program_that_is_not_there_is_said_clearly),
        cmocka_unit_test(a_file_that_is_no_program_is_said_clearly),
        cmocka_unit_test(a_program_that_stops_reading_is_given_up),
        cmocka_unit_test(its_environment_names_task_and_version),
    };
    return cmocka_run_group_tests(tests, write_program, remove_program);
}
