# SPDX-License-Identifier: Apache-2.0
"""The network between each pair of programs cut and healed: connections reset, and bytes held back."""

import time
import unittest

from cresstest import env
from faulttest import PLACES, FaultCase, by_length, port_of, with_port
from relay import Relay

SERVERS = {"RabbitMQ": "CRESS_BROKER_URL", "Redis": "CRESS_STORE_URL"}


class NetworkTest(FaultCase):
    def relay(self, variable):
        relay = Relay(port_of(env(variable)))
        self.addCleanup(relay.close)
        return relay, {variable: with_port(env(variable), relay.port)}

    def under_load(self, client, server):
        relay, through = self.relay(SERVERS[server])
        # a silent network is noticed after twice the heartbeat, or the store's timeout
        short = dict(CRESS_BROKER_HEARTBEAT="1s", CRESS_STORE_TIMEOUT="1s")
        gateway = self.start_gateway(**dict(short, **(through if client == "gateway" else {})))
        for _ in range(2):
            self.ready_worker(**dict(short, **(through if client == "worker" else {})))
        load = self.start_load([gateway], by_length(1000, 6000), 150, max_ms=50)
        faults = ((relay.cut, 1.0), (relay.silence, 4.0)) * by_length(1, 3)
        for fault, lasts in faults:
            self.pause(0.2, 0.6)
            fault()
            time.sleep(lasts)
            relay.heal()
            self.lifted()
            self.wait_runs(self.ledger.count() + 20)
        # only what was delivered to a worker that is cut off from the broker is delivered again
        twice = 2 * PLACES * len(faults) if (client, server) == ("worker", "RabbitMQ") else 0
        self.reconcile("network %s - %s cut and healed" % (client, server), load, late=15, twice=twice,
                       faults=len(faults))

    def test_gateway_and_broker(self):
        self.under_load("gateway", "RabbitMQ")

    def test_gateway_and_store(self):
        self.under_load("gateway", "Redis")

    def test_worker_and_broker(self):
        self.under_load("worker", "RabbitMQ")

    def test_worker_and_store(self):
        self.under_load("worker", "Redis")


if __name__ == "__main__":
    unittest.main()
