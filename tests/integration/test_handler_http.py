# SPDX-License-Identifier: Apache-2.0
"""The handler `http` against a receiver of our own, which checks signatures with Python's hmac."""

import base64
import email.utils
import hashlib
import hmac
import http.server
import json
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
import types
import unittest

import cresstest
from cresstest import unique, wait_for
from test_handler_stream import PYTHON, documented

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def secret(byte):
    """A key and its form in the configuration."""
    key = bytes([byte]) * 32
    return key, "whsec_" + base64.b64encode(key).decode()


def signature(key, request):
    """What the header must have, by the text of the specification."""
    content = "%s.%s." % (request.headers["webhook-id"], request.headers["webhook-timestamp"])
    digest = hmac.new(key, content.encode() + request.body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


class Receiver(http.server.ThreadingHTTPServer):
    """Answers the n-th request with the n-th of `answers`, and all further ones with the last.
    An answer is (status, headers, body) or a function of the request that returns one."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = []
        self.times = []
        self.now = self.most = 0  # requests that are being answered
        self.lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def url(self, path="/hook"):
        return "http://127.0.0.1:%d%s" % (self.server_address[1], path)

    def handle_error(self, request, client_address):
        pass  # a client that hung up is part of some tests


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        server = self.server
        body = self.rfile.read(int(self.headers["Content-Length"]))
        request = types.SimpleNamespace(path=self.path, headers=self.headers, body=body)
        with server.lock:
            answer = server.answers.pop(0) if len(server.answers) > 1 else server.answers[0]
            server.requests.append(request)
            server.times.append(time.time())
            server.now += 1
            server.most = max(server.most, server.now)
        status, headers, body = answer(request) if callable(answer) else answer
        with server.lock:
            server.now -= 1
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class HttpTest(cresstest.TestCase):
    def setUp(self):
        super().setUp()
        self.queue = unique("http")
        self.client = self.broker()
        self.folder = tempfile.TemporaryDirectory(prefix="cress-http-")
        self.addCleanup(self.folder.cleanup)

    def receiver(self, *answers):
        receiver = Receiver(*answers)
        self.addCleanup(receiver.server_close)
        self.addCleanup(receiver.shutdown)
        return receiver

    def file(self, name, text):
        path = os.path.join(self.folder.name, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def config(self, url, *options):
        return self.file("cress.conf", "[task hook]\nhandler = http\nurl = %s\n%s\n" % (
            url, "\n".join(options)))

    def run_worker(self, url, *options, **environment):
        environment.setdefault("CRESS_JOB_BACKOFF_BASE", "20ms")
        return self.worker("--config", self.config(url, *options), "--queues", self.queue,
                           **environment)

    def publish(self, payload, **properties):
        job = properties.setdefault("message_id", unique("job"))
        self.client.publish(self.queue, payload, type="hook", **properties)
        return job

    def result(self, job):
        return json.loads(self.wait_state(job, "succeeded")["result"])

    def error(self, job):
        return json.loads(self.wait_state(job, "failed")["error"])


class Requests(HttpTest):
    def test_payload_is_posted_and_the_body_is_the_result(self):
        receiver = self.receiver((200, {"Content-Type": "application/json"}, b'{"ok": [1]}'))
        self.run_worker(receiver.url("/a/../b?c=%20"))
        body = b'{"text": "\xc3\xbc",\n "n": 12345678901234567890.5}'
        job = self.publish(body, headers={"traceparent": TRACE})
        self.assertEqual(self.result(job), {"ok": [1]})
        request = receiver.requests[0]
        self.assertEqual(request.body, body)
        self.assertEqual(request.path, "/a/../b?c=%20")
        for name, value in (("Content-Type", "application/json"), ("Cress-Job-Id", job),
                            ("Cress-Task", "hook"), ("Cress-Attempt", "1"), ("webhook-id", job),
                            ("traceparent", TRACE)):
            self.assertEqual(request.headers[name], value)
        self.assertAlmostEqual(int(request.headers["webhook-timestamp"]), time.time(), delta=60)
        self.assertIsNone(request.headers["webhook-signature"])

    def test_text_and_nothing_are_results_too(self):
        receiver = self.receiver((200, {}, b"done, thanks\n"), (204, {}, b""))
        self.run_worker(receiver.url())
        self.assertEqual(self.result(self.publish(1)), "done, thanks")
        self.assertIsNone(self.result(self.publish(2)))

    def test_result_that_is_too_large_fails(self):
        receiver = self.receiver((200, {}, b'"%s"' % (b"x" * 5000)))
        self.run_worker(receiver.url(), "output_max = 1k")
        self.assertEqual(self.error(self.publish(1))["code"], "too_large")
        self.assertEqual(len(receiver.requests), 1)


class Signatures(HttpTest):
    def test_secret_file_with_two_secrets(self):
        (old, old_text), (new, new_text) = secret(1), secret(2)
        receiver = self.receiver((503, {}, b""), (200, {}, b""))
        self.run_worker(receiver.url(), "secret_file = " + self.file(
            "secrets", "%s\n%s\n" % (new_text, old_text)))
        self.wait_state(self.publish({"a": "ü"}), "succeeded")
        for request in receiver.requests:
            self.assertEqual(request.headers["webhook-signature"].split(" "),
                             [signature(new, request), signature(old, request)])
        first, second = receiver.requests
        self.assertEqual(first.headers["webhook-id"], second.headers["webhook-id"])
        self.assertEqual(second.headers["Cress-Attempt"], "2")

    def test_secret_in_the_environment(self):
        key, text = secret(3)
        receiver = self.receiver((200, {}, b""))
        worker = self.run_worker(receiver.url(), "secret_env = HOOK_SECRET", HOOK_SECRET=text)
        self.wait_state(self.publish([]), "succeeded")
        request = receiver.requests[0]
        self.assertEqual(request.headers["webhook-signature"], signature(key, request))
        self.assertNotIn(text, worker.log())

    def test_the_receiver_of_the_documentation(self):
        _, right = secret(4)
        _, wrong = secret(5)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        receiver = subprocess.Popen(
            [PYTHON, self.file("receiver.py", documented("receiver.py"))], stderr=subprocess.DEVNULL,
            env=dict(os.environ, PORT=str(port), HOOK_SECRET=right))
        self.addCleanup(receiver.wait)
        self.addCleanup(receiver.kill)

        def listens():
            with socket.socket() as client:
                return client.connect_ex(("127.0.0.1", port)) == 0
        wait_for(listens, "the receiver")
        url = "http://127.0.0.1:%d/" % port
        worker = self.run_worker(url, "secret_env = HOOK_SECRET", HOOK_SECRET=right)
        self.assertEqual(self.result(self.publish({"a": 1})), {"seen": True})
        worker.stop()
        self.run_worker(url, "secret_env = HOOK_SECRET", HOOK_SECRET=wrong)
        self.assertEqual(self.error(self.publish({"a": 1}))["code"], "http_401")

    def test_wrong_secrets_are_refused_at_the_start(self):
        for options in (["secret_env = NO_SUCH_VARIABLE"], ["secret_file = /no/such/file"],
                        ["secret_file = " + self.file("bad", "whsec_short\n")],
                        ["secret_file = /dev/null", "secret_env = HOME"]):
            done = cresstest.run("cress-worker", "--config",
                                 self.config("http://127.0.0.1:1/", *options), "--check-config")
            self.assertEqual(done.returncode, 78, options)
            self.assertIn("hook", done.stderr)
            self.assertIn("secret", done.stderr)

    def test_a_url_is_needed(self):
        path = self.file("cress.conf", "[task hook]\nhandler = http\n")
        done = cresstest.run("cress-worker", "--config", path, "--check-config")
        self.assertEqual(done.returncode, 78)
        self.assertIn("url", done.stderr)


class Refusals(HttpTest):
    def test_4xx_is_never_tried_again(self):
        receiver = self.receiver((404, {}, b"no such\nthing"))
        self.run_worker(receiver.url())
        error = self.error(self.publish(1))
        self.assertEqual(error["code"], "http_404")
        self.assertIn("no such thing", error["message"])
        self.assertEqual(len(receiver.requests), 1)

    def test_redirects_are_a_failure_and_not_followed(self):
        receiver = self.receiver((302, {"Location": "/elsewhere"}, b""))
        self.run_worker(receiver.url())
        self.assertEqual(self.error(self.publish(1))["code"], "http_302")
        self.assertEqual(len(receiver.requests), 1)

    def test_5xx_and_its_like_are_tried_again(self):
        receiver = self.receiver((500, {}, b""), (408, {}, b""), (425, {}, b""), (502, {}, b""),
                                 (200, {}, b"7"))
        self.run_worker(receiver.url())
        job = self.publish(1)
        self.assertEqual(self.result(job), 7)
        self.assertEqual([r.headers["Cress-Attempt"] for r in receiver.requests], list("12345"))

    def test_attempts_end(self):
        receiver = self.receiver((500, {}, b"oops"))
        self.run_worker(receiver.url())
        error = self.error(self.publish(1, headers={"max_attempts": 2}))
        self.assertEqual(error["code"], "http_500")
        self.assertEqual(len(receiver.requests), 2)

    def test_retry_after_seconds(self):
        receiver = self.receiver((429, {"Retry-After": "2"}, b""), (200, {}, b""))
        self.run_worker(receiver.url())
        self.wait_state(self.publish(1), "succeeded")
        self.assertGreaterEqual(receiver.times[1] - receiver.times[0], 1.9)

    def test_retry_after_date(self):
        def in_three_seconds(_):
            # a date has whole seconds: it asks for two seconds and a fraction
            return 503, {"Retry-After": email.utils.formatdate(time.time() + 3, usegmt=True)}, b""
        receiver = self.receiver(in_three_seconds, (200, {}, b""))
        self.run_worker(receiver.url())
        self.wait_state(self.publish(1), "succeeded")
        self.assertGreaterEqual(receiver.times[1] - receiver.times[0], 1.5)

    def test_nobody_listens(self):
        receiver = self.receiver((200, {}, b""))
        url = receiver.url()
        receiver.shutdown()
        receiver.server_close()
        self.run_worker(url.replace("127.0.0.1", "user:word@127.0.0.1"))
        error = self.error(self.publish(1, headers={"max_attempts": 2}))
        self.assertEqual(error["code"], "connect")
        self.assertNotIn("word", error["message"])


class Limits(HttpTest):
    def setUp(self):
        super().setUp()
        self.go_on = threading.Event()
        self.addCleanup(self.go_on.set)

    def held(self, _):
        self.go_on.wait(cresstest.DEADLINE)
        return 200, {}, b"1"

    def test_timeout(self):
        receiver = self.receiver(self.held, (200, {}, b"2"))
        self.run_worker(receiver.url())
        job = self.publish(1, headers={"timeout_ms": 300})
        self.assertEqual(self.result(job), 2)
        record = self.redis().record(job)
        self.assertEqual(record["attempt"], "2")
        self.assertIn('failed {"code":"timeout"', record["attempts"])

    def test_the_receiver_is_told_the_deadline(self):
        receiver = self.receiver((200, {}, b"1"))
        self.run_worker(receiver.url(), "soft_timeout = 20s")
        for headers, seconds in (({}, 20), ({"timeout_ms": 5000}, 5)):
            began = time.time()
            self.result(self.publish(1, headers=headers))
            deadline = int(receiver.requests[-1].headers["Cress-Deadline-Ms"]) / 1000
            self.assertGreaterEqual(deadline, began + seconds - 1)
            self.assertLessEqual(deadline, time.time() + seconds)

    def test_per_host(self):
        receiver = self.receiver(self.held)
        self.run_worker(receiver.url(), "per_host = 3")
        jobs = [self.publish(n) for n in range(9)]
        wait_for(lambda: receiver.most == 3, "three requests at once")
        self.go_on.set()
        for job in jobs:
            self.wait_state(job, "succeeded")
        self.assertEqual(receiver.most, 3)

    def test_running_requests_end_before_the_worker(self):
        receiver = self.receiver(self.held)
        worker = self.run_worker(receiver.url())
        job = self.publish(1)
        wait_for(lambda: receiver.requests, "the request")
        worker.signal(signal.SIGTERM)
        worker.wait_log("stopping")
        self.go_on.set()
        self.assertEqual(worker.wait(), 0)
        self.assertEqual(self.redis().record(job)["state"], "succeeded")

    def test_what_outlasts_the_drain_time_is_handed_back(self):
        receiver = self.receiver(self.held)
        worker = self.run_worker(receiver.url(), CRESS_WORKER_DRAIN="200ms")
        job = self.publish(1)
        wait_for(lambda: receiver.requests, "the request")
        self.assertEqual(worker.stop(), 0)
        self.assertEqual(self.redis().record(job)["state"], "queued")
        self.assertEqual(self.client.ready(self.queue), 1)


if __name__ == "__main__":
    unittest.main()
