# SPDX-License-Identifier: Apache-2.0
"""Messages of foreign clients that name what is somebody else's: a job by its id, a batch by its correlation_id."""

import json
import time
import unittest

import cresstest
from cresstest import unique, wait_for


class ForeignTest(cresstest.TestCase):
    def setUp(self):
        super().setUp()
        self.queue = unique("foreign")
        self.client = self.broker()
        self.start_worker()

    def start_worker(self):
        self.worker("--queues", self.queue)
        wait_for(lambda: self.client.ready(self.queue) is not None, "queue " + self.queue)

    def cress(self, *args):
        done = cresstest.run("cress", *args)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout.strip()

    def enqueue(self, payload, *args):
        return self.cress("enqueue", "cress.echo", json.dumps(payload), "--queue", self.queue, *args)

    def publish(self, job, body=b'"theirs"', **properties):
        self.client.publish(self.queue, body, message_id=job, **{"type": "cress.echo", **properties})

    def dead(self):
        properties, body = self.client.take(self.queue + ".dead")
        return properties.headers["error_code"], body

    def test_a_delayed_job_is_run_by_its_own_message_alone(self):
        job = self.enqueue("ours", "--delay", "2s")
        self.publish(job)
        self.assertEqual(self.dead(), ("foreign_message", b'"theirs"'))
        self.assertEqual(self.redis().record(job)["state"], "scheduled")
        record = self.wait_state(job, "succeeded")
        self.assertEqual(record["result"], '"ours"')

    def test_nor_does_another_message_end_it(self):
        job = self.enqueue("ours", "--delay", "3s")
        self.publish(job, b"no JSON")
        self.dead()
        self.publish(job, headers={"expires_ms": int(time.time() * 1000) - 1000})
        self.assertEqual(self.dead(), ("foreign_message", b'"theirs"'))
        self.assertEqual(self.redis().record(job)["state"], "scheduled")
        self.assertEqual(self.wait_state(job, "succeeded")["result"], '"ours"')

    def test_nor_what_the_same_worker_runs(self):
        job = self.cress("enqueue", "cress.sleep", '{"ms": 3000}', "--queue", self.queue)
        self.wait_state(job, "running")
        self.publish(job, b"no JSON")
        self.dead()
        # this one waits for the end of the job of its id, and is dropped then
        self.publish(job, headers={"expires_ms": int(time.time() * 1000) - 1000})
        self.wait_state(job, "succeeded")
        wait_for(lambda: self.client.ready(self.queue) == 0, "the queue to be empty")
        self.assertEqual(self.redis().record(job)["state"], "succeeded")

    def test_a_retry_is_its_own(self):
        job = self.cress("enqueue", "cress.fail", '{"times": 1}', "--queue", self.queue, "--backoff", "fixed",
                         "--backoff-base", "2s")
        self.wait_state(job, "retrying")
        self.publish(job, headers={"attempt": 2})
        self.assertEqual(self.dead()[0], "foreign_message")
        self.assertEqual(self.wait_state(job, "succeeded")["attempt"], "2")

    def test_who_waits_for_a_reply_hears_so(self):
        answers = self.client.channel.queue_declare("", exclusive=True).method.queue
        job = self.enqueue("ours", "--delay", "2s")
        self.publish(job, reply_to=answers, correlation_id="call-1")
        properties, body = self.client.take(answers)
        self.assertEqual((properties.correlation_id, json.loads(body)["code"]), ("call-1", "foreign_message"))
        self.wait_state(job, "succeeded")

    def test_a_dead_letter_that_is_sent_again_is_its_own(self):
        job = self.cress("enqueue", "cress.fail", '{"times": 1}', "--queue", self.queue, "--max-attempts", "1")
        self.wait_state(job, "failed")
        self.cress("dead", "requeue", job, "--queue", self.queue)
        wait_for(lambda: int(self.redis().record(job)["version"]) > 3, "the record to be opened")
        self.wait_state(job, "failed", "succeeded")
        self.assertNotEqual(json.loads(self.redis().record(job).get("error", "{}")).get("code"), "foreign_message")

    def test_a_batch_counts_its_members_alone(self):
        batch = unique("batch")
        lines = "".join(json.dumps({"task": "cress.echo", "queue": self.queue, "payload": n, "delay_ms": 2000}) + "\n"
                        for n in range(2))
        made = cresstest.run("cress", "batch", "create", "--id", batch, "--jsonl", "-", stdin=lines)
        self.assertEqual(made.returncode, 0, made.stderr)
        strangers = [unique("stranger") for _ in range(2)]
        for stranger in strangers:
            self.publish(stranger, correlation_id=batch)
            self.wait_state(stranger, "succeeded")
        counts = dict(zip(*[iter(self.redis().command("HGETALL", "cress:batch:" + batch))] * 2))
        self.assertEqual((counts["total"], counts["done"]), ("2", "0"))
        wait_for(lambda: self.redis().command("HGET", "cress:batch:" + batch, "done") == "2", "the members")
        self.assertEqual(self.redis().command("HGET", "cress:batch:" + batch, "succeeded"), "2")


if __name__ == "__main__":
    unittest.main()
