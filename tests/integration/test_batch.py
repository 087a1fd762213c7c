# SPDX-License-Identifier: Apache-2.0
"""Batches: made, followed, completed and cancelled, from the CLI and over HTTP."""

import json
import os
import re
import tempfile
import unittest

import cresstest
from cresstest import http, run, unique, wait_for

ENDED = ("succeeded", "failed", "cancelled", "expired")
GOOD = {"task": "cress.echo", "payload": 1}
BAD = {"task": "cress.fail", "payload": {"permanent": True}}


def slow(ms):
    return {"task": "cress.sleep", "payload": {"ms": ms}}


class BatchCase(cresstest.TestCase):
    def setUp(self):
        super().setUp()
        self.queue = unique("batch")
        self.store = self.redis()
        self.worker("--queues", self.queue).stop()  # which leaves the queue behind

    def start_worker(self, **environment):
        return self.worker("--queues", self.queue, **environment)

    def jobs(self, *jobs):
        return [dict({"queue": self.queue}, **job) for job in jobs]

    def batch(self, identifier):
        flat = self.store.command("HGETALL", "cress:batch:" + identifier)
        return dict(zip(flat[::2], flat[1::2]))

    def members(self, identifier):
        return self.store.command("LRANGE", "cress:members:" + identifier, 0, -1)

    def completion(self, identifier):
        return json.loads(self.batch(identifier)["completion"])["id"]

    def state(self, job):
        return self.store.record(job).get("state")


class CommandLine(BatchCase):
    def create(self, jobs, *args, code=0):
        lines = "".join(json.dumps(job) + "\n" for job in self.jobs(*jobs))
        done = run("cress", "batch", "create", "--jsonl", "-", *args, stdin=lines)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertEqual(len(done.stdout.split()), 1)
        return done.stdout.strip()

    def then(self):
        return ["--then", "cress.echo", "--then-queue", self.queue]

    def status(self, identifier):
        return json.loads(run("cress", "batch", "status", identifier, "--json").stdout)

    def test_a_batch_and_its_completion(self):
        self.start_worker()
        batch = self.create([GOOD] * 20 + [BAD], *self.then())
        done = run("cress", "batch", "wait", batch, "--json", timeout=60)
        self.assertEqual(done.returncode, 1)
        shown = json.loads(done.stdout)
        self.assertEqual((shown["total"], shown["succeeded"], shown["failed"], shown["done"]), (21, 20, 1, True))
        record = self.wait_state(shown["completion_id"], *ENDED)
        self.assertEqual((record["state"], json.loads(record["result"])), ("succeeded", {"batch_id": batch}))
        wait_for(lambda: self.status(batch)["completed"], "the batch to say so")
        results = [json.loads(line) for line in run("cress", "batch", "results", batch).stdout.splitlines()]
        self.assertEqual({result["id"] for result in results}, set(self.members(batch)))
        self.assertEqual(sum(result["state"] == "failed" for result in results), 1)

    def test_only_if_all_succeed(self):
        with tempfile.TemporaryDirectory() as folder:
            config, flag = os.path.join(folder, "cress.conf"), os.path.join(folder, "flag")
            with open(config, "w", encoding="utf-8") as file:
                file.write("[task flag]\nhandler = exec\nshell = yes\ncommand = test -e %s || exit 65\n" % flag)
            self.worker("--queues", self.queue, "--config", config)
            good = self.create([GOOD] * 3, *self.then(), "--complete-on", "succeeded")
            bad = self.create([GOOD, {"task": "flag"}], *self.then(), "--complete-on", "succeeded")
            self.assertEqual(self.wait_state(self.completion(good), *ENDED)["state"], "succeeded")
            wait_for(lambda: self.batch(bad).get("completed"), "the end of the other")
            self.assertEqual(self.store.record(self.completion(bad)), {})
            self.assertEqual((self.status(bad)["done"], self.status(bad)["completed"]), (True, False))
            # a job that is retried with success makes the batch succeed after all
            with open(flag, "w", encoding="utf-8"):
                pass
            done = run("cress", "dead", "requeue", "--queue", self.queue)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(self.wait_state(self.completion(bad), *ENDED)["state"], "succeeded")

    def test_counts_live(self):
        batch = self.create([slow(300)] * 4)
        watch = self.start("cress", "batch", "status", batch, "--watch", "--json")
        wait_for(lambda: watch.out(), "the first counts")
        self.start_worker(CRESS_WORKER_CONCURRENCY="1")
        self.assertEqual(watch.wait(), 0)
        seen = [json.loads(line)["succeeded"] for line in watch.out().splitlines()]
        self.assertEqual(seen, sorted(seen))
        self.assertEqual((seen[0], seen[-1]), (0, 4))
        self.assertGreaterEqual(len(seen), 4)

    def test_wait_gives_up(self):
        batch = self.create([GOOD])
        done = run("cress", "batch", "wait", batch, "--timeout", "200ms")
        self.assertEqual(done.returncode, 5)
        self.assertIn("1 of 1", done.stderr)

    def test_step_by_step(self):
        self.start_worker()
        done = run("cress", "batch", "create", *self.then())
        batch = done.stdout.strip()
        first = json.dumps(self.jobs(GOOD)[0]) + "\n"
        self.assertEqual(run("cress", "batch", "add", batch, "--jsonl", "-", "--open", stdin=first).returncode, 0)
        wait_for(lambda: self.status(batch)["succeeded"] == 1, "the first job")
        self.assertEqual((self.status(batch)["done"], self.store.record(self.completion(batch))), (False, {}))
        self.assertEqual(run("cress", "batch", "add", batch, "--jsonl", "-", stdin=first).returncode, 0)
        self.assertEqual(self.wait_state(self.completion(batch), *ENDED)["state"], "succeeded")
        late = run("cress", "batch", "add", batch, "--jsonl", "-", stdin=first)
        self.assertEqual(late.returncode, 4)
        self.assertIn("takes no more jobs", late.stderr)

    def test_options_that_go_together(self):
        for option in ("--then-payload=1", "--then-queue=q", "--complete-on=ended"):
            done = run("cress", "batch", "create", option)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn("goes with --then TASK", done.stderr)

    def test_an_empty_batch_is_complete(self):
        self.start_worker()
        batch = run("cress", "batch", "create", *self.then()).stdout.strip()
        self.assertEqual(run("cress", "batch", "close", batch).returncode, 0)
        self.assertEqual(self.wait_state(self.completion(batch), *ENDED)["state"], "succeeded")

    def test_a_bad_line_leaves_it_open(self):
        batch = self.create([GOOD, {"task": "cress.nothing"}], *self.then(), code=65)
        self.assertEqual((self.batch(batch)["total"], self.batch(batch).get("closed")), ("1", None))

    def test_the_closer_dies(self):
        """Whoever closes a batch whose jobs have ended may die before the completion is submitted."""
        self.start_worker(CRESS_WORKER_HEARTBEAT="1s")
        batch = run("cress", "batch", "create", *self.then()).stdout.strip()
        self.store.command("HSET", "cress:batch:" + batch, "closed", 1)
        self.store.command("RPUSH", "cress:after:", "batch " + batch)
        self.assertEqual(self.wait_state(self.completion(batch), *ENDED)["state"], "succeeded")
        wait_for(lambda: self.store.command("EXISTS", "cress:after:") == 0, "the list to be empty")

    def test_cancel(self):
        worker = self.start_worker(CRESS_WORKER_CONCURRENCY="2")
        batch = self.create([slow(20000)] * 600, *self.then())
        wait_for(lambda: [self.state(job) for job in self.members(batch)].count("running") == 2, "two to run")
        after = run("cress", "enqueue", "cress.noop", "--queue", self.queue, "--after", self.members(batch)[-1]).stdout.strip()
        done = run("cress", "batch", "cancel", batch, "--reason", "enough")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout, "598 cancelled, 2 asked to stop, 0 had ended\n")
        self.assertEqual(run("cress", "batch", "wait", batch, "--timeout", "20s").returncode, 6)
        self.assertEqual({self.state(job) for job in self.members(batch)}, {"cancelled"})
        self.assertEqual(self.state(after), "cancelled")
        wait_for(lambda: self.batch(batch).get("completed"), "the end of the batch")
        self.assertEqual(self.store.record(self.completion(batch)), {})
        self.assertEqual(run("cress", "batch", "cancel", batch).returncode, 0)  # again does no harm
        self.assertEqual(worker.stop(), 0)

    def test_what_is_not_there(self):
        for verb in ("status", "wait", "results", "close", "cancel"):
            self.assertEqual(run("cress", "batch", verb, unique("none")).returncode, 3, verb)
        self.start_worker()
        batch = self.create([GOOD])
        run("cress", "batch", "wait", batch)
        self.assertEqual(run("cress", "batch", "cancel", batch).returncode, 4)
        for words in (["satus"], ["status"], ["create", "x"], ["wait", "x", "--watch"], ["status", "a/b"]):
            self.assertIn(run("cress", "batch", *words).returncode, (2, 65), words)


class Http(BatchCase):
    def setUp(self):
        super().setUp()
        program = self.start("cress-gateway", "--listen", "127.0.0.1:0").wait_log("ready on ")
        self.url = re.search(r"ready on (\S+)", program.log()).group(1)
        wait_for(lambda: http("GET", self.url + "/readyz").status == 200, "the gateway to be ready")

    def post(self, path, body=None):
        return http("POST", self.url + path, body)

    def get(self, path):
        return http("GET", self.url + path)

    def done(self, batch):
        return wait_for(lambda: self.get("/v1/batches/" + batch).json()["done"], "the batch to be done")

    def test_all_at_once(self):
        self.start_worker()
        identifier = unique("b")
        body = {"id": identifier, "jobs": self.jobs(*[GOOD] * 300, BAD),
                "completion": {"task": "cress.echo", "queue": self.queue}}
        answer = self.post("/v1/batches", body)
        self.assertEqual(answer.status, 202, answer.body)
        shown = answer.json()
        self.assertEqual((answer.headers["location"], shown["id"]), ("/v1/batches/" + identifier, identifier))
        self.assertEqual((len(shown["jobs"]), shown["total"], shown["closed"]), (301, 301, True))
        again = self.post("/v1/batches", body)
        self.assertEqual((again.status, again.json()["jobs"], again.json()["total"]), (202, shown["jobs"], 301))
        self.done(identifier)
        self.assertEqual(self.wait_state(shown["completion_id"], *ENDED)["state"], "succeeded")
        results = self.get("/v1/batches/%s/results?limit=200" % identifier).json()
        self.assertEqual((len(results["results"]), results["next"]), (200, 200))
        rest = self.get("/v1/batches/%s/results?offset=200&limit=200" % identifier).json()
        self.assertEqual({result["id"] for result in results["results"] + rest["results"]}, set(shown["jobs"]))
        self.assertEqual(self.get("/v1/batches/%s/results?limit=0" % identifier).status, 400)

    def test_step_by_step(self):
        self.start_worker()
        batch = self.post("/v1/batches", {"completion": {"task": "cress.noop", "queue": self.queue},
                                          "complete_on": "succeeded"}).json()
        path = "/v1/batches/" + batch["id"]
        self.assertEqual((batch["closed"], batch["complete_on"], batch["jobs"]), (False, "succeeded", []))
        self.assertEqual(len(self.post(path + "/jobs", {"jobs": self.jobs(GOOD, GOOD)}).json()["jobs"]), 2)
        self.assertEqual(self.post(path + "/jobs", {"jobs": self.jobs(GOOD), "close": True}).status, 202)
        self.assertEqual(self.post(path + "/jobs", {"jobs": self.jobs(GOOD)}).status, 409)
        self.done(batch["id"])
        self.assertEqual(self.wait_state(batch["completion_id"], *ENDED)["state"], "succeeded")
        self.assertEqual(self.post(path + "/cancel").status, 409)
        self.assertEqual(self.post(path + "/close").status, 200)

    def test_cancel(self):
        batch = self.post("/v1/batches", {"jobs": self.jobs(*[GOOD] * 5)}).json()
        answer = self.post("/v1/batches/%s/cancel" % batch["id"], {"reason": "enough"})
        self.assertEqual((answer.status, answer.json()["cancelled"], answer.json()["cancel_requested"]), (200, 5, True))
        record = self.get("/v1/jobs/" + batch["jobs"][0]).json()
        self.assertEqual((record["state"], record["error"]["message"]), ("cancelled", "enough"))

    def test_what_is_refused_does_nothing(self):
        keys = self.store.command("KEYS", "cress:batch:*")
        for body, word in (
                ({"jobs": self.jobs(GOOD, {"task": "cress.nothing"})}, "jobs[1]"),
                ({"jobs": {}}, "array"), ({"jobs": [1]}, "jobs[0]"), ({"job": []}, "job"),
                ({"jobs": [], "complete_on": "never"}, "complete_on"),
                ({"jobs": [], "completion": {"task": "cress.nothing"}}, "completion"),
                ({"id": "a/b"}, "id")):
            answer = self.post("/v1/batches", body)
            self.assertEqual(answer.status, 422, answer.body)
            self.assertIn(word, answer.json()["detail"])
        self.assertEqual(self.store.command("KEYS", "cress:batch:*"), keys)
        self.assertEqual(self.post("/v1/batches/%s/jobs" % unique("none"), {"jobs": self.jobs(GOOD)}).status, 404)
        self.assertEqual(self.post("/v1/batches/%s/close" % unique("none")).status, 404)
        self.assertEqual(self.get("/v1/batches/%s/results" % unique("none")).status, 404)

    def test_a_failure_leaves_it_open(self):
        nowhere = unique("nowhere")
        answer = self.post("/v1/batches", {"jobs": self.jobs(GOOD) + [{"task": "cress.noop", "queue": nowhere}]})
        self.assertEqual((answer.status, answer.json()["code"], answer.json()["accepted"]), (404, "unknown_queue", 1))
        shown = self.get(answer.headers["location"]).json()
        self.assertEqual((shown["closed"], shown["total"]), (False, 1))


if __name__ == "__main__":
    unittest.main()
