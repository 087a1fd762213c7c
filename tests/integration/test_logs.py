# SPDX-License-Identifier: Apache-2.0
"""The logs of jobs: kept while and after an attempt runs, followed by `cress logs` and over HTTP."""

import json
import os
import re
import subprocess
import tempfile
import unittest

import cresstest
from cresstest import http, unique, wait_for

LEFT_OUT = re.compile(r"\n\[(\d+) bytes left out: job\.max_log\]\n")


class LogsTest(cresstest.TestCase):
    def setUp(self):
        super().setUp()
        self.queue = unique("logs")

    def run_worker(self, command, **environment):
        environment.setdefault("CRESS_JOB_BACKOFF_BASE", "20ms")
        return self.worker("--queues", self.queue, "--exec", command, **environment)

    def enqueue(self, *flags):
        done = cresstest.run("cress", "enqueue", "anything", "1", "--queue", self.queue, *flags)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.strip()

    def logs(self, *words, code=0):
        done = cresstest.run("cress", "logs", *words)
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stdout

    def gateway(self):
        program = self.start("cress-gateway", "--listen", "127.0.0.1:0").wait_log("ready on ")
        url = re.search(r"ready on (\S+)", program.log()).group(1)
        wait_for(lambda: http("GET", url + "/readyz").status == 200, "readiness")
        return url


class Kept(LogsTest):
    def test_each_attempt_has_its_own(self):
        self.run_worker("echo this is attempt $CRESS_ATTEMPT >&2; exit 75")
        job = self.enqueue("--max-attempts", "2")
        self.wait_state(job, "failed")
        self.assertEqual(self.logs(job), "this is attempt 2\n")
        self.assertEqual(self.logs(job, "--attempt", "1"), "this is attempt 1\n")
        self.assertEqual(self.logs(job, "--attempt", "3"), "")
        self.assertEqual(json.loads(self.logs(job, "--json")),
                         {"id": job, "attempt": 2, "offset": 0, "log": "this is attempt 2\n"})

    def test_lives_a_little_longer_than_the_record(self):
        self.run_worker("echo text >&2", CRESS_STORE_TTL="1h")
        job = self.enqueue("--timeout", "1m")
        self.wait_state(job, "succeeded")
        redis = self.redis()
        log, record = redis.command("PTTL", "cress:log:%s/1" % job), redis.command("PTTL", "cress:job:" + job)
        self.assertGreater(record, 3500000)
        self.assertGreater(log, record)
        self.assertLessEqual(log, 3660000)

    def test_of_too_much_the_beginning_and_the_end(self):
        """Every byte of a numbered log is where it should be, and the gap is stated exactly."""
        lines = "".join("%07d\n" % n for n in range(200000))
        self.run_worker("seq -f %07.0f 0 199999 >&2", CRESS_JOB_MAX_LOG="100k")
        job = self.enqueue()
        record = self.wait_state(job, "succeeded")
        text = self.logs(job)
        beginning, gap, end = LEFT_OUT.split(text)
        self.assertEqual(beginning, lines[:100 * 1024])
        self.assertEqual(end, lines[-8192:])
        self.assertEqual(int(gap), len(lines) - 100 * 1024 - 8192)
        self.assertEqual(record["log"], end)

    def test_no_gap_where_the_end_reaches_the_beginning(self):
        lines = "".join("%07d\n" % n for n in range(1200))
        self.run_worker("seq -f %07.0f 0 1199 >&2", CRESS_JOB_MAX_LOG="5k")
        job = self.enqueue()
        self.wait_state(job, "succeeded")
        self.assertEqual(self.logs(job), lines)

    def test_only_the_record_when_none_is_kept(self):
        self.run_worker("echo text >&2", CRESS_JOB_MAX_LOG="0")
        job = self.enqueue()
        self.assertEqual(self.wait_state(job, "succeeded")["log"], "text\n")
        self.assertEqual(self.logs(job), "")

    def test_is_text_whatever_was_written(self):
        self.run_worker(r"printf '\303' >&2; sleep 0.1; printf '\244 \377\000.\n' >&2")
        job = self.enqueue()
        self.wait_state(job, "succeeded")
        self.assertEqual(self.logs(job), "\u00e4 \ufffd\ufffd.\n")


class Followed(LogsTest):
    def test_while_it_grows_and_into_the_next_attempt(self):
        go = os.path.join(tempfile.gettempdir(), unique("go"))
        self.addCleanup(lambda: os.path.exists(go) and os.remove(go))
        self.run_worker("echo begun $CRESS_ATTEMPT >&2; while [ ! -e %s ]; do sleep 0.05; done;"
                        "echo done >&2; [ $CRESS_ATTEMPT = 2 ] || exit 75" % go)
        job = self.enqueue()
        follower = self.start("cress", "logs", job, "--follow")
        wait_for(lambda: follower.out() == "begun 1\n", "the first line, while the job runs")
        self.assertEqual(self.redis().record(job)["state"], "running")
        with open(go, "w", encoding="utf-8"):
            pass
        self.assertEqual(follower.wait(), 0)
        self.assertEqual(follower.out(), "begun 1\ndone\nbegun 2\ndone\n")
        self.assertEqual(follower.log(), "attempt 2\n")

    def test_one_attempt_alone(self):
        self.run_worker("echo $CRESS_ATTEMPT >&2; [ $CRESS_ATTEMPT = 2 ] || exit 75")
        job = self.enqueue()
        follower = self.start("cress", "logs", job, "--attempt", "1", "--follow", "--json")
        self.assertEqual(follower.wait(), 0)
        self.assertEqual([json.loads(line)["log"] for line in follower.out().splitlines()], ["1\n"])

    def test_a_terminal_gets_no_escapes(self):
        self.run_worker(r"printf '\033[2Jred\007\n' >&2")
        job = self.enqueue()
        self.wait_state(job, "succeeded")
        command = "%s logs %s" % (os.path.join(cresstest.BUILD, "cress"), job)
        shown = subprocess.run(["script", "-qec", command, "/dev/null"], stdin=subprocess.DEVNULL, check=True,
                               capture_output=True, text=True, timeout=cresstest.DEADLINE).stdout
        self.assertIn(" [2Jred ", shown)
        self.assertNotIn("\033", shown)
        self.assertEqual(self.logs(job), "\033[2Jred\007\n")

    def test_no_such_job(self):
        self.logs(unique("none"), code=3)


class Http(LogsTest):
    def test_text_by_pieces(self):
        go = os.path.join(tempfile.gettempdir(), unique("go"))
        self.addCleanup(lambda: os.path.exists(go) and os.remove(go))
        self.run_worker("echo one >&2; while [ ! -e %s ]; do sleep 0.05; done; echo two >&2" % go)
        url = self.gateway()
        job = self.enqueue()
        path = "%s/v1/jobs/%s/logs" % (url, job)
        wait_for(lambda: http("GET", path).body == b"one\n", "the first line")
        answer = http("GET", path)
        self.assertEqual(answer.headers["content-type"], "text/plain; charset=utf-8")
        self.assertEqual((answer.headers["cress-state"], answer.headers["cress-attempt"]), ("running", "1"))
        self.assertEqual((answer.headers["cress-log-next"], answer.headers["retry-after"]), ("4", "1"))
        with open(go, "w", encoding="utf-8"):
            pass
        self.wait_state(job, "succeeded")
        answer = http("GET", path + "?offset=4")
        self.assertEqual((answer.status, answer.body, answer.headers["cress-log-next"]), (200, b"two\n", "8"))
        self.assertNotIn("retry-after", answer.headers)
        self.assertEqual(http("GET", path + "?attempt=1").body, b"one\ntwo\n")
        self.assertEqual(http("GET", path + "?attempt=2").body, b"")

    def test_what_is_refused(self):
        url = self.gateway()
        for path, status, code in (("/v1/jobs/none/logs", 404, "unknown_job"),
                                   ("/v1/jobs/x%20y/logs", 404, "unknown_job"),
                                   ("/v1/jobs/none/logs?attempt=0", 400, "bad_attempt"),
                                   ("/v1/jobs/none/logs?offset=-1", 400, "bad_offset")):
            answer = http("GET", url + path)
            self.assertEqual((answer.status, answer.json()["code"]), (status, code), path)


if __name__ == "__main__":
    unittest.main()
