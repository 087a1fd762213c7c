# SPDX-License-Identifier: Apache-2.0
"""RabbitMQ that is restarted, killed, or short of memory."""

import time
import unittest

from cresstest import http, wait_for
from faulttest import FaultCase, StackServer, by_length, rabbitmqctl


class BrokerTest(FaultCase):
    def setUp(self):
        super().setUp()
        self.rabbitmq = StackServer("rabbitmq")
        self.addCleanup(self.rabbitmq.start)

    def under_load(self, name, fault, times):
        gateway = self.start_gateway()
        for _ in range(2):
            self.ready_worker()
        load = self.start_load([gateway], by_length(1500, 10000), 200, max_ms=50)
        for _ in range(times):
            self.pause(0.5, 1.5)
            fault()
            self.rabbitmq.start()
            self.lifted()
            self.wait_runs(self.ledger.count() + 20)
        self.reconcile(name, load)
        self.assertLess(load.slowest, 5, load.answers)

    def test_broker_restarted(self):
        self.under_load("RabbitMQ restarted", self.rabbitmq.stop, by_length(1, 3))

    def test_broker_killed(self):
        self.under_load("RabbitMQ killed (SIGKILL)", self.rabbitmq.kill, by_length(1, 5))

    def test_memory_alarm(self):
        """Publishers are blocked: submissions get 503, status reads answer, what is queued runs, nothing hangs."""
        gateway = self.start_gateway()
        self.ready_worker()
        load = self.start_load([gateway], by_length(1200, 6000), 150)
        self.addCleanup(rabbitmqctl, "set_vm_memory_high_watermark", "0.4")
        rabbitmqctl("set_vm_memory_high_watermark", "0")
        wait_for(lambda: load.answers.get(503), "a submission to be refused")
        wait_for(lambda: http("GET", gateway.url + "/readyz").status == 503, "the gateway to say that it is not ready")
        job = next(iter(load.accepted.values()))
        accepted, end = len(load.accepted), time.monotonic() + by_length(3, 20)
        slowest = 0.0
        while time.monotonic() < end:
            began = time.monotonic()
            self.assertEqual(http("GET", gateway.url + "/v1/jobs/" + job).status, 200)
            slowest = max(slowest, time.monotonic() - began)
        self.assertLess(slowest, 1.0)
        self.assertLessEqual(len(load.accepted), accepted + load.CLIENTS)
        rabbitmqctl("set_vm_memory_high_watermark", "0.4")
        self.lifted()
        figures = self.reconcile("RabbitMQ's memory alarm", load)
        self.assertEqual(figures["duplicates"], 0)
        self.assertLess(load.slowest, 3, load.answers)


if __name__ == "__main__":
    unittest.main()
