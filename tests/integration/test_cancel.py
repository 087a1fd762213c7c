# SPDX-License-Identifier: Apache-2.0
"""Cancelling jobs, in each state that they can be in: what the record says, and that they do not run."""

import http.server
import json
import os
import re
import signal
import socket
import tempfile
import threading
import time
import unittest

import cresstest
from cresstest import BUILD, unique, wait_for

CANCEL = 8  # CRESS_RECORD_CANCEL
OBEYS = """trap 'echo "tidied up" >&2; exit 75' TERM; echo started >&2; while :; do sleep 0.05; done"""
IGNORES = """trap '' TERM; echo started >&2; while :; do sleep 0.05; done"""
FINISHES = """trap 'echo 42; exit 0' TERM; echo started >&2; while :; do sleep 0.05; done"""
# answers what is no list at once, and waits with the others until it is told to end
STREAM = """
import json, sys
for line in sys.stdin:
    job = json.loads(line)
    print(json.dumps({"id": job["id"], "log": "started"}), flush=True)
    if not isinstance(job["payload"], list):
        print(json.dumps({"id": job["id"], "result": job["payload"]}), flush=True)
"""


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
        wait_for(lambda: self.client.ready(self.queue) == 0, "its message to be gone")
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


class Stalling:
    """A server that takes connections and never says a word."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.socket.getsockname()[1]
        self.taken = []

    def wait_connected(self):
        self.taken.append(self.socket.accept()[0])

    def wait_left(self):
        """The client has hung up."""
        self.taken[-1].settimeout(cresstest.DEADLINE)
        while self.taken[-1].recv(65536):
            pass

    def close(self):
        for connection in self.taken + [self.socket]:
            connection.close()


class WebServer(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # clients hang up: that is what is tested


class Bucket(WebServer):
    """An origin with one page, and an S3 server that never finishes an upload."""

    def __init__(self):
        bucket = self
        self.uploading, self.over = threading.Event(), threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(b"<p>hello")

            def do_HEAD(self):
                self.send_response(404)
                self.end_headers()

            def do_PUT(self):
                bucket.uploading.set()
                bucket.over.wait(cresstest.DEADLINE)

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.address = "127.0.0.1:%d" % self.server_port
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def close(self):
        self.over.set()
        self.shutdown()
        self.server_close()


class Running(CancelTest):
    def setUp(self):
        super().setUp()
        self.folder = tempfile.TemporaryDirectory(prefix="cress-cancel-")
        self.addCleanup(self.folder.cleanup)

    def file(self, name, text):
        path = os.path.join(self.folder.name, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def worker_with(self, handler, *options, task="t", **environment):
        """A worker with a task of this kind."""
        lines = ["[task %s]" % task, "handler = " + handler, *options]
        return self.run_worker("--config", self.file("cress.conf", "\n".join(lines) + "\n"), **environment)

    def stalling(self):
        server = Stalling()
        self.addCleanup(server.close)
        return server

    def running(self, task, payload="null", *args):
        job = self.enqueue(task, payload, *args)
        self.wait_state(job, "running")
        return job

    def wait_log(self, job, text):
        """Until the attempt has written it to its log."""
        wait_for(lambda: text in cresstest.run("cress", "logs", job).stdout, "%r in the log" % text)

    def cancel(self, job, state="cancelled"):
        """Asks for it, and the record says so within a second."""
        done = self.cress("cancel", job, "--reason", "enough")
        asked_ms = time.time() * 1000
        self.assertEqual(done.stdout, job + " runs, and is asked to stop\n")
        record = self.wait_state(job, state)
        self.assertLess(int(record["finished_ms"]) - asked_ms, 1000)
        self.assertEqual(record["attempt"], "1")
        if state == "cancelled":
            self.assertEqual(self.error(job), {"code": "cancelled", "message": "enough"})
        wait_for(lambda: self.presence_unacked() == 0, "its message to be acknowledged")
        wait_for(lambda: self.client.ready(self.queue) == 0, "its message to be gone")
        self.assertEqual(self.client.ready(self.queue + ".dead"), 0)
        self.assertEqual(self.store.command("EXISTS", "cress:cancelled:" + job), 0)
        return record

    def presence_unacked(self):
        queues = json.loads(self.cress("queues", "--json").stdout)
        return next(queue["unacked"] for queue in queues if queue["name"] == self.queue)

    def test_builtin(self):
        self.run_worker(CRESS_WORKER_HEARTBEAT="100ms")
        self.cancel(self.running("cress.sleep", '{"ms": 60000}'))

    def test_exec_that_obeys(self):
        self.worker_with("exec", "command = /bin/sh " + self.file("program.sh", OBEYS),
                         CRESS_WORKER_HEARTBEAT="100ms")
        job = self.running("t")
        self.wait_log(job, "started")
        self.assertIn("tidied up", self.cancel(job)["log"])

    def test_exec_that_does_not_care(self):
        self.worker_with("exec", "command = /bin/sh " + self.file("program.sh", IGNORES),
                         CRESS_WORKER_HEARTBEAT="100ms")
        job = self.running("t")
        self.wait_log(job, "started")
        self.cancel(job)

    def test_exec_that_finishes_all_the_same(self):
        self.worker_with("exec", "command = /bin/sh " + self.file("program.sh", FINISHES),
                         CRESS_WORKER_HEARTBEAT="100ms")
        job = self.running("t")
        self.wait_log(job, "started")
        self.assertEqual(self.cancel(job, "succeeded")["result"], "42")

    def test_stream_and_its_neighbours(self):
        """Nothing stops a job there: its program goes on for the sake of the neighbour, which is not started anew, and a
        second one takes what comes."""
        program = self.file("program.py", STREAM)
        self.worker_with("stream", "command = /usr/bin/python3 " + program, "in_flight = 3",
                         CRESS_WORKER_HEARTBEAT="100ms")
        job, neighbour = self.running("t", "[]"), self.running("t", "[1]")
        self.wait_log(neighbour, "started")
        self.cress("cancel", job)
        self.wait_state(job, "cancelled")
        self.wait_state(self.enqueue("t", '"next"'), "succeeded")
        record = self.store.record(neighbour)
        self.assertEqual((record["state"], record["attempt"]), ("running", "1"))
        self.assertEqual(self.cancel(neighbour)["log"], "started\n", "once")

    def test_plugin_that_looks(self):
        plugin = os.path.join(BUILD, "examples/library/task_text.so")
        self.worker_with("plugin", "file = " + plugin, task="text.statistics", CRESS_WORKER_HEARTBEAT="100ms")
        job = self.running("text.statistics", '{"path": "/dev/zero"}')
        wait_for(lambda: "progress" in self.store.record(job), "its progress")
        self.cancel(job)
        job = self.enqueue("text.statistics", '{"path": "/dev/null"}')
        self.wait_state(job, "succeeded")

    def test_plugin_that_blocks(self):
        plugin = os.path.join(BUILD, "examples/library/task_text.so")
        pipe = os.path.join(self.folder.name, "pipe")
        os.mkfifo(pipe)
        self.worker_with("plugin", "file = " + plugin, task="text.statistics", CRESS_WORKER_HEARTBEAT="100ms")
        self.cancel(self.running("text.statistics", json.dumps({"path": pipe})))

    def test_http(self):
        server = self.stalling()
        self.worker_with("http", "url = http://%s/" % server.address, CRESS_WORKER_HEARTBEAT="100ms")
        job = self.running("t")
        server.wait_connected()
        self.cancel(job)
        server.wait_left()

    def test_page(self):
        server = self.stalling()
        self.run_worker(CRESS_RENDER_ALLOW=server.address, CRESS_WORKER_HEARTBEAT="100ms")
        job = self.running("page.render", json.dumps(
            {"url": "http://%s/" % server.address, "to": "file://" + self.folder.name}))
        server.wait_connected()
        self.cancel(job)
        server.wait_left()

    def render_to(self, bucket, *args):
        """A page whose upload hangs."""
        self.run_worker(CRESS_RENDER_ALLOW=bucket.address, CRESS_S3_ENDPOINT="http://" + bucket.address,
                        CRESS_WORKER_HEARTBEAT="100ms")
        job = self.running("page.render", json.dumps(
            {"url": "http://%s/" % bucket.address, "to": "s3://bucket/prefix"}), *args)
        self.assertTrue(bucket.uploading.wait(cresstest.DEADLINE))
        return job

    def test_page_that_is_uploaded(self):
        bucket = Bucket()
        self.addCleanup(bucket.close)
        self.cancel(self.render_to(bucket))

    def test_upload_at_the_timeout(self):
        """It is broken off, too: s3.timeout and its attempts would take minutes."""
        bucket = Bucket()
        self.addCleanup(bucket.close)
        began = time.monotonic()
        job = self.render_to(bucket, "--timeout", "1s", "--max-attempts", "1")
        self.wait_state(job, "failed")
        self.assertEqual(self.error(job)["code"], "timeout")
        self.assertLess(time.monotonic() - began, 15)

    def test_prerender(self):
        server = self.stalling()
        self.run_worker(CRESS_RENDER_ALLOW=server.address, CRESS_WORKER_HEARTBEAT="100ms")
        job = self.running("site.prerender", json.dumps(
            {"url": "http://%s/sitemap.xml" % server.address, "to": "file://" + self.folder.name}))
        server.wait_connected()
        self.cancel(job)

    def site(self, *stalled):
        """A site whose pages never come, nor the maps in `stalled` before self.maps is set."""
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                if self.path.startswith("/page"):
                    over.wait(cresstest.DEADLINE)
                    return
                if self.path in stalled:
                    maps.wait(cresstest.DEADLINE)
                parts = ["/part1.xml", "/part2.xml"] if self.path == "/sitemap.xml" else [
                    "/page%s-%d" % (self.path[1:6], n) for n in range(5)]
                kind, one = ("sitemapindex", "sitemap") if self.path == "/sitemap.xml" else ("urlset", "url")
                self.send_response(200)
                self.end_headers()
                self.wfile.write(("<%s>%s</%s>" % (kind, "".join(
                    "<%s><loc>http://%s%s</loc></%s>" % (one, self.headers["Host"], part, one)
                    for part in parts), kind)).encode())

            def log_message(self, *_):
                pass

        over, maps = threading.Event(), threading.Event()
        self.maps = maps
        self.addCleanup(maps.set)
        server = WebServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.addCleanup(over.set)
        return "127.0.0.1:%d" % server.server_port

    def batch(self, batch):
        flat = self.store.command("HGETALL", "cress:batch:" + batch)
        return dict(zip(flat[::2], flat[1::2]))

    def prerender(self, site):
        self.run_worker("--concurrency", "3", CRESS_RENDER_ALLOW=site, CRESS_WORKER_HEARTBEAT="100ms")
        return self.enqueue("site.prerender", json.dumps(
            {"url": "http://%s/sitemap.xml" % site, "to": "file://" + self.folder.name}))

    def all_pages_cancelled(self, job, count):
        wait_for(lambda: self.batch(job).get("cancelled") == str(count), "the pages to be cancelled")
        self.assertEqual(self.batch(job)["total"], str(count))
        wait_for(lambda: self.presence_unacked() == 0, "the messages to be gone")
        self.assertEqual(self.client.ready(self.queue + ".dead"), 0)

    def test_prerender_whose_pages_are_under_way(self):
        """It has ended itself, but what it has begun has its id."""
        job = self.prerender(self.site())
        self.wait_state(job, "succeeded")
        done = self.cress("cancel", job)
        self.assertEqual(done.stdout, job + " has ended, its batch is cancelled\n")
        self.all_pages_cancelled(job, 10)
        self.assertIn("has ended already", self.cress("cancel", job, code=4).stderr)

    def test_prerender_that_still_reads_its_maps(self):
        job = self.prerender(self.site("/part2.xml"))
        wait_for(lambda: self.batch(job).get("total") == "5", "the first pages")
        self.cress("cancel", job, "--reason", "enough")
        self.wait_state(job, "cancelled")
        self.assertEqual(self.error(job)["message"], "enough")
        self.all_pages_cancelled(job, 5)

    def test_prerender_whose_batch_is_cancelled_while_it_adds_to_it(self):
        job = self.prerender(self.site("/part2.xml"))
        wait_for(lambda: self.batch(job).get("total") == "5", "the first pages")
        self.cress("batch", "cancel", job)
        self.assertEqual(self.store.record(job)["state"], "running")
        self.maps.set()
        self.wait_state(job, "cancelled")
        self.assertEqual(self.error(job)["message"], "its batch was cancelled")
        self.all_pages_cancelled(job, 5)

    def lost_cancel(self, job):
        """As cancel.lua writes it, but nobody hears of it."""
        state, version, attempt, crashes, flags, rest = self.store.command(
            "HGET", "cress:job:" + job, "status").split(" ", 5)
        status = " ".join((state, version, attempt, crashes, str(int(flags) + CANCEL), rest))
        self.store.command("HSET", "cress:job:" + job, "status", status,
                           "cancel", json.dumps({"code": "cancelled", "message": "lost"}))

    def test_a_message_lost_with_the_connection(self):
        self.run_worker()
        job = self.running("cress.sleep", '{"ms": 60000}')
        self.lost_cancel(job)
        self.store.command("CLIENT", "KILL", "TYPE", "pubsub")
        self.wait_state(job, "cancelled")
        self.assertEqual(self.error(job)["message"], "lost")

    def test_its_worker_dies(self):
        worker = self.run_worker()
        job = self.running("cress.sleep", '{"ms": 60000}')
        self.lost_cancel(job)
        worker.kill()
        self.run_worker()
        record = self.wait_state(job, "cancelled")
        self.assertEqual((record["crashes"], self.error(job)["message"]), ("0", "lost"))

    def test_its_worker_stops(self):
        """Handed back it would run again elsewhere."""
        worker = self.run_worker(CRESS_WORKER_DRAIN="0s")
        job = self.running("cress.sleep", '{"ms": 60000}')
        self.lost_cancel(job)
        self.assertEqual(worker.stop(), 0)
        self.assertEqual(self.store.record(job)["state"], "cancelled")
        self.dropped(job)


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


class Http(CancelTest):
    """The same through the gateway."""

    def setUp(self):
        super().setUp()
        gateway = self.start("cress-gateway", "--listen", "127.0.0.1:0").wait_log("ready on ")
        self.url = re.search(r"ready on (\S+)", gateway.log()).group(1)
        wait_for(lambda: cresstest.http("GET", self.url + "/readyz").status == 200, "readiness")

    def post(self, job, body=None, query="", **headers):
        return cresstest.http("POST", self.url + "/v1/jobs/%s/cancel%s" % (job, query), body, headers)

    def assert_problem(self, answer, status, code):
        self.assertEqual((answer.status, answer.json().get("code")), (status, code), answer.body)

    def test_one_that_waits(self):
        self.declare_queue()
        job = self.enqueue("cress.noop")
        answer = self.post(job, {"reason": "changed my mind"})
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.json()["state"], "cancelled")
        self.assertEqual(answer.json()["error"], {"code": "cancelled", "message": "changed my mind"})
        self.assertEqual(answer.headers["etag"], '"%d"' % answer.json()["version"])
        self.assertEqual(self.post(job).status, 200)  # again

    def test_one_that_runs(self):
        worker = self.run_worker()
        job = self.enqueue("cress.sleep", '{"ms": 60000}')
        self.wait_state(job, "running")
        worker.signal(signal.SIGSTOP)  # or it may have done so before the answer, which is then 200
        answer = self.post(job)
        worker.signal(signal.SIGCONT)
        self.assertEqual(answer.status, 202)
        self.assertTrue(answer.json()["cancel_requested"])
        self.assertIn("retry-after", answer.headers)
        self.wait_state(job, "cancelled")

    def test_the_client_may_wait(self):
        self.run_worker()
        job = self.enqueue("cress.sleep", '{"ms": 60000}')
        self.wait_state(job, "running")
        answer = self.post(job, query="?wait=20s")
        self.assertEqual((answer.status, answer.json()["state"]), (200, "cancelled"))

    def test_what_is_refused(self):
        self.run_worker()
        job = self.enqueue("cress.noop")
        self.wait_state(job, "succeeded")
        self.assert_problem(self.post(job), 409, "job_ended")
        self.assertEqual(self.post(job).json()["state"], "succeeded")
        self.assert_problem(self.post(unique("none")), 404, "unknown_job")
        self.assert_problem(self.post("%20"), 404, "unknown_job")
        self.assert_problem(self.post(job, b"{"), 400, "bad_json")
        self.assert_problem(self.post(job, {"why": "x"}), 422, "invalid")
        self.assert_problem(self.post(job, {"reason": "x" * 257}), 422, "invalid_reason")

    def test_pages_of_other_origins_cannot(self):
        """A form or fetch() sends a POST without a body to anywhere, and the visitor sees nothing."""
        self.declare_queue()
        job = self.enqueue("cress.noop")
        plain = {"Content-Type": "text/plain"}
        self.assert_problem(self.post(job, b"", Origin="https://evil.example", **plain), 403, "foreign_origin")
        self.assert_problem(self.post(job, b"", Origin="null", **plain), 403, "foreign_origin")
        self.assertEqual(self.store.record(job)["state"], "queued")
        self.assertEqual(self.post(job, b"", Origin=self.url, **plain).status, 200)


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
