# SPDX-License-Identifier: Apache-2.0
"""Tasks in C: the plug-in host by its protocol, what is refused at the start, and jobs that crash,
hang, print and outlive their welcome inside a real worker."""

import json
import os
import re
import select
import shutil
import signal
import subprocess
import tempfile
import unittest

from cresstest import BUILD, DEADLINE, ROOT, TestCase, run, unique, wait_for

WORKER = os.path.join(BUILD, "cress-worker")
# A sanitized host would explain a crash and exit, where it is to die of it.
os.environ["ASAN_OPTIONS"] = "handle_segv=0:" + os.environ.get("ASAN_OPTIONS", "")

TROUBLE = r"""
#include <cress/task.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int served;

static int trouble(struct cress_job *job)
{
    const char *what = json_string_value(cress_job_payload(job));
    served++;
    if (strcmp(what, "segv") == 0) {
        raise(SIGSEGV);
    } else if (strcmp(what, "once") == 0 && cress_job_attempt(job) == 1) {
        abort();
    } else if (strcmp(what, "hang") == 0) {
        signal(SIGTERM, SIG_IGN);
        for (;;) {
            pause();
        }
    } else if (strcmp(what, "grandchild") == 0) {
        if (fork() == 0) {
            setsid();
            for (;;) {
                pause();
            }
        }
        raise(SIGSEGV);
    } else if (strcmp(what, "patient") == 0) {
        while (!cress_job_cancelled(job)) {
            sleep(60); /* ends early with EINTR */
        }
        return cress_job_fail(job, "asked", "left %d", (int)cress_job_time_left_ms(job));
    } else if (strcmp(what, "print") == 0) {
        puts("{\"id\": \"not the protocol\"}");
        fprintf(stderr, "said on stderr\n");
        cress_job_log(job, "logged \xff %s", "well");
    } else if (strcmp(what, "stdin") == 0) {
        return cress_job_done(job, json_integer(getchar()));
    } else if (strcmp(what, "bomb") == 0) {
        for (int i = 0; i < 200; i++) {
            if (fork() == 0) {
                setsid();
                while (i % 2 == 0) {
                    pause();
                }
                _exit(0); /* and is never waited for */
            }
        }
        for (;;) {
            pause();
        }
    } else if (strcmp(what, "close") == 0) {
        for (int fd = 0; fd < 100; fd++) {
            close(fd);
        }
        for (;;) {
            pause();
        }
    } else if (strcmp(what, "flood") == 0) {
        char *text = malloc(100000001);
        memset(text, 'x', 100000000);
        text[100000000] = 0;
        return cress_job_done(job, json_string(text));
    } else if (strcmp(what, "number") == 0) {
        return 3;
    } else if (strcmp(what, "progress") == 0) {
        cress_job_progress(job, 400, "more than \"all\"");
    } else if (strcmp(what, "both") == 0) {
        cress_job_done(job, json_integer(1));
        return cress_job_done(job, json_pack("{s:s, s:s}", "id", cress_job_id(job), "task", cress_job_task(job)));
    }
    return cress_job_done(job, json_pack("[i, i]", (int)getpid(), served));
}
CRESS_TASK("trouble", trouble)
"""


class Folder(unittest.TestCase):
    """Compiles plug-ins as a user does."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = tempfile.mkdtemp(prefix="cresstest-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.trouble = cls.compile("trouble", TROUBLE)
        cls.text = os.path.join(BUILD, "examples/library/task_text.so")

    @classmethod
    def compile(cls, name, text):
        path = os.path.join(cls.folder, name + ".so")
        subprocess.run(["cc", "-Wall", "-Wextra", "-Werror", "-Wno-error=unused-parameter", "-shared", "-fPIC",
                        "-I" + os.path.join(ROOT, "include"), "-xc", "-", "-ljansson", "-o", path],
                       input=text, text=True, check=True)
        return path


class Host(Folder):
    """`cress-worker --plugin-host FILE SOFT_TIMEOUT_MS` without a worker."""

    def host(self, file, *jobs, soft_ms=0):
        lines = [json.dumps({"id": "job-%d" % n, "task": task, "attempt": 1, "max_attempts": 5,
                             "deadline_ms": 4102444800000, "payload": payload})
                 for n, (task, payload) in enumerate(jobs)]
        return subprocess.run([WORKER, "--plugin-host", file, str(soft_ms)], capture_output=True, text=True,
                              input="".join(line + "\n" for line in lines), timeout=DEADLINE, check=False)

    def answers(self, file, *jobs, **options):
        result = self.host(file, *jobs, **options)
        self.assertEqual(result.returncode, 0, result.stderr)
        hello, *rest = [json.loads(line) for line in result.stdout.splitlines()]
        self.assertEqual((hello["cress"], hello["concurrency"]), (1, 1))
        return rest

    def test_the_example(self):
        path = os.path.join(self.folder, "words")
        with open(path, "w", encoding="utf-8") as file:
            file.write("one two\nthree\n")
        progress, log, end = self.answers(self.text, ("text.statistics", {"path": path}))
        self.assertEqual(progress, {"id": "job-0", "progress": 0, "message": "counting"})
        self.assertEqual(log, {"id": "job-0", "log": "14 bytes in attempt 1"})
        self.assertEqual(end, {"id": "job-0", "result": {"lines": 2, "words": 3, "bytes": 14}})

    def test_the_examples_failures(self):
        permanent, temporary = self.answers(self.text, ("text.statistics", 1),
                                            ("text.statistics", {"path": "/no/such"}))
        self.assertEqual((permanent["error"]["code"], permanent["error"]["retry"]), ("no_path", False))
        self.assertEqual((temporary["error"]["code"], temporary["error"]["retry"]), ("cannot_open", True))

    def test_one_process_serves_many_jobs(self):
        first, second = self.answers(self.trouble, ("trouble", "a"), ("trouble", "b"))
        self.assertEqual(second["result"], [first["result"][0], 2])

    def test_what_is_printed_is_no_answer(self):
        result = self.host(self.trouble, ("trouble", "print"))
        self.assertEqual(result.stderr, '{"id": "not the protocol"}\nsaid on stderr\n')
        lines = [json.loads(line) for line in result.stdout.splitlines()[1:]]
        self.assertEqual(lines[0], {"id": "job-0", "log": "logged \ufffd well"})
        self.assertIn("result", lines[1])

    def test_stdin_is_empty(self):
        end, after = self.answers(self.trouble, ("trouble", "stdin"), ("trouble", "a"))
        self.assertEqual(end["result"], -1)
        self.assertIn("result", after)

    def test_a_number_is_an_exit_status(self):
        end, = self.answers(self.trouble, ("trouble", "number"))
        self.assertEqual(end["error"], {"code": "task_failed", "message": "the task returned 3",
                                        "retry": True, "retry_after_ms": 0})

    def test_a_task_that_is_not_there(self):
        end, after = self.answers(self.trouble, ("other", "a"), ("trouble", "\0"))
        self.assertEqual((end["error"]["code"], end["error"]["retry"]), ("unknown_task", False))
        self.assertIn("result", after)

    def test_the_task_of_the_manual(self):
        with open(os.path.join(ROOT, "docs/handlers.md"), encoding="utf-8") as file:
            text = re.search(r"```c\n// shout.c\n(.*?)```", file.read(), re.S).group(1)
        progress, end = self.answers(self.compile("shout", text), ("shout", "hello"))
        self.assertEqual((progress["progress"], end["result"]), (100, "HELLO"))

    def test_the_last_outcome_counts(self):
        end, = self.answers(self.trouble, ("trouble", "both"))
        self.assertEqual(end["result"], {"id": "job-0", "task": "trouble"})

    def test_the_soft_timeout_ends_a_sleep(self):
        end, after = self.answers(self.trouble, ("trouble", "patient"), ("trouble", "a"), soft_ms=100)
        self.assertEqual((end["error"]["code"], end["error"]["message"]), ("asked", "left 0"))
        self.assertIn("result", after)

    def test_sigterm_ends_a_sleep(self):
        with subprocess.Popen([WORKER, "--plugin-host", self.trouble, "0"], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True) as host:
            host.stdout.readline()
            host.stdin.write(json.dumps({"id": "a", "task": "trouble", "attempt": 1,
                                         "deadline_ms": 4102444800000, "payload": "patient"}) + "\n")
            host.stdin.flush()

            def answered():  # it is asked again, for it may not have begun to sleep
                host.send_signal(signal.SIGTERM)
                return select.select([host.stdout], [], [], 0.02)[0]
            wait_for(answered, "an answer")
            self.assertEqual(json.loads(host.stdout.readline())["error"]["code"], "asked")
            host.stdin.close()
            self.assertEqual(host.wait(DEADLINE), 0)


class Refused(Folder):
    """A wrong section is told by --check-config, and keeps the worker from starting."""

    def refusal(self, file, task="trouble"):
        path = os.path.join(self.folder, "cress.conf")
        with open(path, "w", encoding="utf-8") as conf:
            conf.write("[task %s]\nhandler = plugin\nfile = %s\n" % (task, file))
        result = run("cress-worker", "--config", path, "--check-config")
        started = run("cress-worker", "--config", path)
        self.assertEqual((result.returncode, started.returncode), (78, 78), result.stderr + started.stderr)
        self.assertIn("[task %s]" % task, result.stderr)
        return result.stderr

    def test_missing(self):
        self.assertIn("/no/such.so", self.refusal("/no/such.so"))

    def test_no_path(self):
        self.assertIn("path", self.refusal("task.so"))
        self.assertIn("path", self.refusal(""))

    def test_garbage(self):
        path = os.path.join(self.folder, "garbage.so")
        with open(path, "wb") as file:
            file.write(b"\x7fELF garbage" * 100)
        self.assertIn(path, self.refusal(path))

    def test_no_task(self):
        self.assertIn("CRESS_TASK", self.refusal(self.compile("none", "int nothing;")))

    def test_another_name(self):
        self.assertIn('["trouble"]', self.refusal(self.trouble, task="other"))

    def test_another_abi(self):
        text = TROUBLE.replace("CRESS_TASK(", "#undef CRESS_TASK_ABI\n#define CRESS_TASK_ABI 7\nCRESS_TASK(")
        self.assertRegex(self.refusal(self.compile("abi", text)), "ABI 7, .* ABI 0")

    def test_a_symbol_that_is_nowhere(self):
        text = TROUBLE.replace("served++;", "served++; extern void cress_no_such(void); cress_no_such();")
        self.assertIn("cress_no_such", self.refusal(self.compile("symbol", text)))

    def test_crashes_when_loaded(self):
        text = TROUBLE + "__attribute__((constructor)) static void die(void) { raise(SIGSEGV); }\n"
        self.assertIn("signal 11", self.refusal(self.compile("crash", text)))

    def test_good_ones_pass(self):
        path = os.path.join(self.folder, "good.conf")
        with open(path, "w", encoding="utf-8") as conf:
            conf.write("[task text.echo]\nhandler = plugin\nfile = %s\n"
                       "[task *]\nhandler = plugin\nfile = %s\n" % (self.text, self.trouble))
        result = run("cress-worker", "--config", path, "--check-config")
        self.assertEqual(result.returncode, 0, result.stderr)


class Jobs(Folder, TestCase):
    def start_worker(self, **options):
        self.queue = unique("plugin")
        options = dict({"file": self.trouble, "backoff_base": "10ms"}, **options)
        path = os.path.join(self.folder, self.queue + ".conf")
        with open(path, "w", encoding="utf-8") as conf:
            conf.write("[worker]\ndrain = 100ms\n[task trouble]\nhandler = plugin\n" +
                       "".join("%s = %s\n" % pair for pair in options.items()))
        return self.worker("--config", path, "--queues", self.queue)

    def enqueue(self, payload, *flags):
        result = run("cress", "enqueue", "trouble", json.dumps(payload), "--queue", self.queue, *flags)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout.strip()

    def end(self, payload, *flags):
        record = self.wait_state(self.enqueue(payload, *flags), "succeeded", "failed")
        for member in ("result", "error"):
            if record.get(member):
                record[member] = json.loads(record[member])
        return record

    @staticmethod
    def exists(pid):
        return os.path.exists("/proc/%d" % pid)

    def test_a_crash_costs_one_attempt(self):
        self.start_worker()
        record = self.end("once")
        self.assertEqual((record["state"], record["attempt"]), ("succeeded", "2"))

    def test_a_segfault_is_in_the_record_and_the_worker_goes_on(self):
        worker = self.start_worker()
        record = self.end("segv", "--max-attempts", "2")
        self.assertEqual((record["state"], record["attempt"]), ("failed", "2"))
        self.assertIn("signal 11", record["error"]["code"] + record["error"]["message"])
        self.assertEqual(self.end("a")["state"], "succeeded")
        self.assertIsNone(worker.process.poll())

    def test_the_hard_timeout_kills(self):
        self.start_worker()
        record = self.end("hang", "--timeout", "300ms", "--max-attempts", "1")
        self.assertEqual(record["state"], "failed")
        self.assertEqual(self.end("a")["state"], "succeeded")

    def test_the_soft_timeout_asks(self):
        self.start_worker(soft_timeout="100ms")
        self.assertEqual(self.end("patient")["error"]["code"], "asked")

    def test_grandchildren_do_not_survive(self):
        worker = self.start_worker()
        self.end("grandchild", "--max-attempts", "1")
        pids = self.end("a")["result"][0]
        left = subprocess.run(["pgrep", "-f", self.trouble], capture_output=True, text=True, check=False)
        self.assertEqual(left.stdout.split(), [str(pids)])
        self.assertEqual(worker.stop(), 0)
        wait_for(lambda: not self.exists(pids), "the host to be gone")

    def test_a_fork_bomb_and_zombies_end_with_their_host(self):
        self.start_worker()
        record = self.end("bomb", "--timeout", "2s", "--max-attempts", "1")
        self.assertEqual(record["error"]["code"], "timeout")
        after = self.end("a")["result"][0]
        left = subprocess.run(["pgrep", "-f", self.trouble], capture_output=True, text=True, check=False)
        self.assertEqual(left.stdout.split(), [str(after)])

    def test_closed_descriptors_and_a_flood_cost_one_attempt(self):
        worker = self.start_worker()
        self.assertEqual(self.end("close", "--max-attempts", "1")["error"]["code"], "did_not_exit")
        self.assertEqual(self.end("flood", "--max-attempts", "1")["error"]["code"], "line_too_long")
        self.assertEqual(self.end("a")["state"], "succeeded")
        with open("/proc/%d/status" % worker.pid, encoding="utf-8") as status:
            peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
        self.assertLess(peak, 100000, "kB; 100 MB of output are not kept")

    def test_instances_start_early_and_run_side_by_side(self):
        worker = self.start_worker(instances=3)
        hosts = wait_for(lambda: self.hosts(3), "three hosts")
        pids = {self.end("a")["result"][0] for _ in range(3)}
        self.assertLessEqual(pids, set(hosts))
        slow = [self.enqueue("patient", "--timeout", "1h") for _ in range(2)]
        for job in slow:
            self.wait_state(job, "running")
        self.assertEqual(self.end("a")["state"], "succeeded")  # the third is free
        worker.stop()
        wait_for(lambda: self.hosts(0) == [], "no host")

    def hosts(self, count):
        found = subprocess.run(["pgrep", "-f", "^/proc/self/exe --plugin-host " + self.trouble],
                               capture_output=True, text=True, check=False).stdout.split()
        return [int(pid) for pid in found] if len(found) == count else None

    def test_recycled_after_some_jobs(self):
        self.start_worker(recycle_jobs=2)
        results = [tuple(self.end("a")["result"]) for _ in range(4)]
        self.assertEqual([served for _, served in results], [1, 2, 1, 2])
        self.assertEqual(len({pid for pid, _ in results}), 2)

    def test_a_killed_worker_leaves_no_host(self):
        worker = self.start_worker()
        pid = self.end("a")["result"][0]
        job = self.enqueue("hang", "--timeout", "1h")
        self.wait_state(job, "running")
        worker.kill()
        wait_for(lambda: not self.exists(pid), "the host to be gone")
