# SPDX-License-Identifier: Apache-2.0
"""The worker against a real RabbitMQ and Redis, with pika as a client that knows nothing of Cress."""

import json
import os
import signal
import tempfile
import time
import unittest

import cresstest
from cresstest import unique, wait_for


class WorkerTest(cresstest.TestCase):
    def setUp(self):
        super().setUp()
        self.queue = unique("work")
        self.client = self.broker()

    def run_worker(self, *args, **environment):
        environment.setdefault("CRESS_JOB_BACKOFF_BASE", "50ms")
        environment.setdefault("CRESS_WORKER_HEARTBEAT", "100ms")
        return self.worker("--queues", self.queue, *args, **environment)

    def publish(self, task, payload, **properties):
        """Publishes a job once its queue is there, and returns its id."""
        job = properties.setdefault("message_id", unique("job"))
        wait_for(lambda: self.client.ready(self.queue) is not None, "queue " + self.queue)
        self.client.publish(self.queue, payload, type=task, **properties)
        return job

    def dead(self):
        return self.client.take(self.queue + ".dead")

    def presence(self, worker):
        redis = self.redis()
        names = redis.command("ZRANGE", "cress:workers", 0, -1)
        ours = [name for name in names if ":%d:" % worker.pid in name]
        if not ours:
            return None
        text = redis.command("GET", "cress:worker:" + ours[0])
        return json.loads(text) if text else None


class Foreign(WorkerTest):
    def test_type_and_body_are_enough(self):
        self.run_worker()
        wait_for(lambda: self.client.ready(self.queue) is not None, "the queue")
        redis = self.redis()
        before = set(redis.command("KEYS", "cress:job:*"))
        mark = unique("mark")
        self.client.publish(self.queue, {"hello": mark}, type="cress.echo")

        def found():
            for key in set(redis.command("KEYS", "cress:job:*")) - before:
                record = redis.record(key[len("cress:job:"):])
                if mark in record.get("payload", "") and record.get("state") == "succeeded":
                    return record
            return None
        record = wait_for(found, "a record with the result")
        self.assertEqual(json.loads(record["result"]), {"hello": mark})

    def test_result_is_recorded_under_the_given_id(self):
        self.run_worker()
        job = self.publish("cress.echo", [1, "ü", None])
        record = self.wait_state(job, "succeeded")
        self.assertEqual(json.loads(record["result"]), [1, "ü", None])
        self.assertEqual(record["task"], "cress.echo")
        self.assertEqual(record["attempt"], "1")

    def test_all_priorities_run_however_they_arrive(self):
        """Each priority has a channel of its own, and none may be taken for another's past."""
        first = self.run_worker("--concurrency", "1")
        self.wait_state(self.publish("cress.echo", 0), "succeeded")
        first.stop()
        jobs = []
        for n in range(20):
            for suffix in (".low", "", ".high"):
                jobs.append(unique("job"))
                self.client.publish(self.queue + suffix, n, type="cress.echo", message_id=jobs[-1])
        self.run_worker("--concurrency", "1")
        for job in jobs:
            self.wait_state(job, "succeeded")
        self.assertEqual(self.client.ready(self.queue + ".dead"), 0)

    def test_low_does_not_starve_in_a_saturated_queue(self):
        """6 : 3 : 1 while all three have work."""
        self.run_worker("--concurrency", "1").stop()
        jobs = {suffix: [unique("job") for _ in range(count)]
                for suffix, count in ((".high", 240), ("", 140), (".low", 60))}
        for suffix, ids in jobs.items():
            for job in ids:
                self.client.publish(self.queue + suffix, {"ms": 4}, type="cress.sleep", message_id=job)
        self.run_worker("--concurrency", "1")
        started = sorted((int(self.wait_state(job, "succeeded")["started_ms"]), suffix)
                         for suffix, ids in jobs.items() for job in ids)
        order = [suffix for _, suffix in started]
        last_high = max(n for n, suffix in enumerate(order) if suffix == ".high")
        saturated = order[:last_high]
        self.assertGreaterEqual(saturated.count(".low"), 20, "the share is 40")
        self.assertGreaterEqual(saturated.count(""), 60, "the share is 120")
        lows = [n for n, suffix in enumerate(saturated) if suffix == ".low"]
        self.assertLess(max(after - before for before, after in zip([0, *lows], lows)), 60)

    def test_reply_to(self):
        self.run_worker()
        answers = self.client.channel.queue_declare("", exclusive=True).method.queue
        job = self.publish("cress.echo", {"n": 1}, reply_to=answers, correlation_id="mine")
        properties, body = self.client.take(answers)
        self.assertEqual(json.loads(body), {"n": 1})
        self.assertEqual(properties.correlation_id, "mine")
        self.assertEqual(properties.message_id, job)

    def test_reply_to_after_a_retry_with_any_correlation_id(self):
        self.run_worker()
        answers = self.client.channel.queue_declare("", exclusive=True).method.queue
        self.publish("cress.fail", {"times": 1}, reply_to=answers, correlation_id="{my own+id}==")
        properties, _ = self.client.take(answers)
        self.assertEqual(properties.correlation_id, "{my own+id}==")
        self.assertEqual(properties.headers["state"], "succeeded")

    def test_default_task_of_a_queue(self):
        worker = self.start("cress-worker", "--config", self.config("task = cress.echo"),
                            "--queues", self.queue).wait_log("worker ready")
        self.assertIsNotNone(worker)
        job = self.publish(None, {"n": 2})
        self.assertEqual(json.loads(self.wait_state(job, "succeeded")["result"]), {"n": 2})

    def test_the_record_says_what_the_workers_task_allows(self):
        """What the submission leaves open, a worker with a [task] decides when it starts the job."""
        section = self.config("task = cress.echo\n[task cress.sleep]\nmax_attempts = 9\ntimeout = 7s")
        self.start("cress-worker", "--config", section, "--queues", self.queue).wait_log("worker ready")
        wait_for(lambda: self.client.ready(self.queue) is not None, "the queue")

        def limits(*flags):
            done = cresstest.run("cress", "enqueue", "cress.sleep", '{"ms": 10}', "--queue", self.queue, *flags)
            record = self.wait_state(done.stdout.strip(), "succeeded")
            return record["max_attempts"], record["timeout_ms"]
        self.assertEqual(limits(), ("9", "7000"))
        self.assertEqual(limits("--max-attempts", "3", "--timeout", "1m"), ("3", "60000"))

    def test_redelivered_copies_do_not_run_again(self):
        self.run_worker()
        job = self.publish("cress.echo", 1)
        first = self.wait_state(job, "succeeded")
        self.publish("cress.fail", None, message_id=job)
        second = self.publish("cress.echo", 2)
        self.wait_state(second, "succeeded")
        self.assertEqual(self.redis().record(job), first)

    def config(self, *lines):
        file = tempfile.NamedTemporaryFile("w", suffix=".conf", delete=False)
        with file:
            file.write("[queue %s]\n%s\n" % (self.queue, "\n".join(lines)))
        self.addCleanup(os.unlink, file.name)
        return file.name


class DeadLetters(WorkerTest):
    def test_no_type(self):
        self.run_worker()
        self.publish(None, {"a": 1})
        properties, body = self.dead()
        self.assertEqual(json.loads(body), {"a": 1})
        self.assertTrue(properties.headers["error_code"])
        self.assertIn("type", properties.headers["error_message"])

    def test_body_that_is_no_json(self):
        self.run_worker()
        job = self.publish("cress.echo", b"{oops", headers={"mine": "kept"})
        properties, body = self.dead()
        self.assertEqual(body, b"{oops")
        self.assertEqual(properties.headers["error_code"], "payload_not_json")
        self.assertEqual(properties.headers["mine"], "kept")
        self.assertEqual(properties.message_id, job)
        record = self.wait_state(job, "failed")
        self.assertEqual(json.loads(record["error"])["code"], "payload_not_json")

    def test_unknown_task_names_those_that_there_are(self):
        self.run_worker(CRESS_WORKER_UNKNOWN_TASK_WAIT="0")
        job = self.publish("no.such.task", {})
        error = json.loads(self.wait_state(job, "failed")["error"])
        self.assertEqual(error["code"], "unknown_task")
        self.assertIn("cress.echo", error["message"])
        self.dead()

    def test_wrong_payload(self):
        self.run_worker()
        job = self.publish("cress.sleep", {"ms": "long"})
        self.assertEqual(json.loads(self.wait_state(job, "failed")["error"])["code"], "invalid_payload")

    def test_result_too_large(self):
        self.run_worker(CRESS_JOB_MAX_RESULT="100")
        job = self.publish("cress.echo", "x" * 200)
        self.assertEqual(json.loads(self.wait_state(job, "failed")["error"])["code"],
                         "result_too_large")


class Retries(WorkerTest):
    def test_retry_then_success(self):
        self.run_worker()
        job = self.publish("cress.fail", {"times": 2})
        record = self.wait_state(job, "succeeded")
        self.assertEqual(record["attempt"], "3")

    def test_dead_letter_after_the_last_attempt(self):
        self.run_worker()
        job = self.publish("cress.fail", {"message": "no luck"}, headers={"max_attempts": 3})
        record = self.wait_state(job, "failed")
        self.assertEqual(record["attempt"], "3")
        properties, _ = self.dead()
        self.assertEqual(properties.headers["attempt"], 3)
        self.assertEqual(properties.headers["error_message"], "no luck")
        self.assertNotIn("x-death", properties.headers)

    def test_backoff_of_the_job_counts_and_not_the_workers(self):
        self.run_worker(CRESS_JOB_BACKOFF_BASE="1h")
        began = time.time()
        job = self.publish("cress.fail", {"times": 2}, headers={"backoff": "fixed", "backoff_base_ms": 400})
        record = self.wait_state(job, "succeeded")
        self.assertEqual(record["attempt"], "3")
        self.assertGreaterEqual(int(record["started_ms"]), began * 1000 + 800)

    def test_permanent_failure_is_not_retried(self):
        self.run_worker()
        job = self.publish("cress.fail", {"permanent": True})
        self.assertEqual(self.wait_state(job, "failed")["attempt"], "1")

    def test_timeout(self):
        self.run_worker()
        job = self.publish("cress.sleep", {"ms": 60000},
                           headers={"timeout_ms": 100, "max_attempts": 2})
        record = self.wait_state(job, "failed")
        self.assertEqual(json.loads(record["error"])["code"], "timeout")
        self.assertEqual(record["attempt"], "2")


class Attempts(WorkerTest):
    """Each attempt is in the record: who, when, how it ended."""

    def attempts(self, job):
        record = json.loads(cresstest.run("cress", "status", job, "--json").stdout)
        return record["attempts"], record["attempts_dropped"]

    def test_failed_ones_keep_their_error(self):
        worker = self.run_worker()
        job = self.publish("cress.fail", {"times": 2, "message": "not yet"})
        self.wait_state(job, "succeeded")
        attempts, dropped = self.attempts(job)
        self.assertEqual([(a["attempt"], a["outcome"]) for a in attempts],
                         [(1, "failed"), (2, "failed"), (3, "succeeded")])
        self.assertEqual([(a["error"] or {}).get("message") for a in attempts], ["not yet", "not yet", None])
        self.assertTrue(all(a["worker"].endswith(":%d" % worker.pid) for a in attempts))
        times = [a[when] for a in attempts for when in ("started_at", "ended_at")]
        self.assertEqual(times, sorted(times))
        self.assertEqual(dropped, 0)
        lines = [line.split("\t") for line in cresstest.run("cress", "status", job, "--attempts").stdout.splitlines()]
        self.assertEqual([line[:3] for line in lines],
                         [[job, "1", "failed"], [job, "2", "failed"], [job, "3", "succeeded"]])
        self.assertEqual(lines[0][6], "asked_to_fail: not yet")
        self.assertNotIn("error", self.redis().record(job))

    def test_the_last_failure_is_one_of_them(self):
        self.run_worker()
        job = self.publish("cress.fail", None, headers={"max_attempts": 2})
        self.wait_state(job, "failed")
        self.assertEqual([(a["attempt"], a["outcome"], a["error"]["code"]) for a in self.attempts(job)[0]],
                         [(1, "failed", "asked_to_fail"), (2, "failed", "asked_to_fail")])

    def test_crashes_and_hand_backs(self):
        first = self.run_worker()
        job = self.publish("cress.sleep", {"ms": 3000})
        self.wait_state(job, "running")
        second = self.run_worker(CRESS_WORKER_DRAIN="0s")
        first.kill()
        wait_for(lambda: self.redis().record(job)["worker"].endswith(":%d" % second.pid), "the second worker")
        self.assertEqual(second.stop(), 0)
        third = self.run_worker()
        self.wait_state(job, "succeeded")
        attempts, _ = self.attempts(job)
        self.assertEqual([(a["attempt"], a["outcome"]) for a in attempts],
                         [(1, "crashed"), (1, "handed_back"), (1, "succeeded")])
        self.assertEqual([int(a["worker"].split(":")[1]) for a in attempts], [first.pid, second.pid, third.pid])

    def test_the_oldest_are_dropped_and_counted(self):
        self.run_worker()
        job = self.publish("cress.fail", None, headers={"max_attempts": 23, "backoff": "fixed", "backoff_base_ms": 1})
        self.wait_state(job, "failed")
        attempts, dropped = self.attempts(job)
        self.assertEqual([a["attempt"] for a in attempts], list(range(3, 24)))
        self.assertEqual(dropped, 2)


class Times(WorkerTest):
    def test_delayed_jobs_of_a_queue_that_is_gone_hold_nobody_up(self):
        """They wait on, and run when their queue is back."""
        gone = unique("gone")
        worker = self.worker("--queues", gone)
        lines = "".join(json.dumps({"task": "cress.noop", "queue": gone, "delay_ms": 1500}) + "\n" for _ in range(100))
        sent = cresstest.run("cress", "enqueue", "--jsonl", "-", stdin=lines)
        self.assertEqual(sent.returncode, 0)
        self.assertEqual(worker.stop(), 0)
        self.client.delete(*(gone + part for part in ("", ".high", ".low", ".dead")))
        worker = self.run_worker().wait_log("queue does not take what is due")
        done = cresstest.run("cress", "enqueue", "cress.echo", "1", "--queue", self.queue, "--delay", "1500ms", "--wait")
        self.assertEqual((done.returncode, done.stdout), (0, "1\n"), done.stderr)
        self.worker("--queues", gone)
        for job in sent.stdout.split():
            self.wait_state(job, "succeeded")

    def test_delayed_job_runs_when_due_and_not_before(self):
        self.run_worker()
        due = int(time.time() * 1000) + 1500
        job = self.publish("cress.noop", None, headers={"not_before_ms": due})
        record = self.wait_state(job, "succeeded")
        self.assertGreaterEqual(int(record["started_ms"]), due)
        self.assertLess(int(record["started_ms"]), due + 5000)

    def test_short_delay(self):
        self.run_worker()
        job = self.publish("cress.noop", None,
                           headers={"not_before_ms": int(time.time() * 1000) + 40})
        self.wait_state(job, "succeeded")

    def test_expired_job_does_not_run_and_says_so(self):
        self.run_worker()
        answers = self.client.channel.queue_declare("", exclusive=True).method.queue
        job = self.publish("cress.echo", 1, headers={"expires_ms": int(time.time() * 1000) - 1}, reply_to=answers)
        record = self.wait_state(job, "expired")
        self.assertEqual(json.loads(record["error"])["code"], "expired")
        self.assertEqual(record["attempt"], "0")
        self.assertGreater(self.redis().command("PTTL", "cress:job:" + job), 0)
        properties, body = self.client.take(answers)
        self.assertEqual((properties.headers["state"], json.loads(body)["code"]), ("expired", "expired"))

    def expires_while_the_worker_is_busy(self, *options):
        self.run_worker("--concurrency", "1", CRESS_JOB_BACKOFF="fixed", CRESS_JOB_BACKOFF_BASE="400ms")
        out = cresstest.run("cress", "enqueue", "cress.fail", '{"times": 1}', "--queue", self.queue, *options)
        self.assertEqual(out.returncode, 0, out.stderr)
        return out.stdout.strip()

    def test_delayed_job_expires(self):
        job = self.expires_while_the_worker_is_busy("--delay", "600ms", "--expires", "1500ms")
        self.assertEqual(self.redis().record(job)["state"], "scheduled")
        blocker = self.publish("cress.sleep", {"ms": 2000})
        self.assertEqual(self.wait_state(job, "expired")["attempt"], "0")
        self.wait_state(blocker, "succeeded")

    def test_job_that_would_be_tried_again_expires(self):
        job = self.expires_while_the_worker_is_busy("--expires", "1s")
        self.wait_state(job, "retrying")
        blocker = self.publish("cress.sleep", {"ms": 2000})
        record = self.wait_state(job, "expired")
        self.assertEqual(record["attempt"], "1")
        self.assertEqual(json.loads(record["error"])["code"], "expired")
        self.assertIn("asked_to_fail", record["attempts"])
        self.wait_state(blocker, "succeeded")


class Stopping(WorkerTest):
    def wait_taken(self, job, worker):
        """Waits until `job` runs again, in `worker`, or has failed."""
        def probe():
            record = self.redis().record(job)
            taken = record["worker"].endswith(":%d" % worker.pid)
            return record if taken or record["state"] == "failed" else None
        return wait_for(probe, "the job to be taken again")

    def sleeping(self, worker, ms):
        job = self.publish("cress.sleep", {"ms": ms})
        self.wait_state(job, "running")
        return job

    def test_running_jobs_end_within_the_drain_time(self):
        worker = self.run_worker()
        job = self.sleeping(worker, 1000)
        self.assertEqual(worker.stop(), 0)
        self.assertEqual(self.redis().record(job)["state"], "succeeded")
        self.assertIsNone(self.presence(worker))
        wait_for(lambda: self.client.ready(self.queue) == 0, "an empty queue")

    def test_waiting_jobs_go_back_at_once(self):
        worker = self.run_worker("--concurrency", "1", CRESS_WORKER_PREFETCH="30")
        first = self.sleeping(worker, 2000)
        second = self.publish("cress.echo", 1)
        wait_for(lambda: (self.presence(worker) or {}).get("unacked", {}).get(self.queue) == 2,
                 "two deliveries in hand")
        worker.signal(signal.SIGTERM)
        wait_for(lambda: self.client.ready(self.queue) == 1, "the second job back in the queue")
        self.assertEqual(self.redis().record(first)["state"], "running")
        self.assertEqual(worker.wait(), 0)
        self.assertEqual(self.redis().record(first)["state"], "succeeded")
        self.run_worker()
        self.wait_state(second, "succeeded")

    def test_what_outlasts_the_drain_time_is_handed_back(self):
        worker = self.run_worker(CRESS_WORKER_DRAIN="200ms")
        job = self.sleeping(worker, 60000)
        self.assertEqual(worker.stop(), 0)
        self.assertEqual(self.redis().record(job)["state"], "queued")
        wait_for(lambda: self.client.ready(self.queue) == 1, "its message to be back")

    def look_and_return(self):
        """Takes the message that is first in the queue, and gives it back."""
        found = {}

        def probe():
            found["method"], found["properties"], _ = self.client.channel.basic_get(self.queue)
            return found["method"]
        wait_for(probe, "a message in " + self.queue)
        self.client.channel.basic_nack(found["method"].delivery_tag, requeue=True)
        return found["properties"]

    def test_being_handed_back_often_is_no_crime(self):
        """RabbitMQ dead-letters what was returned 50 times, before 4.0 also when that was tidy."""
        first = self.run_worker()
        first.stop()
        job = self.publish("cress.sleep", {"ms": 1500}, headers={"mine": "kept"})
        for _ in range(48):
            self.look_and_return()
        for _ in range(4):
            worker = self.run_worker(CRESS_WORKER_DRAIN="0s")
            self.wait_state(job, "running")
            self.assertEqual(worker.stop(), 0)
            self.assertEqual(self.redis().record(job)["state"], "queued")
        headers = self.look_and_return().headers
        self.assertLess(headers.get("x-delivery-count", 0), 10)
        self.assertEqual(headers["mine"], "kept")
        self.run_worker()
        self.wait_state(job, "succeeded")
        self.assertEqual(self.client.ready(self.queue + ".dead"), 0)

    def test_second_sigterm_hands_back_at_once(self):
        worker = self.run_worker()
        job = self.sleeping(worker, 60000)
        worker.signal(signal.SIGTERM)
        worker.wait_log("stopping")
        began = time.monotonic()
        self.assertEqual(worker.stop(), 0)
        self.assertLess(time.monotonic() - began, 5)
        self.assertEqual(self.redis().record(job)["state"], "queued")
        wait_for(lambda: self.client.ready(self.queue) == 1, "its message to be back")

    def test_killed_worker_loses_nothing(self):
        first = self.run_worker()
        job = self.sleeping(first, 1500)
        second = self.run_worker()
        first.kill()
        record = self.wait_state(job, "succeeded")
        self.assertTrue(record["worker"].endswith(":%d" % second.pid))

    def test_poison_is_failed(self):
        worker = self.run_worker(CRESS_WORKER_MAX_CRASHES="1")
        job = self.sleeping(worker, 60000)
        for _ in range(2):
            worker.kill()
            worker = self.run_worker(CRESS_WORKER_MAX_CRASHES="1")
            if self.wait_taken(job, worker)["state"] == "failed":
                break
        record = self.wait_state(job, "failed")
        self.assertEqual(json.loads(record["error"])["code"], "poison")
        self.assertEqual(self.dead()[0].headers["error_code"], "poison")

    def test_neighbours_of_poison_are_not_blamed(self):
        """A job whose worker dies four times running it; those behind it in the prefetch window are redelivered as
        often, and run to their end as if nothing had been."""
        def start():
            return self.run_worker("--concurrency", "1", CRESS_WORKER_MAX_CRASHES="3", CRESS_WORKER_PREFETCH="60")
        worker = start()
        poison = self.sleeping(worker, 60000)
        neighbours = [self.publish("cress.echo", n) for n in range(10)]
        kills = 0
        while True:
            record = self.wait_taken(poison, worker)
            if record["state"] == "failed":
                break
            wait_for(lambda: (self.presence(worker) or {}).get("unacked", {}).get(self.queue) == 11,
                     "poison and neighbours in one prefetch window")
            self.assertTrue(all(self.redis().record(job).get("state", "queued") == "queued" for job in neighbours))
            worker.kill()
            kills += 1
            worker = start()
        self.assertEqual((kills, json.loads(record["error"])["code"]), (4, "poison"))
        for n, job in enumerate(neighbours):
            ended = self.wait_state(job, "succeeded", "failed")
            self.assertEqual((ended["state"], ended["attempt"], ended["crashes"], ended["result"]),
                             ("succeeded", "1", "0", str(n)))
        self.assertEqual(self.dead()[0].message_id, poison)
        wait_for(lambda: self.client.ready(self.queue) == 0, "an empty queue")
        self.assertEqual(self.client.ready(self.queue + ".dead"), 0)


    def test_jobs_that_run_beside_poison_are_not_failed(self):
        """Each crash hits all that run. From the second on those that may be to blame run one at a time, so that the
        innocent ones end well before they have been counted as many crashes as make a job poison."""
        def start():
            return self.run_worker("--concurrency", "8", CRESS_WORKER_MAX_CRASHES="3")
        worker = start()
        poison = self.sleeping(worker, 60000)
        innocent = [self.sleeping(worker, 1500) for _ in range(3)]
        for _ in range(2):
            for job in (poison, *innocent):
                self.assertEqual(self.wait_taken(job, worker)["state"], "running")
            worker.kill()
            worker = start()
        beside = self.publish("cress.echo", "no suspect")
        self.wait_state(beside, "succeeded")
        kills = 2
        while True:
            def probe():
                record = self.redis().record(poison)
                runs = record["state"] == "running" and record["worker"].endswith(":%d" % worker.pid)
                return record if runs or record["state"] == "failed" else None
            record = wait_for(probe, "the poison to have its turn")
            if record["state"] == "failed":
                break
            self.assertEqual([job for job in innocent if self.redis().record(job)["state"] == "running"], [])
            worker.kill()
            kills += 1
            worker = start()
        self.assertEqual((kills, json.loads(record["error"])["code"]), (4, "poison"))
        for job in innocent:
            ended = self.wait_state(job, "succeeded", "failed")
            self.assertEqual((ended["state"], ended["crashes"], ended["attempt"]), ("succeeded", "2", "1"))
        wait_for(lambda: self.client.ready(self.queue) == 0, "an empty queue")


class Processes(WorkerTest):
    def test_supervisor_stops_its_workers(self):
        supervisor = self.start("cress-worker", "--queues", self.queue, "--processes", "2")
        wait_for(lambda: supervisor.log().count("worker ready") == 2, "two workers")
        job = self.publish("cress.echo", 1)
        self.wait_state(job, "succeeded")
        self.assertEqual(supervisor.stop(), 0)
        self.assertEqual(supervisor.log().count("worker stopped"), 2)

    def test_dead_worker_is_replaced(self):
        supervisor = self.start("cress-worker", "--queues", self.queue, "--processes", "2")
        wait_for(lambda: supervisor.log().count("worker ready") == 2, "two workers")
        with open("/proc/%d/task/%d/children" % (supervisor.pid, supervisor.pid),
                  encoding="ascii") as file:
            victim = int(file.read().split()[0])
        os.kill(victim, signal.SIGKILL)
        wait_for(lambda: supervisor.log().count("worker ready") == 3, "a third worker")
        self.assertEqual(supervisor.stop(), 0)


class Arguments(unittest.TestCase):
    def test_help_and_version(self):
        for flag in ("--help", "--version"):
            done = cresstest.run("cress-worker", flag)
            self.assertEqual(done.returncode, 0)
            self.assertIn("cress-worker", done.stdout)

    def test_wrong_arguments(self):
        self.assertEqual(cresstest.run("cress-worker", "--no-such-flag").returncode, 2)
        self.assertEqual(cresstest.run("cress-worker", "--concurrency", "0").returncode, 2)

    def test_check_config(self):
        self.assertEqual(cresstest.run("cress-worker", "--check-config").returncode, 0)
        done = cresstest.run("cress-worker", "--check-config", CRESS_WORKER_DRAIN="soon")
        self.assertEqual(done.returncode, 78)
        self.assertIn("drain", done.stderr.lower())
        for variables in ({"CRESS_WORKER_QUEUES": "a b"}, {"CRESS_WORKER_QUEUES": "mail.dead"},
                          {"CRESS_WORKER_QUEUES": ","}, {"CRESS_RENDER_ALLOW": "localhost:80"}):
            done = cresstest.run("cress-worker", "--check-config", **variables)
            self.assertEqual(done.returncode, 78, variables)

    def test_every_line_of_a_json_log_is_json(self):
        """Also of a program that cannot start, or has nothing to say yet but that it is ready."""
        for program in ("cress-worker", "cress-gateway"):
            for words in (["--no-such-flag"], ["--config", "/nowhere"], ["--log-level", "loud"]):
                done = cresstest.run(program, "--log-format", "json", *words)
                self.assertNotEqual(done.returncode, 0)
                [line] = done.stderr.splitlines()
                self.assertEqual(json.loads(line)["level"], "error")
            done = cresstest.run(program, "--no-such-flag", CRESS_LOG_FORMAT="json")
            json.loads(done.stderr)
        gateway = cresstest.Program("cress-gateway", "--listen", "127.0.0.1:0", CRESS_LOG_FORMAT="json")
        self.addCleanup(gateway.close)
        gateway.wait_log("ready on http://")
        worker = cresstest.Program("cress-worker", "--processes", "2", CRESS_LOG_FORMAT="json")
        self.addCleanup(worker.close)
        worker.wait_log("worker ready")
        for program in (gateway, worker):
            self.assertEqual(program.stop(), 0)
            for line in program.log().splitlines():
                json.loads(line)

    def test_refused_login_is_named_and_tried_again(self):
        url = cresstest.env("CRESS_BROKER_URL")
        wrong = url.split("@", 1)
        worker = cresstest.Program("cress-worker", CRESS_BROKER_URL="amqp://nobody:wrong@" + wrong[1])
        self.addCleanup(worker.close)
        worker.wait_log("no broker connection")
        self.assertEqual(worker.stop(), 0)
        self.assertNotIn("wrong@", worker.log())


class Outages(WorkerTest):
    def test_results_wait_for_the_store(self):
        """Redis stops answering: nothing is acknowledged before the result is stored."""
        self.run_worker(CRESS_STORE_TIMEOUT="300ms")
        job = self.publish("cress.sleep", {"ms": 300})
        self.wait_state(job, "running")
        redis = self.redis()
        redis.command("CLIENT", "PAUSE", 2000, "ALL")
        self.wait_state(job, "succeeded")
        wait_for(lambda: self.client.ready(self.queue) == 0, "an empty queue")


if __name__ == "__main__":
    unittest.main()
