# SPDX-License-Identifier: Apache-2.0
"""cress doctor --fix: records that the broker knows nothing of, and what becomes of them. The records are in a
database of their own, so that those of other tests do not count."""

import json
import os
import time
import unittest

from cresstest import Program, Redis, TestCase, delay_queues, env, run, unique, wait_for

OLD = int(time.time() * 1000) - 600000


class RepairTest(TestCase):
    def setUp(self):
        super().setUp()
        self.url = env("CRESS_STORE_URL").rsplit("/", 1)[0] + "/5"
        self.store = Redis(self.url)
        self.addCleanup(self.store.close)
        self.store.command("FLUSHDB")
        self.client = self.broker()
        self.queue = unique("repair")
        # takes what is due, and has nothing to do with the records
        self.worker("--queues", unique("other"))

    def run_worker(self, *args):
        return self.worker("--queues", self.queue, *args, CRESS_STORE_URL=self.url, CRESS_WORKER_HEARTBEAT="100ms")

    def queue_without_worker(self):
        worker = self.run_worker()
        wait_for(lambda: self.client.ready(self.queue) is not None, "the queue")
        worker.stop()

    def doctor(self, *args, code=0):
        """The rows of `cress doctor --fix --json`, by check."""
        done = run("cress", "doctor", "--fix", "--json", *args, CRESS_STORE_URL=self.url)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return {row["check"]: row for row in json.loads(done.stdout)}

    def record(self, state, attempt=0, started=0, worker="", **fields):
        """A record as it would be left behind."""
        job = unique("job")
        fields = dict({"task": "cress.echo", "queue": self.queue, "payload": '{"a": 1}', "max_attempts": 5,
                       "created_ms": OLD}, **fields)
        self.store.command("HSET", "cress:job:" + job, "status",
                           "%s 3 %d 0 0 %d %s" % (state, attempt, started, worker),
                           *[word for field in fields.items() for word in field])
        return job

    def state(self, job):
        return self.store.record(job).get("state")

    def wait_succeeded(self, job):
        wait_for(lambda: self.state(job) == "succeeded", "job %s to succeed: %s" % (job, self.store.record(job)))
        record = self.store.record(job)
        self.assertEqual(json.loads(record["result"]), {"a": 1})
        return record

    def test_nothing_wrong(self):
        self.run_worker()
        done = run("cress", "enqueue", "cress.echo", "1", "--queue", self.queue, CRESS_STORE_URL=self.url)
        wait_for(lambda: self.state(done.stdout.strip()) == "succeeded", "the job")
        rows = self.doctor()
        self.assertTrue(all(row["status"] in ("ok", "warn", "skip") for row in rows.values()), rows)
        self.assertEqual(rows["queued"]["detail"], "nothing wrong")
        self.assertEqual(run("cress", "doctor", "--dry-run").returncode, 2)

    def test_queued_without_a_message(self):
        self.queue_without_worker()
        job, young = self.record("queued"), self.record("queued", created_ms=int(time.time() * 1000))
        before = self.store.record(job)
        row = self.doctor("--dry-run", code=1)["queued"]
        self.assertEqual((row["status"], row["found"], row["fixed"]), ("fail", 1, 0))
        self.assertIn(job, row["detail"])
        self.assertEqual((self.store.record(job), self.client.ready(self.queue)), (before, 0))
        row = self.doctor()["queued"]
        self.assertEqual((row["status"], row["found"], row["fixed"]), ("fixed", 1, 1))
        self.assertEqual(self.doctor()["queued"]["found"], 0)
        self.run_worker()
        self.assertEqual(self.wait_succeeded(job)["attempt"], "1")
        self.assertEqual(self.state(young), "queued")

    def test_due_without_a_message(self):
        self.queue_without_worker()
        scheduled = self.record("scheduled", run_at_ms=OLD + 1)
        retrying = self.record("retrying", attempt=2, started=OLD + 1, run_at_ms=OLD + 2, priority="high")
        self.assertEqual(self.doctor()["due"]["fixed"], 2)
        self.assertEqual((self.client.ready(self.queue), self.client.ready(self.queue + ".high")), (1, 1))
        self.run_worker()
        self.assertEqual(self.wait_succeeded(scheduled)["attempt"], "1")
        self.assertEqual(self.wait_succeeded(retrying)["attempt"], "3")

    def test_not_due_without_a_message(self):
        self.queue_without_worker()
        delays = delay_queues()
        for name in delays:
            if self.client.ready(name):
                self.client.connection.channel().queue_purge(name)
        job = self.record("scheduled", run_at_ms=int(time.time() * 1000) + 3600000)
        before = self.store.record(job)
        self.assertEqual(self.doctor()["delayed"]["fixed"], 1)
        self.assertEqual(sum(self.client.ready(name) or 0 for name in delays), 1)
        self.assertEqual(self.store.record(job), before)
        self.assertEqual(self.doctor()["delayed"]["found"], 0)

    def test_running_at_a_worker_that_is_gone(self):
        self.queue_without_worker()
        job = self.record("running", attempt=2, started=OLD, worker="nobody:1")
        self.assertEqual(self.doctor()["running"]["fixed"], 1)
        self.assertEqual(self.state(job), "queued")
        self.run_worker()
        record = self.wait_succeeded(job)
        self.assertEqual(record["attempt"], "2")
        self.assertIn("nobody:1 %d" % OLD, record["attempts"])

    def test_a_running_job_is_left_alone(self):
        worker = self.run_worker()
        job = run("cress", "enqueue", "cress.sleep", '{"ms": 60000}', "--queue", self.queue,
                  CRESS_STORE_URL=self.url).stdout.strip()
        wait_for(lambda: self.state(job) == "running", "the job to run")
        record = self.store.record(job)
        self.assertTrue(record["worker"].endswith(":%d" % worker.pid))
        self.store.command("HSET", "cress:job:" + job, "status", "running 2 1 0 0 %d %s" % (OLD, record["worker_id"]))
        self.assertEqual(self.doctor()["running"]["found"], 0)
        self.assertEqual(self.state(job), "running")

    def test_a_message_that_was_passed_over_is_gone(self):
        self.queue_without_worker()
        self.client.publish(self.queue, 1, type="cress.echo", message_id=unique("job"))
        lost, later = self.record("queued"), self.record("queued", created_ms=OLD + 200000)
        self.record("succeeded", attempt=1, started=OLD + 100001, worker="w:1", created_ms=OLD + 100000)
        row = self.doctor()["queued"]
        self.assertEqual((row["found"], row["fixed"], self.client.ready(self.queue)), (1, 1, 2))
        self.assertIn(lost, row["detail"])
        self.assertEqual(self.store.record(later)["version"], "3")

    def test_which_is_gone_cannot_be_told(self):
        self.queue_without_worker()
        self.client.publish(self.queue, 1, type="cress.echo", message_id=self.record("queued"))
        self.record("queued")
        row = self.doctor(code=1)["queued"]
        self.assertEqual((row["status"], row["found"], row["fixed"]), ("fail", 1, 0))
        self.assertIn("2 jobs wait in queue %s, which has 1 messages" % self.queue, row["detail"])

    def test_a_batch_whose_completion_was_not_submitted(self):
        self.run_worker()
        batch, completion = unique("batch"), unique("job")
        self.store.command("HSET", "cress:batch:" + batch, "total", 2, "done", 2, "succeeded", 1, "failed", 1,
                           "closed", 1, "completion", json.dumps({
                               "task": "cress.echo", "queue": self.queue, "id": completion, "payload": {"a": 1}}))
        self.assertEqual(self.doctor()["batches"]["fixed"], 1)
        self.wait_succeeded(completion)
        self.assertEqual(self.store.command("HGET", "cress:batch:" + batch, "completed"), "1")
        self.assertEqual(self.doctor()["batches"]["found"], 0)

    def test_a_job_that_waits_for_one_that_has_ended(self):
        self.run_worker()
        first = self.record("succeeded", attempt=1, started=OLD, worker="w:1", finished_ms=OLD + 1, result="1")
        self.store.command("HSET", "cress:job:" + first, "status", "succeeded 3 1 0 16 %d w:1" % OLD)
        second = self.record("waiting", after=first)
        self.store.command("RPUSH", "cress:after:" + first, "job %s %s" % (second, first))
        self.store.command("SADD", "cress:pending:" + second, first)
        self.assertEqual(self.doctor("--dry-run", code=1)["waiting"]["found"], 1)
        self.assertEqual(self.state(second), "waiting")
        self.assertEqual(self.doctor()["waiting"]["fixed"], 1)
        self.wait_succeeded(second)
        self.assertEqual(self.doctor()["waiting"]["found"], 0)

    def test_a_job_that_waits_for_one_that_runs_is_left_alone(self):
        self.run_worker()
        words = ("--queue", self.queue)
        first = run("cress", "enqueue", "cress.sleep", '{"ms": 60000}', *words, CRESS_STORE_URL=self.url).stdout.strip()
        second = run("cress", "enqueue", "cress.echo", *words, "--after", first, CRESS_STORE_URL=self.url)
        self.assertEqual(second.returncode, 0, second.stderr)
        self.assertEqual(self.doctor()["waiting"]["found"], 0)
        self.assertEqual(self.state(second.stdout.strip()), "waiting")

    def test_places_in_limits(self):
        ended = self.record("failed", key="k")
        self.store.command("SADD", "cress:limits", "cress.echo")
        for key in ("cress:limit:cress.echo:running", "cress:limit:cress.echo:running:k"):
            self.store.command("ZADD", key, int(time.time() * 1000) + 3600000, ended)
        self.assertEqual(self.doctor("--dry-run", code=1)["limits"]["found"], 1)
        self.assertEqual(self.doctor()["limits"]["fixed"], 1)
        self.assertEqual(self.store.command("KEYS", "cress:limit:cress.echo:running*"), [])

    def test_queues(self):
        self.queue_without_worker()
        other = unique("classic")
        self.client.connection.channel().queue_declare(other)
        self.addCleanup(self.client.delete, other)
        self.client.delete(self.queue + ".high")
        self.store.command("SADD", "cress:queues", other, unique("unused"))
        row = self.doctor("--dry-run", code=1)["queues"]
        self.assertEqual((row["found"], row["fixed"]), (2, 0))
        self.assertIsNone(self.client.ready(self.queue + ".high"))
        row = self.doctor(code=1)["queues"]
        self.assertEqual((row["status"], row["found"], row["fixed"]), ("fail", 2, 1))
        self.assertIn("queue %s exists with other arguments" % other, row["detail"])
        self.assertEqual(self.client.ready(self.queue + ".high"), 0)

    def records(self, count):
        """As many jobs that are queued without a message: many-1, many-2, …"""
        self.store.command("EVAL", """
            for n = 1, ARGV[1] do
                redis.call('HSET', 'cress:job:many-' .. n, 'status', 'queued 1 0 0 0 0 ', 'task', 'cress.echo',
                    'queue', ARGV[2], 'created_ms', ARGV[3], 'payload', string.format('%q', string.rep('x', 2000)))
            end""", 0, count, self.queue, OLD)

    def test_killed_half_way_it_can_be_repeated(self):
        self.queue_without_worker()
        count = 3000
        self.records(count)
        doctor = self.start("cress", "doctor", "--fix", CRESS_STORE_URL=self.url)
        wait_for(lambda: self.client.ready(self.queue) > 100, "some of them", pause=0.001)
        doctor.kill()
        self.run_worker()
        wait_for(lambda: self.client.ready(self.queue) == 0, "an empty queue")
        states = [self.state("many-%d" % n) for n in range(1, count + 1)]
        self.assertIn("queued", states)  # else it was not half-way
        # what was to be published next counts as new for a minute
        self.store.command("EVAL", "for n = 1, ARGV[1] do redis.call('HDEL', 'cress:job:many-' .. n, 'run_at_ms') end",
                           0, count)
        self.doctor()
        wait_for(lambda: all(self.state("many-%d" % n) == "succeeded" for n in range(1, count + 1)),
                 "every job to succeed")

    def test_many_records_in_little_memory(self):
        self.queue_without_worker()
        count = 20000
        self.records(count)
        program = Program("cress", "doctor", "--fix", "--json", CRESS_STORE_URL=self.url)
        self.programs.append(program)
        _, status, usage = os.wait4(program.pid, 0)
        program.process.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(program.process.returncode, 0, program.log() + program.out())
        self.assertEqual(self.client.ready(self.queue), count)
        self.assertLess(usage.ru_maxrss / 1024, 40)
        self.client.delete(self.queue)
        self.store.command("FLUSHDB")


if __name__ == "__main__":
    unittest.main()
