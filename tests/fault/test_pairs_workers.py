# SPDX-License-Identifier: Apache-2.0
"""Workers that are cut off, killed or replaced while something else goes on that does no harm alone."""

import os
import signal
import subprocess
import unittest

import cresstest
from cresstest import env, wait_for
from faulttest import PLACES, FaultCase, by_length, port_of, with_port
from relay import Relay

NAMESPACE = ["--user", "--map-root-user", "--pid", "--fork", "--kill-child=KILL"]


def can_unshare():
    return subprocess.run(["unshare", *NAMESPACE, "true"], capture_output=True, check=False).returncode == 0


class WorkerPairsTest(FaultCase):
    def running_by(self, load, worker):
        """How many of the jobs run there, by their records."""
        redis = self.redis()
        return sum(redis.record(job).get("worker", "").endswith(":%d" % worker.pid) for job in load.accepted.values())

    def test_connection_cut_and_sigterm(self):
        """The first worker's messages are delivered to another while it runs their jobs; then it is told to stop at once,
        and hands back what is not its own any more."""
        relay = Relay(port_of(env("CRESS_BROKER_URL")))
        self.addCleanup(relay.close)
        gateway = self.start_gateway()
        for _ in range(by_length(1, 5)):
            first = self.ready_worker(CRESS_BROKER_URL=with_port(env("CRESS_BROKER_URL"), relay.port))
            load = self.start_load([gateway], PLACES, 1000, runs=0, max_ms=6000, first=self.ledger.count())
            load.join()
            wait_for(lambda: self.running_by(load, first) > PLACES // 2, "the first worker to run them")
            relay.cut()
            self.lifted()  # what comes next is the other one's
            second = self.ready_worker()
            wait_for(lambda: self.running_by(load, second) > PLACES // 4, "the second worker to begin them")
            first.signal(signal.SIGTERM)
            first.wait_log("stopping: taking no more jobs")
            first.signal(signal.SIGTERM)
            first.wait()
            relay.heal()
            wait_for(lambda: not self.wait_ended(load, self.redis(), False, 30), "them to end")
            self.assertEqual(second.stop(), 0)
        # each job may have been begun by both
        self.reconcile("connection cut + SIGTERM twice", load, late=20, twice=PLACES)

    def test_deployment_of_a_new_task_and_kill(self):
        """Old workers lack the task, and the only new one dies again and again: no job fails, whoever gets it."""
        new, self.config = self.config, os.path.join(self.folder, "old.conf")
        with open(self.config, "w", encoding="utf-8") as file:
            file.write("[queue %s]\n" % self.queue)
        for _ in range(2):
            self.ready_worker(CRESS_WORKER_HEARTBEAT="500ms")
        gateway = self.start_gateway()
        self.config = new
        load = self.start_load([gateway], by_length(200, 1000), 40, runs=0, max_ms=300)
        redis = self.redis()
        wait_for(lambda: any(redis.record(job).get("blocked") for job in list(load.accepted.values())),
                 "jobs that wait for the task")
        kills = by_length(3, 15)
        for _ in range(kills):
            worker = self.ready_worker(CRESS_WORKER_HEARTBEAT="500ms", CRESS_WORKER_MAX_CRASHES="40")
            self.wait_runs(self.ledger.count() + 20)
            worker.kill()
            self.lifted()
        self.ready_worker(CRESS_WORKER_HEARTBEAT="500ms")
        self.lifted()
        self.reconcile("rolling deployment of a task + workers killed", load, late=20, twice=PLACES * kills, faults=kills)

    @unittest.skipUnless(can_unshare(), "unshare(1) may make no PID namespace here")
    def test_restart_under_the_same_name_and_kill(self):
        """In containers each worker is pid 1 of a host that may be called the same. One dies, and so does the next."""
        gateway = self.start_gateway()
        kills, load, suspects = by_length(2, 8), None, 0
        for turn in range(kills):
            worker = self.namesake()
            if not load:
                load = self.start_load([gateway], by_length(40, 200), 20, runs=0, max_ms=2000)
            # older than five heartbeats: such jobs are left alone while their worker lives
            wait_for(lambda: self.old_ones(load) >= 4, "jobs of some age")
            suspects += self.crashed_before(load)
            worker.kill()
            self.lifted()
        self.namesake()
        self.lifted()
        # the jobs of the dead are known as such when five heartbeats have passed; those that met two deaths run in turn,
        # two seconds each at most
        self.reconcile("killed + restarted under the same name", load, late=10 + 2 * suspects, twice=PLACES * kills,
                       faults=kills)

    def namesake(self):
        return self.start("/usr/bin/unshare", *NAMESPACE, os.path.join(cresstest.BUILD, "cress-worker"), "--config",
                          self.config, "--queues", self.queue, "--concurrency", str(PLACES),
                          **dict(self.environment, CRESS_WORKER_HEARTBEAT="200ms",
                                 CRESS_WORKER_MAX_CRASHES="40")).wait_log("worker ready")

    def running_ones(self, load):
        redis = self.redis()
        records = [redis.record(job) for job in list(load.accepted.values())]
        return [record for record in records if record.get("state") == "running"]

    def old_ones(self, load):
        seconds, micros = self.redis().command("TIME")
        now = int(seconds) * 1000 + int(micros) // 1000
        return sum(now - int(record["started_ms"]) > 1100 for record in self.running_ones(load))

    def crashed_before(self, load):
        return sum(int(record["crashes"]) > 0 for record in self.running_ones(load))


if __name__ == "__main__":
    unittest.main()
