# SPDX-License-Identifier: Apache-2.0
"""Guards: the messages of jobs that wait, when the store has lost what it knew of them."""

import json
import unittest

from cresstest import TestCase, run, unique, wait_for


class ChainGuard(TestCase):
    def setUp(self):
        super().setUp()
        self.queue = unique("guards")
        self.store = self.redis()

    def enqueue(self, task, payload, **members):
        line = json.dumps(dict({"task": task, "queue": self.queue, "payload": payload}, **members))
        done = run("cress", "enqueue", "--jsonl", "-", stdin=line + "\n")
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.strip()

    def guard_of(self, job):
        """The message that lies in a delay queue, taken out of it and published as if it were due."""
        client = self.broker()
        headers = {"guard": True, "attempt": 1}
        record = self.store.record(job)
        headers.update({"after": record["after"], "promise": record.get("promise", "")})
        return lambda: client.publish(self.queue, json.loads(record["payload"]), type=record["task"], message_id=job,
                                      headers=headers)

    def lose(self, *jobs):
        for job in jobs:
            self.store.command("DEL", "cress:job:" + job, "cress:pending:" + job, "cress:after:" + job)

    def test_a_lost_record_is_made_again_and_waits(self):
        self.start("cress-worker", "--queues", self.queue).wait_log("worker ready")
        first = self.enqueue("cress.sleep", {"ms": 4000})
        second = self.enqueue("cress.noop", {}, after=[first])
        self.wait_state(first, "running")
        guard = self.guard_of(second)
        self.lose(second)
        guard()
        self.wait_state(second, "waiting")
        self.assertEqual(self.wait_state(first, "succeeded")["state"], "succeeded")
        self.wait_state(second, "succeeded")

    def test_one_whose_others_ended_meanwhile_runs(self):
        self.start("cress-worker", "--queues", self.queue).wait_log("worker ready")
        first = self.enqueue("cress.sleep", {"ms": 1000})
        second = self.enqueue("cress.noop", {}, after=[first])
        guard = self.guard_of(second)
        self.lose(second)
        self.wait_state(first, "succeeded")
        guard()
        self.wait_state(second, "succeeded")

    def test_one_whose_others_are_unknown_ends(self):
        self.start("cress-worker", "--queues", self.queue).wait_log("worker ready")
        first = self.enqueue("cress.noop", {}, delay_ms=3600000)
        second = self.enqueue("cress.noop", {}, after=[first])
        guard = self.guard_of(second)
        self.lose(first, second)
        guard()
        self.wait_state(second, "waiting")  # the other one may get its record back
        wait_for(lambda: self.store.command("HGET", "cress:job:" + second, "orphan_ms"), "it to be noted")
        self.store.command("HSET", "cress:job:" + second, "orphan_ms", 1)  # long ago
        guard()
        record = self.wait_state(second, "cancelled")
        self.assertEqual(json.loads(record["error"])["code"], "dependency_unknown")

    def test_a_flush_while_it_waits(self):
        self.start("cress-worker", "--queues", self.queue).wait_log("worker ready")
        first = self.enqueue("cress.sleep", {"ms": 4000})
        second = self.enqueue("cress.noop", {}, after=[first])
        third = self.enqueue("cress.noop", {}, after=[second])
        self.wait_state(first, "running")
        guards = [self.guard_of(second), self.guard_of(third)]
        self.store.command("FLUSHALL")
        for guard in guards:
            guard()
        self.wait_state(second, "waiting")
        self.wait_state(third, "waiting")
        self.wait_state(first, "succeeded")  # its outcome makes its record anew
        for guard in guards:
            guard()
        self.wait_state(third, "succeeded")

    def test_a_guard_that_is_not_needed_changes_nothing(self):
        self.start("cress-worker", "--queues", self.queue).wait_log("worker ready")
        first = self.enqueue("cress.sleep", {"ms": 500})
        second = self.enqueue("cress.noop", {}, after=[first])
        guard = self.guard_of(second)
        self.wait_state(second, "succeeded")
        before = self.store.record(second)["version"]
        guard()
        last = self.enqueue("cress.noop", {})
        self.wait_state(last, "succeeded")
        self.assertEqual(self.store.record(second)["version"], before)
        self.assertGreater(self.store.command("PTTL", "cress:job:" + second), 3600000)


class WorkerGone(TestCase):
    def test_a_cancel_needs_no_worker(self):
        queue, store = unique("gone"), self.redis()
        worker = self.start("cress-worker", "--queues", queue, CRESS_WORKER_HEARTBEAT="200ms")
        worker.wait_log("worker ready")
        job = run("cress", "enqueue", "cress.sleep", '{"ms": 60000}', "--queue", queue).stdout.strip()
        self.wait_state(job, "running")
        presence = "cress:worker:" + store.record(job)["worker_id"]
        worker.kill()
        wait_for(lambda: store.command("EXISTS", presence) == 0, "the worker to be missed")
        self.assertEqual(run("cress", "cancel", job).returncode, 0)
        record = store.record(job)
        self.assertEqual((record["state"], json.loads(record["error"])["code"]), ("cancelled", "cancelled"))
        self.start("cress-worker", "--queues", queue).wait_log("worker ready")
        last = run("cress", "enqueue", "cress.noop", "--queue", queue).stdout.strip()
        self.wait_state(last, "succeeded")  # the message of the cancelled one came before
        self.assertEqual(store.record(job)["version"], record["version"])


if __name__ == "__main__":
    unittest.main()
