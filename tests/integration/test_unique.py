# SPDX-License-Identifier: Apache-2.0
"""Unique jobs and the HTTP header Idempotency-Key: a second submission makes no second job."""

import concurrent.futures
import json
import unittest

from cresstest import TestCase, http, run, unique, wait_for
from test_gateway import GatewayCase


class UniqueTest(TestCase):
    def setUp(self):
        super().setUp()
        self.queue = unique("unique")
        self.client = self.broker()

    def queue_without_worker(self):
        """The queue, declared by a worker that has gone."""
        self.worker("--queues", self.queue).stop()

    def enqueue(self, *args, code=0, **options):
        done = run("cress", "enqueue", *args, "--queue", self.queue, **options)
        self.assertEqual(done.returncode, code, done.stderr)
        self.said = done.stderr
        return done.stdout.strip()

    def test_the_time_needs_a_key(self):
        self.enqueue("cress.echo", "--unique-for", "1h", code=2)
        self.assertIn("--unique-for goes with --unique", self.said)

    def test_second_submission_prints_the_first_id(self):
        self.queue_without_worker()
        key = unique("report of")
        first = self.enqueue("cress.echo", "1", "--unique", key)
        self.assertEqual(self.said, "")
        second = self.enqueue("cress.echo", "2", "--unique", key)
        self.assertEqual(second, first)
        self.assertIn("job %s has this unique key already" % first, self.said)
        record = json.loads(self.enqueue("cress.echo", "3", "--unique", key, "--json"))
        self.assertEqual((record["id"], record["duplicate"], record["unique"]), (first, True, key))
        self.assertEqual(self.client.ready(self.queue), 1)

        self.worker("--queues", self.queue)
        self.wait_state(first, "succeeded")
        self.assertNotEqual(self.enqueue("cress.echo", "4", "--unique", key), first)

    def test_unique_for_outlives_the_job(self):
        self.worker("--queues", self.queue)
        key = unique("key")
        first = self.enqueue("cress.echo", "--unique", key, "--unique-for", "1h", "--wait=20s", "--json")
        again = json.loads(self.enqueue("cress.echo", "--unique", key, "--unique-for", "1h", "--json"))
        self.assertEqual(again["id"], json.loads(first)["id"])
        self.assertEqual((again["state"], again["duplicate"]), ("succeeded", True))

    def test_a_job_that_fails_or_expires_frees_its_key(self):
        self.worker("--queues", self.queue)
        key = unique("key")
        failed = self.enqueue("cress.fail", '{"permanent": true}', "--unique", key)
        self.wait_state(failed, "failed")
        expired = self.enqueue("cress.echo", "--unique", key, "--delay", "200ms", "--expires", "201ms",
                               "--id", unique("expires"))
        self.assertNotEqual(expired, failed)
        self.wait_state(expired, "expired", "succeeded")
        self.assertNotEqual(self.enqueue("cress.echo", "--unique", key), expired)

    def test_lines(self):
        self.queue_without_worker()
        key = unique("key")
        lines = [json.dumps({"task": "cress.echo", "queue": self.queue, "payload": n, "unique": key})
                 for n in range(3)]
        done = run("cress", "enqueue", "--jsonl", "-", "--json", stdin="\n".join(lines))
        self.assertEqual(done.returncode, 0, done.stderr)
        answers = [json.loads(text) for text in done.stdout.splitlines()]
        self.assertEqual([answer.get("duplicate") for answer in answers], [None, True, True])
        self.assertEqual(len({answer["id"] for answer in answers}), 1)
        self.assertEqual(self.client.ready(self.queue), 1)

    def test_foreign_messages(self):
        """The second is a job of its own to its publisher, who learns what became of it."""
        self.worker("--queues", self.queue)
        key = unique("key")
        answers = self.client.channel.queue_declare("", exclusive=True).method.queue
        first, second = unique("job"), unique("job")
        headers = {"unique": key, "unique_for_ms": 3600000}
        self.client.publish(self.queue, 1, type="cress.echo", message_id=first, headers=headers)
        self.wait_state(first, "succeeded")  # and its key is taken for the rest of the hour
        self.client.publish(self.queue, 4, type="cress.echo", message_id=second, reply_to=answers,
                            headers={"unique": key})
        record = self.wait_state(second, "cancelled")
        self.assertEqual(json.loads(record["error"])["code"], "duplicate")
        properties, body = self.client.take(answers)
        self.assertEqual(properties.headers["state"], "cancelled")
        self.assertEqual(json.loads(body)["code"], "duplicate")


class IdempotencyTest(GatewayCase):
    def setUp(self):
        super().setUp()
        self.queue = unique("idempotent")
        self.client = self.broker()
        self.worker("--queues", self.queue).stop()
        self.url = self.gateway().url + "/v1/jobs"
        self.key = unique("request")

    def post(self, key, payload, expected, **members):
        body = dict({"task": "cress.echo", "queue": self.queue, "payload": payload}, **members)
        answer = http("POST", self.url, body, {"Idempotency-Key": key} if key else {})
        self.assertEqual(answer.status, expected, answer.body)
        return answer

    def test_replay(self):
        first = self.post('"%s"' % self.key, {"a": 1, "b": 2}, 202)
        self.assertNotIn("idempotency-replayed", first.headers)
        for key in ('"%s"' % self.key, self.key):  # however it is written
            again = self.post(key, {"b": 2, "a": 1}, 202)
            self.assertEqual(again.headers["idempotency-replayed"], "true")
            self.assertEqual(again.headers["location"], first.headers["location"])
            self.assertEqual(again.json(), first.json())
        self.assertEqual(self.client.ready(self.queue), 1)

    def test_replay_after_the_end(self):
        first = self.post(self.key, 1, 202).json()["id"]
        self.worker("--queues", self.queue)
        self.wait_state(first, "succeeded")
        again = self.post(self.key, 1, 202)
        self.assertEqual(again.headers["idempotency-replayed"], "true")
        self.assertEqual((again.json()["id"], again.json()["state"]), (first, "succeeded"))

    def test_another_request_with_the_same_key(self):
        first = self.post(self.key, 1, 202).json()["id"]
        problem = self.post(self.key, 2, 422)
        self.assertEqual(problem.json()["code"], "idempotency_key_reused")
        self.assertEqual(problem.headers["location"], "/v1/jobs/" + first)
        self.assertEqual(self.client.ready(self.queue), 1)

    def test_bad_keys(self):
        for key in ('""', '"open', '"a";x=1', "k" * 257):
            self.assertEqual(self.post(key, 1, 400).json()["code"], "bad_idempotency_key")

    def test_a_first_try_that_died_before_its_publish_is_made_good(self):
        first = self.post(self.key, 1, 202).json()["id"]
        redis = self.redis()
        # what a gateway leaves behind that dies between the record and the broker's confirm
        self.client.take(self.queue)
        self.assertEqual(redis.command("HDEL", "cress:idempotency:" + self.key, "sent"), 1)
        again = self.post(self.key, 1, 202)
        self.assertEqual(again.json()["id"], first)
        self.post(self.key, 1, 202)  # and only once: now it is known to be safe
        self.assertEqual(self.client.ready(self.queue), 1)
        self.worker("--queues", self.queue)
        self.wait_state(first, "succeeded")

    def test_a_refused_submission_frees_its_key(self):
        nowhere = unique("nowhere")
        self.post(self.key, 1, 404, queue=nowhere, unique=self.key)
        self.post(self.key, 1, 202, unique=self.key)

    def test_many_at_once(self):
        other = self.gateway().url + "/v1/jobs"
        body = {"task": "cress.echo", "queue": self.queue}

        def one(n):
            return http("POST", (self.url, other)[n % 2], body, {"Idempotency-Key": self.key})
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(one, range(40)))
        self.assertEqual({answer.status for answer in answers}, {202})
        self.assertEqual(len({answer.json()["id"] for answer in answers}), 1)

    def test_unique_over_http(self):
        first = self.post(None, 1, 202, unique=self.key)
        second = self.post(None, 2, 200, unique=self.key)
        self.assertEqual(second.headers["location"], first.headers["location"])
        self.assertNotIn("idempotency-replayed", second.headers)
        self.assertIs(second.json()["duplicate"], True)
        self.assertEqual(wait_for(lambda: self.client.ready(self.queue), "the message"), 1)


if __name__ == "__main__":
    unittest.main()
