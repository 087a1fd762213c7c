# SPDX-License-Identifier: Apache-2.0
"""RabbitMQ that is restarted, killed, or short of memory."""

import os
import time
import unittest

from cresstest import http, wait_for
from faulttest import FaultCase, StackServer, by_length, note_figures, rabbitmqctl


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

    def test_broker_restarted_while_long_jobs_run(self):
        """They are delivered again, to others; but their workers live, and so nothing is run twice."""
        marks, gate = os.path.join(self.folder, "marks"), os.path.join(self.folder, "gate")
        open(marks, "ab").close()
        self.write_config("[task long]\nhandler = exec\nshell = yes\ncommand = echo begin >>'%s'; "
                          "until [ -e '%s' ]; do sleep 0.1; done; echo end >>'%s'\n" % (marks, gate, marks))
        gateway = self.start_gateway()
        workers = [self.ready_worker(CRESS_WORKER_HEARTBEAT="200ms") for _ in range(2)]
        wait_for(lambda: http("GET", gateway.url + "/readyz").status == 200, "the gateway to be ready")
        jobs = [http("POST", gateway.url + "/v1/jobs", {"task": "long", "queue": self.queue}).json()["id"]
                for _ in range(16)]

        def count(word):
            with open(marks, encoding="ascii") as file:
                return file.read().split().count(word)
        wait_for(lambda: count("begin") == 16, "all jobs to begin")
        time.sleep(1.0)  # five heartbeats: from then on they count as long
        self.rabbitmq.stop()
        self.rabbitmq.start()
        for worker in workers:
            wait_for(lambda w=worker: w.log().count("broker connected") == 2, "the worker to be back")
        client = self.broker()
        wait_for(lambda: client.ready(self.queue) == 0, "all messages to be delivered again")
        open(gate, "ab").close()
        for job in jobs:
            self.assertEqual(self.wait_state(job, "succeeded", "failed")["state"], "succeeded")
        note_figures("RabbitMQ restarted while long jobs run", jobs=16, lost=16 - count("end"),
                     duplicates=count("begin") - 16)
        self.assertEqual((count("begin"), count("end")), (16, 16))
        self.check_queues(None)

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
