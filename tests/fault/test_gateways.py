# SPDX-License-Identifier: Apache-2.0
"""Gateways that are killed while clients submit with idempotency keys."""

import unittest

from faulttest import FaultCase, by_length


class GatewaysTest(FaultCase):
    def test_gateways_killed_while_clients_submit(self):
        self.ready_worker()
        gateways = [self.start_gateway() for _ in range(2)]
        load = self.start_load(gateways, by_length(2000, 20000), by_length(400, 400))
        kills = 0
        while load.is_alive():
            self.pause(0.1, 0.5)
            victim = self.random.randrange(len(gateways))
            gateways[victim].kill()
            self.pause(0.0, 0.2)
            listen = gateways[victim].url[len("http://"):]
            gateways[victim] = self.start_gateway(listen)
            kills += 1
        self.assertGreater(kills, 3)
        # one key, one job, whatever was answered and whatever was not
        self.reconcile("gateways killed (SIGKILL)", load, late=5, faults=kills)


if __name__ == "__main__":
    unittest.main()
