// SPDX-License-Identifier: Apache-2.0
// cress worker run: a worker straight from the command line. It becomes the program cress-worker.
#include "producer/cli/cli.h"

#include "common/base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PROGRAM "cress-worker"

enum { WORDS_MAX = 2 * CRESS_FLAGS_MAX + 2, PATH_BYTES_MAX = 4096 };

/* What cress-worker calls an option of this verb. */
static const char *worker_name(const char *name)
{
    return strcmp(name, "queue") == 0 ? "queues" : name;
}

static void collect_words(const struct cress_args *args, const char *words[WORDS_MAX])
{
    size_t count = 0;
    words[count++] = PROGRAM;
    for (size_t i = 0; i < args->value_count; i++) {
        const struct cress_flag_value *value = &args->values[i];
        if (value->given && value->text) {
            words[count++] = cress_format("--%s=%s", worker_name(value->flag->name), value->text);
        }
    }
    words[count] = NULL;
}

/* The worker that was built and installed together with this program, if it lies beside it. */
static void run_beside(char *const words[])
{
    char path[PATH_BYTES_MAX];
    const ssize_t size = readlink("/proc/self/exe", path, sizeof path - sizeof PROGRAM);
    if (size > 0) {
        path[size] = '\0';
        char *name = strrchr(path, '/');
        snprintf(name + 1, sizeof PROGRAM, "%s", PROGRAM);
        execv(path, words);
    }
}

static enum cress_status prepare_worker(struct cress_cli *cli, struct cress_error *err)
{
    const char *word = cli->args.operands[0];
    if (strcmp(word, "run") != 0) {
        return cress_error_set(err, CRESS_USAGE, "unknown_operand",
                               "worker %s: it is worker run; cress workers lists those that run",
                               word);
    }
    return CRESS_OK;
}

/* Comes back only when there is no worker to become; the words' memory is then left to the end. */
static void exec_worker(struct cress_cli *cli)
{
    const char *words[WORDS_MAX];
    char *argv[WORDS_MAX];
    collect_words(&cli->args, words);
    memcpy(argv, words, sizeof argv);
    run_beside(argv);
    execvp(PROGRAM, argv);
    struct cress_error err;
    cress_error_set(&err, CRESS_NOT_FOUND, "no_worker",
                    "cannot start " PROGRAM ": %s; it belongs beside cress or into PATH",
                    strerror(errno));
    cress_cli_fail(cli, &err);
}

static const char *const operand_words[] = {"run", NULL};

static const struct cress_flag flags[] = {
    {.name = "exec",
     .kind = CRESS_FLAG_TEXT,
     .value = "CMD",
     .help = "run this command for each job: payload on stdin, result on stdout"},
    {.name = "stream",
     .kind = CRESS_FLAG_TEXT,
     .value = "CMD",
     .help = "give jobs to this long-lived program, one JSON line each"},
    {.name = "http", .kind = CRESS_FLAG_TEXT, .value = "URL", .help = "POST each job to this URL"},
    {.name = "plugin",
     .kind = CRESS_FLAG_TEXT,
     .value = "FILE",
     .is_file = true,
     .help = "run the tasks of this shared object"},
    {.name = "task",
     .kind = CRESS_FLAG_TEXT,
     .value = "NAME",
     .help = "the task that this is for (default: any that is not built in)"},
    {.name = "queue",
     .kind = CRESS_FLAG_TEXT,
     .value = "NAME",
     .is_queue = true,
     .help = "the queue to consume, or several with commas (default: default)"},
    {.name = "concurrency",
     .kind = CRESS_FLAG_NUMBER,
     .value = "N",
     .min = 1,
     .max = 10000,
     .help = "jobs that run at once"},
    {.name = "config",
     .kind = CRESS_FLAG_TEXT,
     .value = "FILE",
     .is_file = true,
     .help = "configuration file to read instead of the usual ones"},
    {.name = NULL},
};

const struct cress_verb cress_verb_worker = {
    .name = "worker",
    .operands = "run",
    .summary = "run a worker, straight from the command line",
    .about =
        "Becomes cress-worker: one of --exec, --stream, --http and --plugin says what runs the\n"
        "jobs; without any it has the built-in tasks and those of the configuration.\n",
    .examples = "  cress worker run --exec 'tr a-z A-Z'\n"
                "  cress enqueue shout '\"hello\"' --wait         in another terminal\n"
                "  cress worker run --plugin ./thumbnail.so --queue images\n",
    .flags = flags,
    .words = operand_words,
    .min_operands = 1,
    .max_operands = 1,
    .prepare = prepare_worker,
    .run = exec_worker,
};
