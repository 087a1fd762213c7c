# SPDX-License-Identifier: Apache-2.0
"""A Redis that comes back without what it was told last, while workers and gateways go on."""

import contextlib
import os
import shutil
import time
import unittest

import cresstest
from cresstest import wait_for
from faulttest import PLACES, FaultCase, Load, StackServer, by_length


class LostSecondTest(FaultCase):
    def setUp(self):
        super().setUp()
        self.server = StackServer("redis")
        self.addCleanup(self.server.start)
        self.folder_of_redis = os.path.join(cresstest.env("CRESS_TEST_STACK"), "redis")
        self.kept = os.path.join(self.folder, "kept")

    def keep(self):
        """What Redis will know when it comes back: an append-only file that is cut is good up to the cut."""
        shutil.copytree(os.path.join(self.folder_of_redis, "appendonlydir"), self.kept)

    def come_back(self):
        self.server.kill()
        target = os.path.join(self.folder_of_redis, "appendonlydir")
        shutil.rmtree(target)
        shutil.move(self.kept, target)
        self.server.start()

    @contextlib.contextmanager
    def lost(self):
        """What happens inside is forgotten."""
        self.keep()
        yield
        self.come_back()

    def test_under_load(self):
        gateway = self.start_gateway()
        workers = [self.ready_worker() for _ in range(2)]
        load = self.start_load([gateway], by_length(2500, 10000), 500, max_ms=50)
        times = by_length(1, 4)
        for _ in range(times):
            self.pause(0.5, 1.0)
            with self.lost():
                time.sleep(1.5)
            self.lifted()
            self.wait_runs(self.ledger.count() + 20)
        # the key of a client that was not answered is gone, and so is the start of what runs
        self.reconcile("Redis comes back without its last 1.5 s", load, late=15, twice=(Load.CLIENTS + 2 * PLACES) * times,
                       faults=times)
        self.assertTrue(any("the store had lost" in worker.log() for worker in workers))


if __name__ == "__main__":
    unittest.main()
