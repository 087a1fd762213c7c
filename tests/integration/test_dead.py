# SPDX-License-Identifier: Apache-2.0
"""Dead letters: looked at, requeued, deleted and exported, with pika looking at the queues."""

import base64
import json
import os
import pty
import subprocess
import tempfile
import time
import unittest

import pika
from cresstest import BUILD, DEADLINE, Program, TestCase, env, run, unique, wait_for

CRESS = os.path.join(BUILD, "cress")


class DeadTest(TestCase):
    def setUp(self):
        super().setUp()
        self.queue = unique("mail")
        self.client = self.broker()

    def dead(self, verb, *args, code=0, **options):
        """Runs `cress dead` on this test's queue; returns stdout."""
        options.setdefault("timeout", 4 * DEADLINE)
        done = run("cress", "dead", verb, *args, "--queue", self.queue, **options)
        self.assertEqual(done.returncode, code, "stdout: %s\nstderr: %s" % (done.stdout, done.stderr))
        self.said = done.stderr
        return done.stdout

    def dead_json(self, verb, *args):
        return json.loads(self.dead(verb, *args, "--json"))

    def worker_of_queue(self, **environment):
        worker = self.worker("--queues", self.queue, **environment)
        wait_for(lambda: self.client.ready(self.queue) is not None, "the queue")
        return worker

    def queues_without_worker(self):
        self.worker_of_queue().stop()

    def bury(self, *ids, task="cress.echo", body=b"1", headers=None, **properties):
        """Puts letters into the dead-letter queue, as a worker does."""
        redis = self.redis()
        for job in ids:
            promise = redis.command("HGET", "cress:job:%s" % job, "promise")
            self.client.publish(self.queue + ".dead", body, type=task, message_id=job, headers=dict(
                {"error_code": "boom", "error_message": "no luck", "attempt": 5, "error_ms": int(time.time() * 1000)},
                **({"promise": promise} if promise else {}), **(headers or {})), **properties)
        self.wait_ready(self.queue + ".dead", len(ids), at_least=True)

    def wait_ready(self, queue, count, at_least=False):
        wait_for(lambda: (self.client.ready(queue) or 0) >= count if at_least else self.client.ready(queue) == count,
                 "%d messages in %s; now %s" % (count, queue, self.client.ready(queue)))

    def enqueue(self, task, payload="null", *args):
        done = run("cress", "enqueue", task, payload, "--queue", self.queue, *args)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.strip()


class LookTest(DeadTest):
    def test_what_a_worker_buried_is_listed_and_shown(self):
        self.worker_of_queue()
        job = self.enqueue("cress.fail", '{"message": "no luck", "permanent": true}', "--priority", "high")
        self.wait_state(job, "failed")
        self.wait_ready(self.queue + ".dead", 1)
        [letter] = self.dead_json("list")
        self.assertEqual((letter["id"], letter["task"], letter["queue"], letter["priority"], letter["attempt"]),
                         (job, "cress.fail", self.queue, "high", 1))
        self.assertEqual(letter["error"]["message"], "no luck")
        self.assertIsNotNone(letter["died_at"])
        self.assertNotIn("payload", letter)
        shown = self.dead_json("show", job)
        self.assertEqual(shown["payload"], {"message": "no luck", "permanent": True})
        self.assertEqual(shown["headers"]["error_queue"], self.queue + ".high")
        self.assertIn("no luck", self.dead("show", job))
        self.assertIn("\tno luck", self.dead("list"))
        self.assertEqual(self.dead_json("list", "--newer", "1h"), [letter])
        self.assertEqual(self.dead_json("list", "--older", "1h"), [])
        self.wait_ready(self.queue + ".dead", 1)

    def test_anything_is_exported_as_it_is(self):
        self.queues_without_worker()
        self.bury("job-json", body=b'{"a":\n 1}')
        self.bury("job-text", body=b"no json")
        self.bury("job-bytes", body=b"\xff\x00")
        self.bury(None, task=None, body=b"nobody", headers={"table": {"x": 1}, "mine": True})
        letters = [json.loads(line) for line in self.dead("export").splitlines()]
        self.assertEqual([letter["id"] for letter in letters[:3]], ["job-json", "job-text", "job-bytes"])
        self.assertEqual(letters[0]["payload"], {"a": 1})
        self.assertEqual(letters[1]["body"], "no json")
        self.assertEqual(base64.b64decode(letters[2]["body_base64"]), b"\xff\x00")
        self.assertIsNone(letters[3]["task"])
        self.assertIs(letters[3]["headers"]["mine"], True)
        self.assertEqual(self.dead_json("show", letters[3]["id"])["body"], "nobody")
        self.wait_ready(self.queue + ".dead", 4)

    def test_groups_by_what_errors_have_in_common(self):
        self.queues_without_worker()
        for n in range(3):
            self.bury("job-%d" % n, headers={"error_message": "no answer from 10.0.0.%d after %d ms" % (n, 31 * n)})
        self.bury("other", task="mail.send", headers={"error_message": "no answer"})
        groups = self.dead_json("groups")
        self.assertEqual([(group["count"], group["task"], group["message"]) for group in groups],
                         [(3, "cress.echo", "no answer from # after # ms"), (1, "mail.send", "no answer")])
        chosen = self.dead_json("list", "--group", groups[0]["fingerprint"])
        self.assertEqual({letter["id"] for letter in chosen}, {"job-0", "job-1", "job-2"})
        self.assertEqual([letter["id"] for letter in self.dead_json("list", "--task", "mail.send")], ["other"])
        self.assertEqual(self.dead_json("list", "--error", "none"), [])

    def test_the_first_of_many_are_listed(self):
        self.queues_without_worker()
        self.bury(*["job-%d" % n for n in range(5)])
        self.assertEqual(len(self.dead("list", "--limit", "3").splitlines()), 3)
        self.assertIn("first 3", self.said)
        self.assertEqual(len(self.dead("list", "--limit", "0").splitlines()), 5)
        self.assertEqual(self.said, "")

    def test_looking_changes_nothing(self):
        """However often, from wherever in the queue a look ends, and in more than one round of deliveries."""
        self.queues_without_worker()
        jobs = ["job-%d" % n for n in range(700)]
        self.bury(*jobs)
        for n in range(12):
            self.assertEqual([group["count"] for group in self.dead_json("groups")], [len(jobs)])
            self.dead("show", jobs[n * 37])
            self.wait_ready(self.queue + ".dead", len(jobs))
        letters = [json.loads(line) for line in self.dead("export").splitlines()]
        self.assertEqual(sorted(letter["id"] for letter in letters), sorted(jobs))
        # each look was one delivery: a letter that was renewed would have begun to count anew
        self.assertGreaterEqual(min(letter["headers"]["x-delivery-count"] for letter in letters), 12)

    def test_letters_may_be_looked_at_for_ever(self):
        """RabbitMQ 4 drops what was delivered 20 times from a queue without a limit of its own."""
        self.queues_without_worker()
        channel = self.client.connection.channel()
        channel.queue_declare(self.queue + ".dead", durable=True, arguments={
            "x-queue-type": "quorum", "x-delivery-limit": 1000000000})  # refused when it has another

    def test_what_an_earlier_version_declared_is_taken_as_it_is(self):
        channel = self.client.connection.channel()
        channel.queue_declare(self.queue + ".dead", durable=True, arguments={"x-queue-type": "quorum"})
        self.worker_of_queue()
        job = self.enqueue("cress.fail", '{"permanent": true}')
        self.wait_state(job, "failed")
        wait_for(lambda: [letter["id"] for letter in self.dead_json("list")] == [job], "the letter")

    def test_a_second_look_waits_for_the_first(self):
        self.queues_without_worker()
        self.bury(*["job-%d" % n for n in range(20)])
        first = self.start("cress", "dead", "requeue", "--queue", self.queue, "--rate", "10")
        self.wait_ready(self.queue, 1, at_least=True)
        second = self.start("cress", "dead", "groups", "--queue", self.queue, "--json")
        second.wait_log("another `cress dead`")
        done = run("cress", "dead", "groups", "--queue", self.queue, "--connect-timeout", "300ms")
        self.assertEqual((done.returncode, done.stdout), (69, ""))
        self.assertIn("try again", done.stderr)
        self.assertEqual((first.wait(), second.wait()), (0, 0))
        self.assertEqual(json.loads(second.out()), [])

    def test_two_looks_at_once_see_everything(self):
        self.queues_without_worker()
        self.bury(*["job-%d" % n for n in range(500)])
        looks = [self.start("cress", "dead", "groups", "--queue", self.queue, "--json", "--connect-timeout", "60s")
                 for _ in range(4)]
        for look in looks:
            self.assertEqual(look.wait(), 0)
            self.assertEqual([group["count"] for group in json.loads(look.out())], [500])

    def test_what_is_not_there(self):
        self.queues_without_worker()
        self.assertEqual(self.dead("list"), "")
        self.assertEqual(self.dead_json("list"), [])
        self.assertEqual(self.dead_json("groups"), [])
        self.dead("show", "nobody", code=3)
        self.dead("show", code=2)
        self.dead("lost", code=2)
        self.assertIn("did you mean list", self.said)
        self.dead("list", "--rate", "3", code=2)
        done = run("cress", "dead", "list", "--queue", unique("none"), "--json")
        self.assertEqual((done.returncode, done.stdout), (3, ""))


class RequeueTest(DeadTest):
    def work(self, queue=None):
        """All that waits in a work queue, as pika takes it."""
        found = []
        while True:
            method, properties, body = self.client.get(queue or self.queue)
            if not method:
                return found
            found.append((properties, body))

    def headers(self, properties):
        """Without the one that RabbitMQ adds to whatever it delivers from a quorum queue."""
        return {name: value for name, value in properties.headers.items() if name != "x-delivery-count"}

    def test_a_failed_job_runs_again(self):
        worker = self.worker_of_queue()
        job = self.enqueue("cress.fail", '{"times": 1}', "--max-attempts", "1")
        self.wait_state(job, "failed")
        self.assertEqual(self.dead("requeue"), job + "\n")
        record = self.wait_state(job, "failed", "succeeded")
        self.wait_ready(self.queue + ".dead", 1)  # cress.fail fails the first attempt, and this was one
        self.assertEqual(record["attempt"], "1")
        worker.stop()
        self.assertEqual(self.dead_json("requeue", job)["requeued"], 1)
        self.assertEqual((self.redis().record(job)["state"], self.redis().record(job)["attempt"]), ("queued", "0"))
        self.assertNotIn("error", self.redis().record(job))
        self.assertEqual(self.redis().command("PTTL", "cress:job:" + job), -1)
        self.wait_ready(self.queue + ".dead", 0)

    def test_the_message_begins_anew_in_its_own_queue(self):
        self.queues_without_worker()
        self.bury("job-1", body=b"[1]", headers={
            "error_queue": self.queue + ".low", "mine": "kept", "max_attempts": 9, "expires_ms": 1,
            "traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01"}, reply_to="someone", correlation_id="c")
        self.bury(None, task=None, body=b"{oops", headers={"error_queue": "elsewhere"})
        self.assertEqual(self.dead_json("requeue"), {
            "matched": 2, "requeued": 2, "removed": 0, "left": 0, "failed": 0, "dry_run": False})
        [(properties, body)] = self.work(self.queue + ".low")
        self.assertEqual(body, b"[1]")
        self.assertEqual(self.headers(properties), {"attempt": 1, "mine": "kept", "max_attempts": 9,
                                              "traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01"})
        self.assertEqual((properties.message_id, properties.reply_to, properties.correlation_id),
                         ("job-1", "someone", "c"))
        [(properties, body)] = self.work()
        self.assertEqual((body, properties.type, self.headers(properties)), (b"{oops", None, {"attempt": 1}))
        self.wait_ready(self.queue + ".dead", 0)

    def test_dry_run_changes_nothing(self):
        self.worker_of_queue()
        job = self.enqueue("cress.fail", '{"permanent": true}')
        self.wait_state(job, "failed")
        before = self.redis().record(job)
        self.assertEqual(self.dead("requeue", "--dry-run"), job + "\n")
        self.assertIn("would be requeued", self.said)
        self.wait_ready(self.queue + ".dead", 1)
        self.assertEqual(self.redis().record(job), before)

    def test_jobs_that_go_on_are_left_and_those_that_ended_well_are_not_run(self):
        self.worker_of_queue()
        running = self.enqueue("cress.sleep", '{"ms": 60000}')
        done = self.enqueue("cress.echo", "1")
        self.wait_state(running, "running")
        self.wait_state(done, "succeeded")
        self.bury(running, done)
        self.assertEqual(self.dead("requeue"), "")
        self.assertIn("1 running", self.said)
        self.wait_ready(self.queue + ".dead", 1)
        self.assertEqual([letter["id"] for letter in self.dead_json("list")], [running])
        self.assertEqual(self.redis().record(done)["state"], "succeeded")

    def test_without_its_queue_a_job_stays_failed(self):
        self.worker_of_queue().stop()
        job = unique("job")
        self.redis().command("HSET", "cress:job:" + job, "status", "failed 4 2 0 0 1 w", "task", "cress.echo")
        self.bury(job, headers={"attempt": 2})
        self.client.delete(self.queue)
        self.dead("requeue", code=3)
        self.assertIn("not requeued", self.said)
        record = self.redis().record(job)
        self.assertEqual((record["state"], json.loads(record["error"])["code"]), ("failed", "boom"))
        self.wait_ready(self.queue + ".dead", 1)

    def test_a_batch_is_open_again(self):
        self.worker_of_queue()
        redis = self.redis()
        job = unique("job")
        line = json.dumps({"task": "cress.fail", "payload": {"permanent": True}, "queue": self.queue, "id": job})
        batch = run("cress", "batch", "create", "--jsonl", "-", stdin=line).stdout.strip()
        self.wait_state(job, "failed")
        self.assertEqual(redis.command("HMGET", "cress:batch:" + batch, "done", "failed"), ["1", "1"])
        self.assertEqual(self.dead_json("requeue")["requeued"], 1)
        wait_for(lambda: redis.record(job)["version"] > "4", "another run")
        self.wait_state(job, "failed")
        self.assertEqual(redis.command("HMGET", "cress:batch:" + batch, "done", "failed"), ["1", "1"])

    def test_a_group_that_is_not_there(self):
        self.queues_without_worker()
        self.bury("job-1")
        for verb in ("requeue", "list", "export"):
            self.dead(verb, "--group", "0123456789abcdef", code=3)
            self.assertIn("no dead letter of group 0123456789abcdef", self.said)
        self.dead("purge", "--yes", "--group", "0123456789abcdef", code=3)
        [group] = self.dead_json("groups")
        self.dead("requeue", "--group", group["fingerprint"])
        self.wait_ready(self.queue, 1)

    def test_rate(self):
        self.queues_without_worker()
        self.bury(*["job-%d" % n for n in range(11)])
        began = time.monotonic()
        self.assertEqual(self.dead_json("requeue", "--rate", "10")["requeued"], 11)
        self.assertGreater(time.monotonic() - began, 0.95)

    def test_killed_half_way_nothing_is_lost(self):
        self.queues_without_worker()
        redis = self.redis()
        jobs = ["%s-%d" % (self.queue, n) for n in range(1000)]
        for job in jobs:
            redis.command("HSET", "cress:job:" + job, "status", "failed 4 5 0 0 1 w", "task", "cress.echo",
                          "queue", self.queue, "payload", "1")
        self.bury(*jobs)
        for share in (200, 500):
            requeue = self.start("cress", "dead", "requeue", "--queue", self.queue, "--rate", "1000")
            wait_for(lambda: self.client.ready(self.queue) >= share, "%d requeued" % share, pause=0.005)
            requeue.kill()
        wait_for(lambda: self.client.ready(self.queue) + self.client.ready(self.queue + ".dead") >= len(jobs),
                 "letters to be back")
        self.assertGreater(self.client.ready(self.queue + ".dead"), 0)
        self.dead("requeue")
        self.assertEqual(self.client.ready(self.queue + ".dead"), 0)
        self.worker_of_queue()
        wait_for(lambda: all(redis.record(job)["state"] == "succeeded" for job in jobs), "every job to succeed")
        self.wait_ready(self.queue, 0)

    def test_interrupted_it_lets_go(self):
        self.queues_without_worker()
        self.bury(*["job-%d" % n for n in range(20)])
        requeue = self.start("cress", "dead", "requeue", "--queue", self.queue, "--rate", "2")
        self.wait_ready(self.queue, 1, at_least=True)
        requeue.signal(2)
        self.assertEqual(requeue.wait(), 130)
        self.assertIn("requeued", requeue.log())
        wait_for(lambda: self.client.ready(self.queue) + self.client.ready(self.queue + ".dead") == 20,
                 "the rest to be back")


class PurgeTest(DeadTest):
    def on_terminal(self, answer, *args):
        main, side = pty.openpty()
        process = subprocess.Popen([CRESS, "dead", "purge", "--queue", self.queue, *args], stdin=side, stdout=side,
                                   stderr=side, cwd=tempfile.gettempdir())
        os.close(side)
        os.write(main, answer)
        code = process.wait(DEADLINE)
        os.close(main)
        return code

    def test_to_requeue_everything_asks_as_well(self):
        self.queues_without_worker()
        self.bury("job-1")
        done = run("cress", "dead", "requeue")
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn("--yes", done.stderr)
        main, side = pty.openpty()
        process = subprocess.Popen([CRESS, "dead", "requeue"], stdin=side, stdout=side, stderr=side,
                                   cwd=tempfile.gettempdir())
        os.close(side)
        os.write(main, b"no\n")
        self.assertEqual(process.wait(DEADLINE), 6)
        os.close(main)
        self.wait_ready(self.queue + ".dead", 1)

    def test_it_asks(self):
        self.queues_without_worker()
        self.bury("job-1", "job-2")
        self.dead("purge", code=2)
        self.assertIn("--yes", self.said)
        self.assertEqual(self.on_terminal(b"no\n"), 6)
        self.assertEqual(self.dead_json("purge", "--dry-run"), {"purged": 2, "dry_run": True})
        self.wait_ready(self.queue + ".dead", 2)
        self.assertEqual(self.on_terminal(b"yes\n", "job-1"), 0)
        self.wait_ready(self.queue + ".dead", 1)
        self.dead("purge", "--yes", "--older", "1h")
        self.wait_ready(self.queue + ".dead", 1)
        self.dead("purge", "--yes")
        self.wait_ready(self.queue + ".dead", 0)


class BigTest(DeadTest):
    LETTERS, BODY = 50000, b'"' + b"x" * 2000 + b'"'
    figures = []

    @classmethod
    def tearDownClass(cls):
        print("\n".join(["", *cls.figures]))

    def fill(self):
        self.bury("first", body=self.BODY, headers={"error_message": "no luck 0"})  # confirmed: the queue has a leader
        connection = pika.BlockingConnection(pika.URLParameters(env("CRESS_BROKER_URL")))
        channel = connection.channel()
        for n in range(1, self.LETTERS):
            channel.basic_publish("", self.queue + ".dead", self.BODY, pika.BasicProperties(
                type="cress.echo", message_id="%s-%d" % (self.queue, n), delivery_mode=2,
                headers={"error_code": "boom", "error_message": "no luck %d" % n}))
        connection.close()
        # without confirms a busy RabbitMQ loses some: once no more arrive, these are made up for
        counts = []

        def probe():
            counts.append(self.client.ready(self.queue + ".dead"))
            return len(set(counts[-10:])) == 1 and len(counts) > 10
        wait_for(probe, "the last letter", 120, pause=0.2)
        for n in range(counts[-1], self.LETTERS):
            self.client.publish(self.queue + ".dead", self.BODY, type="cress.echo", message_id="more-%d" % n,
                                headers={"error_code": "boom", "error_message": "no luck %d" % n})
        self.wait_ready(self.queue + ".dead", self.LETTERS)

    def measured(self, *args):
        """The output of `cress dead`, its largest memory in MB, and the seconds that it took."""
        began = time.monotonic()
        program = Program("cress", "dead", *args, "--queue", self.queue, "--json")
        self.programs.append(program)
        _, status, usage = os.wait4(program.pid, 0)
        program.process.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(program.process.returncode, 0, program.log())
        return program.out(), usage.ru_maxrss / 1024, time.monotonic() - began

    def test_many_letters_in_little_memory(self):
        self.queues_without_worker()
        self.fill()
        out, groups_mb, groups_s = self.measured("groups")
        self.assertEqual([group["count"] for group in json.loads(out)], [self.LETTERS])
        wait_for(lambda: self.client.ready(self.queue + ".dead") == self.LETTERS, "all letters back", 60)
        out, requeue_mb, requeue_s = self.measured("requeue")
        self.assertEqual(json.loads(out)["requeued"], self.LETTERS)
        self.assertEqual(self.client.ready(self.queue), self.LETTERS)
        self.figures.append("%d letters of %d bytes: groups %.0f MB %.1f s, requeue %.0f MB %.1f s" % (
            self.LETTERS, len(self.BODY), groups_mb, groups_s, requeue_mb, requeue_s))
        self.assertLess(groups_mb, 40)
        self.assertLess(requeue_mb, 40)
        self.client.delete(self.queue)


if __name__ == "__main__":
    unittest.main()
