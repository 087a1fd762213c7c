# SPDX-License-Identifier: Apache-2.0
"""Batches and chains while workers are killed at the worst moments: every completion job is there once, and succeeds;
every job that waits for others runs in the end; nothing is left behind."""

import json
import os
import random
import signal
import time
import unittest

import cresstest
import faulttest
from cresstest import unique, wait_for

LONG = os.environ.get("CRESS_FAULT_LENGTH") == "long"
BATCHES, JOBS = (300, 40) if LONG else (40, 20)
CHAINS, LINKS = (200, 30) if LONG else (30, 12)
PLACES = 4  # of each worker: as many jobs begin again when it is killed
ENDED = {"succeeded", "failed", "cancelled", "expired"}


def broker_pid():
    with open(os.path.join(cresstest.env("CRESS_TEST_STACK"), "rabbitmq.pid"), encoding="ascii") as file:
        return int(file.read())


class BatchFaultTest(cresstest.TestCase):
    def setUp(self):
        super().setUp()
        self.queue = unique("fault")
        self.store = self.redis()
        self.random = random.Random(7)
        self.start_worker().wait_log("worker ready").stop()  # which leaves the queue behind

    def start_worker(self):
        return self.start("cress-worker", "--queues", self.queue, "--concurrency", str(PLACES), CRESS_WORKER_MAX_CRASHES="40",
                          CRESS_WORKER_HEARTBEAT="1s")

    def enqueue(self, jobs, *verb):
        lines = "".join(json.dumps(dict({"queue": self.queue}, **job)) + "\n" for job in jobs)
        done = cresstest.run("cress", *(verb or ("enqueue",)), "--jsonl", "-", stdin=lines, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.split()

    def batch(self, jobs, *args):
        return self.enqueue(jobs, "batch", "create", "--then", "cress.noop", "--then-queue", self.queue, *args)[0]

    def completion(self, batch):
        return json.loads(self.store.command("HGET", "cress:batch:" + batch, "completion"))["id"]

    def status(self, job):
        return (self.store.command("HGET", "cress:job:" + job, "status") or "none 0 0 0").split(" ")

    def states(self, jobs):
        counts = {}
        for job in jobs:
            state = self.status(job)[0]
            counts[state] = counts.get(state, 0) + 1
        return counts

    def begun_again(self, jobs):
        """How many of `jobs` were begun more than once, for their worker died."""
        return sum(self.status(job)[3] != "0" for job in jobs)

    def kill_until(self, ended, what):
        """Kills one of three workers again and again, at random, until `ended`. How often."""
        workers = [self.start_worker() for _ in range(3)]
        kills, end = 0, time.monotonic() + (600 if LONG else 120)
        while not ended():
            self.assertLess(time.monotonic(), end, what)
            time.sleep(self.random.uniform(0.02, 0.3))  # the moment of the kill, at random: nothing is waited for
            victim = self.random.randrange(len(workers))
            workers[victim].kill()
            workers[victim] = self.start_worker()
            kills += 1
        return kills

    def assert_nothing_is_left(self, jobs):
        broker = self.broker()
        wait_for(lambda: self.store.command("EXISTS", "cress:after:") == 0, "the workers to find nothing left")
        wait_for(lambda: broker.ready(self.queue) == 0, "the queue to be empty")
        for job in jobs:
            self.assertEqual(self.store.command("EXISTS", "cress:after:" + job, "cress:pending:" + job), 0, job)

    def test_completions_while_workers_are_killed(self):
        batches = [self.batch([{"task": "cress.sleep", "payload": {"ms": self.random.randrange(200)}}] * JOBS)
                   for _ in range(BATCHES)]
        jobs = [self.completion(batch) for batch in batches]
        kills = self.kill_until(lambda: set(self.states(jobs)) <= ENDED, "completions: %s" % self.states(jobs))
        self.assertEqual(self.states(jobs), {"succeeded": BATCHES})
        members = []
        for batch in batches:
            members += self.store.command("LRANGE", "cress:members:" + batch, 0, -1)
            counts = self.store.command("HMGET", "cress:batch:" + batch, "total", "succeeded", "done", "completed")
            self.assertEqual(counts, [str(JOBS), str(JOBS), str(JOBS), "1"])
            self.assertEqual(self.store.command("LLEN", "cress:results:" + batch), JOBS)
        self.assert_nothing_is_left(jobs)
        faulttest.note_figures("batches: workers killed", faults=kills, jobs=BATCHES * (JOBS + 1), lost=0,
                               twice=self.begun_again(jobs + members), twice_most=kills * PLACES)

    def test_chains_while_workers_are_killed(self):
        """Each chain begins with two jobs, and ends with two that wait for its last."""
        jobs = []
        work = {"task": "cress.sleep", "payload": {"ms": 150}}
        heads = self.enqueue([work] * (2 * CHAINS))
        last = [heads[2 * i:2 * i + 2] for i in range(CHAINS)]
        jobs += heads
        for link in range(LINKS):
            width = 2 if link == LINKS - 1 else 1
            made = self.enqueue([dict(work, after=after) for after in last for _ in range(width)])
            last = [made[width * i:width * (i + 1)] for i in range(CHAINS)]
            jobs += made
        kills = self.kill_until(lambda: set(self.states(jobs)) <= ENDED, "chains: %s" % self.states(jobs))
        self.assertEqual(self.states(jobs), {"succeeded": len(jobs)})
        self.assert_nothing_is_left(jobs)
        faulttest.note_figures("chains: workers killed", faults=kills, jobs=len(jobs), lost=0,
                               twice=self.begun_again(jobs), twice_most=kills * PLACES)

    def die_before_the_confirm(self, job, follower):
        """Kills the worker after the end of `job` is recorded, while what follows cannot be confirmed."""
        worker = self.start_worker()
        wait_for(lambda: self.status(job)[0] == "running", "the job to run")
        os.kill(broker_pid(), signal.SIGSTOP)
        try:
            wait_for(lambda: self.status(job)[0] == "succeeded", "its end to be recorded")
            wait_for(lambda: self.status(follower)[0] == "queued", "what follows to be recorded")
            worker.kill()
        finally:
            os.kill(broker_pid(), signal.SIGCONT)
        self.start_worker()
        record = self.wait_state(follower, *ENDED)
        self.assertEqual(record["state"], "succeeded")
        self.assert_nothing_is_left([job, follower])

    def test_a_worker_dies_before_the_completion_is_confirmed(self):
        batch = self.batch([{"task": "cress.sleep", "payload": {"ms": 700}}])
        job, = self.store.command("LRANGE", "cress:members:" + batch, 0, -1)
        self.die_before_the_confirm(job, self.completion(batch))
        wait_for(lambda: self.store.command("HGET", "cress:batch:" + batch, "completed"), "the batch to know")

    def test_a_worker_dies_before_the_next_job_is_confirmed(self):
        job, = self.enqueue([{"task": "cress.sleep", "payload": {"ms": 700}}])
        follower, = self.enqueue([{"task": "cress.noop", "after": [job]}])
        self.die_before_the_confirm(job, follower)

    def test_the_store_is_away_between_an_end_and_what_follows(self):
        """The end of a job is recorded, but the worker does not hear so."""
        self.start_worker().wait_log("worker ready")
        jobs = self.enqueue([{"task": "cress.sleep", "payload": {"ms": 5}}] * 200)
        followers = self.enqueue([{"task": "cress.noop", "after": [job]} for job in jobs])
        for _ in range(10):
            self.store.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            time.sleep(self.random.uniform(0.02, 0.1))  # the moment, at random: nothing is waited for
        wait_for(lambda: set(self.states(followers)) <= ENDED, "all to end", 60)
        self.assertEqual(self.states(jobs + followers), {"succeeded": 400})
        self.assert_nothing_is_left(jobs + followers)


if __name__ == "__main__":
    unittest.main()
