# SPDX-License-Identifier: Apache-2.0
"""Workers of one name: in containers each is pid 1 of a host that may be called the same. Each runs in a PID namespace
of its own here, so that all are HOST:1."""

import collections
import json
import os
import socket
import subprocess
import unittest

import cresstest
from cresstest import unique, wait_for

NAMESPACE = ["--user", "--map-root-user", "--pid", "--fork", "--kill-child=KILL"]
NAME = socket.gethostname() + ":1"


def can_unshare():
    return subprocess.run(["unshare", *NAMESPACE, "true"], capture_output=True, check=False).returncode == 0


@unittest.skipUnless(can_unshare(), "unshare(1) may make no PID namespace here")
class SameNameTest(cresstest.TestCase):
    def setUp(self):
        super().setUp()
        self.queue = unique("same")

    def namesake(self, queue=None, lease="15m"):
        """A worker called HOST:1. kill() is a crash."""
        return self.start("/usr/bin/unshare", *NAMESPACE, os.path.join(cresstest.BUILD, "cress-worker"), "--queues",
                          queue or self.queue, "--concurrency", "1", CRESS_WORKER_HEARTBEAT="100ms",
                          CRESS_WORKER_LEASE=lease).wait_log("worker ready")

    def publish(self, ms):
        client, job = self.broker(), unique("job")
        wait_for(lambda: client.ready(self.queue) is not None, "queue " + self.queue)
        client.publish(self.queue, {"ms": ms}, type="cress.sleep", message_id=job)
        return job

    def attempts(self, job):
        record = json.loads(cresstest.run("cress", "status", job, "--json").stdout)
        return [(attempt["worker"], attempt["outcome"]) for attempt in record["attempts"]]

    def test_two_that_live_do_not_take_each_others_jobs(self):
        self.namesake(lease="300ms")
        self.namesake(lease="300ms")
        jobs = [self.publish(2000) for _ in range(4)]
        for job in jobs:
            self.wait_state(job, "succeeded")
            self.assertEqual(self.attempts(job), [(NAME, "succeeded")])

    def test_both_are_listed_by_the_name(self):
        self.namesake()
        self.namesake()
        reports = json.loads(cresstest.run("cress", "workers", "--json").stdout)
        ours = [report for report in reports if report["queues"] == [self.queue]]
        self.assertEqual([report["name"] for report in ours], [NAME, NAME])
        self.assertEqual(len({report["id"] for report in ours}), 2)
        table = cresstest.run("cress", "workers").stdout.splitlines()
        names = [line.split()[0] for line in table if line.endswith(self.queue)]
        self.assertEqual(names, [NAME, NAME])

    def test_one_that_died_is_not_mistaken_for_the_next(self):
        first = self.namesake()
        job = self.publish(1500)
        started = int(self.wait_state(job, "running")["started_ms"])
        # older than five heartbeats, so that a redelivery leaves it alone while its worker lives
        wait_for(lambda: self.server_ms() > started + 800, "the job to be of some age")
        first.kill()
        self.namesake(queue=unique("other"))  # lives on, under the name of the dead one
        self.worker("--queues", self.queue, CRESS_WORKER_HEARTBEAT="100ms")
        self.wait_state(job, "succeeded")
        self.assertEqual(collections.Counter(outcome for _, outcome in self.attempts(job)),
                         {"crashed": 1, "succeeded": 1})

    def server_ms(self):
        seconds, micros = self.redis().command("TIME")
        return int(seconds) * 1000 + int(micros) // 1000


if __name__ == "__main__":
    unittest.main()
