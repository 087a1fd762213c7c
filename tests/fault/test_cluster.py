# SPDX-License-Identifier: Apache-2.0
"""Three RabbitMQ nodes with quorum queues: the leader's node is killed, a follower's, and both come back."""

import unittest

import cresstest
from faulttest import PLACES, FaultCase, by_length
from rabbitcluster import Cluster


class ClusterTest(FaultCase):
    def test_nodes_of_a_cluster_killed(self):
        cluster = Cluster()
        self.addCleanup(cluster.close)
        self.addCleanup(lambda: self.failed() and cluster.describe())
        self.environment["CRESS_BROKER_URL"] = cluster.url
        gateway = self.start_gateway()
        for _ in range(2):
            self.ready_worker()
        load = self.start_load([gateway], None, 100, max_ms=50)
        turns = by_length(1, 3)
        for _ in range(turns):
            leader = next(node for node in cluster.nodes if node.leads(self.queue))
            follower = next(node for node in cluster.nodes if node is not leader)
            for node in (leader, follower):
                node.kill()
                self.lifted()  # two of three go on without it
                self.wait_runs(self.ledger.count() + 20)
                node.start()
                cresstest.wait_for(node.answers, "%s to come back" % node.name, 120)
                self.wait_runs(self.ledger.count() + 20)
        up = next(node for node in cluster.nodes if node is not follower)
        # both workers may be connected to a node that is killed
        self.reconcile("cluster of three: leader's node and a follower's killed", load, late=15,
                       twice=2 * PLACES * 2 * turns, faults=2 * turns, broker=cluster.node_url(up))


if __name__ == "__main__":
    unittest.main()
