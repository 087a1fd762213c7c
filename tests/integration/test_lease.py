# SPDX-License-Identifier: Apache-2.0
"""Jobs that run longer than RabbitMQ's consumer_timeout: a broker of their own that waits three seconds."""

import json
import os
import re
import signal
import subprocess
import unittest

import cresstest
from cresstest import unique, wait_for

STACK = os.path.join(cresstest.ROOT, "scripts", "stack")
CONSUMER_TIMEOUT_MS = 3000


class LeaseTest(cresstest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = cresstest.env("CRESS_TEST_STACK") + "-lease"
        cls.addClassCleanup(subprocess.run, [STACK, "stop", "--dir", folder, "--only", "rabbitmq"], check=True)
        subprocess.run([STACK, "start", "--dir", folder, "--only", "rabbitmq"], check=True, stdout=subprocess.DEVNULL,
                       env=dict(os.environ, CRESS_STACK_CONSUMER_TIMEOUT_MS=str(CONSUMER_TIMEOUT_MS)))
        text = subprocess.run([STACK, "env", "--dir", folder], check=True, capture_output=True, text=True).stdout
        cls.url = re.search(r"export CRESS_BROKER_URL=(\S+)", text).group(1)

    def setUp(self):
        super().setUp()
        self.queue = unique("lease")
        self.client = cresstest.Broker(self.url)
        self.addCleanup(self.client.close)

    def run_worker(self, lease="1s", **environment):
        return self.worker("--queues", self.queue, "--concurrency", "1", CRESS_BROKER_URL=self.url,
                           CRESS_WORKER_LEASE=lease, CRESS_WORKER_HEARTBEAT="100ms", **environment)

    def publish(self, task, payload):
        job = unique("job")
        wait_for(lambda: self.client.ready(self.queue) is not None, "queue " + self.queue)
        self.client.publish(self.queue, payload, type=task, message_id=job)
        return job

    def attempts(self, job):
        record = json.loads(cresstest.run("cress", "status", job, "--json").stdout)
        return [(attempt["attempt"], attempt["outcome"]) for attempt in record["attempts"]]

    def wait_for_no_message(self):
        """Guards of jobs that have ended come once more, and are dropped."""
        delays = cresstest.delay_queues(longest_ms=2048)
        wait_for(lambda: not any(self.client.ready(name) for name in [self.queue, *delays]), "the guards to go",
                 pause=0.2)

    def test_a_job_outlives_the_timeout_and_so_do_those_that_wait_for_it(self):
        worker = self.run_worker()
        job = self.publish("cress.sleep", {"ms": 3 * CONSUMER_TIMEOUT_MS})
        self.wait_state(job, "running")
        waiting = [self.publish("cress.echo", n) for n in range(3)]
        for each in [job, *waiting]:
            self.wait_state(each, "succeeded")
            self.assertEqual(self.attempts(each), [(1, "succeeded")])
        self.assertIn("it goes on without its delivery", worker.log())
        self.assertNotIn("cannot be consumed", worker.log())
        self.wait_for_no_message()
        self.assertEqual(self.attempts(job), [(1, "succeeded")])

    def test_without_a_lease_the_log_says_what_to_set(self):
        worker = self.run_worker(lease="1h")
        worker.wait_log("long jobs run twice")
        self.publish("cress.sleep", {"ms": 60000})
        worker.wait_log("set worker.lease to at most half")

    def test_the_guard_runs_the_job_when_its_worker_dies(self):
        first = self.run_worker()
        job = self.publish("cress.sleep", {"ms": 4000})
        first.wait_log("it goes on without its delivery")
        first.kill()
        second = self.run_worker()
        record = self.wait_state(job, "succeeded")
        self.assertTrue(record["worker"].endswith(":%d" % second.pid))
        self.assertEqual(self.attempts(job), [(1, "crashed"), (1, "succeeded")])
        self.assertEqual(record["crashes"], "1")

    def test_who_took_over_may_die_too(self):
        first = self.run_worker()
        job = self.publish("cress.sleep", {"ms": 3000})
        first.wait_log("it goes on without its delivery")
        first.kill()
        second = self.run_worker(lease="1h")  # which holds the guard, as any delivery
        wait_for(lambda: self.redis().record(job)["worker"].endswith(":%d" % second.pid), "the second worker")
        second.kill()
        self.run_worker()
        self.wait_state(job, "succeeded")
        self.assertEqual(self.attempts(job), [(1, "crashed"), (1, "crashed"), (1, "succeeded")])

    def test_what_is_handed_back_does_not_wait_for_the_guard(self):
        first = self.run_worker(lease="500ms", CRESS_WORKER_DRAIN="0s")
        job = self.publish("cress.sleep", {"ms": 2000})
        first.wait_log("it goes on without its delivery")
        first.signal(signal.SIGTERM)
        self.assertEqual(first.wait(), 0)
        self.assertEqual(self.redis().record(job)["state"], "queued")
        self.assertGreaterEqual(self.client.ready(self.queue), 1)
        self.run_worker()
        self.wait_state(job, "succeeded")
        self.assertEqual(self.attempts(job), [(1, "handed_back"), (1, "succeeded")])
        self.wait_for_no_message()
        self.assertEqual(self.attempts(job), [(1, "handed_back"), (1, "succeeded")])


if __name__ == "__main__":
    unittest.main()
