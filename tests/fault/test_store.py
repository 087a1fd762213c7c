# SPDX-License-Identifier: Apache-2.0
"""Redis that is restarted with and without its data, paused, or full."""

import glob
import os
import shutil
import time
import unittest

import cresstest
from cresstest import wait_for
from faulttest import FaultCase, Load, StackServer, by_length


class StoreTest(FaultCase):
    def setUp(self):
        super().setUp()
        self.server = StackServer("redis")
        self.addCleanup(self.server.start)

    def load(self, **environment):
        self.gateway = self.start_gateway(**environment)
        self.workers = [self.ready_worker(**environment) for _ in range(2)]
        return self.start_load([self.gateway], by_length(1500, 8000), 200, max_ms=50)

    def restart(self, name, between, twice=0, **more):
        load, times = self.load(), by_length(1, 4)
        for _ in range(times):
            self.pause(0.5, 1.5)
            self.server.kill()
            between()
            self.server.start()
            self.lifted()
            self.wait_runs(self.ledger.count() + 20)
        self.reconcile(name, load, late=15, twice=twice * times, faults=times, **more)

    def test_store_restarted_with_its_data(self):
        self.restart("Redis killed (SIGKILL), with its data", lambda: None)

    def test_store_restarted_without_its_data(self):
        folder = os.path.join(cresstest.env("CRESS_TEST_STACK"), "redis")

        def forget():
            for path in glob.glob(folder + "/*.rdb") + glob.glob(folder + "/*.aof"):
                os.unlink(path)
            shutil.rmtree(folder + "/appendonlydir", ignore_errors=True)
        # records of jobs that had ended are gone, the jobs are not; nor do clients that were not answered know that their
        # key is gone when they ask again
        self.restart("Redis killed, without its data", forget, twice=Load.CLIENTS, forgotten=True)

    def test_store_paused(self):
        load = self.load()
        self.fault()
        with self.server.paused():
            time.sleep(20)
        self.lifted()
        self.reconcile("Redis paused for 20 s (SIGSTOP)", load, late=15)

    def test_store_full(self):
        """Submissions get 503, workers hold their results and try again."""
        load = self.load()
        redis = self.redis()
        self.addCleanup(redis.command, "CONFIG", "SET", "maxmemory", "0")
        redis.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
        self.fault()
        redis.command("CONFIG", "SET", "maxmemory", "1")
        wait_for(lambda: load.answers.get(503, 0) > 20, "submissions to be refused: %s" % load.answers)
        wait_for(lambda: "store_full" in self.workers[0].log(), "the worker to say why it waits")
        accepted = len(load.accepted)
        self.pause(2, 3)
        self.assertEqual(len(load.accepted), accepted)
        redis.command("CONFIG", "SET", "maxmemory", "0")
        self.lifted()
        self.reconcile("Redis full (maxmemory, noeviction)", load, late=10)
        self.assertEqual(set(load.answers) - {202, 503}, set(), load.answers)


if __name__ == "__main__":
    unittest.main()
