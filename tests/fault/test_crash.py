# SPDX-License-Identifier: Apache-2.0
"""Workers and servers killed with SIGKILL under load: every job succeeds in the end, none is lost."""

import json
import os
import random
import subprocess
import time
import unittest

import cresstest
from cresstest import unique, wait_for

LONG = os.environ.get("CRESS_FAULT_LENGTH") == "long"
JOBS = 50000 if LONG else 5000
STACK = os.path.join(cresstest.ROOT, "scripts", "stack")


def stack(*arguments):
    subprocess.run([STACK, *arguments, "--dir", cresstest.env("CRESS_TEST_STACK")], check=True,
                   stdout=subprocess.DEVNULL)


def server_pid(name):
    with open(os.path.join(cresstest.env("CRESS_TEST_STACK"), name + ".pid"), encoding="ascii") as file:
        return int(file.read())


class CrashTest(cresstest.TestCase):
    figures = []

    @classmethod
    def tearDownClass(cls):
        print("\n".join(["", *cls.figures]))

    def setUp(self):
        super().setUp()
        self.queue = unique("crash")
        self.redis_client = self.redis()
        self.random = random.Random(42)

    def start_worker(self):
        # a job that runs while its worker is killed again and again is not at fault here
        return self.start("cress-worker", "--queues", self.queue, "--concurrency", "20", CRESS_WORKER_MAX_CRASHES="40")

    def enqueue(self, count):
        """Submits `count` jobs of up to 100 ms; the ids that the broker confirmed are the ledger."""
        lines = "".join(json.dumps({"task": "cress.sleep", "queue": self.queue,
                                    "payload": {"ms": self.random.randrange(100)}}) + "\n" for _ in range(count))
        done = cresstest.run("cress", "enqueue", "--jsonl", "-", stdin=lines, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        ids = done.stdout.split()
        self.assertEqual(len(ids), count)
        return ids

    def states(self, ids):
        counts = {}
        for job in ids:
            state = self.status(job)[0]
            counts[state] = counts.get(state, 0) + 1
        return counts

    def status(self, job):
        """State, version, attempt, crashes, ... as stored; see common/store/fields.c."""
        return (self.redis_client.command("HGET", "cress:job:" + job, "status") or "none 0 0 0").split(" ")

    def reconcile(self, ids, what, start, kills, deadline=240):
        wait_for(lambda: not set(self.states(ids)) - {"succeeded", "failed", "cancelled", "expired"},
                 "every job to end; now %s" % self.states(ids), deadline, pause=0.5)
        counts = self.states(ids)
        again = sum(self.status(job)[3] != "0" for job in ids)
        self.figures.append("%s: jobs %d, lost %d, started again %d, kills %d, %.1f s" % (
            what, len(ids), counts.get("none", 0), again, kills,
            time.monotonic() - start))
        self.assertEqual(counts, {"succeeded": len(ids)})

    def test_workers_killed_again_and_again(self):
        worker = self.start_worker()
        worker.wait_log("worker ready")
        workers = [worker, self.start_worker()]
        start = time.monotonic()
        ids = self.enqueue(JOBS)
        kills = 0
        while not set(self.states(ids[-200:])) == {"succeeded"} and kills < 200:
            time.sleep(self.random.uniform(0.1, 0.5))  # the moment of the kill, at random: nothing is waited for
            victim = self.random.randrange(len(workers))
            workers[victim].kill()
            kills += 1
            workers[victim] = self.start_worker()
        self.assertGreater(kills, 1)
        self.reconcile(ids, "workers killed", start, kills)

    def test_broker_killed_under_load(self):
        self.start_worker().wait_log("worker ready")
        start = time.monotonic()
        ids = self.enqueue(JOBS)
        wait_for(lambda: self.states(ids[:50]).get("succeeded"), "work to begin")
        os.kill(server_pid("rabbitmq"), 9)
        stack("start", "--only", "rabbitmq")
        self.reconcile(ids, "broker killed", start, 1)

    def test_store_killed_under_load(self):
        self.start_worker().wait_log("worker ready")
        start = time.monotonic()
        ids = self.enqueue(JOBS)
        wait_for(lambda: self.states(ids[:50]).get("succeeded"), "work to begin")
        self.redis_client.command("SAVE")
        os.kill(server_pid("redis"), 9)
        stack("start", "--only", "redis")
        self.redis_client = self.redis()
        self.reconcile(ids, "store killed", start, 1)


if __name__ == "__main__":
    unittest.main()
