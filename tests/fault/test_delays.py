# SPDX-License-Identifier: Apache-2.0
"""Very many delayed jobs: each runs when it is due, and none is held in a worker's memory."""

import json
import os
import random
import time
import unittest

import cresstest
from cresstest import unique, wait_for

LONG = os.environ.get("CRESS_FAULT_LENGTH") == "long"
JOBS = 100000 if LONG else 10000
DELAY_MAX_MS = 30000
LATE_MAX_MS = 1000  # on a machine that takes USUAL_RATE submissions a second; a slower one may be later
USUAL_RATE = 10000
PREFETCH = "6000"  # so many may pass from one delay to the next at once
MEMORY_MAX_KB = 16384  # what a worker may grow by, however many wait


def resident_kb(pid):
    with open("/proc/%d/status" % pid, encoding="ascii") as file:
        return int(next(line for line in file if line.startswith("VmRSS:")).split()[1])


class DelaysTest(cresstest.TestCase):
    def setUp(self):
        super().setUp()
        self.queue = unique("delays")
        self.store = self.redis()

    def submit(self):
        """The ids, those that are due last at the end."""
        pick = random.Random(7)
        delays = [pick.randrange(DELAY_MAX_MS) for _ in range(JOBS)]
        lines = "".join(json.dumps({"task": "cress.noop", "queue": self.queue, "delay_ms": ms}) + "\n" for ms in delays)
        done = cresstest.run("cress", "enqueue", "--jsonl", "-", stdin=lines, timeout=300)
        self.assertEqual(done.returncode, 0, done.stderr)
        ids = done.stdout.split()
        self.assertEqual(len(ids), JOBS)
        return [job for _, job in sorted(zip(delays, ids))]

    def late_ms(self, job):
        """From when it was due until it was started; None when it has not been."""
        due, created, status = self.store.command("HMGET", "cress:job:" + job, "run_at_ms", "created_ms", "status")
        state, _, _, _, _, started, _ = status.split(" ", 6)
        return int(started) - int(due or created) if state == "succeeded" else None

    def test_each_runs_within_a_second_after_it_is_due(self):
        worker = self.worker("--queues", self.queue, CRESS_WORKER_PREFETCH=PREFETCH)
        memory = [resident_kb(worker.pid)]
        start = time.monotonic()
        ids = self.submit()
        submit_seconds = time.monotonic() - start
        limit_ms = LATE_MAX_MS * max(1, submit_seconds * USUAL_RATE / JOBS)

        def last_ended():
            memory.append(resident_kb(worker.pid))
            return all(self.late_ms(job) is not None for job in ids[-100:])
        wait_for(last_ended, "the last hundred to run", deadline=DELAY_MAX_MS / 1000 + 120, pause=0.2)
        late = []

        def all_ended():
            late[:] = [self.late_ms(job) for job in ids]
            return None not in late
        wait_for(all_ended, "every job to run")
        known = sorted(late)
        print("\ndelays: jobs %d, submitted in %.1f s, early %d, late median %d ms, 99%% %d ms, most %d ms "
              "(allowed %d ms), more than a second %d; worker's memory %d kB, at most %d kB" % (
                  JOBS, submit_seconds, sum(ms < 0 for ms in known), known[len(known) // 2],
                  known[len(known) * 99 // 100], known[-1], limit_ms, sum(ms > 1000 for ms in known), memory[0],
                  max(memory)))
        self.assertGreaterEqual(known[0], 0)
        self.assertLessEqual(known[-1], limit_ms)
        self.assertLess(max(memory) - memory[0], MEMORY_MAX_KB)


if __name__ == "__main__":
    unittest.main()
