// SPDX-License-Identifier: Apache-2.0
// Tests of common/config/config.h. Also keeps docs/configuration.md equal to the tables: after a
// change of options.def,
//     CRESS_UPDATE_DOCS=1 build/tests/unit/test_config
// writes it anew.
#include "common/base/buf.h"
#include "common/base/mem.h"
#include "common/config/option.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static const char reference_path[] = "docs/configuration.md";

/* --- where the tests run --- */

/* An empty folder without any of our variables, so that nobody's own configuration is in the way.
 */
struct place {
    char *home; /* the folder to return to */
    char folder[32];
};

static int enter(void **state)
{
    struct place *place = CRESS_NEW(struct place);
    place->home = getcwd(NULL, 0);
    snprintf(place->folder, sizeof(place->folder), "/tmp/cress-config-XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    assert_int_equal(chdir(place->folder), 0);
    for (size_t i = 0; i < CRESS_OPTION_COUNT; i++) {
        unsetenv(cress_options[i].env);
    }
    unsetenv("CRESS_CONFIG");
    setenv("XDG_CONFIG_HOME", place->folder, 1);
    *state = place;
    return 0;
}

static int leave(void **state)
{
    static const char *const made[] = {"cress.conf", "other.conf", "cress/cress.conf", "cress"};
    struct place *place = *state;
    for (size_t i = 0; i < CRESS_COUNT(made); i++) {
        remove(made[i]);
    }
    assert_int_equal(chdir(place->home), 0);
    assert_int_equal(rmdir(place->folder), 0);
    free(place->home);
    free(place);
    return 0;
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

enum { ARGUMENTS_MAX = 12 };

static enum cress_status load(enum cress_program program, const char *const *arguments,
                              struct cress_config **config, struct cress_error *err)
{
    char *argv[ARGUMENTS_MAX + 2] = {(char *)"cress"};
    int argc = 1;
    while (arguments && *arguments) {
        argv[argc++] = (char *)*arguments++;
    }
    return cress_config_load(program, &argc, argv, config, err);
}

static struct cress_config *load_good(const char *const *arguments)
{
    struct cress_config *config = NULL;
    struct cress_error err = {0};
    if (load(CRESS_PROGRAM_WORKER, arguments, &config, &err) != CRESS_OK) {
        fail_msg("%s", err.message);
    }
    return config;
}

static enum cress_status read_text(const char *text, size_t size, struct cress_config *config,
                                   struct cress_error *err)
{
    FILE *file = fmemopen((void *)text, size, "r");
    assert_non_null(file);
    const enum cress_status status = cress_config_read(config, file, "cress.conf", err);
    fclose(file);
    return status;
}

/* --- layers --- */

static void test_defaults(void **state)
{
    (void)state;
    struct cress_config *config = load_good(NULL);
    assert_string_equal(config->broker_url, "amqp://guest:guest@127.0.0.1:5672/");
    assert_int_equal(config->broker_heartbeat_ms, 10000);
    assert_int_equal(config->job_max_payload_bytes, 1 << 20);
    assert_int_equal(config->worker_concurrency, 32);
    assert_string_equal(config->worker_queues[0], "default");
    assert_null(config->worker_queues[1]);
    assert_null(config->render_allow[0]);
    assert_string_equal(config->log_level, "info");
    const struct cress_queue_config *queue = cress_config_queue(config, "default");
    assert_non_null(queue);
    assert_string_equal(queue->task, "");
    assert_string_equal(queue->declare, "active");
    assert_null(cress_config_queue(config, "other"));
    cress_config_free(config);
    cress_config_free(NULL);
}

static void test_each_layer_covers_the_one_before(void **state)
{
    (void)state;
    write_file("cress.conf", "[worker]\nconcurrency = 2\nprefetch = 3\nprocesses = 4\n");
    setenv("CRESS_WORKER_CONCURRENCY", "5", 1);
    setenv("CRESS_WORKER_PROCESSES", "6", 1);
    setenv("CRESS_WORKER_PREFETCH", "", 1); /* counts as not set */
    const char *const arguments[] = {"--concurrency", "7", NULL};
    struct cress_config *config = load_good(arguments);
    assert_int_equal(config->worker_prefetch, 3);
    assert_int_equal(config->worker_processes, 6);
    assert_int_equal(config->worker_concurrency, 7);
    assert_int_equal(config->worker_max_crashes, 5);
    cress_config_free(config);
    unsetenv("CRESS_WORKER_CONCURRENCY");
    unsetenv("CRESS_WORKER_PROCESSES");
    unsetenv("CRESS_WORKER_PREFETCH");
}

static void test_which_file_is_read(void **state)
{
    (void)state;
    assert_int_equal(mkdir("cress", 0700), 0);
    write_file("cress/cress.conf", "[worker]\nconcurrency = 1\n");
    struct cress_config *config = load_good(NULL);
    assert_int_equal(config->worker_concurrency, 1);
    cress_config_free(config);

    write_file("cress.conf", "[worker]\nconcurrency = 2\n");
    config = load_good(NULL);
    assert_int_equal(config->worker_concurrency, 2);
    cress_config_free(config);

    write_file("other.conf", "[worker]\nconcurrency = 3\n");
    setenv("CRESS_CONFIG", "other.conf", 1);
    config = load_good(NULL);
    assert_int_equal(config->worker_concurrency, 3);
    cress_config_free(config);

    const char *const arguments[] = {"--config=cress/cress.conf", NULL};
    config = load_good(arguments);
    assert_int_equal(config->worker_concurrency, 1);
    cress_config_free(config);
    unsetenv("CRESS_CONFIG");
}

static void test_a_named_file_must_exist(void **state)
{
    (void)state;
    struct cress_config *config = NULL;
    struct cress_error err;
    const char *const arguments[] = {"--config", "missing.conf", NULL};
    assert_int_equal(load(CRESS_PROGRAM_CLI, arguments, &config, &err), CRESS_CONFIG);
    assert_non_null(strstr(err.message, "missing.conf"));
    const char *const folder[] = {"--config", "/", NULL};
    assert_int_equal(load(CRESS_PROGRAM_CLI, folder, &config, &err), CRESS_CONFIG);
    setenv("CRESS_CONFIG", "missing.conf", 1);
    assert_int_equal(load(CRESS_PROGRAM_CLI, NULL, &config, &err), CRESS_CONFIG);
    unsetenv("CRESS_CONFIG");
    assert_null(config);
}

static void test_a_wrong_variable_is_named(void **state)
{
    (void)state;
    struct cress_config *config = NULL;
    struct cress_error err;
    setenv("CRESS_STORE_TTL", "soon", 1);
    assert_int_equal(load(CRESS_PROGRAM_CLI, NULL, &config, &err), CRESS_CONFIG);
    assert_string_equal(err.message, "environment CRESS_STORE_TTL: store.ttl: \"soon\" is not a "
                                     "duration such as 10s; allowed: 0s to 36500d");
    unsetenv("CRESS_STORE_TTL");
    setenv("CRESS_BROKER_URL", "http://user:hunter2@host/", 1);
    assert_int_equal(load(CRESS_PROGRAM_CLI, NULL, &config, &err), CRESS_CONFIG);
    assert_null(strstr(err.message, "hunter2"));
    assert_non_null(strstr(err.message, "amqp:// or amqps://"));
    unsetenv("CRESS_BROKER_URL");
}

/* --- flags --- */

static void test_flags_are_taken_out(void **state)
{
    (void)state;
    char *argv[] = {(char *)"cress-worker",
                    (char *)"--concurrency",
                    (char *)"4",
                    (char *)"verb",
                    (char *)"--queues=a,b",
                    (char *)"--other",
                    (char *)"--listen",
                    (char *)"--concurrency=9",
                    (char *)"--",
                    (char *)"--queues",
                    NULL};
    int argc = (int)CRESS_COUNT(argv) - 1;
    struct cress_config *config;
    assert_int_equal(cress_config_load(CRESS_PROGRAM_WORKER, &argc, argv, &config, NULL), CRESS_OK);
    static const char *const rest[] = {"cress-worker", "verb",
                                       "--other",      "--listen", /* not a flag of this program */
                                       "--",           "--queues"};
    assert_int_equal(argc, CRESS_COUNT(rest));
    for (size_t i = 0; i < CRESS_COUNT(rest); i++) {
        assert_string_equal(argv[i], rest[i]);
    }
    assert_null(argv[argc]);
    assert_int_equal(config->worker_concurrency, 9);
    assert_string_equal(config->worker_queues[1], "b");
    cress_config_free(config);
}

static void test_wrong_flags(void **state)
{
    (void)state;
    static const struct {
        const char *arguments[3];
        const char *problem;
    } cases[] = {
        {{"--concurrency"}, "--concurrency needs a value"},
        {{"--config"}, "--config needs a value"},
        {{"--concurrency", "many"},
         "flag --concurrency: worker.concurrency: \"many\" is not a number; allowed: 1 to 10000"},
        {{"--concurrency="}, "is not a number"},
        {{"--log-level", "loud"}, "allowed: debug, info, warn or error"},
    };
    for (size_t i = 0; i < CRESS_COUNT(cases); i++) {
        struct cress_config *config = NULL;
        struct cress_error err = {0};
        assert_int_equal(load(CRESS_PROGRAM_WORKER, cases[i].arguments, &config, &err),
                         CRESS_USAGE);
        assert_int_equal(err.status, CRESS_USAGE);
        assert_non_null(strstr(err.message, cases[i].problem));
        assert_null(config);
    }
}

/* --- the file --- */

static void test_what_a_file_may_hold(void **state)
{
    (void)state;
    static const char text[] = "\xEF\xBB\xBF# comment\r\n"
                               "[broker]\r\n"
                               "url = amqps://u:p;w@host/vh   ; a comment\r\n"
                               "\n"
                               "  ; indented comment\n"
                               "[ worker ] # comment\n"
                               "queues = a, b,\n"
                               "    c, ; a comment\n"
                               "    # between\n"
                               "\td\n"
                               "drain: 1h30m\n"
                               "[queue mail]\n"
                               "task = mail.send\n"
                               "[queue a-rather-long-name-of-a-queue-that-inih-would-cut-short]\n"
                               "[queue mail]\n"
                               "declare = passive\n"
                               "[log]\n"
                               "format = json";
    struct cress_config *config = cress_config_make();
    struct cress_error err;
    if (read_text(text, sizeof text - 1, config, &err) != CRESS_OK) {
        fail_msg("%s", err.message);
    }
    assert_string_equal(config->broker_url, "amqps://u:p;w@host/vh");
    assert_string_equal(config->worker_queues[0], "a");
    assert_string_equal(config->worker_queues[3], "d");
    assert_null(config->worker_queues[4]);
    assert_int_equal(config->worker_drain_ms, 5400000);
    assert_string_equal(cress_config_queue(config, "mail")->task, "mail.send");
    assert_string_equal(cress_config_queue(config, "mail")->declare, "passive");
    assert_non_null(
        cress_config_queue(config, "a-rather-long-name-of-a-queue-that-inih-would-cut-short"));
    assert_int_equal(config->queue_count, 3);
    assert_string_equal(config->log_format, "json");
    cress_config_free(config);
}

static void test_wrong_files(void **state)
{
    (void)state;
    static const struct {
        const char *text, *problem;
    } cases[] = {
        {"[worker]\n\nconcurrency = many\n",
         "cress.conf:3: worker.concurrency: \"many\" is not a number; allowed: 1 to 10000"},
        {"[worker]\nconcurrency = 0\n",
         "cress.conf:2: worker.concurrency: \"0\" is out of range; allowed: 1 to 10000"},
        {"[worker]\nconcurrency =\n", "cress.conf:2: worker.concurrency: \"\" is not a number"},
        {"[worker]\nconcurency = 1\n",
         "cress.conf:2: worker.concurency: unknown key, did you mean concurrency?"},
        {"[log]\nxxxxxxxxxxxx = 1\n",
         "cress.conf:2: log.xxxxxxxxxxxx: unknown key; there are level and format"},
        {"[log]\n= 1\n", "cress.conf:2: log.: unknown key"},
        {"[brokr]\n", "cress.conf:1: unknown section [brokr], did you mean [broker]?"},
        {"[zzzzzzzzz]\n", "there are broker, store, job, "},
        {"[]\n", "unknown section []"},
        {"[broker\nurl = x\n", "cress.conf:1: the section's ] is missing"},
        {"[broker] url = x\n", "cress.conf:1: nothing but a comment"},
        {"url = amqp://h/\n", "cress.conf:1: url: stands before the first [section]"},
        {"[broker]\nurl = http://h/\n", "cress.conf:2: broker.url: not a URL of the right kind"},
        {"[broker]\nurl = amqp:\n", "cress.conf:2: broker.url: not a URL of the right kind"},
        {"[broker]\nurl = amqp://a,,b\n", "cress.conf:2: broker.url: not a URL of the right kind"},
        {"[broker]\nurl = amqp://a,b:x/\n", "broker.url: not a URL of the right kind"},
        {"[log]\nlevel = Info\n", "\"Info\" is not one of the words; allowed: debug, info"},
        {"[job]\nmax_payload = much\n", "is not a size such as 16M; allowed: 1 to 128M"},
        {"[job]\nmax_payload = 1G\n", "\"1G\" is out of range; allowed: 1 to 128M"},
        {"[job]\ntimeout = -1s\n", "is not a duration such as 10s; allowed: 1ms to 365d"},
        {"[log]\nlevel = info\n[log]\nlevel = warn\n",
         "cress.conf:4: level: is set already by cress.conf:2"},
        {"[queue a]\ntask = x\ntask = y\n", "cress.conf:3: task: is set already by cress.conf:2"},
        {"[queue a]\ndeclare = maybe\n",
         "cress.conf:2: queue a.declare: \"maybe\" is not one of the words; "
         "allowed: active or passive"},
        {"[queue a]\ntsk = x\n", "cress.conf:2: queue.tsk: unknown key, did you mean task?"},
        {"[queue a]\nlevel = x\n", "unknown key; there are task and declare"},
        {"[queuex a]\n", "cress.conf:1: unknown section [queuex a]"},
        {"[task *x]\n", "cress.conf:1: [task *x]: a task's name is"},
        {"[queue *]\n", "cress.conf:1: [queue *]: a queue's name is"},
        {"[task a]\nhandler = magic\n", "cress.conf:2: task a.handler: \"magic\" is not one"},
        {"[task a]\nurl = ftp://h/\n", "cress.conf:2: task a.url: not a URL of the right kind"},
        {"[task a]\ncomand = x\n", "cress.conf:2: task.comand: unknown key, did you mean command?"},
        {"[broker]\nurl =\n", "cress.conf:2: broker.url: not a URL of the right kind"},
        {"[queue ]\n", "cress.conf:1: unknown section [queue]"},
        {"[queue a b]\n", "cress.conf:1: [queue a b]: a queue's name is"},
        {"[log]\nbare\n", "cress.conf:2: expected [section] or key = value"},
        {"bare\n[log]\nlevel = x\n", "cress.conf:1: expected [section] or key = value"},
        {"[log]\nlevel = x\nbare\n", "cress.conf:2: log.level"},
        {"[log]\n  level = info\n",
         "cress.conf:2: an indented line continues the list or JSON above"},
        {"[log]\nlevel = info\n  format = json\n",
         "cress.conf:3: an indented line continues the "
         "line above, but level is neither list nor JSON"},
    };
    for (size_t i = 0; i < CRESS_COUNT(cases); i++) {
        struct cress_config *config = cress_config_make();
        struct cress_error err = {0};
        assert_int_equal(read_text(cases[i].text, strlen(cases[i].text), config, &err),
                         CRESS_CONFIG);
        if (!strstr(err.message, cases[i].problem)) {
            fail_msg("\"%s\" does not say \"%s\"", err.message, cases[i].problem);
        }
        cress_config_free(config);
    }
}

static void test_tasks(void **state)
{
    (void)state;
    static const char text[] = "[task shout]\nhandler = exec\ncommand = tr a-z A-Z\n"
                               "timeout = 10s\nbackoff = fixed\nbackoff_cap = 1h\nurl =\n"
                               "[task *]\nhandler = http\nurl = https://h/\nshell = yes\n";
    struct cress_config *config = cress_config_make();
    struct cress_error err;
    if (read_text(text, sizeof text - 1, config, &err) != CRESS_OK) {
        fail_msg("%s", err.message);
    }
    const struct cress_task_config *task = cress_config_task(config, "shout");
    assert_string_equal(task->command, "tr a-z A-Z");
    assert_int_equal(task->output_max_bytes, 1 << 20);
    assert_false(task->shell);
    assert_true(cress_config_task(config, "*")->shell);
    assert_null(cress_config_task(config, "other"));

    const struct cress_job_limits own = cress_config_limits(config, task);
    assert_int_equal(own.timeout_ms, 10000);
    assert_int_equal(own.backoff.kind, CRESS_BACKOFF_FIXED);
    assert_int_equal(own.backoff.cap_ms, 3600000);
    assert_int_equal(own.backoff.base_ms, config->job_backoff_base_ms);
    assert_int_equal(own.max_attempts, config->job_max_attempts);
    const struct cress_job_limits usual = cress_config_limits(config, NULL);
    assert_int_equal(usual.timeout_ms, config->job_timeout_ms);
    assert_int_equal(usual.backoff.kind, CRESS_BACKOFF_EXPONENTIAL);
    cress_config_free(config);
}

static void test_rates(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t count, period_ms;
        const char *back;
    } cases[] = {
        {"100/s", 100, 1000, "100/s"},
        {"60/m", 60, 60000, "60/m"},
        {"1/h", 1, 3600000, "1/h"},
        {"100000/s", 100000, 1000, "100000/s"},
        {"0", 0, 0, "0"},
        {"", 0, 0, "0"},
    };
    for (size_t i = 0; i < CRESS_COUNT(cases); i++) {
        struct cress_config *config = cress_config_make();
        struct cress_error err;
        assert_int_equal(cress_config_set_task(config, "t", "rate", cases[i].text, "test", &err),
                         CRESS_OK);
        const struct cress_task_config *task = cress_config_task(config, "t");
        assert_int_equal(task->rate.count, cases[i].count);
        assert_int_equal(task->rate.period_ms, cases[i].period_ms);
        for (size_t k = 0; k < cress_kinds[CRESS_KIND_TASK].option_count; k++) {
            const struct cress_slot slot = cress_config_named_slot(config, CRESS_KIND_TASK, 0, k);
            if (strcmp(slot.option->key, "rate") == 0) {
                char *back = cress_slot_format(&slot, false);
                assert_string_equal(back, cases[i].back);
                free(back);
            }
        }
        cress_config_free(config);
    }
}

static void test_wrong_rates(void **state)
{
    (void)state;
    static const char *const cases[] = {"0/s", "100001/s", "5/d",  "5/ss", "/s",
                                        "5/",  "5",        "-5/s", "x"};
    for (size_t i = 0; i < CRESS_COUNT(cases); i++) {
        struct cress_config *config = cress_config_make();
        struct cress_error err = {0};
        assert_int_equal(cress_config_set_task(config, "t", "rate", cases[i], "test", &err),
                         CRESS_CONFIG);
        assert_non_null(strstr(err.message, "is not a rate such as 100/s; allowed: 0, or 1 to"));
        cress_config_free(config);
    }
}

static void test_tasks_from_arguments(void **state)
{
    (void)state;
    struct cress_config *config = cress_config_make();
    struct cress_error err;
    assert_int_equal(cress_config_set_task(config, "*", "handler", "exec", "flag --exec", &err),
                     CRESS_OK);
    assert_int_equal(cress_config_set_task(config, "*", "command", "cat", "flag --exec", &err),
                     CRESS_OK);
    assert_string_equal(cress_config_task(config, "*")->command, "cat");
    assert_int_equal(cress_config_set_task(config, "*", "url", "x", "flag --http", &err),
                     CRESS_CONFIG);
    assert_string_equal(err.message, "flag --http: task *.url: not a URL of the right kind; "
                                     "allowed: http:// or https://");
    assert_int_equal(cress_config_set_task(config, "*", "x", "x", "here", &err), CRESS_CONFIG);
    cress_config_free(config);
}

static void note_difference(const char *section, const char *key, const char *before,
                            const char *after, void *arg)
{
    cress_buf_printf(arg, "%s.%s: %s -> %s\n", section, key, before ? before : "nothing",
                     after ? after : "nothing");
}

static void test_differences(void **state)
{
    (void)state;
    static const char old_text[] = "[broker]\nurl = amqp://u:one@h/\n[task gone]\nshell = yes\n"
                                   "[task same]\nurl = http://h/\n[task a]\ncommand = x\n";
    static const char new_text[] = "[broker]\nurl = amqp://u:two@h/\n[task a]\ncommand = y\n"
                                   "[task same]\nurl = http://h/\n[task new]\nfile = f\n";
    struct cress_config *before = cress_config_make();
    struct cress_config *after = cress_config_make();
    assert_int_equal(read_text(old_text, sizeof old_text - 1, before, NULL), CRESS_OK);
    assert_int_equal(read_text(new_text, sizeof new_text - 1, after, NULL), CRESS_OK);
    struct cress_buf buf = cress_buf_make(1 << 16);
    cress_config_diff(before, after, note_difference, &buf);
    assert_string_equal(cress_buf_text(&buf), "broker.url: amqp://***@h/ -> amqp://***@h/\n"
                                              "task a.command: x -> y\n"
                                              "task new.file: nothing -> f\n"
                                              "task gone.shell: true -> nothing\n");
    cress_buf_free(&buf);
    cress_config_free(before);
    cress_config_free(after);
}

static void test_lines_are_never_cut(void **state)
{
    (void)state;
    static const char start[] = "[s3]\nsession_token = ";
    for (size_t length = 190; length < 420; length++) {
        char text[512];
        memcpy(text, start, sizeof start - 1);
        memset(text + sizeof start - 1, 'x', length);
        const size_t size = sizeof start - 1 + length;
        struct cress_config *config = cress_config_make();
        struct cress_error err = {0};
        const size_t line = size - strlen("[s3]\n");
        if (read_text(text, size, config, &err) == CRESS_OK) {
            assert_true(line <= 198);
            assert_int_equal(strlen(config->s3_session_token), length);
        } else {
            assert_true(line > 198);
            assert_non_null(strstr(err.message, "cress.conf:2: longer than 198 bytes"));
        }
        cress_config_free(config);
    }
}

static void test_nul_bytes_are_refused(void **state)
{
    (void)state;
    static const char text[] = "[log]\nlevel = in\0fo\n";
    struct cress_config *config = cress_config_make();
    struct cress_error err;
    assert_int_equal(read_text(text, sizeof text - 1, config, &err), CRESS_CONFIG);
    assert_non_null(strstr(err.message, "cress.conf:2: NUL"));
    cress_config_free(config);
}

/* --- single values --- */

static void test_booleans(void **state)
{
    (void)state;
    static const struct cress_option option = {.type = CRESS_TYPE_BOOL, .section = "a", .key = "b"};
    static const struct {
        const char *text;
        bool good, value;
    } cases[] = {{"true", true, true}, {"yes", true, true}, {"on", true, true},
                 {"1", true, true},    {"no", true, false}, {"0", true, false},
                 {"", false, false},   {"2", false, false}, {"True", false, false}};
    for (size_t i = 0; i < CRESS_COUNT(cases); i++) {
        bool value = !cases[i].value;
        char *origin = NULL;
        const struct cress_slot slot = {&option, NULL, &value, &origin};
        assert_int_equal(cress_slot_set(&slot, cases[i].text, "here", NULL),
                         cases[i].good ? CRESS_OK : CRESS_CONFIG);
        if (cases[i].good) {
            assert_int_equal(value, cases[i].value);
            char *text = cress_slot_format(&slot, true);
            assert_string_equal(text, value ? "true" : "false");
            free(text);
        }
        cress_slot_free(&slot);
    }
}

/* --- showing --- */

static void note(const char *section, const char *key, const char *value, const char *origin,
                 const char *help, void *arg)
{
    assert_true(*help != '\0');
    cress_buf_printf(arg, "%s.%s=%s (%s)\n", section, key, value, origin);
}

static void test_show_masks_secrets_and_names_origins(void **state)
{
    (void)state;
    write_file("cress.conf", "[worker]\nqueues = a,b\n[queue mail]\ntask = t\n");
    setenv("CRESS_BROKER_URL", "amqp://u:hunter2@host/vh", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "hunter2", 1);
    const char *const arguments[] = {"--concurrency", "7", NULL};
    struct cress_config *config = load_good(arguments);
    struct cress_buf buf = cress_buf_make(1 << 20);
    cress_config_show(config, note, &buf);
    const char *text = cress_buf_text(&buf);
    static const char *const lines[] = {
        "broker.url=amqp://***@host/vh (environment CRESS_BROKER_URL)\n",
        "store.ttl=1d (default)\n",
        "job.max_payload=1M (default)\n",
        "worker.queues=a, b (cress.conf:2)\n",
        "worker.concurrency=7 (flag --concurrency)\n",
        "s3.secret_access_key=*** (environment AWS_SECRET_ACCESS_KEY)\n",
        "s3.session_token= (default)\n",
        "queue default.task= (default)\n",
        "queue mail.task=t (cress.conf:4)\n",
        "queue mail.declare=active (default)\n",
    };
    for (size_t i = 0; i < CRESS_COUNT(lines); i++) {
        if (!strstr(text, lines[i])) {
            fail_msg("no line %s in:\n%s", lines[i], text);
        }
    }
    assert_null(strstr(text, "hunter2"));
    assert_string_equal(config->s3_secret_access_key, "hunter2");
    cress_buf_free(&buf);
    cress_config_free(config);
    unsetenv("CRESS_BROKER_URL");
    unsetenv("AWS_SECRET_ACCESS_KEY");
}

static void test_flags_are_listed_for_their_program(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    cress_config_print_flags(CRESS_PROGRAM_WORKER, out);
    fclose(out);
    assert_non_null(strstr(text, "--config FILE"));
    assert_non_null(strstr(text, "--concurrency N"));
    assert_non_null(strstr(text, "(default: 32)"));
    assert_null(strstr(text, "--listen"));
    free(text);
}

static char *read_file(const char *path)
{
    struct cress_buf buf = cress_buf_make(1 << 20);
    FILE *file = fopen(path, "r");
    if (!file) {
        return cress_strdup("");
    }
    char chunk[4096];
    size_t size;
    while ((size = fread(chunk, 1, sizeof chunk, file)) > 0) {
        cress_buf_add(&buf, chunk, size);
    }
    fclose(file);
    return cress_buf_take(&buf);
}

static void test_the_reference_page_is_up_to_date(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    cress_config_print_reference(out);
    fclose(out);
    if (getenv("CRESS_UPDATE_DOCS")) {
        write_file(reference_path, text);
    }
    char *committed = read_file(reference_path);
    if (strcmp(text, committed) != 0) {
        fail_msg("%s differs from common/config/*.def; run this program from the top of the tree "
                 "with CRESS_UPDATE_DOCS=1",
                 reference_path);
    }
    free(committed);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_defaults, enter, leave),
        cmocka_unit_test_setup_teardown(test_each_layer_covers_the_one_before, enter, leave),
        cmocka_unit_test_setup_teardown(test_which_file_is_read, enter, leave),
        cmocka_unit_test_setup_teardown(test_a_named_file_must_exist, enter, leave),
        cmocka_unit_test_setup_teardown(test_a_wrong_variable_is_named, enter, leave),
        cmocka_unit_test_setup_teardown(test_flags_are_taken_out, enter, leave),
        cmocka_unit_test_setup_teardown(test_wrong_flags, enter, leave),
        cmocka_unit_test(test_what_a_file_may_hold),
        cmocka_unit_test(test_wrong_files),
        cmocka_unit_test(test_tasks),
        cmocka_unit_test(test_rates),
        cmocka_unit_test(test_wrong_rates),
        cmocka_unit_test(test_tasks_from_arguments),
        cmocka_unit_test(test_differences),
        cmocka_unit_test(test_lines_are_never_cut),
        cmocka_unit_test(test_nul_bytes_are_refused),
        cmocka_unit_test(test_booleans),
        cmocka_unit_test_setup_teardown(test_show_masks_secrets_and_names_origins, enter, leave),
        cmocka_unit_test(test_flags_are_listed_for_their_program),
        cmocka_unit_test(test_the_reference_page_is_up_to_date),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
