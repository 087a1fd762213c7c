# SPDX-License-Identifier: Apache-2.0
"""The handler `stream` in a real worker: programs that answer, die, hang, lie and leave children."""

import json
import os
import signal
import tempfile
import time
import unittest

import cresstest
from cresstest import ROOT, unique, wait_for

PYTHON = "/usr/bin/python3"

# What every program of these tests begins with. `mark` is in its command line: processes() finds it.
PRELUDE = """
import json, os, subprocess, sys, time
def say(**line):
    print(json.dumps(line), flush=True)
def jobs():
    for line in sys.stdin:
        yield json.loads(line)
"""


def processes(mark):
    """The pids whose command line has `mark`."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % pid, "rb") as file:
                if mark.encode() in file.read():
                    found.append(int(pid))
        except OSError:
            pass  # it has just ended
    return found


def documented(name):
    """The program `name` of docs/handlers.md: the block whose first line is its name."""
    with open(os.path.join(ROOT, "docs", "handlers.md"), encoding="utf-8") as file:
        blocks = file.read().split("```")[1::2]
    return next(text for _, _, text in (block.partition("\n") for block in blocks)
                if text.startswith("# %s\n" % name))


class StreamTest(cresstest.TestCase):
    def setUp(self):
        super().setUp()
        self.queue = unique("stream")
        self.mark = unique("mark")
        self.client = self.broker()
        self.folder = tempfile.TemporaryDirectory(prefix="cress-stream-")
        self.addCleanup(self.folder.cleanup)

    def file(self, name, text):
        path = os.path.join(self.folder.name, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def run_worker(self, program, *options, **environment):
        """A worker whose task `t` is the Python text `program`."""
        path = self.file("program.py", PRELUDE + program)
        return self.run_command("%s %s %s" % (PYTHON, path, self.mark), *options, **environment)

    def run_command(self, command, *options, **environment):
        environment.setdefault("CRESS_JOB_BACKOFF_BASE", "20ms")
        config = self.file("cress.conf", "[task t]\nhandler = stream\ncommand = %s\n%s\n" % (
            command, "\n".join(options)))
        return self.worker("--config", config, "--queues", self.queue, **environment)

    def publish(self, payload, **properties):
        job = properties.setdefault("message_id", unique("job"))
        self.client.publish(self.queue, payload, type="t", **properties)
        return job

    def result(self, job):
        return json.loads(self.wait_state(job, "succeeded")["result"])

    def error(self, job):
        return json.loads(self.wait_state(job, "failed")["error"])

    def stop(self, worker):
        """Stops it: it ends well and leaves no process."""
        self.assertEqual(worker.stop(), 0)
        self.assertEqual(processes(self.mark), [])


class Answers(StreamTest):
    def test_results_progress_and_log(self):
        worker = self.run_worker("""
for job in jobs():
    say(id=job["id"], progress=40, message="half way")
    say(id=job["id"], log="fetched 3 files")
    say(id=job["id"], result=[job["payload"], job["task"], job["attempt"]])
""")
        job = self.publish({"a": "ü\n"})
        self.assertEqual(self.result(job), [{"a": "ü\n"}, "t", 1])
        record = self.redis().record(job)
        self.assertIn("fetched 3 files", record.get("log", ""))
        self.assertIn("half way", record.get("progress", ""))
        self.stop(worker)

    def test_many_jobs_through_one_program(self):
        worker = self.run_worker("""
say(cress=1, concurrency=50)
for job in jobs():
    say(id=job["id"], result=[os.getpid(), job["payload"]])
""")
        jobs = [self.publish(n) for n in range(300)]
        answers = [self.result(job) for job in jobs]
        self.assertEqual([answer[1] for answer in answers], list(range(300)))
        self.assertEqual(len({answer[0] for answer in answers}), 1)
        self.stop(worker)

    def test_errors_say_whether_to_try_again(self):
        worker = self.run_worker("""
for job in jobs():
    if job["payload"] == "never":
        say(id=job["id"], error={"code": "bad_input", "message": "no", "retry": False})
    elif job["attempt"] < 3:
        say(id=job["id"], error={"message": "not yet"})
    else:
        say(id=job["id"], result=job["attempt"])
""")
        never, later = self.publish("never"), self.publish("later")
        self.assertEqual(self.error(never)["code"], "bad_input")
        self.assertEqual(self.redis().record(never)["attempt"], "1")
        self.assertEqual(self.result(later), 3)
        self.stop(worker)

    def test_the_example(self):
        worker = self.run_command(PYTHON + " " + os.path.join(ROOT, "examples/handlers/stream.py"))
        self.assertEqual(self.result(self.publish("hello")), "HELLO")
        self.assertEqual(self.error(self.publish(7))["code"], "bad_payload")
        self.assertEqual(worker.stop(), 0)

    def test_the_program_of_the_documentation(self):
        path = self.file("shout.py", documented("shout.py"))
        worker = self.run_command("%s %s %s" % (PYTHON, path, self.mark))
        self.assertEqual(self.result(self.publish("hello")), "HELLO")
        self.stop(worker)

    def test_any_task(self):
        program = self.file("program.py", PRELUDE + """
for job in jobs():
    say(id=job["id"], result=job["task"])
""")
        config = self.file("cress.conf",
                           "[task *]\nhandler = stream\ncommand = %s %s\n" % (PYTHON, program))
        self.worker("--config", config, "--queues", self.queue)
        job = unique("job")
        self.client.publish(self.queue, 1, type="some.task", message_id=job)
        self.assertEqual(self.result(job), "some.task")


class Deaths(StreamTest):
    def test_crash_costs_one_attempt(self):
        worker = self.run_worker("""
for job in jobs():
    if job["payload"] == "crash" and job["attempt"] == 1:
        print("about to fall", file=sys.stderr, flush=True)
        os.kill(os.getpid(), 11)
    say(id=job["id"], result=job["attempt"])
""")
        job = self.publish("crash")
        self.assertEqual(self.result(job), 2)
        worker.wait_log("signal 11")
        self.assertIn("about to fall", worker.log())
        self.stop(worker)

    def test_crash_every_time(self):
        self.run_worker("next(jobs()); sys.exit('no database')")
        error = self.error(self.publish(1, headers={"max_attempts": 2}))
        self.assertEqual(error["code"], "exit 1")
        self.assertIn("no database", error["message"])

    def test_garbage(self):
        worker = self.run_worker("""
for job in jobs():
    if job["attempt"] == 1:
        print("Processing job", job["id"], flush=True)
        time.sleep(60)
    say(id=job["id"], result=job["attempt"])
""")
        self.assertEqual(self.result(self.publish(1)), 2)
        worker.wait_log("Processing job")
        self.stop(worker)

    def test_invalid_utf8_and_lines_without_end(self):
        for text in (r"b'{\"id\":\"\xff\"}\n'", "b'x' * (100 << 20)"):
            with self.subTest(text):
                worker = self.run_worker("""
for job in jobs():
    sys.stdout.buffer.write(%s)
    sys.stdout.buffer.flush()
    time.sleep(60)
""" % text.replace("\\\"", '"'))
                error = self.error(self.publish(1, headers={"max_attempts": 1}))
                self.assertIn(error["code"], ("bad_line", "line_too_long"))
                self.stop(worker)

    def test_timeout_kills_the_program_and_blames_one_job(self):
        worker = self.run_worker("""
say(cress=1, concurrency=8)
held = []
for job in jobs():
    if job["payload"] == "hang" and job["attempt"] == 1:
        time.sleep(60)
    held.append(job)
    if len(held) == 4:
        for job in held:
            say(id=job["id"], result=job["attempt"])
""")
        good = [self.publish(n) for n in range(3)]
        for job in good:
            self.wait_state(job, "running")
        bad = self.publish("hang", headers={"timeout_ms": 500})
        self.assertEqual([self.result(job) for job in good], [1, 1, 1])
        self.assertEqual(self.result(bad), 2)
        self.assertIn('failed {"code":"timeout"', self.redis().record(bad)["attempts"])
        self.stop(worker)

    def test_the_program_is_told_the_deadline(self):
        worker = self.run_worker("""
for job in jobs():
    say(id=job["id"], result=job["deadline_ms"] / 1000 - time.time())
""", "soft_timeout = 20s")
        self.assertAlmostEqual(self.result(self.publish(1)), 20, delta=2)
        self.assertAlmostEqual(self.result(self.publish(1, headers={"timeout_ms": 6000})), 6, delta=2)
        self.stop(worker)

    def test_children_end_with_their_program(self):
        worker = self.run_worker("""
for job in jobs():
    subprocess.Popen(["setsid", sys.executable, "-c", "import time; time.sleep(600)", sys.argv[1]])
    if job["payload"] == "crash":
        os.kill(os.getpid(), 9)
    say(id=job["id"], result=1)
""")
        self.error(self.publish("crash", headers={"max_attempts": 1}))
        wait_for(lambda: not processes(self.mark), "the end of all its processes")
        self.result(self.publish("stay"))
        self.assertEqual(len(processes(self.mark)), 2)
        self.stop(worker)

    def test_closed_stdout(self):
        """It can never answer again: it is given time to exit, then killed, and its job goes to another."""
        worker = self.run_worker("""
for job in jobs():
    if job["attempt"] == 1:
        os.close(1)
        time.sleep(600)
    say(id=job["id"], result=job["attempt"])
""")
        self.assertEqual(self.result(self.publish(1)), 2)
        worker.wait_log("did_not_exit")
        self.stop(worker)

    def test_fork_bomb_and_zombies(self):
        """Half of 200 children end at once and are never waited for, half run on in sessions of their own."""
        worker = self.run_worker("""
for job in jobs():
    for n in range(200):
        if os.fork() == 0:
            os.setsid()
            time.sleep(600 * (n % 2))
            os._exit(0)
    open(__file__ + ".lit", "w").close()
    time.sleep(600)
""")
        job = self.publish(1, headers={"timeout_ms": 600000})
        wait_for(lambda: os.path.exists(self.folder.name + "/program.py.lit"), "the bomb", deadline=120)
        self.assertGreater(len(processes(self.mark)), 90)
        self.assertEqual(cresstest.run("cress", "cancel", job).returncode, 0)
        self.wait_state(job, "cancelled")
        wait_for(lambda: not processes(self.mark), "the end of all its processes", deadline=120)
        self.stop(worker)

    def test_a_hundred_megabytes_on_stderr(self):
        worker = self.run_worker("""
for job in jobs():
    for n in range(100):
        sys.stderr.write("x" * (1 << 20))
    print("end", file=sys.stderr)
    say(id=job["id"], result=1)
""")
        self.assertEqual(self.result(self.publish(1)), 1)
        with open("/proc/%d/status" % worker.pid, encoding="utf-8") as status:
            peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
        self.assertLess(peak, 100000, "kB; 100 MB of output are not kept")
        self.stop(worker)

    def test_missing_program_is_an_error_at_the_start(self):
        config = self.file("cress.conf",
                           "[task t]\nhandler = stream\ncommand = /no/such/program\n")
        done = cresstest.run("cress-worker", "--config", config, "--check-config")
        self.assertEqual(done.returncode, 78)
        self.assertIn("/no/such/program", done.stderr)

    def test_program_that_goes_missing(self):
        path = self.file("gone.sh", "#!/bin/sh\nexec cat\n")
        os.chmod(path, 0o755)
        self.run_command(path)
        os.unlink(path)
        error = self.error(self.publish(1, headers={"max_attempts": 2}))
        self.assertEqual(error["code"], "no_program")
        self.assertIn("gone.sh", error["message"])


class Replacement(StreamTest):
    def test_after_so_many_jobs(self):
        worker = self.run_worker("""
say(cress=1, concurrency=4)
for job in jobs():
    say(id=job["id"], result=os.getpid())
""", "recycle_jobs = 10")
        jobs = [self.publish(n) for n in range(30)]
        pids = [self.result(job) for job in jobs]
        self.assertEqual(len(set(pids)), 3)
        self.assertTrue(all(pids.count(pid) == 10 for pid in pids))
        self.stop(worker)

    def test_when_it_has_grown(self):
        worker = self.run_worker("""
kept = []
for job in jobs():
    kept.append(b"x" * (60 << 20))
    say(id=job["id"], result=os.getpid())
""", "recycle_memory = 50M")
        self.assertNotEqual(self.result(self.publish(1)), self.result(self.publish(2)))
        worker.wait_log("too large")
        self.stop(worker)

    def test_by_a_reload_while_a_job_runs(self):
        program = """
for job in jobs():
    while job["payload"] == "slow" and not os.path.exists(sys.argv[0] + ".go"):
        time.sleep(0.02)
    say(id=job["id"], result="%s")
"""
        worker = self.run_worker(program % "old")
        slow = self.publish("slow")
        self.wait_state(slow, "running")
        wait_for(lambda: processes(self.mark), "the program")
        old = processes(self.mark)
        new = self.file("new.py", PRELUDE + program % "new")
        self.file("cress.conf", "[task t]\nhandler = stream\ncommand = %s %s %s\n" % (PYTHON, new, self.mark))
        worker.signal(signal.SIGHUP)
        worker.wait_log("configuration read again")
        self.assertEqual(self.result(self.publish("quick")), "new")
        self.assertEqual(self.redis().record(slow)["state"], "running")
        self.file("program.py.go", "")
        self.assertEqual(self.result(slow), "old")
        wait_for(lambda: not set(old) & set(processes(self.mark)), "the end of the old program")
        self.stop(worker)

    def test_memory_limit(self):
        worker = self.run_worker("""
for job in jobs():
    kept = b"x" * (600 << 20)
    say(id=job["id"], result=1)
""", "memory_max = 256M")
        error = self.error(self.publish(1, headers={"max_attempts": 1}))
        self.assertEqual(error["code"], "oom")
        self.stop(worker)


class Stopping(StreamTest):
    SLOW = """
for job in jobs():
    time.sleep(job["payload"])
    say(id=job["id"], result="slept")
"""

    def test_running_jobs_end_first(self):
        worker = self.run_worker(self.SLOW)
        job = self.publish(1)
        self.wait_state(job, "running")
        self.stop(worker)
        self.assertEqual(self.result(job), "slept")

    def test_what_outlasts_the_drain_time_is_handed_back(self):
        worker = self.run_worker(self.SLOW, CRESS_WORKER_DRAIN="200ms")
        job = self.publish(60)
        self.wait_state(job, "running")
        self.stop(worker)
        self.assertEqual(self.redis().record(job)["state"], "queued")

    def test_program_that_ignores_everything(self):
        worker = self.run_worker("""
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for job in jobs():
    say(id=job["id"], result=1)
    if job["payload"] == "stay":
        time.sleep(600)
""")
        self.result(self.publish("stay"))
        began = time.monotonic()
        self.stop(worker)
        self.assertLess(time.monotonic() - began, 15)

    def test_killed_worker_leaves_no_program(self):
        worker = self.run_worker(self.SLOW)
        job = self.publish(600)
        self.wait_state(job, "running")
        wait_for(lambda: processes(self.mark), "the program")
        worker.signal(signal.SIGKILL)
        wait_for(lambda: not processes(self.mark), "the end of the program")

    def test_no_descriptor_is_left_or_passed_on(self):
        worker = self.run_worker("""
say(cress=1)
fds = sorted(int(fd) for fd in os.listdir("/proc/self/fd"))
for job in jobs():
    say(id=job["id"], result=fds)
    if job["payload"] == "die":
        sys.exit(1)
""", "recycle_jobs = 2")
        def descriptors():
            return len(os.listdir("/proc/%d/fd" % worker.pid))
        fds = self.result(self.publish(0))
        self.assertEqual([fd for fd in fds if fd <= 2], [0, 1, 2])
        self.assertLessEqual(len(fds), 4)  # and the folder that was read
        self.result(self.publish("die"))
        before = descriptors()
        for n in range(20):
            self.result(self.publish("die" if n % 2 else n))
        wait_for(lambda: descriptors() <= before, "no more descriptors than before")
        self.stop(worker)

    def test_loud_programs_do_not_fill_the_log(self):
        worker = self.run_worker("""
for job in jobs():
    for n in range(20000):
        print("line", n, file=sys.stderr)
    say(id=job["id"], result=1)
""")
        self.result(self.publish(1))
        self.stop(worker)
        self.assertLess(worker.log().count("stream program says"), 400)
        self.assertGreater(worker.log().count("stream program says"), 0)


if __name__ == "__main__":
    unittest.main()
