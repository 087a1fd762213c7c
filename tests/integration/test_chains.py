# SPDX-License-Identifier: Apache-2.0
"""Jobs that wait for others: from the CLI, over HTTP, in each kind of handler, long and wide, and
when what they wait for fails, is cancelled, or has ended already."""

import http.server
import json
import os
import re
import subprocess
import tempfile
import threading
import unittest

import cresstest
from cresstest import run, unique, wait_for

ENDED = ("succeeded", "failed", "cancelled", "expired")


def enqueue(task, *args, stdin=None):
    """The id of a new job."""
    done = run("cress", "enqueue", task, *args, stdin=stdin)
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    return done.stdout.strip()


class ChainTest(cresstest.TestCase):
    def setUp(self):
        super().setUp()
        self.queue = unique("chain")
        self.store = self.redis()
        self.worker("--queues", self.queue).stop()  # which leaves the queue behind

    def start_worker(self, *args, config=None, **environment):
        if config:
            self.folder = tempfile.TemporaryDirectory()
            self.addCleanup(self.folder.cleanup)
            path = os.path.join(self.folder.name, "cress.conf")
            with open(path, "w", encoding="utf-8") as file:
                file.write(config)
            args += ("--config", path)
        return self.worker("--queues", self.queue, *args, **environment)

    def gateway(self):
        """The URL of a new one."""
        program = self.start("cress-gateway", "--listen", "127.0.0.1:0").wait_log("ready on ")
        url = re.search(r"ready on (\S+)", program.log()).group(1)
        wait_for(lambda: cresstest.http("GET", url + "/readyz").status == 200, "the gateway to be ready")
        return url

    def submit(self, *jobs):
        """Submits many at once; their ids."""
        lines = "".join(json.dumps(dict({"queue": self.queue, "task": "cress.noop"}, **job)) + "\n" for job in jobs)
        done = run("cress", "enqueue", "--jsonl", "-", stdin=lines)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.split()

    def state(self, job):
        return self.store.record(job).get("state")

    def error(self, job):
        return json.loads(self.store.record(job)["error"])

    def test_a_job_runs_after_the_others(self):
        first, second = self.submit({"payload": 1}, {"payload": 2})
        last = enqueue("cress.echo", '"last"', "--queue", self.queue, "--after", first + "," + second)
        self.assertEqual(self.state(last), "waiting")
        shown = json.loads(run("cress", "status", last, "--json").stdout)
        self.assertEqual((shown["state"], shown["after"], shown["done"]), ("waiting", [first, second], False))
        self.start_worker()
        record = self.wait_state(last, *ENDED)
        self.assertEqual((record["state"], record["result"]), ("succeeded", '"last"'))
        for job in (first, second):
            self.assertLessEqual(int(self.store.record(job)["finished_ms"]), int(record["started_ms"]))

    def test_a_failure_cancels_what_follows(self):
        self.start_worker()
        slow, = self.submit({"task": "cress.sleep", "payload": {"ms": 500}})
        bad, = self.submit({"task": "cress.fail", "payload": {"permanent": True}, "after": [slow]})
        then, = self.submit({"after": [bad, slow]})
        far, anyway = self.submit({"after": [then]}, {"after": [then], "after_any": True})
        self.assertEqual(self.wait_state(far, *ENDED)["state"], "cancelled")
        self.assertEqual(self.wait_state(anyway, *ENDED)["state"], "succeeded")
        self.assertEqual(self.state(bad), "failed")
        self.assertEqual(self.error(then)["code"], "dependency_failed")
        self.assertIn("job %s, which failed" % bad, self.error(then)["message"])
        self.assertIn("job %s, which was cancelled" % then, self.error(far)["message"])
        self.assertEqual(run("cress", "wait", far).returncode, 6)

    def test_after_jobs_that_have_ended(self):
        self.start_worker()
        good, bad = self.submit({}, {"task": "cress.fail", "payload": {"permanent": True}})
        self.wait_state(good, "succeeded")
        self.wait_state(bad, "failed")
        self.assertEqual(self.wait_state(enqueue("cress.noop", "--queue", self.queue, "--after", good), *ENDED)["state"],
                         "succeeded")
        done = run("cress", "enqueue", "cress.noop", "--queue", self.queue, "--after", bad)
        self.assertEqual(done.returncode, 0)
        self.assertEqual(self.state(done.stdout.strip()), "cancelled")
        self.assertIn("which failed", done.stderr)
        anyway = enqueue("cress.noop", "--queue", self.queue, "--after", bad, "--after-any")
        self.assertEqual(self.wait_state(anyway, *ENDED)["state"], "succeeded")

    def test_what_does_not_exist_is_not_waited_for(self):
        first, = self.submit({})
        mine = unique("job")
        done = run("cress", "enqueue", "cress.noop", "--queue", self.queue, "--id", mine, "--after", first + ",nothing")
        self.assertEqual(done.returncode, 3)
        self.assertIn("no job nothing", done.stderr)
        self.assertEqual(self.store.record(mine), {})
        self.assertEqual(self.store.command("EXISTS", "cress:after:" + first, "cress:pending:" + mine), 0)
        itself = run("cress", "enqueue", "cress.noop", "--id", mine, "--after", mine)
        self.assertEqual(itself.returncode, 3)  # so there are no cycles
        twice = run("cress", "enqueue", "cress.noop", "--after", first, "--after", first)
        self.assertEqual(twice.returncode, 2)
        self.assertIn("commas", twice.stderr)

    def test_over_http(self):
        url = self.gateway()
        self.start_worker()
        first = cresstest.http("POST", url + "/v1/jobs", {
            "task": "cress.sleep", "payload": {"ms": 200}, "queue": self.queue}).json()["id"]
        answer = cresstest.http("POST", url + "/v1/jobs", {
            "task": "cress.echo", "payload": 7, "queue": self.queue, "after": [first]})
        self.assertEqual((answer.status, answer.json()["state"]), (202, "waiting"))
        done = cresstest.http("GET", url + answer.headers["location"] + "/result?wait=20s")
        self.assertEqual((done.status, done.json()), (200, 7))
        missing = cresstest.http("POST", url + "/v1/jobs", {"task": "cress.noop", "after": ["nothing"]})
        self.assertEqual((missing.status, missing.json()["code"]), (404, "unknown_job"))
        wrong = cresstest.http("POST", url + "/v1/jobs", {"task": "cress.noop", "after": "nothing"})
        self.assertEqual(wrong.status, 422)

    def test_delay_and_expiry_while_it_waits(self):
        slow, = self.submit({"task": "cress.sleep", "payload": {"ms": 300}})
        later, gone = self.submit({"after": [slow], "delay_ms": 1500}, {"after": [slow], "expires_ms": 1})
        created = int(self.store.record(later)["created_ms"])
        self.start_worker()
        self.assertEqual(self.wait_state(gone, *ENDED)["state"], "expired")
        self.assertEqual(self.wait_state(later, "scheduled", "succeeded")["state"], "scheduled")
        self.assertGreaterEqual(int(self.wait_state(later, "succeeded")["started_ms"]), created + 1500)

    def test_a_queue_that_is_gone_fails_it(self):
        first, = self.submit({})
        queue = unique("nowhere")
        refused = run("cress", "enqueue", "cress.noop", "null", "--after", first, "--queue", queue)
        self.assertEqual(refused.returncode, 3, refused.stderr)
        self.start("cress-worker", "--queues", queue).wait_log("worker ready").stop()
        nowhere, = self.submit({"after": [first], "queue": queue})
        self.broker().delete(queue, queue + ".high", queue + ".low")
        then, = self.submit({"after": [nowhere]})
        self.start_worker()
        self.assertEqual(self.wait_state(then, *ENDED)["state"], "cancelled")
        self.assertEqual((self.state(nowhere), self.error(nowhere)["code"]), ("failed", "unknown_queue"))

    def test_cancel_what_waits(self):
        first, = self.submit({})
        middle, = self.submit({"after": [first]})
        last, = self.submit({"after": [middle]})
        done = run("cress", "cancel", middle)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual((self.state(middle), self.state(last)), ("cancelled", "cancelled"))
        self.start_worker()
        self.wait_state(first, "succeeded")
        self.assertEqual(self.state(middle), "cancelled")

    def test_a_chain_of_a_thousand(self):
        ids = [unique("link") for _ in range(1000)]
        self.start_worker()
        self.submit_in_order([{"id": job, "after": ids[i - 1:i] if i else []} for i, job in enumerate(ids)])
        self.assertEqual(self.wait_state(ids[-1], *ENDED, deadline=120)["state"], "succeeded")

    def submit_in_order(self, jobs):
        """Each waits for the one before it, so that one is not submitted before the other is there."""
        url = self.gateway()
        for job in jobs:
            answer = cresstest.http("POST", url + "/v1/jobs", dict({"queue": self.queue, "task": "cress.noop"}, **job))
            self.assertEqual(answer.status, 202, answer.body)

    def test_a_cascade_of_a_thousand(self):
        first = unique("first")
        ids = [unique("link") for _ in range(1000)]
        jobs = [{"id": first, "task": "cress.fail", "payload": {"permanent": True}}]
        jobs += [{"id": job, "after": [ids[i - 1] if i else first]} for i, job in enumerate(ids)]
        self.submit_in_order(jobs)
        self.start_worker()
        self.assertEqual(self.wait_state(ids[-1], *ENDED, deadline=60)["state"], "cancelled")
        self.assertEqual({self.state(job) for job in ids}, {"cancelled"})

    def test_a_fan_in_of_a_thousand_and_a_fan_out(self):
        firsts = self.submit(*({"task": "cress.echo", "payload": i} for i in range(1000)))
        joint, = self.submit({"task": "count", "after": firsts})
        lasts = self.submit(*({"after": [joint]} for _ in range(1000)))
        self.start_worker(config="[task count]\nhandler = exec\nshell = yes\n"
                                 "command = grep -o succeeded $CRESS_AFTER | wc -l\n")
        self.assertEqual(self.wait_state(joint, *ENDED, deadline=60).get("result"), "1000")
        wait_for(lambda: {self.state(job) for job in lasts} == {"succeeded"}, "what follows to end", 60)

    def results_of(self, handler, **environment):
        """What a job of `handler` sees of two earlier ones."""
        good, bad = self.submit({"task": "cress.echo", "payload": {"n": 1}},
                                {"task": "cress.fail", "payload": {"permanent": True, "message": "no"}})
        self.start_worker(config="[task look]\n" + handler, **environment)
        job, = self.submit({"task": "look", "after": [good, bad], "after_any": True})
        record = self.wait_state(job, *ENDED)
        self.assertEqual(record["state"], "succeeded", record)
        return good, bad, json.loads(record["result"])

    def assert_seen(self, good, bad, seen):
        self.assertEqual(seen[0], {"id": good, "state": "succeeded", "result": {"n": 1}})
        self.assertEqual((seen[1]["id"], seen[1]["state"], seen[1]["error"]["message"]), (bad, "failed", "no"))

    def test_results_outlive_their_time(self):
        self.start_worker(config="[task look]\nhandler = exec\nshell = yes\ncommand = cat $CRESS_AFTER\n",
                          CRESS_STORE_TTL="1s")
        good, slow = self.submit({"task": "cress.echo", "payload": 7}, {"task": "cress.sleep", "payload": {"ms": 3000}})
        look, = self.submit({"task": "look", "after": [good, slow]})
        record = self.wait_state(look, *ENDED)
        self.assertEqual(record["state"], "succeeded", record)
        self.assertEqual(json.loads(record["result"])[0], {"id": good, "state": "succeeded", "result": 7})
        wait_for(lambda: not self.store.record(good), "the record to go when nobody needs it")

    def test_results_in_exec(self):
        self.assert_seen(*self.results_of("handler = exec\nshell = yes\ncommand = cat $CRESS_AFTER\n"))

    def test_results_in_stream(self):
        script = ("import sys, json\n"
                  "for line in sys.stdin:\n"
                  "    job = json.loads(line)\n"
                  "    print(json.dumps({'id': job['id'], 'result': job['after']}), flush=True)\n")
        with tempfile.NamedTemporaryFile("w", suffix=".py", encoding="utf-8") as file:
            file.write(script)
            file.flush()
            self.assert_seen(*self.results_of("handler = stream\ncommand = /usr/bin/python3 %s\n" % file.name))

    def test_results_in_a_plugin(self):
        source = ('#include <cress/task.h>\n'
                  'static int look(struct cress_job *job)\n'
                  '{\n'
                  '    return cress_job_done(job, json_incref(cress_job_after(job)));\n'
                  '}\n'
                  'CRESS_TASK("look", look)\n')
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "look.so")
            subprocess.run(["cc", "-shared", "-fPIC", "-I", os.path.join(cresstest.ROOT, "include"), "-x", "c", "-", "-o", path],
                           input=source, text=True, check=True)
            self.assert_seen(*self.results_of("handler = plugin\nfile = %s\n" % path))

    def test_ids_over_http(self):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                body = json.dumps(self.headers["Cress-After"]).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        good, bad, seen = self.results_of("handler = http\nurl = http://127.0.0.1:%d/\n" % server.server_port)
        self.assertEqual(seen, good + "," + bad)


if __name__ == "__main__":
    unittest.main()
