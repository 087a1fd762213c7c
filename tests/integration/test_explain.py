# SPDX-License-Identifier: Apache-2.0
"""Why is this job not running? The same answer from `cress explain` and GET /v1/jobs/{id}/explain."""

import json
import os
import subprocess
import tempfile
import time
import unittest

from cresstest import ROOT, TestCase, env, http, run, unique, wait_for


class ExplainTest(TestCase):
    def setUp(self):
        super().setUp()
        self.queue = unique("explain")
        gateway = self.start("cress-gateway", "--listen", "127.0.0.1:0").wait_log("ready on")
        self.url = gateway.log().split("ready on ", 1)[1].split()[0]
        wait_for(lambda: http("GET", self.url + "/readyz").status == 200, "the gateway to be ready")

    def run_worker(self, *args, **environment):
        return self.worker("--queues", self.queue, *args, CRESS_WORKER_HEARTBEAT="100ms", **environment)

    def enqueue(self, task, payload="null", *args):
        done = run("cress", "enqueue", task, payload, "--queue", self.queue, *args)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.strip()

    def explain(self, job):
        done = run("cress", "explain", job, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def wait_reason(self, job, reason):
        """Waits for the reason, from both doors."""
        wait_for(lambda: self.explain(job)["reason"] == reason, "%s; it is %s" % (reason, self.explain(job)))
        answer = http("GET", "%s/v1/jobs/%s/explain" % (self.url, job))
        self.assertEqual((answer.status, answer.json()["reason"]), (200, reason))
        return answer.json()

    def test_a_life(self):
        self.run_worker().stop()
        waiting = self.enqueue("cress.sleep", '{"ms": 60000}')
        behind = self.enqueue("cress.echo", "1")
        self.assertIn("--queues " + self.queue, self.wait_reason(waiting, "no_consumer")["message"])
        worker = self.run_worker("--concurrency", "1", CRESS_WORKER_PREFETCH="6")
        running = self.wait_reason(waiting, "running")
        self.assertTrue(running["worker"].endswith(":%d" % worker.pid))
        self.assertIsNotNone(running["since"])
        self.wait_reason(behind, "in_hand")
        more = [self.enqueue("cress.echo", str(n)) for n in range(5)]
        self.assertIn(self.wait_reason(more[-1], "queued")["ahead"], (2, 3, 4))
        self.assertIn("is queued: it waits in queue " + self.queue, run("cress", "explain", more[-1]).stdout)
        worker.kill()
        second = self.run_worker("--concurrency", "1", CRESS_WORKER_MAX_CRASHES="1")
        wait_for(lambda: (self.explain(waiting)["worker"] or "").endswith(":%d" % second.pid), "it to run again")
        second.kill()
        self.run_worker(CRESS_WORKER_MAX_CRASHES="1")
        ended = self.wait_reason(waiting, "ended")
        self.assertEqual((ended["state"], "poison" in ended["message"]), ("failed", True))
        self.assertIn("succeeded", self.wait_reason(behind, "ended")["message"])

    def test_times(self):
        self.run_worker(CRESS_JOB_BACKOFF_BASE="1h", CRESS_JOB_BACKOFF_CAP="1h")
        later = self.enqueue("cress.echo", "1", "--delay", "1h")
        self.assertIsNotNone(self.wait_reason(later, "scheduled")["until"])
        self.wait_reason(self.enqueue("cress.fail", "{}", "--max-attempts", "3"), "retrying")

    def test_waiting_for_another_job(self):
        self.run_worker()
        first = self.enqueue("cress.sleep", '{"ms": 60000}')
        second = self.enqueue("cress.echo", "1", "--after", first)
        self.assertIn(first + " (", self.wait_reason(second, "waiting")["message"])

    def test_held_back_by_a_limit(self):
        config = os.path.join(self.folder(), "cress.conf")
        with open(config, "w", encoding="ascii") as file:
            file.write("[task cress.sleep]\nkey_concurrency = 1\n")
        self.run_worker("--config", config)
        key = unique("tenant")
        self.wait_state(self.enqueue("cress.sleep", '{"ms": 60000}', "--key", key), "running")
        second = self.enqueue("cress.sleep", '{"ms": 60000}', "--key", key)
        third = self.enqueue("cress.sleep", '{"ms": 60000}', "--key", key)
        self.assertIn("key " + key, self.wait_reason(second, "limited")["message"])
        answer = self.wait_reason(third, "limited")
        self.assertEqual(answer["ahead"], 1)
        self.assertRegex(answer["message"], r"number 2 of the 2 in its line, with \d+ of the task running")

    def test_what_applies_is_what_the_worker_says(self):
        config = os.path.join(self.folder(), "cress.conf")
        with open(config, "w", encoding="ascii") as file:
            file.write("[task cress.sleep]\nmax_attempts = 9\ntimeout = 7s\nbackoff = fixed\nbackoff_base = 3s\n")
        self.run_worker().stop()
        later = self.enqueue("cress.sleep", "{}", "--delay", "1h")
        own = self.enqueue("cress.sleep", "{}", "--delay", "1h", "--max-attempts", "2", "--backoff-base", "4s")
        after = self.enqueue("cress.sleep", "{}", "--after", later)

        def applies(job):
            answer = self.explain(job)
            return [answer[name] for name in ("max_attempts", "timeout_ms", "backoff", "backoff_base_ms")]
        self.assertEqual(applies(later), [None] * 4)  # nobody knows
        self.assertEqual(applies(own), [2, None, None, 4000])
        self.run_worker("--config", config)
        wait_for(lambda: applies(later) == [9, 7000, "fixed", 3000], "the worker's word")
        self.assertEqual(applies(after), [9, 7000, "fixed", 3000])
        self.assertEqual(applies(own), [2, 7000, "fixed", 4000])
        self.assertIn("at most 9 attempts of 7s each, with a delay between them (fixed) from 3s",
                      run("cress", "explain", later).stdout)
        record = json.loads(run("cress", "status", later, "--json").stdout)
        self.assertEqual((record["max_attempts"], record["timeout_ms"]), (None, None))

    def rabbitmq(self, *words):
        subprocess.run([os.path.join(ROOT, "scripts", "stack"), "rabbitmqctl", "--dir", env("CRESS_TEST_STACK"), *words],
                       check=True, capture_output=True)

    def test_due_and_held(self):
        """A work queue that refuses what is due for it is named."""
        worker = self.run_worker()
        wait_for(lambda: run("cress", "pause", self.queue).returncode == 0, "the queue to be paused")
        policy = unique("full")
        self.rabbitmq("set_policy", "--apply-to", "queues", policy, "^%s$" % self.queue,
                      '{"max-length": 1, "overflow": "reject-publish"}')
        self.addCleanup(self.rabbitmq, "clear_policy", policy)
        filled = []

        def is_full():
            done = run("cress", "enqueue", "cress.echo", "1", "--queue", self.queue)
            filled.append(done)
            return done.returncode != 0
        wait_for(is_full, "the queue to be full")
        late = self.enqueue("cress.echo", "1", "--delay", "1s")
        held = self.wait_reason(late, "held")
        self.assertIn("AMQP queue %s takes nothing" % self.queue, held["message"])
        self.assertIsNotNone(held["until"])
        self.rabbitmq("set_policy", "--apply-to", "queues", policy, "^%s$" % self.queue, '{"max-length": 1000}')
        run("cress", "resume", self.queue)
        self.wait_reason(late, "ended")
        worker.stop()

    def test_a_permission_is_missing(self):
        self.run_worker().stop()
        job = self.enqueue("cress.echo")
        user = unique("user")
        self.rabbitmq("add_user", user, "secret")
        self.addCleanup(self.rabbitmq, "delete_user", user)
        self.rabbitmq("set_permissions", user, ".*", ".*", "^cress.*")
        self.start("cress-worker", "--queues", self.queue, CRESS_WORKER_HEARTBEAT="100ms",
                                 CRESS_BROKER_URL="amqp://%s:secret@%s" % (user, env("CRESS_BROKER_URL").split("@")[1]))
        answer = self.wait_reason(job, "cannot_consume")
        self.assertRegex(answer["message"], "access_refused: .*'%s.* refused for user '%s'" % (self.queue, user))

    def folder(self):
        folder = tempfile.TemporaryDirectory(prefix="cresstest-")
        self.addCleanup(folder.cleanup)
        return folder.name

    def test_no_worker_has_the_task(self):
        self.run_worker("--concurrency", "1")
        self.wait_state(self.enqueue("cress.sleep", '{"ms": 60000}'), "running")
        self.assertIn("no.such.task", self.wait_reason(self.enqueue("no.such.task"), "no_task")["message"])

    def test_lost_message_and_lost_worker(self):
        self.run_worker()
        redis, lost, gone = self.redis(), unique("job"), unique("job")
        redis.command("HSET", "cress:job:" + lost, "status", "queued 1 0 0 0 0 ", "task", "cress.echo", "queue",
                      self.queue, "created_ms", int(time.time() * 1000) - 10000)
        redis.command("HSET", "cress:job:" + gone, "status", "running 2 1 0 0 1 nobody:1", "task", "cress.echo",
                      "queue", self.queue)
        self.wait_reason(lost, "lost")
        self.assertIn("nobody:1", self.wait_reason(gone, "worker_lost")["message"])

    def test_unknown(self):
        self.assertEqual(run("cress", "explain", "nobody").returncode, 3)
        self.assertEqual(run("cress", "explain", "no id").returncode, 2)
        self.assertEqual(http("GET", self.url + "/v1/jobs/nobody/explain").status, 404)


if __name__ == "__main__":
    unittest.main()
