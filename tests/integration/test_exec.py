# SPDX-License-Identifier: Apache-2.0
"""The handler `exec` and tasks from the configuration: programs of every sort of bad manners, which must
cost their own job and nothing else. CRESS_TEST_LONG=1 runs ten times as many jobs in the count."""

import json
import os
import signal
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

import cresstest
from cresstest import unique, wait_for

PYTHON = "/usr/bin/python3"


def processes(mark):
    """The pids of processes whose command line or environment contains `mark`."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % pid, "rb") as cmdline, open("/proc/%s/environ" % pid, "rb") as environ:
                if mark.encode() in cmdline.read() + environ.read() and int(pid) != os.getpid():
                    found.append(int(pid))
        except OSError:
            continue
    return found


def children(pid):
    """The pids of all children of `pid`, zombies too, but for wardens that wait for the next program: forks of the
    worker itself, without children."""
    parents = {}
    for other in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/stat" % other, encoding="utf-8", errors="replace") as stat:
                parents[int(other)] = int(stat.read().rpartition(")")[2].split()[1])
        except OSError:
            continue

    def is_idle_warden(child):
        try:
            return (os.readlink("/proc/%d/exe" % child) == os.readlink("/proc/%d/exe" % pid)
                    and child not in parents.values())
        except OSError:
            return False  # a zombie has none
    return [child for child, parent in parents.items() if parent == pid and not is_idle_warden(child)]


class ExecTest(cresstest.TestCase):
    def setUp(self):
        super().setUp()
        self.queue = unique("exec")
        self.client = self.broker()
        self.folder = tempfile.TemporaryDirectory(prefix="cress-exec-")
        self.addCleanup(self.folder.cleanup)
        self.tmp = os.path.join(self.folder.name, "tmp")
        os.mkdir(self.tmp)
        self.sections = ""

    def script(self, text, interpreter="/bin/sh"):
        """A program with this text; its path."""
        path = os.path.join(self.folder.name, unique("program"))
        with open(path, "w", encoding="utf-8") as file:
            file.write("#!%s\n%s\n" % (interpreter, text))
        os.chmod(path, 0o755)
        return path

    def task(self, command, *options):
        """A [task] section; its name."""
        name = unique("task")
        self.sections += "[task %s]\nhandler = exec\ncommand = %s\n%s\n" % (name, command, "\n".join(options))
        return name

    def configure(self):
        path = os.path.join(self.folder.name, "cress.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.sections)
        return path

    def run_worker(self, *args, **environment):
        environment.setdefault("CRESS_JOB_BACKOFF_BASE", "20ms")
        environment.setdefault("TMPDIR", self.tmp)
        return self.worker("--config", self.configure(), "--queues", self.queue, *args, **environment)

    def publish(self, task, payload=None, **properties):
        job = properties.setdefault("message_id", unique("job"))
        wait_for(lambda: self.client.ready(self.queue) is not None, "queue " + self.queue)
        self.client.publish(self.queue, payload, type=task, **properties)
        return job

    def once(self, task, payload=None, **headers):
        """Runs a job that has one attempt, and returns its record."""
        headers.setdefault("max_attempts", 1)
        return self.wait_state(self.publish(task, payload, headers=headers), "succeeded", "failed")

    def verdict(self, record):
        return json.loads(record["error"])["code"]

    def assert_clean(self, mark=None):
        """No folder of a job, and no process that has `mark` in its environment."""
        wait_for(lambda: not os.listdir(self.tmp), "folders to go: %s" % os.listdir(self.tmp))
        if mark:
            wait_for(lambda: not processes(mark), "processes of " + mark)


class Contract(ExecTest):
    def test_payload_and_result(self):
        upper = self.task("tr a-z A-Z")
        text = self.task(self.script('printf "three words here\\n"'))
        nothing = self.task("true")
        self.run_worker()
        self.assertEqual(json.loads(self.once(upper, {"a": "hello"})["result"]), {"A": "HELLO"})
        self.assertEqual(json.loads(self.once(text)["result"]), "three words here")
        self.assertIsNone(json.loads(self.once(nothing, "x" * 500000)["result"]))
        self.assert_clean()

    def test_environment_and_folder(self):
        task = self.task(self.script(
            "import json, os, sys\n"
            "os.makedirs('deep/er'); open('deep/er/file', 'w').close(); os.symlink('/etc', 'deep/link')\n"
            "print(json.dumps({'env': dict(os.environ), 'cwd': os.getcwd(), 'fds': os.listdir('/proc/self/fd'),"
            " 'session': os.getsid(0) == os.getpid()}))", PYTHON), "timeout = 1m")
        worker = self.run_worker(CRESS_JOB_ID="the worker's own")
        before = time.time() * 1000
        job = self.publish(task, None, headers={"traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01"})
        record = self.wait_state(job, "succeeded")
        said = json.loads(record["result"])
        self.assertEqual(said["env"]["CRESS_JOB_ID"], job)
        self.assertEqual(said["env"]["CRESS_TASK"], task)
        self.assertEqual(said["env"]["CRESS_ATTEMPT"], "1")
        self.assertEqual(said["env"]["TRACEPARENT"][:4], "00-a")
        self.assertAlmostEqual(int(said["env"]["CRESS_DEADLINE_MS"]), before + 60000, delta=20000)
        self.assertEqual(os.path.dirname(said["cwd"]), self.tmp)
        self.assertTrue(said["session"])
        self.assertLessEqual(len(said["fds"]), 5, "0 to 3, and the one that lists them")
        self.assert_clean()
        self.assertTrue(os.path.exists("/etc/passwd"))
        self.assertEqual(children(worker.pid), [])

    def test_progress_and_log(self):
        task = self.task(self.script(
            'echo "40 uploading" >&3\necho "a line of the log" >&2\nprintf "\\377 no text\\n" >&2\n'
            'while [ ! -e "%s/go" ]; do sleep 0.02; done\necho "90 almost" >&3; echo "no number" >&3' % self.folder.name))
        self.run_worker()
        job = self.publish(task)
        redis = self.redis()
        wait_for(lambda: "progress" in redis.record(job), "progress")
        self.assertEqual(json.loads(redis.record(job)["progress"]), {"percent": 40, "message": "uploading"})
        open(self.folder.name + "/go", "w").close()
        record = self.wait_state(job, "succeeded")
        self.assertEqual(json.loads(record["progress"]), {"percent": None, "message": "no number"})
        self.assertEqual(record["log"], "a line of the log\n\ufffd no text\n")

    def test_exit_statuses(self):
        task = self.task("sh -c 'echo why >&2; exit $(cat)'")
        strict = self.task("sh -c 'exit $(cat)'", "other_exit = fail")
        self.run_worker()
        for status, attempts in ((65, "1"), (75, "2"), (3, "2"), (1, "2")):
            record = self.once(task, status, max_attempts=2)
            self.assertEqual(record["state"], "failed")
            self.assertEqual(self.verdict(record), "exit %d" % status)
            self.assertEqual(record["attempt"], attempts)
            self.assertIn("why", json.loads(record["error"])["message"])
        self.assertEqual(self.once(strict, 3, max_attempts=2)["attempt"], "1")
        self.assertEqual(self.once(strict, 75, max_attempts=2)["attempt"], "2")

    def test_section_is_the_default_of_the_job(self):
        task = self.task("false", "max_attempts = 2", "backoff_base = 1ms")
        self.run_worker(CRESS_JOB_BACKOFF_BASE="1h")
        record = self.wait_state(self.publish(task), "failed")
        self.assertEqual(record["attempt"], "2")

    def test_quoting_and_shell(self):
        plain = self.task("printf '%s|' one 'two words' \"$HOME\" a\\ b '*'")
        shell = self.task("printf '%s' \"$CRESS_TASK\" | tr a-z A-Z", "shell = yes")
        self.run_worker()
        self.assertEqual(json.loads(self.once(plain)["result"]), "one|two words|$HOME|a b|*|")
        self.assertEqual(json.loads(self.once(shell)["result"]), shell.upper())

    def test_missing_program_is_retried(self):
        program = self.script("echo 1")
        task = self.task(program)
        self.run_worker()
        os.rename(program, program + ".away")
        self.assertEqual(self.verdict(self.once(task)), "no_program")
        os.rename(program + ".away", program)
        self.assertEqual(self.once(task)["state"], "succeeded")


class BadManners(ExecTest):
    def test_hard_timeout_leaves_no_descendant(self):
        """A child that ignores SIGTERM, one in a session of its own, one that was orphaned."""
        mark = unique("mark")
        task = self.task(self.script(
            "import os, signal, sys, time\n"
            "os.environ['MARK'] = '%s'\n"
            "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
            "def sleeper(): os.execve('/bin/sleep', ['sleep', '600'], os.environ)\n"
            "if os.fork() == 0: sleeper()\n"
            "if os.fork() == 0:\n"
            "    os.setsid()\n"
            "    if os.fork() == 0:\n"
            "        os.setsid(); sleeper()\n"
            "    os._exit(0)\n"
            "print('started', file=sys.stderr, flush=True)\n"
            "sleeper()" % mark, PYTHON), "timeout = 2s", "soft_timeout = 500ms")
        self.run_worker()
        job = self.publish(task, headers={"max_attempts": 1})
        wait_for(lambda: len(processes(mark)) == 3, "three sleepers")
        record = self.wait_state(job, "failed")
        self.assertEqual(self.verdict(record), "hard_timeout")
        self.assert_clean(mark)

    def test_end_of_program_ends_what_it_left(self):
        mark = unique("mark")
        task = self.task("sh -c 'MARK=%s setsid sleep 600 & echo 5'" % mark)
        self.run_worker()
        record = self.once(task)
        self.assertEqual(json.loads(record["result"]), 5)
        self.assert_clean(mark)

    def test_soft_timeout(self):
        polite = self.task("sh -c 'trap \"echo 1; exit 0\" TERM; while :; do sleep 0.02; done'",
                           "soft_timeout = 300ms", "timeout = 20s")
        plain = self.task("sleep 600", "soft_timeout = 300ms", "timeout = 20s")
        self.run_worker()
        self.assertEqual(self.once(polite)["state"], "succeeded")
        self.assertEqual(self.verdict(self.once(plain)), "soft_timeout")

    def test_signals(self):
        task = self.task("sh -c 'kill -$(cat) $$'")
        worker = self.run_worker()
        for number in (11, 6, 9):
            self.assertEqual(self.verdict(self.once(task, number)), "signal %d" % number)
        self.assertEqual(children(worker.pid), [])

    def test_limits(self):
        cpu = self.task("sh -c 'while :; do :; done'", "cpu_max = 1s")
        stubborn = self.task("sh -c 'trap \"\" XCPU; while :; do :; done'", "cpu_max = 1s")
        memory = self.task(self.script("x = b'x' * (1 << 30)", PYTHON), "memory_max = 200M")
        size = self.task("dd if=/dev/zero of=big bs=1k count=100", "file_size_max = 10k")
        files = self.task("sh -c 'ulimit -n; ulimit -c'", "files_max = 17")
        self.run_worker()
        self.assertEqual(self.verdict(self.once(cpu)), "cpu")
        self.assertEqual(self.verdict(self.once(stubborn)), "cpu")
        self.assertEqual(self.verdict(self.once(memory)), "oom")
        self.assertEqual(self.verdict(self.once(size)), "file_size")
        self.assertEqual(json.loads(self.once(files)["result"]), "17\n0")
        self.assert_clean()

    def test_output(self):
        flood = self.task("head -c 100000000 /dev/zero", "timeout = 1m")
        noise = self.task("sh -c 'head -c 100000000 /dev/zero >&2; echo end >&2; echo 1'", "timeout = 1m")
        binary = self.task("printf 'a\\377b\\000c'")
        closed = self.task("sh -c 'exec >&- 2>&- 3>&-; sleep 0.2'")
        worker = self.run_worker()
        memory = "/proc/%d/status" % worker.pid
        self.assertEqual(self.verdict(self.once(flood)), "too_large")
        record = self.once(noise)
        self.assertEqual(record["state"], "succeeded")
        self.assertTrue(record["log"].endswith("end\n"))
        self.assertEqual(json.loads(self.once(binary)["result"]), "a\ufffdb\0c")
        self.assertIsNone(json.loads(self.once(closed)["result"]))
        with open(memory, encoding="utf-8") as status:
            peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
        self.assertLess(peak, 100000, "kB; 100 MB of output are not kept")

    def end_by_cancel(self, job, mark):
        """Whatever the load, it has gone off before it is ended. `most` is how many processes there were at once."""
        self.most = len(processes(mark))
        self.assertEqual(cresstest.run("cress", "cancel", job).returncode, 0)

        def over():
            self.most = max(self.most, len(processes(mark)))
            return self.redis().record(job).get("state") == "cancelled"
        wait_for(over, "the end of the bomb", deadline=120)
        self.assert_clean(mark)

    def test_fork_bomb(self):
        """Each process starts others in sessions of their own, 300 in all, and none ends."""
        mark = unique("mark")
        counter = os.path.join(self.folder.name, "count")
        task = self.task(self.script(
            "import os, time\n"
            "os.environ['MARK'] = '%s'\n"
            "while True:\n"
            "    with open('%s', 'a') as file:\n"
            "        if file.write('x') and file.tell() > 300: break\n"
            "    if os.fork() == 0: os.setsid()\n"
            "os.execve('/bin/sleep', ['sleep', '600'], os.environ)" % (mark, counter), PYTHON), "timeout = 10m")
        self.run_worker()
        job = self.publish(task, headers={"max_attempts": 1})
        wait_for(lambda: len(processes(mark)) > 50, "the bomb", deadline=120)
        self.end_by_cancel(job, mark)

    def test_fork_bomb_within_a_limit(self):
        """A bomb that would not end by itself meets processes_max, to which the kernel holds only who is not root."""
        mark = self.script("import os, time\nwhile True:\n    try: os.fork()\n    except OSError: time.sleep(0.05)",
                           PYTHON)  # all of them have its path as an argument
        task = self.task(mark, "processes_max = 60", "timeout = 10m")
        os.chmod(self.folder.name, 0o755)
        os.chmod(self.tmp, 0o777)
        if os.geteuid() == 0:  # a user of its own, for the limit counts all of a user's processes
            user = 61000 + os.getpid() % 4000
            # a copy: the clone may lie where that user cannot go
            program = shutil.copy(os.path.join(cresstest.BUILD, "cress-worker"), self.folder.name)
            worker = subprocess.Popen([program, "--config", self.configure(), "--queues", self.queue], user=user,
                                      cwd="/", stderr=subprocess.DEVNULL, env=dict(os.environ, TMPDIR=self.tmp))
            self.addCleanup(worker.wait)
            self.addCleanup(worker.terminate)
        else:
            worker = self.run_worker()
        job = self.publish(task, headers={"max_attempts": 1})
        wait_for(lambda: len(processes(mark)) > 30, "the bomb", deadline=120)
        self.end_by_cancel(job, mark)
        self.assertLessEqual(self.most, 60)

    def test_folder_full_of_traps(self):
        task = self.task(self.script(
            "import os\n"
            "outside = %r\n"
            "os.symlink(outside, 'link'); os.symlink('/', 'root'); os.mkfifo('fifo')\n"
            "os.makedirs('locked/in'); open('locked/in/file', 'w').close(); os.chmod('locked/in', 0); os.chmod('locked', 0)\n"
            "os.mkdir('0'); os.mkdir('1')\n"
            "for i in range(3000): os.mkdir('d' * 50); os.chdir('d' * 50)" % self.folder.name, PYTHON))
        self.run_worker()
        self.assertEqual(self.once(task)["state"], "succeeded")
        self.assert_clean()
        self.assertTrue(os.listdir(self.folder.name), "what a link points to stays")

    def test_zombies_of_the_program(self):
        task = self.task(self.script(
            "import os, time\nfor i in range(50):\n    if os.fork() == 0: os._exit(0)\ntime.sleep(0.2)\nprint(1)", PYTHON))
        worker = self.run_worker()
        self.assertEqual(json.loads(self.once(task)["result"]), 1)
        self.assertEqual(children(worker.pid), [])


class Worker(ExecTest):
    def test_shutdown_hands_back(self):
        mark = unique("mark")
        task = self.task("sh -c 'trap \"\" TERM; MARK=%s sleep 600'" % mark)
        worker = self.run_worker("--concurrency", "2", CRESS_WORKER_DRAIN="100ms")
        job = self.publish(task)
        wait_for(lambda: processes(mark), "the program")
        self.assertEqual(worker.stop(), 0)
        self.assert_clean(mark)
        self.assertEqual(self.redis().record(job)["state"], "queued")
        wait_for(lambda: self.client.ready(self.queue) == 1, "the message to be back")

    def test_killed_worker_leaves_no_program(self):
        mark = unique("mark")
        task = self.task("sh -c 'MARK=%s setsid sleep 600; :'" % mark)
        worker = self.run_worker()
        self.publish(task)
        wait_for(lambda: processes(mark), "the program")
        worker.kill()
        wait_for(lambda: not processes(mark), "its end")

    def test_killed_worker_leaves_no_folder_for_ever(self):
        """The next one on the machine removes it; one that is in use stays."""
        task = self.task("sh -c 'echo x >file; sleep 600'")
        killed, other = (self.run_worker(CRESS_WORKER_DRAIN="100ms") for _ in range(2))
        self.publish(task), self.publish(task)
        wait_for(lambda: len(os.listdir(self.tmp)) == 2, "two folders")
        left = set(os.listdir(self.tmp))
        killed.kill()
        self.worker("--config", self.configure(), "--queues", unique("other"), TMPDIR=self.tmp)
        wait_for(lambda: left - set(os.listdir(self.tmp)), "the folder of the killed worker to go")
        other.stop()
        self.assert_clean()

    def test_inline_task(self):
        worker = self.worker("--queues", self.queue, "--exec", "tr a-z A-Z", TMPDIR=self.tmp)
        self.assertEqual(json.loads(self.once("shout", "hello")["result"]), "HELLO")
        self.assertEqual(json.loads(self.once("cress.echo", "hello")["result"]), "hello")
        worker.signal(signal.SIGHUP)
        self.assertEqual(worker.wait(), 0)

    def test_inline_task_of_one_name(self):
        self.worker("--queues", self.queue, "--exec=cat", "--task", "mine", TMPDIR=self.tmp,
                    CRESS_WORKER_UNKNOWN_TASK_WAIT="0")
        self.assertEqual(self.once("mine", 7)["state"], "succeeded")
        self.assertEqual(self.verdict(self.once("other", 7)), "unknown_task")

    def test_arguments(self):
        for args, status, text in (
                (("--exec", "a", "--http", "http://h/"), 2, "only one of"),
                (("--exec",), 2, "--exec needs a value"),
                (("--task", "x"), 2, "--task goes with"),
                (("--http", "ftp://h/"), 78, "not a URL of the right kind"),
                (("--compare",), 2, "--compare needs a value"),
                (("--wrong",), 2, "unexpected argument --wrong")):
            done = cresstest.run("cress-worker", "--check-config", *args)
            self.assertEqual(done.returncode, status, done.stderr)
            self.assertIn(text, done.stderr)

    def test_check_config(self):
        name = self.task("cat", "timeout = 3s")
        done = cresstest.run("cress-worker", "--config", self.configure(), "--concurrency", "7", "--check-config")
        self.assertEqual(done.returncode, 0)
        self.assertIn("task %s.timeout = 3s (" % name, done.stdout)
        self.assertIn("worker.concurrency = 7 (flag --concurrency; SIGHUP takes it over)", done.stdout)
        for options, text in (("handler = exec", "the command is empty"),
                              ("handler = exec\ncommand = /no/such", "there is no program /no/such"),
                              ("handler = exec\ncommand = a 'b", "quote"),
                              ("timeout = 3s", "needs handler ="),
                              ("handler = exec\ncommand = cat\ntimeout = 1s\nsoft_timeout = 2s", "less than timeout")):
            self.sections = "[task bad]\n%s\n" % options
            done = cresstest.run("cress-worker", "--config", self.configure(), "--check-config")
            self.assertEqual(done.returncode, 78, done.stdout)
            self.assertIn("[task bad]", done.stderr)
            self.assertIn(text, done.stderr)

    def test_check_config_says_what_would_change(self):
        kept, gone = self.task("cat", "timeout = 3s"), self.task("cat", "memory_max = 1G")
        old = os.path.join(self.folder.name, "old.conf")
        os.rename(self.configure(), old)
        self.sections = self.sections.replace("timeout = 3s", "timeout = 2m").replace(
            "[task %s]" % gone, "[worker]\nqueues = a,b\n[task new]")
        done = cresstest.run("cress-worker", "--config", self.configure(), "--check-config", "--compare", old)
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = done.stdout.splitlines()
        self.assertIn("task %s.timeout: 3s -> 2m (SIGHUP takes it over)" % kept, lines)
        self.assertIn("task %s.memory_max: 1G -> (no section) (SIGHUP takes it over)" % gone, lines)
        self.assertIn("task new.memory_max: (no section) -> 1G (SIGHUP takes it over)", lines)
        self.assertIn("worker.queues: default -> a, b (needs a restart)", lines)
        self.assertFalse([line for line in lines if "concurrency" in line], "what does not change")
        done = cresstest.run("cress-worker", "--check-config", "--compare", old + ".none")
        self.assertEqual(done.returncode, 78, done.stdout)

    def test_reload(self):
        """Two processes; a job that runs meanwhile ends as it began."""
        go = os.path.join(self.folder.name, "go")
        slow = self.task("sh -c 'while [ ! -e %s ]; do sleep 0.02; done; echo old'" % go)
        worker = self.run_worker("--processes", "2")
        job = self.publish(slow)
        self.wait_state(job, "running")
        new = self.task("echo new")
        self.sections = self.sections.replace("echo old", "echo changed")
        self.configure()
        worker.signal(signal.SIGHUP)
        wait_for(lambda: worker.log().count("configuration read again") == 2, "both to reload")
        self.assertIn("task closed", worker.log())
        self.assertEqual(json.loads(self.once(new)["result"]), "new")
        open(go, "w").close()
        self.assertEqual(json.loads(self.wait_state(job, "succeeded")["result"]), "old")
        self.assertEqual(json.loads(self.once(slow)["result"]), "changed")
        self.sections = "[task broken]\nhandler = exec\n"
        self.configure()
        worker.signal(signal.SIGHUP)
        wait_for(lambda: worker.log().count("the old one stays") == 2, "both to refuse")
        self.assertEqual(json.loads(self.once(new)["result"]), "new")
        self.assertEqual(worker.stop(), 0)

    def test_many_jobs_leave_nothing(self):
        count = 10000 if os.environ.get("CRESS_TEST_LONG") else 1000
        task = self.task("true")
        worker = self.run_worker(TMPDIR=self.tmp)
        self.once(task)

        def descriptors():
            return len(os.listdir("/proc/%d/fd" % worker.pid))
        before = descriptors()
        wait_for(lambda: self.client.ready(self.queue) is not None, "the queue")
        jobs = [self.publish(task) for _ in range(count)]
        start, redis = time.monotonic(), self.redis()
        left = set(jobs)

        def ended():
            left.difference_update([job for job in list(left)[:500] if redis.record(job).get("state") == "succeeded"])
            return not left
        wait_for(ended, "%d jobs" % count, deadline=600, pause=0.2)
        print("%d jobs, of which the last ended %.1f s after the last was sent" % (count, time.monotonic() - start),
              file=sys.stderr)
        self.assertEqual(children(worker.pid), [])
        self.assertEqual(os.listdir(self.tmp), [])
        wait_for(lambda: descriptors() <= before, "descriptors: %d, before %d" % (descriptors(), before))


if __name__ == "__main__":
    unittest.main()
