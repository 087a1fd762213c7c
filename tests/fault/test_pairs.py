# SPDX-License-Identifier: Apache-2.0
"""Two faults at once, each of which alone does no harm."""

import signal
import unittest

import cresstest
from cresstest import env, unique, wait_for
from faulttest import port_of, with_port
from relay import Relay


class PairsTest(cresstest.TestCase):
    def setUp(self):
        super().setUp()
        self.queue = unique("pairs")

    def relay(self, variable):
        relay = Relay(port_of(env(variable)))
        return relay, with_port(env(variable), relay.port)

    def submit(self, task, payload, *args):
        done = cresstest.run("cress", "enqueue", task, payload, "--queue", self.queue, *args)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.strip()

    def test_connection_cut_and_sigterm(self):
        """The first worker's message is delivered to another while it runs the job; then it is told to stop at once, and
        hands back what is not its own any more."""
        relay, url = self.relay("CRESS_BROKER_URL")
        first = self.worker("--queues", self.queue, CRESS_BROKER_URL=url)
        job = self.submit("cress.sleep", '{"ms": 6000}')
        self.wait_state(job, "running")
        relay.cut()
        second = self.worker("--queues", self.queue)
        redis = self.redis()
        wait_for(lambda: redis.record(job)["worker"].endswith(":%d" % second.pid), "the second worker to begin")
        first.signal(signal.SIGTERM)
        first.wait_log("stopping: taking no more jobs")
        first.signal(signal.SIGTERM)
        first.wait()
        self.assertEqual(redis.record(job)["state"], "running")
        self.assertTrue(self.wait_state(job, "succeeded")["worker"].endswith(":%d" % second.pid))


if __name__ == "__main__":
    unittest.main()
