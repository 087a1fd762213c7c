# SPDX-License-Identifier: Apache-2.0
"""RabbitMQ that is restarted, killed, or short of memory."""

import contextlib
import os
import signal
import time
import unittest

import cresstest
from cresstest import http, wait_for
from faulttest import PLACES, FaultCase, StackServer, by_length, note_figures, rabbitmqctl


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
        # what the two workers were running is delivered again, and begins again unless it has ended by then
        self.reconcile(name, load, late=15, twice=2 * PLACES * times, faults=times)

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
                     twice=count("begin") - 16, twice_most=0)
        self.check_queues(None)

    AGAIN = """import json, os, sys, time
for line in sys.stdin:
    job = json.loads(line)
    open(%r, "a").write("begin\\n")
    while not os.path.exists(%r):
        time.sleep(0.02)
    print(json.dumps({"id": job["id"], "error": {"code": "later", "message": "", "retry": True}}), flush=True)
"""

    def stop_while_away(self, away):
        """The programs of a stream task live on until the worker closes them, and a retry waits for the broker."""
        program, marks, gate = (os.path.join(self.folder, cresstest.unique(name)) for name in ("again", "marks", "gate"))
        with open(program, "w", encoding="ascii") as file:
            file.write(self.AGAIN % (marks, gate))
        self.write_config("[task again]\nhandler = stream\ncommand = /usr/bin/python3 '%s'\n" % program)
        worker = self.ready_worker(CRESS_WORKER_DRAIN="1s")
        gateway = self.start_gateway()
        wait_for(lambda: http("GET", gateway.url + "/readyz").status == 200, "the gateway to be ready")
        job = http("POST", gateway.url + "/v1/jobs", {"task": "again", "queue": self.queue}).json()["id"]
        wait_for(lambda: os.path.exists(marks), "the job to begin")
        with away():
            open(gate, "ab").close()
            redis = self.redis()
            wait_for(lambda: redis.record(job).get("state") == "running", "it to be known as running")
            worker.signal(signal.SIGTERM)
            start = time.monotonic()
            self.assertEqual(worker.wait(), 0)
            seconds = time.monotonic() - start
        self.assertLess(seconds, 1 + 2 + self.machine.seconds(4))  # worker.drain, the time to hand back, and a little
        self.rabbitmq.start()
        self.ready_worker()
        self.wait_state(job, "retrying", "queued")
        wait_for(lambda: int(redis.record(job)["attempt"]) >= 2, "another attempt, there", 60)

    def test_stop_while_the_broker_is_gone(self):
        @contextlib.contextmanager
        def gone():
            self.rabbitmq.stop()
            yield
        self.stop_while_away(gone)

    def test_stop_while_the_broker_is_silent(self):
        self.stop_while_away(self.rabbitmq.paused)

    def test_memory_alarm(self):
        """Publishers are blocked: submissions get 503, status reads answer, what is queued runs, nothing hangs."""
        gateway = self.start_gateway()
        self.ready_worker()
        load = self.start_load([gateway], by_length(1200, 6000), 150)
        self.addCleanup(rabbitmqctl, "set_vm_memory_high_watermark", "0.4")
        self.fault()
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
        self.reconcile("RabbitMQ's memory alarm", load, late=10)


if __name__ == "__main__":
    unittest.main()
