# SPDX-License-Identifier: Apache-2.0
"""Redis with a replica and Sentinels: failover under load, status reads from the replica."""

import unittest

import redistest
from cresstest import http, wait_for
from faulttest import PLACES, FaultCase, Load, by_length


class SentinelTest(FaultCase):
    def test_failover_under_load(self):
        group = redistest.Group()
        self.addCleanup(group.close)
        self.environment.update(CRESS_STORE_URL=group.url, CRESS_STORE_READ_URL=group.url, CRESS_STORE_TIMEOUT="1s")
        gateway = self.start_gateway()
        for _ in range(2):
            self.ready_worker()
        load = self.start_load([gateway], None, 150, max_ms=50)
        primary, replica = group.primary, group.replica
        times = by_length(1, 3)
        for _ in range(times):
            self.pause(0.5, 1.5)
            primary.kill()
            self.lifted()
            self.wait_runs(self.ledger.count() + 20)
            self.assertEqual(replica.ask("ROLE")[0], "master")
            primary.start()
            wait_for(lambda p=primary: self.is_linked(p), "the old primary to follow the new one")
            primary, replica = replica, primary
        job = next(iter(load.accepted.values()))
        self.assertEqual(http("GET", gateway.url + "/v1/jobs/" + job).status, 200)
        redis = primary.client()
        self.addCleanup(redis.close)
        # what had not reached the replica: the key of a client that was not answered, the start of a job that runs
        self.reconcile("Redis failover by Sentinel", load, late=15, twice=(Load.CLIENTS + 2 * PLACES) * times, faults=times,
                       redis=redis)

    @staticmethod
    def is_linked(server):
        role = server.ask("ROLE")
        return role[0] == "slave" and role[3] == "connected"


if __name__ == "__main__":
    unittest.main()
