# SPDX-License-Identifier: Apache-2.0
"""Ten workers with the same schedule, killed with SIGKILL around its ticks: exactly one job a tick, run exactly once."""

import collections
import os
import random
import time
import unittest

import cresstest
from cresstest import unique, wait_for
from faulttest import Machine, note_figures

LONG = os.environ.get("CRESS_FAULT_LENGTH") == "long"
TICKS = 150 if LONG else 12
WORKERS = 10
PERIOD = 2  # seconds
CLAIM = 3  # seconds for which a worker that is killed keeps a tick from the others


class CronTest(cresstest.TestCase):
    def setUp(self):
        super().setUp()
        self.random = random.Random(7)
        self.name = unique("cron")
        self.queue = unique("ledger")
        self.store = self.redis()
        self.machine = Machine()
        self.folder = self.program_folder()

    def program_folder(self):
        folder = os.path.join(os.environ.get("TMPDIR", "/tmp"), self.name)
        os.mkdir(folder)
        self.addCleanup(lambda: [os.unlink(os.path.join(folder, name)) for name in os.listdir(folder)] and
                        os.rmdir(folder))
        return folder

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def start_ticker(self):
        """A worker that has the schedule, but does not run its jobs."""
        return self.start("cress-worker", "--config", self.tickers, "--queues", self.queue + "-unused",
                          "--concurrency", "1")

    def ticks(self):
        """The ticks that have a job, in seconds since 1970, and how many ms after each it was submitted."""
        prefix = "cress:job:schedule:%s:" % self.name
        found, cursor = {}, "0"
        while True:
            cursor, keys = self.store.command("SCAN", cursor, "MATCH", prefix + "*", "COUNT", 10000)
            for key in keys:
                tick = int(time.mktime(time.strptime(key[len(prefix):], "%Y-%m-%dT%H:%M:%SZ")) - time.timezone)
                found[tick] = int(self.store.command("HGET", key, "created_ms")) - 1000 * tick
            if cursor == "0":
                return found

    def done_ms(self):
        return int(self.store.command("HGET", "cress:schedule:" + self.name, "done_ms") or 0)

    def ledger(self):
        with open(os.path.join(self.folder, "ledger"), encoding="utf-8") as file:
            return collections.Counter(file.read().split())

    def test_ten_workers_killed_around_the_tick(self):
        ledger = self.write("ledger", "")
        runner = self.write("runner.conf", "[task note]\nhandler = exec\nshell = true\n"
                                           'command = echo "$CRESS_JOB_ID" >> %s\n' % ledger)
        self.tickers = self.write("tickers.conf", "[schedule %s]\ncron = @every %ds\ntask = note\nqueue = %s\n" % (
            self.name, PERIOD, self.queue))
        self.worker("--config", runner, "--queues", self.queue)
        workers = [self.start_ticker() for _ in range(WORKERS)]
        for worker in workers:
            worker.wait_log("worker ready")
        kills, end = 0, time.time() + TICKS * PERIOD
        while time.time() < end:
            # the moment of the kill: while the tick is claimed, its job submitted, and that noted
            tick = (time.time() // PERIOD + 1) * PERIOD
            time.sleep(max(0, tick + self.random.uniform(-0.003, 0.009) - time.time()))
            victims = self.random.sample(range(WORKERS), self.random.choice([1, 5, 9, WORKERS, WORKERS]))
            for victim in victims:
                workers[victim].process.kill()
            for victim in victims:
                workers[victim].kill()
                workers[victim] = self.start_ticker()
            kills += len(victims)
        last = int(end) // PERIOD * PERIOD
        wait_for(lambda: self.done_ms() >= last * 1000, "the last tick to be done")
        for worker in workers:
            worker.stop()

        delays = self.ticks()
        ticks = sorted(delays)
        last = max(last, ticks[-1])
        expected = list(range(ticks[0], last + 1, PERIOD))
        wait_for(lambda: len(self.ledger()) == len(ticks), "every job to run", 60)
        runs = self.ledger()
        self.machine.measure()
        # whoever claims a tick when the first claim is over may be killed at the next tick
        note_figures("ten workers killed around each tick of a schedule", faults=kills, jobs=len(expected),
                     lost=len(set(expected) - set(ticks)), twice=sum(runs.values()) - len(runs), twice_most=0,
                     late=max(delays.values()) / 1000, late_most=self.machine.seconds(CLAIM + PERIOD))
        self.assertGreaterEqual(len(ticks), TICKS - 2)
        self.assertEqual(ticks, expected)


if __name__ == "__main__":
    unittest.main()
