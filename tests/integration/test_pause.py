# SPDX-License-Identifier: Apache-2.0
"""Pausing queues: workers obey at once, give back what they have fetched, and remember."""

import json
import re
import time
import unittest

import cresstest
from cresstest import http, unique, wait_for


class PauseTest(cresstest.TestCase):
    def setUp(self):
        super().setUp()
        self.queue = unique("pause")
        self.client = self.broker()
        self.store = self.redis()
        self.addCleanup(self.store.command, "HDEL", "cress:paused", self.queue)

    def run_worker(self, *args, **environment):
        environment.setdefault("CRESS_WORKER_HEARTBEAT", "100ms")
        return self.worker("--queues", self.queue, *args, **environment)

    def cress(self, *args, code=0):
        done = cresstest.run("cress", *args)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout

    def enqueue(self, task="cress.noop", payload="null", *args):
        return self.cress("enqueue", task, payload, "--queue", self.queue, *args).strip()

    def summary(self):
        queues = json.loads(self.cress("queues", "--json"))
        return next(queue for queue in queues if queue["name"] == self.queue)

    def all_back(self, count):
        """The broker has `count` messages of the queue, and nobody consumes it."""
        def probe():
            summary = self.summary()
            return (summary["ready"], summary["consumers"]) == (count, 0)
        wait_for(probe, "%d messages and no consumer" % count)

    def wait_consumed(self):
        wait_for(lambda: self.summary()["consumers"], "the queue to be consumed")


class Pausing(PauseTest):
    def test_jobs_wait_until_it_is_resumed(self):
        self.run_worker()
        self.wait_state(self.enqueue(), "succeeded")
        self.assertEqual(self.cress("pause", self.queue), self.queue + " paused\n")
        self.all_back(0)
        job = self.enqueue()
        self.all_back(1)
        self.assertEqual(self.store.record(job)["state"], "queued")
        self.assertIsNotNone(self.summary()["paused_at"])
        self.assertEqual(self.cress("resume", self.queue), self.queue + " resumed\n")
        self.wait_state(job, "succeeded")
        self.assertIsNone(self.summary()["paused_at"])

    def test_within_a_second(self):
        self.run_worker()
        self.cress("pause", self.queue)
        paused = time.monotonic()
        wait_for(lambda: self.summary()["consumers"] == 0, "the worker to obey")
        self.assertLess(time.monotonic() - paused, 1)
        job = self.enqueue()
        self.cress("resume", self.queue)
        resumed = time.monotonic()
        self.wait_state(job, "succeeded")
        self.assertLess(time.monotonic() - resumed, 1)

    def test_running_jobs_go_on_and_fetched_ones_go_back(self):
        self.run_worker("--concurrency", "1", CRESS_WORKER_PREFETCH="60")
        running = self.enqueue("cress.sleep", '{"ms": 1500}')
        self.wait_state(running, "running")
        jobs = [self.enqueue("cress.noop", "null", "--priority", priority)
                for priority in ("high", "normal", "low", "normal")]
        later = self.enqueue("cress.noop", "null", "--delay", "40ms")  # on a worker's timer
        wait_for(lambda: self.summary()["unacked"] == 6, "the worker to have fetched them")
        self.cress("pause", self.queue)
        self.all_back(5)
        self.assertEqual(self.wait_state(running, "succeeded")["attempt"], "1")
        self.all_back(5)
        self.assertEqual({self.store.record(job)["state"] for job in jobs}, {"queued"})
        self.cress("resume", self.queue)
        for job in jobs + [later]:
            self.assertEqual(self.wait_state(job, "succeeded")["attempt"], "1")

    def test_what_is_due_meanwhile_waits(self):
        self.run_worker()
        self.cress("pause", self.queue)
        job = self.enqueue("cress.noop", "null", "--delay", "200ms")
        self.all_back(1)  # the delay is over
        self.assertEqual(self.store.record(job)["state"], "scheduled")
        self.cress("resume", self.queue)
        self.wait_state(job, "succeeded")

    def test_other_queues_go_on(self):
        other = unique("other")
        self.worker("--queues", self.queue + "," + other)
        self.cress("pause", self.queue)
        waits = self.enqueue()
        job = self.cress("enqueue", "cress.noop", "null", "--queue", other).strip()
        self.wait_state(job, "succeeded")
        self.assertEqual(self.store.record(waits)["state"], "queued")

    def test_a_worker_that_starts_obeys(self):
        self.run_worker().stop()
        self.cress("pause", self.queue)
        job = self.enqueue()
        worker = self.run_worker()
        self.all_back(1)
        worker.stop()
        self.run_worker()
        self.all_back(1)
        self.cress("resume", self.queue)
        self.wait_state(job, "succeeded")

    def test_a_message_lost_with_the_connection(self):
        self.run_worker()
        self.store.command("HSET", "cress:paused", self.queue, 1000)  # nobody is told
        self.store.command("CLIENT", "KILL", "TYPE", "pubsub")
        self.all_back(0)
        self.store.command("HDEL", "cress:paused", self.queue)
        self.store.command("CLIENT", "KILL", "TYPE", "pubsub")
        self.wait_state(self.enqueue(), "succeeded")

    def test_many_pauses_bury_nobody(self):
        """RabbitMQ counts how often a message was returned; 50 times would make it a dead letter."""
        self.run_worker("--concurrency", "1", CRESS_WORKER_PREFETCH="6")
        running = self.enqueue("cress.sleep", '{"ms": 30000}')
        self.wait_state(running, "running")
        job = self.enqueue()
        for _ in range(60):
            wait_for(lambda: self.client.ready(self.queue) == 0, "the worker to fetch it")
            self.store.command("HSET", "cress:paused", self.queue, 1000)
            self.store.command("PUBLISH", "cress:control", "queues")
            wait_for(lambda: self.client.ready(self.queue) == 1, "the worker to return it")
            self.store.command("HDEL", "cress:paused", self.queue)
            self.store.command("PUBLISH", "cress:control", "queues")
        self.cress("cancel", running)
        self.wait_state(job, "succeeded")
        self.assertEqual(self.client.ready(self.queue + ".dead"), 0)

    def test_a_cancelled_job_of_a_paused_queue(self):
        """Its record may expire before anybody takes its message."""
        self.run_worker()
        self.cress("pause", self.queue)
        job = self.enqueue()
        self.cress("cancel", job)
        self.store.command("DEL", "cress:job:" + job)
        self.cress("resume", self.queue)
        self.wait_state(self.enqueue(), "succeeded")
        wait_for(lambda: not self.store.command("EXISTS", "cress:cancelled:" + job), "its message")
        self.assertEqual(self.store.record(job), {})

    def test_stopping_while_paused(self):
        worker = self.run_worker()
        self.cress("pause", self.queue)
        self.all_back(0)
        self.assertEqual(worker.stop(), 0)


class Saying(PauseTest):
    def test_twice_and_never(self):
        self.run_worker()
        self.cress("pause", self.queue)
        since = self.summary()["paused_at"]
        self.assertEqual(self.cress("pause", self.queue), self.queue + " was paused already\n")
        self.assertEqual(self.summary()["paused_at"], since)
        self.cress("resume", self.queue)
        self.assertEqual(self.cress("resume", self.queue), self.queue + " was not paused\n")

    def test_unknown_queues(self):
        self.run_worker()
        none = unique("none")
        for verb in ("pause", "resume"):
            self.assertIn(self.queue, self.cress(verb, none, self.queue, code=3))
        self.assertIsNone(self.store.command("HGET", "cress:paused", none))
        self.cress("pause", code=2)

    def test_json(self):
        self.run_worker()
        (answer,) = json.loads(self.cress("pause", self.queue, "--json"))
        self.assertEqual(answer["name"], self.queue)
        self.assertRegex(answer["paused_at"], r"^\d{4}-.*Z$")
        (answer,) = json.loads(self.cress("resume", self.queue, "--json"))
        self.assertIsNone(answer["paused_at"])

    def test_explain(self):
        self.run_worker()
        self.cress("pause", self.queue)
        job = self.enqueue()
        self.all_back(1)
        answer = json.loads(self.cress("explain", job, "--json"))
        self.assertEqual(answer["reason"], "paused")
        self.assertIn("cress resume " + self.queue, answer["message"])

    def test_over_http(self):
        self.run_worker()
        gateway = self.start("cress-gateway", "--listen", "127.0.0.1:0").wait_log("ready on ")
        url = re.search(r"ready on (\S+)", gateway.log()).group(1) + "/v1/queues"
        wait_for(lambda: http("GET", url).status == 200, "readiness")
        answer = http("POST", "%s/%s/pause" % (url, self.queue))
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.json()["name"], self.queue)
        listed = {queue["name"]: queue for queue in http("GET", url).json()}
        self.assertEqual(listed[self.queue]["paused_at"], answer.json()["paused_at"])
        self.all_back(0)
        answer = http("POST", "%s/%s/resume" % (url, self.queue))
        self.assertEqual((answer.status, answer.json()["paused_at"]), (200, None))
        self.wait_consumed()
        answer = http("POST", "%s/%s/pause" % (url, unique("none")))
        self.assertEqual((answer.status, answer.json()["code"]), (404, "unknown_queue"))
        answer = http("POST", "%s/%s/pause" % (url, self.queue), b"",
                      {"Origin": "https://evil.example", "Content-Type": "text/plain"})
        self.assertEqual((answer.status, answer.json()["code"]), (403, "foreign_origin"))


if __name__ == "__main__":
    unittest.main()
