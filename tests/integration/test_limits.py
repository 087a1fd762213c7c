# SPDX-License-Identifier: Apache-2.0
"""Limits across all workers: rate, concurrency, keys, fairness. Two or three worker processes share each limit, and
what they did is judged by the times in the records, or by a ledger that the jobs write themselves."""

import json
import os
import signal
import tempfile
import time
import unittest

from cresstest import TestCase, http, run, unique, wait_for
from test_gateway import GatewayCase

TASK = "cress.sleep"
LIMITED = 4  # of the flags in a record's status, see common/store/fields.h


class LimitsTest(TestCase):
    def setUp(self):
        super().setUp()
        self.queue = unique("limits")
        self.store = self.redis()
        self.forget_limits()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.config = os.path.join(folder.name, "cress.conf")

    def forget_limits(self):
        for key in self.store.command("KEYS", "cress:limit:*"):
            self.store.command("DEL", key)

    def set_limits(self, *lines, task=TASK):
        with open(self.config, "w", encoding="utf-8") as file:
            file.write("\n".join(("[task %s]" % task, *lines, "")))

    def workers(self, count, *args, **environment):
        environment.setdefault("CRESS_JOB_BACKOFF_BASE", "50ms")
        started = [self.start("cress-worker", "--config", self.config, "--queues", self.queue, *args, **environment)
                   for _ in range(count)]
        for worker in started:
            worker.wait_log("worker ready")
        return started

    def enqueue(self, count, ms=1, task=TASK, **members):
        """Enqueues many jobs at once, and returns their ids."""
        line = json.dumps(dict({"task": task, "queue": self.queue, "payload": {"ms": ms}}, **members)) + "\n"
        done = run("cress", "enqueue", "--jsonl", "-", stdin=line * count)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.split()

    def states(self, jobs):
        return [self.store.record(job).get("state") for job in jobs]

    def records(self, jobs, deadline=60):
        """Waits for the end of all, and returns their records by when they started."""
        wait_for(lambda: all(state == "succeeded" for state in self.states(jobs)), "the end of all jobs",
                 deadline, pause=0.2)
        records = [self.store.record(job) for job in jobs]
        return sorted(records, key=lambda record: int(record["started_ms"]))

    def usage(self, task=TASK):
        flat = self.store.command("HGETALL", "cress:limit:" + task)
        return dict(zip(flat[::2], flat[1::2]))

    def running(self, task=TASK):
        return self.store.command("ZRANGE", "cress:limit:%s:running" % task, 0, -1)

    def line(self, key="", task=TASK):
        return self.store.command("ZRANGE", "cress:limit:%s:line:%s" % (task, key), 0, -1)

    def wait_blocked(self, job, limit):
        def probe():
            blocked = json.loads(self.store.record(job).get("blocked", "null"))
            return blocked if blocked and blocked["limit"] == limit else None
        return wait_for(probe, "job %s to be held back" % job)


def most_at_once(spans):
    """Of (start, end): how many overlapped."""
    events = sorted([(start, 1) for start, _ in spans] + [(end, -1) for _, end in spans])
    now = most = 0
    for _, change in events:
        now += change
        most = max(most, now)
    return most


CLOCKS_APART_MS = 10


def spans_of(records):
    """A start is by Redis's clock, an end by what its worker takes for that: some milliseconds apart. What really runs at
    once is counted by the jobs themselves in test_never_above_the_limit."""
    return [(int(record["started_ms"]), max(int(record["started_ms"]), int(record["finished_ms"]) - CLOCKS_APART_MS))
            for record in records]


class Rate(LimitsTest):
    def test_no_window_holds_more_and_little_is_lost(self):
        self.set_limits("rate = 20/s")
        self.workers(3)
        starts = [int(record["started_ms"]) for record in self.records(self.enqueue(140))]
        for first, next_window in zip(starts, starts[20:]):
            self.assertGreaterEqual(next_window - first, 1000)
        # the first 20 start at once
        self.assertGreaterEqual((len(starts) - 20) / (starts[-1] - starts[0]) * 1000, 0.8 * 20)

    def test_of_a_key(self):
        self.set_limits("key_rate = 5/s")
        self.workers(2)
        jobs = {key: self.enqueue(15, key=key) for key in ("a", "b", "c")}
        for mine in jobs.values():
            starts = [int(record["started_ms"]) for record in self.records(mine)]
            for first, next_window in zip(starts, starts[5:]):
                self.assertGreaterEqual(next_window - first, 1000)
        everything = [record for mine in jobs.values() for record in self.records(mine)]
        took = max(end for _, end in spans_of(everything)) - min(start for start, _ in spans_of(everything))
        self.assertLess(took, 6000)  # one after the other would take 8 s

    def test_waiting_costs_little(self):
        """What waits is in delay queues; it comes back now and then, not all the time."""
        self.set_limits("rate = 2/s")
        workers = self.workers(2)
        jobs = self.enqueue(300)
        wait_for(lambda: len(self.line()) + 2 >= 290, "the line")
        before, begun = int(self.usage()["waits"]), time.monotonic()
        wait_for(lambda: self.states(jobs).count("succeeded") >= 10, "ten jobs", pause=0.2)
        returns = int(self.usage()["waits"]) - before
        self.assertLess(returns / (time.monotonic() - begun), 250)
        for worker in workers:
            self.assertEqual(worker.stop(), 0)

    def test_a_raised_limit_is_felt_at_once(self):
        self.set_limits("rate = 2/s")
        workers = self.workers(2)
        jobs = self.enqueue(150)
        wait_for(lambda: self.states(jobs).count("succeeded") >= 4, "the first jobs")
        raised = time.monotonic()
        self.set_limits("rate = 1000/s")
        for worker in workers:
            worker.signal(signal.SIGHUP)
        self.records(jobs)
        self.assertLess(time.monotonic() - raised, 20)  # at 2/s it would take 73 s

    def test_an_unlimited_task_leaves_nothing(self):
        self.set_limits("rate = 5/s", task="cress.noop")
        self.workers(1)
        self.records(self.enqueue(5, key="k"))
        self.assertEqual(self.store.command("KEYS", "cress:limit:*"), [])

    def test_a_rate_counts_what_a_cold_program_sees(self):
        script, seen = os.path.join(self.folder, "cold.py"), os.path.join(self.folder, "seen")
        with open(script, "w", encoding="utf-8") as file:
            file.write("import json, sys, time\n"
                       "time.sleep(2)\n"
                       "for line in sys.stdin:\n"
                       "    print(time.time(), file=open(%r, 'a'), flush=True)\n"
                       "    print(json.dumps({'id': json.loads(line)['id'], 'result': 1}), flush=True)\n" % seen)
        self.set_limits("handler = stream", "command = /usr/bin/python3 " + script, "in_flight = 100", "rate = 20/s",
                        task="cold")
        self.workers(1)
        jobs = self.enqueue(80, task="cold")
        self.records(jobs)
        with open(seen, encoding="utf-8") as file:
            times = sorted(float(line) for line in file)
        self.assertEqual(len(times), 80)
        most = max(sum(start <= time < start + 0.9 for time in times) for start in times)
        self.assertLessEqual(most, 21, [round(time - times[0], 2) for time in times])


class Concurrency(LimitsTest):
    def test_never_above_the_limit(self):
        """By the ledger of the jobs themselves: what really ran at the same time."""
        ledger = os.path.join(self.folder, "ledger")
        task = unique("ledger")
        program = os.path.join(self.folder, "job")
        with open(program, "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\necho start $$ >>%s; sleep 0.05; echo end $$ >>%s\n" % (ledger, ledger))
        os.chmod(program, 0o755)
        self.set_limits("handler = exec", "command = " + program, "concurrency = 3", task=task)
        self.workers(3)
        self.records(self.enqueue(60, task=task))
        now = most = 0
        with open(ledger, encoding="utf-8") as file:
            lines = file.read().splitlines()
        self.assertEqual(len(lines), 120)
        for line in lines:
            now += 1 if line.startswith("start") else -1
            most = max(most, now)
        self.assertEqual(most, 3)
        self.assertEqual((self.running(task), self.line(task=task)), ([], []))

    def test_places_do_not_stay_free(self):
        self.set_limits("concurrency = 4")
        self.workers(2)
        records = self.records(self.enqueue(200, ms=50))
        spans = spans_of(records)
        self.assertLessEqual(most_at_once(spans), 4)
        took = max(end for _, end in spans) - min(start for start, _ in spans)
        self.assertGreater(200 * 50 / 4 / took, 0.5)  # of what is possible; on a machine that does more

    def test_of_a_key(self):
        self.set_limits("key_concurrency = 1")
        self.workers(2)
        jobs = {key: self.enqueue(4, ms=200, key=key) for key in ("a", "b", "c")}
        for mine in jobs.values():
            self.assertEqual(most_at_once(spans_of(self.records(mine))), 1)
        self.assertGreaterEqual(most_at_once(
            [span for mine in jobs.values() for span in spans_of(self.records(mine))]), 2)

    def test_a_job_whose_worker_died_has_its_place_still(self):
        self.set_limits("concurrency = 1")
        first = self.workers(1)[0]
        crashed = self.enqueue(1, ms=1500)[0]
        self.wait_state(crashed, "running")
        self.workers(1)
        other = self.enqueue(1)[0]
        self.assertEqual(self.wait_blocked(other, "concurrency"), {"limit": "concurrency", "task": TASK, "key": None})
        first.kill()
        records = {job: self.wait_state(job, "succeeded") for job in (crashed, other)}
        self.assertEqual(records[crashed]["crashes"], "1")
        self.assertGreaterEqual(int(records[other]["started_ms"]), int(records[crashed]["finished_ms"]) - 50)
        self.assertNotIn("blocked", records[other])

    def assert_free(self, job):
        """Nothing of the job is left at the limits."""
        self.assertEqual((self.running(), self.line()), ([], []))
        self.assertEqual(int(self.store.record(job)["flags"]) & LIMITED, 0)

    def test_a_place_is_left_in_every_way(self):
        self.set_limits("concurrency = 1")
        task, workers = {"task": TASK}, self.workers(1, "--concurrency", "4")

        succeeded = self.enqueue(1, **task)[0]
        self.wait_state(succeeded, "succeeded")
        self.assert_free(succeeded)

        failed = self.enqueue(1, ms=-1, **task)[0]
        self.wait_state(failed, "failed")
        self.assert_free(failed)

        timed_out = self.enqueue(1, ms=60000, timeout_ms=50, max_attempts=2, **task)[0]
        self.wait_state(timed_out, "retrying", "failed")
        self.wait_state(timed_out, "failed")
        self.assert_free(timed_out)

        cancelled = self.enqueue(1, ms=60000, **task)[0]
        self.wait_state(cancelled, "running")
        self.assertEqual(self.running(), [cancelled])
        waiting, expiring = self.enqueue(1, **task)[0], self.enqueue(1, expires_ms=1500, **task)[0]
        self.wait_blocked(waiting, "concurrency")
        self.wait_state(expiring, "expired")
        self.assertEqual(self.line(), [waiting])
        self.assertEqual(run("cress", "cancel", waiting).returncode, 0)
        self.assertEqual(self.line(), [])
        self.assertEqual(run("cress", "cancel", cancelled).returncode, 0)
        self.wait_state(cancelled, "cancelled")
        self.assert_free(cancelled)

        handed_back = self.enqueue(1, ms=60000, **task)[0]
        self.wait_state(handed_back, "running")
        workers[0].signal(signal.SIGTERM)
        workers[0].wait_log("stopping")
        workers[0].signal(signal.SIGTERM)
        self.assertEqual(workers[0].wait(), 0)
        self.wait_state(handed_back, "queued")
        self.assert_free(handed_back)

    def test_a_foreign_message_with_a_key(self):
        self.set_limits("key_concurrency = 1")
        self.workers(2)
        client = self.broker()
        jobs = [unique("job") for _ in range(2)]
        for job in jobs:
            client.publish(self.queue, {"ms": 700}, type=TASK, message_id=job, headers={"key": "tenant-7"})
        wait_for(lambda: self.line("tenant-7"), "one of them to wait")
        self.assertEqual(self.wait_blocked(self.line("tenant-7")[0], "key_concurrency")["key"], "tenant-7")
        self.assertEqual(most_at_once(spans_of(self.records(jobs))), 1)


class Usage(GatewayCase, LimitsTest):
    def test_who_asks_is_told(self):
        self.set_limits("rate = 1000/s", "concurrency = 1")
        self.workers(2)
        running = self.enqueue(1, ms=60000, key="a")[0]
        self.wait_state(running, "running")
        waiting = [self.enqueue(1, key=key)[0] for key in ("a", "b")]
        for job in waiting:
            self.wait_blocked(job, "concurrency")
        expected = {"task": TASK, "rate": "1000/s", "concurrency": 1, "key_rate": None, "key_concurrency": None,
                    "running": 1, "waiting": 2, "waiting_keys": 2, "hold_ms": None}
        usage = json.loads(run("cress", "limits", TASK, "--json").stdout)
        self.assertEqual({name: usage[name] for name in expected}, expected)
        self.assertEqual([(key["key"], key["running"], key["waiting"]) for key in usage["keys"]],
                         [("a", 1, 1), ("b", 0, 1)])
        self.assertGreaterEqual(usage["waits"], 2)
        row = run("cress", "limits").stdout.split("\t")
        self.assertEqual((row[0], row[2], row[5], row[6]), (TASK, "1 of 1", "2", "2"))
        self.assertEqual(run("cress", "limits", "no.such").returncode, 3)

        url = self.gateway().url
        self.assertEqual([one["waiting"] for one in http("GET", url + "/v1/limits").json()], [2])
        self.assertEqual([key["waiting"] for key in http("GET", url + "/v1/limits/" + TASK).json()["keys"]], [1, 1])
        self.assertEqual(http("GET", url + "/v1/limits/no.such").json()["code"], "unknown_limit")
        metrics = http("GET", url + "/metrics").body.decode()
        self.assertIn('cress_limit_running{task="%s"} 1\n' % TASK, metrics)
        self.assertIn('cress_limit_waiting{task="%s"} 2\n' % TASK, metrics)

        why = http("GET", "%s/v1/jobs/%s/explain" % (url, waiting[1])).json()
        self.assertEqual(why["reason"], "limited")
        self.assertIn("limit concurrency of task %s, key b" % TASK, why["message"])
        run("cress", "cancel", running)


class Fairness(LimitsTest):
    def overtake(self, *limits, ms):
        """A tenant with 2000 jobs, and one that comes later with 20: how far is the first when the second is done?"""
        self.set_limits(*limits)
        self.start("cress-worker", "--queues", self.queue).wait_log("worker ready").stop()
        many, few = self.enqueue(2000, ms=ms, key="many"), self.enqueue(20, ms=ms, key="few")
        self.workers(2)
        self.records(few)
        return self.states(many).count("succeeded")

    def test_a_key_has_no_more_than_its_part_while_another_waits(self):
        """However long its jobs hold their places."""
        self.set_limits("concurrency = 4")
        self.workers(2)
        slow = self.enqueue(16, ms=400, key="slow")
        wait_for(lambda: len(self.running()) == 4, "slow jobs in all places")  # nobody else wants one
        quick = spans_of(self.records(self.enqueue(100, ms=20, key="quick")))
        first, last = quick[0][0], quick[-1][0]
        slow = spans_of(self.records(slow))
        shared = [start for start, _ in slow if first < start < last]
        self.assertGreater(len(shared), 0)
        for start in shared:
            self.assertLessEqual(sum(1 for other, end in slow if other <= start < end), 2)

    def test_of_places(self):
        self.assertLess(self.overtake("concurrency = 4", ms=20), 200)

    def test_of_a_rate(self):
        self.assertLess(self.overtake("rate = 40/s", ms=1), 200)


if __name__ == "__main__":
    unittest.main()
