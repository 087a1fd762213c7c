# SPDX-License-Identifier: Apache-2.0
"""A store whose replica lags, while jobs are cancelled."""

import json
import time
import unittest

import cresstest
import redistest
from cresstest import http, wait_for
from faulttest import FaultCase, by_length, note_figures
from relay import Relay


class LaggingReplica(redistest.Replica):
    """Follows its primary through a relay: after silence() its link is up, and what it says is old."""

    def __init__(self, primary):
        self.relay = Relay(primary.port)
        super().__init__(self.relay)

    def close(self):
        self.relay.close()
        super().close()


class LagTest(FaultCase):
    def setUp(self):
        super().setUp()
        self.primary = redistest.Primary()
        self.addCleanup(self.primary.close)
        self.replica = LaggingReplica(self.primary)
        self.addCleanup(self.replica.close)
        self.environment.update(CRESS_STORE_URL=self.primary.url, CRESS_STORE_READ_URL=self.replica.url)
        self.store = self.primary.client()
        self.addCleanup(self.store.close)

    def cress(self, *words, stdin=None):
        done = cresstest.run("cress", *words, stdin=stdin, **self.environment)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.split()

    def batch(self, running):
        """Jobs that are not due, and `running` that run for long; and the one that runs after them."""
        jobs = [{"task": "cress.noop", "queue": self.queue, "delay_ms": 3600000}] * 3
        jobs += [{"task": "cress.sleep", "queue": self.queue, "payload": {"ms": 3600000}}] * running
        lines = "".join(json.dumps(job) + "\n" for job in jobs)
        batch = self.cress("batch", "create", "--then", "cress.noop", "--then-queue", self.queue, "--jsonl", "-",
                           stdin=lines)[0]
        return batch, self.store.command("LRANGE", "cress:members:" + batch, 0, -1)

    def state(self, job):
        return self.store.record(job).get("state")

    def cancel(self, gateway, way, batch, jobs):
        """One of four: each job or the batch, by a person or over HTTP."""
        if way in (0, 2):
            self.cress(*(["cancel", *jobs], ["batch", "cancel", batch])[way // 2])
        else:
            for path in (["jobs/" + job for job in jobs], ["batches/" + batch])[way // 2]:
                self.assertIn(http("POST", gateway.url + "/v1/" + path + "/cancel").status, (200, 202))

    def test_lag_and_cancel(self):
        """All of a batch is cancelled, and the replica does not know it yet: what runs after the batch runs when its jobs
        were cancelled, and not when the batch was."""
        gateway = self.start_gateway()
        wait_for(lambda: http("GET", gateway.url + "/readyz").status == 200, "the gateway to be ready")
        self.ready_worker()
        batches = [self.batch(turn // 4 % 2) for turn in range(by_length(8, 16))]
        for turn, (_, jobs) in enumerate(batches):
            wait_for(lambda t=turn, j=jobs: [self.state(job) for job in j].count("running") == t // 4 % 2, "it to run")
        wait_for(lambda: self.replica.ask("DBSIZE") == self.primary.ask("DBSIZE"), "the replica to know of them")
        self.replica.relay.silence()
        began = time.monotonic()
        after = [json.loads(self.store.command("HGET", "cress:batch:" + batch, "completion"))["id"]
                 for batch, _ in batches]
        for turn, (batch, jobs) in enumerate(batches):
            self.cancel(gateway, turn % 4, batch, jobs)
        for batch, _ in batches:
            wait_for(lambda b=batch: self.store.command("HGET", "cress:batch:" + b, "completed"), "the batch to be over")
        wanted = {job: turn % 4 < 2 for turn, job in enumerate(after)}
        wait_for(lambda: all(self.state(job) == "succeeded" for job in after if wanted[job]), "what runs after the batches")
        unwanted = [job for job in after if not wanted[job] and self.state(job)]
        late = time.monotonic() - began
        self.assertEqual(self.replica.ask("ROLE")[3], "connected", "the replica did not lag, it was away")
        jobs = [job for _, jobs in batches for job in jobs]
        self.assertEqual({self.state(job) for job in jobs}, {"cancelled"})
        self.machine.measure()
        note_figures("lagging replica + cancel", jobs=len(jobs) + len(after), lost=0, twice=len(unwanted), twice_most=0,
                     late=late, late_most=self.machine.seconds(10), faults=len(batches))
        self.replica.relay.heal()


if __name__ == "__main__":
    unittest.main()
