# SPDX-License-Identifier: Apache-2.0
"""The command line as a user meets it: every verb, its exit code, and what goes to stdout (data) and
what to stderr (talk)."""

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import tempfile
import time
import urllib.parse
import uuid

from cresstest import BUILD, DEADLINE, ROOT, Program, TestCase, env, run, unique, wait_for
from test_render import Origin

ID = re.compile(r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$")
NOWHERE = ("--connect-timeout", "300ms")
CRESS = os.path.join(BUILD, "cress")


def cress(*args, **options):
    return run("cress", *args, **options)


class CliTest(TestCase):
    def cress(self, *args, code=0, **options):
        """Runs it, checks the exit code, and returns stdout."""
        done = cress(*args, **options)
        self.assertEqual(done.returncode, code, "stdout: %s\nstderr: %s" % (done.stdout, done.stderr))
        self.said = done.stderr
        return done.stdout

    def refused(self, code, words, *args, **options):
        """It ends with `code`, says `words` on stderr in one line, and nothing on stdout."""
        self.assertEqual(self.cress(*args, code=code, **options), "")
        self.assertIn(words, self.said)
        self.assertEqual(self.said.count("\n"), 1, self.said)

    def queue_with_worker(self, **environment):
        queue = unique("cli")
        self.worker("--queues", queue, **environment)
        return queue

    def on_terminal(self, *args, **environment):
        """What it writes to a terminal that is both stdout and stderr."""
        main, side = pty.openpty()
        variables = {"PATH": os.environ["PATH"], "TERM": "xterm"}
        variables.update((name, os.environ[name]) for name in os.environ if name.startswith("CRESS_"))
        variables.update(environment)
        process = subprocess.Popen([CRESS, *args], stdin=side, stdout=side, stderr=side, env=variables)
        os.close(side)
        text = b""
        while True:
            try:
                piece = os.read(main, 65536)
            except OSError:  # the other end is closed
                break
            if not piece:
                break
            text += piece
        os.close(main)
        return process.wait(DEADLINE), text.decode()


class EnqueueTest(CliTest):
    def test_the_id_alone_is_printed_and_is_the_job(self):
        queue = self.queue_with_worker()
        job = self.cress("enqueue", "cress.echo", '{"a": 1}', "--queue", queue)
        self.assertRegex(job.strip(), ID)
        self.assertEqual(self.said, "")
        self.assertEqual(json.loads(self.wait_state(job.strip(), "succeeded")["result"]), {"a": 1})

    def test_json_prints_the_record(self):
        queue = self.queue_with_worker()
        record = json.loads(self.cress("enqueue", "cress.echo", "[1]", "--queue", queue, "--json",
                                       "--priority", "high", "--max-attempts", "2", "--timeout", "1m"))
        self.assertEqual((record["task"], record["queue"], record["state"], record["payload"]),
                         ("cress.echo", queue, "queued", [1]))
        self.assertEqual((record["priority"], record["max_attempts"], record["timeout_ms"]), ("high", 2, 60000))

    def test_backoff_is_the_jobs_own(self):
        queue = self.queue_with_worker()
        record = json.loads(self.cress("enqueue", "cress.echo", "--queue", queue, "--json", "--backoff", "linear",
                                       "--backoff-base", "5s", "--backoff-cap", "1h"))
        self.assertEqual((record["backoff"], record["backoff_base_ms"], record["backoff_cap_ms"]),
                         ("linear", 5000, 3600000))
        self.refused(2, "exponential", "enqueue", "cress.echo", "--backoff", "wild")

    def test_payloads_come_from_words_files_and_stdin(self):
        queue = self.queue_with_worker()
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            file.write("[2]")
            file.flush()
            for words, stdin, expected in ((["1"], None, "1"), (["@" + file.name], None, "[2]"),
                                           (["-"], '"drei"\n', '"drei"'), ([], None, "null")):
                out = self.cress("enqueue", "cress.echo", *words, "--queue", queue, "--wait=30s", stdin=stdin)
                self.assertEqual(out, expected + "\n")

    def test_the_outcome_is_the_exit_code(self):
        queue = self.queue_with_worker()
        fail = json.dumps({"message": "as asked", "permanent": True})
        self.assertEqual(self.cress("enqueue", "cress.fail", fail, "--queue", queue, "--wait=30s", code=1), "")
        self.assertIn("as asked", self.said)
        record = json.loads(self.cress("enqueue", "cress.fail", fail, "--queue", queue, "--wait", "--json", code=1))
        self.assertEqual(record["state"], "failed")
        self.cress("enqueue", "cress.sleep", '{"ms": 20000}', "--queue", queue, "--wait=100ms", code=5)
        self.assertIn("goes on", self.said)

    def test_delays_and_times(self):
        queue = self.queue_with_worker()
        record = json.loads(self.cress("enqueue", "cress.noop", "--queue", queue, "--delay", "10m", "--json"))
        self.assertEqual(record["state"], "scheduled")
        at = "2100-01-01T00:00:00Z"
        record = json.loads(self.cress("enqueue", "cress.noop", "--queue", queue, "--at", at, "--json"))
        self.assertEqual(record["run_at"], "2100-01-01T00:00:00.000Z")

    def test_an_id_makes_one_job(self):
        queue = self.queue_with_worker()
        job = unique("mine")
        self.assertEqual(self.cress("enqueue", "cress.noop", "--queue", queue, "--id", job).strip(), job)
        self.wait_state(job, "succeeded")
        self.refused(4, job, "enqueue", "cress.noop", "--queue", queue, "--id", job)

    def test_what_is_refused(self):
        self.refused(65, "did you mean cress.echo", "enqueue", "cress.ecko")
        self.refused(65, "not JSON", "enqueue", "cress.echo", "{bad")
        self.refused(65, "the payload is empty", "enqueue", "cress.echo", "-", stdin="\n")
        self.refused(3, "nowhere.json", "enqueue", "cress.echo", "@/nowhere.json")
        self.refused(3, "no queue named", "enqueue", "cress.noop", "--queue", unique("none"))
        self.refused(65, "job.max_payload", "enqueue", "cress.echo", "-", stdin='"%s"' % ("x" * 2000000))
        self.refused(2, "did you mean --queue?", "enqueue", "cress.echo", "--qeue", "x")
        self.refused(2, "--delay", "enqueue", "cress.echo", "--delay", "soon")
        self.refused(2, "none of high, normal, low", "enqueue", "cress.echo", "--priority", "top")
        self.refused(2, "wants a task", "enqueue")
        self.refused(2, "one word too many", "enqueue", "cress.echo", "1", "2")


class BulkTest(CliTest):
    def lines(self, *jobs):
        return "".join((job if isinstance(job, str) else json.dumps(job)) + "\n" for job in jobs)

    def test_ids_come_in_the_order_of_the_lines(self):
        queue = self.queue_with_worker()
        count = 10000
        text = self.lines(*({"task": "cress.echo", "queue": queue, "payload": n} for n in range(count)))
        ids = self.cress("enqueue", "--jsonl", "-", stdin=text).split()
        self.assertEqual(len(set(ids)), count)
        self.assertIn("%d accepted, 0 bad, 0 refused" % count, self.said)
        for n in (0, 1, 4095, 4096, count - 1):
            self.assertEqual(self.wait_state(ids[n], "succeeded")["result"], str(n))

    def test_a_bad_line_is_named_and_the_others_go_on(self):
        queue = self.queue_with_worker()
        good = {"task": "cress.noop", "queue": queue}
        text = self.lines(good, "", "not json", dict(good, qeue="x"), dict(good, queue=unique("none")),
                          dict(good, payload="x" * 1500000), good).rstrip("\n")
        ids = self.cress("enqueue", "--jsonl", "-", stdin=text, code=65).split()
        self.assertEqual(len(ids), 2)
        for number, words in ((3, "JSON"), (4, 'did you mean "queue"'), (5, "no queue named"), (6, "max_payload")):
            self.assertRegex(self.said, r"(?m)^line %d: .*%s" % (number, words))
        self.assertIn("2 accepted, 4 bad, 0 refused", self.said)

        outcomes = [json.loads(line) for line in
                    self.cress("enqueue", "--jsonl", "-", "--json", stdin=text, code=65).splitlines()]
        self.assertEqual([outcome["line"] for outcome in outcomes], [1, 3, 4, 5, 6, 7])
        self.assertEqual([("id" in outcome, "error" in outcome) for outcome in outcomes],
                         [(True, False)] + 4 * [(False, True)] + [(True, False)])
        self.assertEqual(outcomes[3]["error"]["code"], "unknown_queue")

    def test_a_slow_pipe_is_answered_line_by_line(self):
        queue = self.queue_with_worker()
        line = self.lines({"task": "cress.noop", "queue": queue})
        with subprocess.Popen([CRESS, "enqueue", "--jsonl", "-"], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            for _ in range(3):
                process.stdin.write(line)
                process.stdin.flush()
                self.assertRegex(process.stdout.readline().strip(), ID)
            process.stdin.close()
            self.assertEqual(process.wait(DEADLINE), 0)

    def test_ctrl_c_ends_with_a_summary(self):
        queue = self.queue_with_worker()
        with subprocess.Popen([CRESS, "enqueue", "--jsonl", "-"], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            process.stdin.write(self.lines({"task": "cress.noop", "queue": queue}))
            process.stdin.flush()
            process.stdout.readline()
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(DEADLINE), 130)
            said = process.stderr.read()
            self.assertIn("stopped at line 1", said)
            self.assertIn("1 accepted", said)

    def test_nobody_reads_the_ids(self):
        queue = self.queue_with_worker()
        text = self.lines(*({"task": "cress.noop", "queue": queue} for _ in range(20000)))
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(text)
            file.flush()
            process = subprocess.Popen([CRESS, "enqueue", "--jsonl", file.name], stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE, text=True)
            process.stdout.readline()
            process.stdout.close()
            self.assertEqual(process.wait(DEADLINE), 141)
            self.assertEqual(process.stderr.read(), "")
            process.stderr.close()

    def test_options_that_lines_have_themselves(self):
        self.refused(2, "--queue does not go with --jsonl", "enqueue", "--jsonl", "-", "--queue", "x", stdin="")
        self.refused(2, "does not go with --jsonl", "enqueue", "cress.noop", "--jsonl", "-", stdin="")
        self.refused(3, "/nowhere", "enqueue", "--jsonl", "/nowhere")
        self.assertEqual(self.cress("enqueue", "--jsonl", "-", stdin=""), "")


class FollowTest(CliTest):
    def setUp(self):
        super().setUp()
        self.queue = self.queue_with_worker()

    def enqueue(self, task, payload="null"):
        return self.cress("enqueue", task, payload, "--queue", self.queue).strip()

    def test_status_is_tabs_json_or_a_table(self):
        job, other = self.enqueue("cress.echo", '"x"'), self.enqueue("cress.fail", '{"permanent": true}')
        self.wait_state(job, "succeeded")
        self.wait_state(other, "failed")
        fields = self.cress("status", job).rstrip("\n").split("\t")
        self.assertEqual(fields[:6], [job, "cress.echo", self.queue, "succeeded", "1", "5"])
        self.assertEqual(fields[9], '"x"')
        self.assertEqual(json.loads(self.cress("status", job, "--json"))["id"], job)
        records = json.loads(self.cress("status", job, other, "--json"))
        self.assertEqual([record["state"] for record in records], ["succeeded", "failed"])

        code, text = self.on_terminal("status", job, other)
        self.assertEqual(code, 0)
        self.assertRegex(re.sub(r"\033\[\d+m", "", text), r"^ID +TASK +QUEUE +STATE ")
        self.assertIn("\033[32msucceeded\033[0m", text)
        self.assertNotIn("\033", self.on_terminal("status", job, NO_COLOR="1")[1])
        self.assertNotIn("\033", self.on_terminal("status", job, TERM="dumb")[1])
        self.assertNotIn("\033", self.on_terminal("status", job, "--color=never")[1])
        self.cress("status", "nope", "--color=always", code=3)
        self.assertIn("\033[31mcress:", self.said)

    def test_an_unknown_job_is_an_error_after_the_others(self):
        job = self.enqueue("cress.noop")
        self.assertEqual(self.cress("status", "nope", job, code=3).count("\n"), 1)
        self.assertIn("no job nope", self.said)
        self.refused(3, "no job nope", "status", "nope", "--watch")
        self.refused(3, "no job nope", "wait", job, "nope")
        self.refused(3, "no job nope", "result", "nope")
        self.refused(2, "cannot be a job's id", "status", "a b")

    def test_watch_shows_each_change_until_the_end(self):
        job = self.enqueue("cress.sleep", '{"ms": 700}')
        self.wait_state(job, "running")
        states = [line.split("\t")[3] for line in self.cress("status", job, "--watch").splitlines()]
        self.assertEqual(states, ["running", "succeeded"])
        records = [json.loads(line) for line in self.cress("status", job, "--watch", "--json").splitlines()]
        self.assertEqual([record["state"] for record in records], ["succeeded"])

    def test_watch_shows_progress_and_is_no_flood(self):
        queue = unique("slow")
        program = ("i=0; while [ $i -lt 60 ]; do i=$((i+1)); echo $i step >&3; sleep 0.05; done; echo 1")
        self.start("cress", "worker", "run", "--exec", program, "--queue", queue).wait_log("worker ready")
        job = self.cress("enqueue", "count", "null", "--queue", queue).strip()
        lines = [line.split("\t") for line in self.cress("status", job, "--watch").splitlines()]
        shown = [line[9] for line in lines if line[3] == "running" and line[9] != "-"]
        self.assertGreaterEqual(len(shown), 2)
        self.assertLessEqual(len(lines), 16)  # three seconds and a job's states
        self.assertRegex(shown[-1], r"^\d+ %: step$")
        self.assertEqual(lines[-1][3], "succeeded")

    def test_wait_ends_with_the_worst_outcome(self):
        good, bad = self.enqueue("cress.sleep", '{"ms": 300}'), self.enqueue("cress.fail", '{"permanent": true}')
        out = self.cress("wait", good, bad, "--timeout", "30s", code=1)
        self.assertEqual([line.split("\t")[3] for line in out.splitlines()], ["succeeded", "failed"])
        self.cress("wait", good)
        self.assertEqual(json.loads(self.cress("wait", good, "--json"))["state"], "succeeded")
        slow = self.enqueue("cress.sleep", '{"ms": 20000}')
        self.refused(5, "1 of 2 jobs", "wait", good, slow, "--timeout", "200ms")
        self.refused(5, "1 of 2 jobs", "wait", good, slow, "--timeout", "0s")
        self.cress("wait", good, "--timeout", "0s")  # no time to wait, but it is looked at
        self.assertEqual(len(json.loads(self.cress("wait", good, slow, "--any", "--json"))), 1)

    def test_result_is_the_result_or_says_why_not(self):
        job = self.enqueue("cress.echo", '{"n": 1}')
        self.wait_state(job, "succeeded")
        self.assertEqual(json.loads(self.cress("result", job)), {"n": 1})
        job = self.enqueue("cress.fail", '{"message": "as asked", "permanent": true}')
        self.wait_state(job, "failed")
        self.refused(1, "as asked", "result", job)
        job = self.enqueue("cress.sleep", '{"ms": 20000}')
        self.refused(75, "no result yet", "result", job)

    def test_workers_lists_them(self):
        report = next(report for report in json.loads(self.cress("workers", "--json"))
                      if self.queue in report["queues"])
        self.assertEqual(report["pid"], self.programs[0].pid)
        row = next(line for line in self.cress("workers").splitlines() if line.endswith(self.queue))
        self.assertIn("\t%d\t" % report["pid"], row)


class QueuesTest(CliTest):
    def test_numbers_add_up(self):
        queue = unique("cli")
        worker = self.worker("--queues", queue, "--concurrency", "1", CRESS_WORKER_PREFETCH="1")
        worker.stop()
        for priority in ("high", "normal", "low"):
            self.cress("enqueue", "cress.noop", "--queue", queue, "--priority", priority)

        def counted():
            row = next(row for row in json.loads(self.cress("queues", "--json")) if row["name"] == queue)
            return row if row["ready"] == 3 else None
        self.assertEqual(wait_for(counted, "three jobs"),
                         {"name": queue, "ready": 3, "unacked": 0, "consumers": 0, "dead": 0, "paused_at": None})
        self.assertIn("%s\t3\t0\t0\t0\t-\n" % queue, self.cress("queues"))


class MessagesTest(CliTest):
    def queue(self):
        queue = unique("hello")
        broker = self.broker()
        self.addCleanup(lambda: broker.delete(queue))
        return queue

    def test_hello_world(self):
        queue = self.queue()
        self.assertEqual(self.cress("send", queue, "Hello World!"), "")
        self.assertEqual(self.cress("receive", queue, "--count", "1", "--timeout", "30s"), "Hello World!\n")
        self.cress("send", queue, "-", stdin="two\nlines\n")
        self.assertEqual(self.cress("receive", queue, "--count", "1"), "two\nlines\n")

    def test_pika_reads_and_writes_the_same_queue(self):
        queue = self.queue()
        broker = self.broker()
        broker.channel.queue_declare(queue)  # as the tutorial does: neither durable nor quorum
        self.cress("send", queue, "from C")
        self.assertEqual(broker.take(queue)[1], b"from C")
        broker.publish(queue, b"from Python", type="greeting", headers={"n": 7})
        message = json.loads(self.cress("receive", queue, "--count", "1", "--json"))
        self.assertEqual((message["body"], message["type"], message["headers"]["n"]), ("from Python", "greeting", 7))

    def test_only_what_was_printed_is_taken(self):
        queue = self.queue()
        for n in range(5):
            self.cress("send", queue, str(n))
        self.assertEqual(self.cress("receive", queue, "--count", "2"), "0\n1\n")
        broker = self.broker()
        wait_for(lambda: broker.ready(queue) == 3, "three messages left")

    def test_ctrl_c_ends_tidily(self):
        queue = self.queue()
        program = Program("cress", "receive", queue)
        self.programs.append(program)
        self.cress("send", queue, "x")
        wait_for(lambda: program.out() == "x\n", "the message")
        program.signal(signal.SIGINT)
        self.assertEqual(program.wait(), 130)
        self.assertEqual(program.log(), "")
        broker = self.broker()
        self.assertEqual(broker.ready(queue), 0)

    def test_silence(self):
        queue = self.queue()
        self.assertEqual(self.cress("receive", queue, "--timeout", "100ms"), "")
        self.refused(5, "0 of 1 messages", "receive", queue, "--timeout", "100ms", "--count", "1")


class PrerenderTest(CliTest):
    def setUp(self):
        super().setUp()
        self.origin = Origin()
        self.addCleanup(self.origin.close)
        self.queue = self.queue_with_worker(CRESS_RENDER_ALLOW=self.origin.address, CRESS_JOB_BACKOFF_BASE="20ms")
        self.to = "s3://%s/%s" % (env("CRESS_S3_BUCKET"), self.queue)
        for path in ("/", "/a", "/b"):
            self.origin.page(path, b"<p>" + path.encode())
        urls = "".join("<url><loc>%s%s</loc></url>" % (self.origin.url, path) for path in ("/", "/a", "/b"))
        self.origin.answers["/sitemap.xml"] = (200, {"Content-Type": "application/xml"}, (
            '<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">%s</urlset>'
            % urls).encode())

    def test_a_sitemap_is_rendered_and_summed_up(self):
        out = self.cress("prerender", self.origin.url + "/sitemap.xml", "--to", self.to, "--queue", self.queue,
                         "--wait=60s", "--json")
        summary = json.loads(out)
        self.assertEqual((summary["total"], summary["rendered"], summary["failed"]), (3, 3, 0))
        out = self.cress("prerender", self.origin.url + "/sitemap.xml", "--to", self.to, "--queue", self.queue,
                         "--wait=60s")
        rows = dict(line.split("\t") for line in out.splitlines())
        self.assertEqual((rows["total"], rows["unchanged"]), ("3", "3"))

    def test_a_list_with_a_bad_page(self):
        text = "# pages\n%s/a\n\n  %s/missing\r\n" % (self.origin.url, self.origin.url)
        words = ("prerender", "-", "--to", self.to, "--queue", self.queue, "--wait=60s")
        self.cress(*words, stdin=text, code=1)
        self.assertIn("1 page failed", self.said)
        self.cress(*words, "--max-failures", "1", stdin=text)

    def test_the_id_is_the_job(self):
        job = self.cress("prerender", self.origin.url + "/sitemap.xml", "--to", self.to, "--queue", self.queue)
        self.assertRegex(job.strip(), ID)
        self.assertEqual(json.loads(self.wait_state(job.strip(), "succeeded")["result"])["pages"], 3)

    def test_what_is_refused(self):
        self.refused(2, "--to", "prerender", self.origin.url)
        self.refused(65, "--to", "prerender", self.origin.url, "--to", "ftp://x/y")
        self.refused(65, "wrong kind", "prerender", "ftp://example.com/", "--to", self.to)
        self.refused(3, "neither a file nor a URL", "prerender", "sitemap", "--to", self.to)
        self.refused(65, "-, line 2", "prerender", "-", "--to", self.to, stdin="http://a/\nnot a url\n")
        self.refused(65, "names no page", "prerender", "-", "--to", self.to, stdin="# nothing\n")


class AwayTest(CliTest):
    def test_broker_and_store_away(self):
        self.refused(69, "nothing answers", "enqueue", "cress.noop", "--broker-url", "amqp://u:secret@127.0.0.1:1/",
                     *NOWHERE)
        self.assertNotIn("secret", self.said)
        self.refused(69, "127.0.0.1:1", "status", "x", "--store-url", "redis://:secret@127.0.0.1:1/0", *NOWHERE)
        self.assertNotIn("secret", self.said)
        began = time.monotonic()
        self.cress("queues", "--broker-url", "amqp://127.0.0.1:1/", *NOWHERE, code=69)
        self.assertLess(time.monotonic() - began, 5)

    def test_a_refused_login_is_not_tried_for_long(self):
        parts = urllib.parse.urlsplit(env("CRESS_BROKER_URL"))
        broker = "amqp://%s:wrong-%s@%s:%d/" % (parts.username, uuid.uuid4().hex, parts.hostname, parts.port)
        self.refused(77, "ACCESS_REFUSED", "enqueue", "cress.noop", "--broker-url", broker)
        self.assertNotIn("wrong-", self.said)
        parts = urllib.parse.urlsplit(env("CRESS_STORE_URL"))
        if parts.password:
            store = "redis://:wrong@%s:%d/0" % (parts.hostname, parts.port)
            self.refused(77, "check user and password", "status", "x", "--store-url", store)

    def test_a_full_disk(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            done = subprocess.run([CRESS, "help"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual(done.returncode, 74)
        self.assertIn("No space left", done.stderr)

    def test_closed_standard_files(self):
        closed = 'exec "$0" "$@" <&- >&-'
        done = subprocess.run(["sh", "-c", closed, CRESS, "queues"], stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual(done.returncode, 74, done.stderr)
        done = subprocess.run(["sh", "-c", closed + " 2>&-", CRESS, "status", "nobody"], check=False)
        self.assertEqual(done.returncode, 3)

    def test_doctor(self):
        worker = self.start("cress-worker", "--queues", unique("idle"))  # routes what other tests have left
        worker.wait_log("worker ready")
        rows = {row["check"]: row["status"] for row in json.loads(self.cress("doctor", "--json"))}
        self.assertEqual((rows["broker"], rows["store"], rows["objects"]), ("ok", "ok", "ok"))
        self.assertEqual(rows["lease"], "ok")
        out = self.cress("doctor", "--json", CRESS_WORKER_LEASE="20m")
        lease = next(row for row in json.loads(out) if row["check"] == "lease")
        self.assertEqual(lease["status"], "warn")
        self.assertIn("consumer_timeout", lease["detail"])
        out = self.cress("doctor", "--broker-url", "amqp://127.0.0.1:1/", *NOWHERE, code=69)
        self.assertRegex(out, r"(?m)^broker\tfail\t.*127\.0\.0\.1:1")
        out = self.cress("doctor", "--to", "s3://%s" % unique("no-bucket"), code=69)
        self.assertRegex(out, r"(?m)^objects\tfail\tNoSuchBucket")


class SilentTest(CliTest):
    """Ctrl-C while RabbitMQ is stopped: prompt, exit 130, and what is known is said."""

    @contextlib.contextmanager
    def silent_broker(self):
        with open(os.path.join(env("CRESS_TEST_STACK"), "rabbitmq.pid"), encoding="ascii") as file:
            pid = int(file.read())
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def interrupt(self, process):
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        code = process.wait(DEADLINE)
        self.assertLess(time.monotonic() - began, 6)
        self.assertEqual(code, 130)
        return process.stderr.read()

    def open(self, *words):
        """Runs until it would be told of Ctrl-C."""
        process = subprocess.Popen([CRESS, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        self.addCleanup(self.close, process)

        def catches():
            with open("/proc/%d/status" % process.pid, encoding="ascii") as file:
                caught = int(re.search(r"SigCgt:\s+([0-9a-f]+)", file.read()).group(1), 16)
            return caught >> (signal.SIGINT - 1) & 1
        wait_for(lambda: process.poll() is not None or catches(), "it to be on its way")
        return process

    @staticmethod
    def close(process):
        process.kill()
        process.wait()
        for file in (process.stdin, process.stdout, process.stderr):
            file.close()

    def test_many_jobs(self):
        queue = self.queue_with_worker()
        for words in (("enqueue",), ("batch", "create")):
            ids = [unique("job") for _ in range(5)]
            lines = [json.dumps({"id": job, "task": "cress.noop", "queue": queue}) for job in ids]
            process = self.open(*words, "--jsonl", "-")
            process.stdin.write("\n".join(lines[:2]) + "\n")
            process.stdin.flush()
            redis = self.redis()
            for job in ids[:2]:
                self.wait_state(job, "succeeded")
            with self.silent_broker():
                process.stdin.write("\n".join(lines[2:]) + "\n")
                process.stdin.flush()
                for job in ids[2:]:
                    wait_for(lambda job=job: redis.record(job), "the other records")
                said = self.interrupt(process)
            self.assertIn("2 accepted", said)
            self.assertIn("3 of the lines 3 to 5 have no answer", said)
            self.assertIn("stopped at line 5; nothing behind it was read; go on with line 3,", said)

    def test_one_job(self):
        queue = self.queue_with_worker()
        with self.silent_broker():
            said = self.interrupt(self.open("enqueue", "cress.noop", "--queue", queue))
        self.assertEqual(said, "")  # it had no connection: nothing was sent

    def test_all_verbs(self):
        queue = self.queue_with_worker()
        job = self.cress("enqueue", "cress.noop", "--queue", queue).strip()
        with self.silent_broker():
            for words in (("queues",), ("explain", job), ("doctor",), ("dead", "list"), ("dead", "requeue", "--yes"),
                          ("send", queue, "x"), ("receive", queue), ("batch", "wait", "x")):
                process = self.open(*words)
                if process.poll() is None:
                    self.interrupt(process)


class HousekeepingTest(CliTest):
    def test_help_opens_with_examples_and_ends_with_exit_codes(self):
        for words in (("--help",), ("help",), ("enqueue", "--help"), ("help", "receive")):
            out = self.cress(*words)
            self.assertTrue(out.startswith("Examples:\n"), out[:80])
            self.assertRegex(out, r"Exit codes:\n(?: +\d+  \w+ +.*\n)+\Z")
        self.assertEqual(self.cress(code=2), "")
        self.assertIn("Usage: cress VERB", self.said)

    def test_did_you_mean(self):
        self.refused(2, 'unknown verb "stauts", did you mean "status"?', "stauts")
        self.refused(2, "see cress --help", "elephant")
        self.refused(2, "no verb", "-v")
        self.refused(2, 'did you mean "enqueue"?', "help", "enqeue")

    def test_version(self):
        with open(os.path.join(ROOT, "VERSION"), encoding="utf-8") as file:
            version = file.read().strip()
        self.assertTrue(self.cress("--version").startswith("cress " + version))
        self.assertEqual(json.loads(self.cress("version", "--json"))["version"], version)

    def test_config(self):
        out = self.cress("config", "show", "--origin", CRESS_STORE_TTL="3h")
        self.assertIn("ttl = 3h ; environment CRESS_STORE_TTL\n", out)
        password = urllib.parse.urlsplit(env("CRESS_BROKER_URL")).password
        self.assertNotIn(password, out)
        self.assertNotIn(env("AWS_SECRET_ACCESS_KEY"), out)
        rows = json.loads(self.cress("config", "show", "--json", "--log-level", "warn"))
        row = next(row for row in rows if (row["section"], row["key"]) == ("log", "level"))
        self.assertEqual((row["value"], row["origin"]), ("warn", "flag --log-level"))
        self.assertEqual(self.cress("config", "check"), "ok\n")
        self.refused(2, "did you mean show?", "config", "shwo")
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
            file.write("[store]\nttl = never\n")
            file.flush()
            self.refused(78, file.name + ":2", "config", "check", "--config", file.name)

    def test_what_config_shows_can_be_read_back(self):
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
            file.write(self.cress("config", "show", "--origin"))
            file.flush()
            self.assertEqual(self.cress("config", "check", "--config", file.name), "ok\n")

    def test_completion_knows_verbs_options_and_queues(self):
        queue = self.queue_with_worker()
        script = '''
            source <("$1" completion bash)
            cress() { "$CRESS" "$@"; }
            complete_words() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _cress; echo "${COMPREPLY[*]}"; }
            complete_words cress enq
            complete_words cress enqueue --prio
            complete_words cress enqueue --priority h
            complete_words cress enqueue --queue "$2"
            complete_words cress config ch
        '''
        done = subprocess.run(["bash", "-c", script, "bash", CRESS, queue[:-3]], capture_output=True, text=True,
                              env=dict(os.environ, CRESS=CRESS), check=False)
        self.assertEqual(done.stdout.split("\n"), ["enqueue", "--priority", "high", queue, "check", ""], done.stderr)
        self.refused(2, "bash, zsh and fish", "completion", "tcsh")


class QuickstartTest(CliTest):
    """examples/quickstart: the programs print the id of a job that succeeds."""

    def test_from_c(self):
        self.worker()
        example = os.path.join(BUILD, "examples", "quickstart", "enqueue")
        done = subprocess.run([example, "cress.echo", "[1]"], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.wait_state(done.stdout.strip(), "succeeded")["result"], "[1]")
        done = subprocess.run([example, "cress.ecko"], capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stdout), (65, ""))

    def test_from_python(self):
        self.worker()
        example = os.path.join(ROOT, "examples", "quickstart", "enqueue.py")
        done = subprocess.run(["/usr/bin/python3", example, "cress.echo", "[1]"], capture_output=True, text=True,
                              check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.wait_state(done.stdout.strip(), "succeeded")["result"], "[1]")
