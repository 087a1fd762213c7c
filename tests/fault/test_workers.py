# SPDX-License-Identifier: Apache-2.0
"""Workers that are killed, and workers that are asked to stop."""

import os
import signal
import threading
import unittest

from cresstest import wait_for
from faulttest import PLACES, FaultCase, by_length, note_figures

SLOW = """[task slow]
handler = exec
shell = yes
command = echo "begin $CRESS_JOB_ID" >>'%(marks)s'; sleep %(seconds)s; echo "end $CRESS_JOB_ID" >>'%(marks)s'
"""


class WorkersTest(FaultCase):
    def test_workers_killed_again_and_again(self):
        gateway = self.start_gateway()
        # a job that runs while its worker is killed again and again is not at fault here
        workers = [self.ready_worker(CRESS_WORKER_MAX_CRASHES="40") for _ in range(2)]
        load = self.start_load([gateway], by_length(1200, 12000), by_length(200, 250), max_ms=100)
        kills = 0
        while load.is_alive():
            self.pause(0.1, 0.8)
            victim = self.random.randrange(len(workers))
            workers[victim].kill()
            workers[victim] = self.start_worker(CRESS_WORKER_MAX_CRASHES="40")
            kills += 1
        self.assertGreater(kills, 3)
        # what a worker was running when it was killed begins again elsewhere
        self.reconcile("workers killed (SIGKILL)", load, late=15, twice=PLACES * kills, faults=kills)

    def test_rolling_restart_of_all_workers_under_load(self):
        gateway = self.start_gateway()
        workers = [self.ready_worker() for _ in range(3)]
        load = self.start_load([gateway], by_length(1200, 6000), 200, max_ms=100)
        for i, worker in enumerate(workers):
            self.assertEqual(worker.stop(), 0)
            workers[i] = self.ready_worker()
        self.reconcile("rolling restart of all workers", load, late=5, faults=len(workers))

    # --- long jobs ---

    def marks(self, word):
        with open(self.path, encoding="ascii") as file:
            return [line.split()[1] for line in file if line.startswith(word + " ")]

    def stop_with_long_jobs(self, name, seconds, drain):
        """Stops a worker whose jobs are under way; another one takes over. The ids of the jobs."""
        self.path = os.path.join(self.folder, "marks")
        open(self.path, "ab").close()
        self.write_config(SLOW % {"marks": self.path, "seconds": seconds})
        gateway = self.start_gateway()
        first = self.ready_worker(CRESS_WORKER_DRAIN=drain)
        load = self.start_load_of_slow_jobs(gateway, 16)
        wait_for(lambda: len(self.marks("begin")) == 16, "all jobs to begin")
        first.signal(signal.SIGTERM)
        second = self.ready_worker()
        self.assertEqual(first.wait(), 0)
        for job in load:
            self.assertEqual(self.wait_state(job, "succeeded", "failed", "cancelled", "expired")["state"], "succeeded")
        ends = self.marks("end")
        note_figures(name, jobs=len(load), lost=len(set(load) - set(ends)), twice=len(ends) - len(set(ends)), twice_most=0)
        self.assertEqual(sorted(ends), sorted(load))
        second.stop()
        return load

    def start_load_of_slow_jobs(self, gateway, count):
        import cresstest
        wait_for(lambda: cresstest.http("GET", gateway.url + "/readyz").status == 200, "the gateway to be ready")
        answers = [cresstest.http("POST", gateway.url + "/v1/jobs", {"task": "slow", "queue": self.queue})
                   for _ in range(count)]
        return [answer.json()["id"] for answer in answers]

    def test_sigterm_drains_long_jobs(self):
        jobs = self.stop_with_long_jobs("SIGTERM with long jobs, drained", 2, "30s")
        self.assertEqual(len(self.marks("begin")), len(jobs))

    def test_sigterm_hands_back_what_is_not_done_in_time(self):
        jobs = self.stop_with_long_jobs("SIGTERM with long jobs, handed back", 3, "500ms")
        self.assertEqual(len(self.marks("begin")), 2 * len(jobs))


if __name__ == "__main__":
    unittest.main()
