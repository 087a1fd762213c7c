# SPDX-License-Identifier: Apache-2.0
"""Programs whose own clock is wrong from their start (libfaketime): the servers' clock decides."""

import glob
import json
import unittest

import cresstest
from cresstest import unique, wait_for

LIBRARY = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
LATE_MS = 5000  # on a machine that does much else


def clock(offset):
    return {"LD_PRELOAD": LIBRARY[0], "FAKETIME": offset, "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}


@unittest.skipUnless(LIBRARY, "there is no libfaketime: scripts/deps check installs the package faketime")
class ServersClockTest(cresstest.TestCase):
    def setUp(self):
        super().setUp()
        self.queue = unique("clock")
        self.store = self.redis()

    def enqueue(self, *args, **environment):
        wait_for(lambda: self.broker().ready(self.queue) is not None, "queue " + self.queue)
        done = cresstest.run("cress", "enqueue", "cress.noop", "--queue", self.queue, *args, **environment)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.strip()

    def now_ms(self):
        seconds, micros = self.store.command("TIME")
        return int(seconds) * 1000 + int(micros) // 1000

    def check_in_time(self, job, since_ms, delay_ms):
        started = int(self.wait_state(job, "succeeded")["started_ms"])
        self.assertGreaterEqual(started, since_ms + delay_ms)
        self.assertLess(started, since_ms + delay_ms + LATE_MS)

    def check_delayed(self, offset):
        self.worker("--queues", self.queue, **clock(offset))
        since = self.now_ms()
        for job in [self.enqueue("--delay", "2s") for _ in range(3)]:
            self.check_in_time(job, since, 2000)

    def test_a_worker_that_is_behind_runs_delayed_jobs_in_time(self):
        self.check_delayed("-1h")

    def test_and_so_does_one_that_is_ahead(self):
        self.check_delayed("+1h")

    def test_a_worker_that_is_ahead_expires_nothing(self):
        self.worker("--queues", self.queue, **clock("+1h"))
        self.wait_state(self.enqueue("--expires", "10m"), "succeeded")

    def test_a_retry_comes_in_time(self):
        self.worker("--queues", self.queue, **clock("-1h"))
        since = self.now_ms()
        done = cresstest.run("cress", "enqueue", "cress.fail", '{"times": 1}', "--queue", self.queue, "--backoff", "fixed",
                             "--backoff-base", "1s")
        self.check_in_time(done.stdout.strip(), since, 1000)

    def test_producers_go_by_it(self):
        self.worker("--queues", self.queue)
        for offset in ("-1h", "+1h"):
            since = self.now_ms()
            job = self.enqueue("--delay", "2s", **clock(offset))
            self.assertLess(abs(int(self.store.record(job)["created_ms"]) - since), LATE_MS)
            self.check_in_time(job, since, 2000)

    def test_an_hour_of_a_day_is_that_of_the_servers(self):
        """What the gateway tells, and the command line compares, is by one clock."""
        self.worker("--queues", self.queue)
        job = self.enqueue("--delay", "1h", **clock("-1h"))
        told = json.loads(cresstest.run("cress", "explain", job, "--json", **clock("+2h")).stdout)
        self.assertEqual(told["reason"], "scheduled")


if __name__ == "__main__":
    unittest.main()
