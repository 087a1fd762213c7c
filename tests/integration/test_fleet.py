# SPDX-License-Identifier: Apache-2.0
"""Workers of one queue that differ: in their tasks, in what they have to do, in when they came."""

import json
import os
import time
import unittest

import cresstest
from cresstest import unique, wait_for


class FleetTest(cresstest.TestCase):
    def setUp(self):
        super().setUp()
        self.queue = unique("fleet")
        self.client = self.broker()
        self.store = self.redis()

    def run_worker(self, *args, **environment):
        environment.setdefault("CRESS_WORKER_HEARTBEAT", "200ms")
        return self.worker("--queues", self.queue, *args, **environment)

    def enqueue_many(self, count, task, payload="null", **more):
        folder = cresstest.tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        mark = unique("job")
        path = os.path.join(folder.name, "jobs.jsonl")
        with open(path, "w", encoding="utf-8") as file:
            for n in range(count):
                job = {"id": "%s-%d" % (mark, n), "task": task, "queue": self.queue, "payload": json.loads(payload)}
                file.write(json.dumps(dict(job, **more)) + "\n")
        run = self.cress("enqueue", "--jsonl", path)
        self.assertEqual(run.returncode, 0, run.stderr)
        return ["%s-%d" % (mark, n) for n in range(count)]

    def cress(self, *args):
        return cresstest.subprocess.run([os.path.join(cresstest.BUILD, "cress"), *args], capture_output=True, text=True,
                                        timeout=60, check=False)

    def states(self, jobs):
        return [self.store.record(job).get("state") for job in jobs]

    def wait_all(self, jobs, state, deadline=60):
        wait_for(lambda: set(self.states(jobs)) == {state}, "all jobs to be " + state, deadline)


class Tasks(FleetTest):
    def test_a_rolling_deployment_loses_none(self):
        """Old workers lack the new task. Jobs of it cost no attempt, and none fails, whoever gets them."""
        self.run_worker()
        self.run_worker()
        jobs = self.enqueue_many(50, "new.task")
        wait_for(lambda: any(self.store.record(job).get("blocked") for job in jobs), "jobs that wait visibly")
        self.run_worker("--exec", "cat", "--task", "new.task", "--concurrency", "4")
        jobs += self.enqueue_many(150, "new.task")
        self.wait_all(jobs, "succeeded")
        for job in jobs:
            record = self.store.record(job)
            self.assertEqual(record["attempt"], "1")
            self.assertFalse(record.get("blocked"), record)
        self.assertEqual(self.client.ready(self.queue + ".dead") or 0, 0)

    def test_two_workers_with_a_task_each(self):
        """Whichever takes a job, the one that has its task runs it."""
        self.run_worker("--exec", "echo one", "--task", "one")
        self.run_worker("--exec", "echo two", "--task", "two")
        jobs = [self.enqueue_many(20, task) for task in ("one", "two")]
        for each in jobs:
            self.wait_all(each, "succeeded")

    def test_it_waits_visibly_and_then_fails(self):
        self.run_worker(CRESS_WORKER_UNKNOWN_TASK_WAIT="3s")
        job, = self.enqueue_many(1, "nobody.has.it")
        record = wait_for(lambda: (lambda r: r if r.get("blocked") else None)(self.store.record(job)), "it to wait visibly")
        self.assertEqual(json.loads(record["blocked"]), {"no_task": "nobody.has.it"})
        self.assertEqual(record["state"], "queued")
        self.assertIn("nobody.has.it", self.cress("explain", job).stdout)
        record = self.wait_state(job, "failed")
        self.assertEqual(json.loads(record["error"])["code"], "unknown_task")
        wait_for(lambda: self.client.ready(self.queue + ".dead") == 1, "the dead letter")

    def test_what_a_foreign_client_sent_waits_too(self):
        self.run_worker()
        job = unique("job")
        wait_for(lambda: self.client.ready(self.queue) is not None, "the queue")
        self.client.publish(self.queue, {"n": 1}, type="later.task", message_id=job)
        wait_for(lambda: self.store.record(job).get("blocked"), "it to wait visibly")
        self.run_worker("--exec", "cat", "--task", "later.task")
        self.assertEqual(self.wait_state(job, "succeeded")["attempt"], "1")


class Hands(FleetTest):
    def test_fetched_jobs_move_to_idle_workers(self):
        """Six jobs of three seconds, of one worker, before five more come: a second round would take six seconds."""
        for prefetch in "0", "30":
            with self.subTest(prefetch=prefetch):
                first = self.run_worker("--concurrency", "1", CRESS_WORKER_PREFETCH=prefetch)
                jobs = self.enqueue_many(6, "cress.sleep", '{"ms": 4000}', priority="high")
                wait_for(lambda: "running" in self.states(jobs), "the first to run")
                start = time.monotonic()
                others = [self.start("cress-worker", "--queues", self.queue, "--concurrency", "1",
                                     CRESS_WORKER_HEARTBEAT="200ms") for _ in range(5)]
                wait_for(lambda: set(self.states(jobs)) == {"running"}, "all of them to run at once", 3.9)
                self.wait_all(jobs, "succeeded")
                self.assertLess(time.monotonic() - start, 8)
                for worker in [first, *others]:
                    worker.stop()

    def test_it_consumes_again_when_it_has_a_free_place(self):
        self.run_worker("--concurrency", "1", CRESS_WORKER_PREFETCH="30")
        jobs = self.enqueue_many(4, "cress.sleep", '{"ms": 2500}')
        wait_for(lambda: "running" in self.states(jobs), "the first to run")
        second = self.run_worker("--concurrency", "1")
        wait_for(lambda: self.states(jobs).count("running") == 2, "another one to run there", 10)
        second.stop()
        self.wait_all(jobs, "succeeded")

    def test_no_more_run_than_there_are_places(self):
        """Whatever came before: thousands that ended at once, and then those that do not."""
        self.run_worker("--concurrency", "3")
        self.wait_all(self.enqueue_many(500, "cress.noop"), "succeeded")
        jobs = self.enqueue_many(12, "cress.sleep", '{"ms": 300}')
        most = 0
        deadline = time.monotonic() + 30
        while set(self.states(jobs)) != {"succeeded"} and time.monotonic() < deadline:
            report = next((json.loads(text) for text in [self.store.command("GET", "cress:worker:" + name) for name in
                           self.store.command("ZRANGE", "cress:workers", 0, -1)] if text and self.queue in text), {})
            most = max(most, report.get("running", 0))
        self.assertLessEqual(most, 3)
        self.wait_all(jobs, "succeeded")


if __name__ == "__main__":
    unittest.main()
