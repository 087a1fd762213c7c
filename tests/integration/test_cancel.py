# SPDX-License-Identifier: Apache-2.0
"""Cancelling jobs, in each state that they can be in: what the record says, and that they do not run."""

import json
import time
import unittest

import cresstest
from cresstest import unique, wait_for


class CancelTest(cresstest.TestCase):
    def setUp(self):
        super().setUp()
        self.queue = unique("cancel")
        self.client = self.broker()
        self.store = self.redis()

    def run_worker(self, *args, **environment):
        environment.setdefault("CRESS_JOB_BACKOFF_BASE", "50ms")
        return self.worker("--queues", self.queue, *args, **environment)

    def declare_queue(self):
        """A queue that is there, and no worker."""
        self.run_worker().stop()

    def cress(self, *args, code=0):
        done = cresstest.run("cress", *args)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def enqueue(self, task, payload="null", *args):
        return self.cress("enqueue", task, payload, "--queue", self.queue, *args).stdout.strip()

    def error(self, job):
        return json.loads(self.store.record(job)["error"])

    def dropped(self, job):
        """A worker takes the message of a cancelled job, and that is all that happens."""
        before = self.store.record(job)
        mark = self.enqueue("cress.noop")
        self.run_worker("--concurrency", "1")
        self.wait_state(mark, "succeeded")
        self.assertEqual(self.store.record(job), before)
        self.assertEqual(self.client.ready(self.queue), 0)
        self.assertEqual(self.client.ready(self.queue + ".dead"), 0)
        self.assertEqual(self.store.command("EXISTS", "cress:cancelled:" + job), 0)


class Waiting(CancelTest):
    def test_queued(self):
        self.declare_queue()
        job = self.enqueue("cress.noop")
        done = self.cress("cancel", job, "--reason", "wrong «bucket»")
        self.assertEqual(done.stdout, job + " cancelled\n")
        record = self.store.record(job)
        self.assertEqual((record["state"], record["attempt"]), ("cancelled", "0"))
        self.assertEqual(self.error(job), {"code": "cancelled", "message": "wrong «bucket»"})
        self.cress("wait", job, code=6)
        self.dropped(job)

    def test_twice_is_once(self):
        self.declare_queue()
        job = self.enqueue("cress.noop")
        self.cress("cancel", job, "--reason", "first")
        self.cress("cancel", job, "--reason", "second")
        self.assertEqual(self.error(job)["message"], "first")

    def test_scheduled_does_not_run_though_its_record_has_expired(self):
        """Its message comes when its record is gone: it must not be taken for a new job."""
        self.run_worker()
        job = self.enqueue("cress.noop", "null", "--delay", "600ms")
        self.cress("cancel", job)
        self.assertEqual(self.store.record(job)["state"], "cancelled")
        self.store.command("DEL", "cress:job:" + job)
        mark = self.enqueue("cress.noop", "null", "--delay", "700ms")
        self.wait_state(mark, "succeeded")
        wait_for(lambda: not self.store.command("EXISTS", "cress:cancelled:" + job), "its message")
        self.assertEqual(self.store.record(job), {})

    def test_the_note_lasts_until_the_message_is_due(self):
        self.declare_queue()
        job = self.enqueue("cress.noop", "null", "--delay", "365d")
        self.cress("cancel", job)
        days = self.store.command("TTL", "cress:cancelled:" + job) / 86400
        self.assertTrue(390 < days <= 396, days)  # until it is due, and store.cancelled_ttl
        self.assertLess(self.store.command("TTL", "cress:job:" + job), 2 * 86400)

    def test_retrying(self):
        worker = self.run_worker(CRESS_JOB_BACKOFF_BASE="2s", CRESS_JOB_BACKOFF_CAP="2s")
        job = self.enqueue("cress.fail")
        self.wait_state(job, "retrying")
        self.cress("cancel", job)
        record = self.store.record(job)
        self.assertEqual((record["state"], record["attempt"]), ("cancelled", "1"))
        wait_for(lambda: not self.store.command("EXISTS", "cress:cancelled:" + job), "its message")
        self.assertEqual(self.store.record(job), record)
        worker.stop()

    def test_who_waits_for_a_reply_gets_one(self):
        self.declare_queue()
        answers = self.client.channel.queue_declare("", exclusive=True).method.queue
        job = self.enqueue("cress.noop", "null", "--delay", "300ms")
        self.cress("cancel", job)
        self.client.publish(self.queue, None, type="cress.noop", message_id=job, reply_to=answers)
        self.run_worker()
        properties, body = self.client.take(answers)
        self.assertEqual(properties.headers["state"], "cancelled")
        self.assertEqual(json.loads(body)["code"], "cancelled")


class Ended(CancelTest):
    def test_one_that_has_ended_says_so(self):
        self.run_worker()
        job = self.enqueue("cress.echo", "1")
        before = self.wait_state(job, "succeeded")
        done = self.cress("cancel", job, code=4)
        self.assertIn("has ended already: it succeeded", done.stderr)
        self.assertEqual(self.store.record(job), before)

    def test_unknown(self):
        self.assertIn("there is no job", self.cress("cancel", unique("none"), code=3).stderr)
        self.cress("cancel", "no id", code=2)
        self.cress("cancel", "x", "--reason", "x" * 257, code=65)

    def test_several_and_json(self):
        self.run_worker()
        done, later = self.enqueue("cress.noop"), self.enqueue("cress.noop", "null", "--delay", "1h")
        self.wait_state(done, "succeeded")
        answer = json.loads(self.cress("cancel", done, later, "--json", code=4).stdout)
        self.assertEqual([row["id"] for row in answer], [done, later])
        self.assertEqual([row["state"] for row in answer], ["succeeded", "cancelled"])
        self.assertEqual(answer[0]["error"]["code"], "job_ended")
        self.assertIsNone(answer[1]["error"])
        answer = json.loads(self.cress("cancel", unique("none"), "--json", code=3).stdout)
        self.assertEqual((answer["state"], answer["error"]["code"]), (None, "unknown_job"))


class Batch(CancelTest):
    def test_the_last_of_a_batch_completes_it(self):
        """Whoever cancels the last open job submits what runs after the batch, without any worker."""
        self.declare_queue()
        batch, job, after = unique("batch"), unique("job"), unique("after")
        self.store.command(
            "HSET", "cress:batch:" + batch, "total", 1, "done", 0, "closed", 1, "created_ms", 1,
            "completion", json.dumps({"task": "cress.noop", "payload": None, "id": after,
                                      "queue": self.queue}))
        self.store.command(
            "HSET", "cress:job:" + job, "status", "queued 1 0 0 1 0 ", "task", "cress.noop",
            "queue", self.queue, "batch", batch, "created_ms", int(time.time() * 1000))
        self.cress("cancel", job)
        self.assertEqual(self.store.record(after)["state"], "queued")
        self.assertEqual(self.store.command("HGET", "cress:batch:" + batch, "cancelled"), "1")
        self.assertEqual(self.store.command("HGET", "cress:batch:" + batch, "completed"), "1")
        self.run_worker()
        self.wait_state(after, "succeeded")


if __name__ == "__main__":
    unittest.main()
