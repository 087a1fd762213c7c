# SPDX-License-Identifier: Apache-2.0
"""cress-gateway on real servers. Raw sockets speak the HTTP that well-behaved clients never would; the
rest goes through urllib and curl."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
import unittest

import cresstest
from cresstest import http, unique, wait_for

PROBLEM = "application/problem+json"


class Wire:
    """A raw connection to the gateway."""

    def __init__(self, url, timeout=20):
        host, port = url[len("http://"):].split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=timeout)
        self.buffer = b""

    def send(self, text):
        self.socket.sendall(text if isinstance(text, bytes) else text.encode())
        return self

    def more(self):
        piece = self.socket.recv(65536)
        self.buffer += piece
        return bool(piece)

    def read(self, has_body=True):
        """One response: (status, headers, body). A reset or an early end is an error."""
        while b"\r\n\r\n" not in self.buffer:
            assert self.more(), "closed after %r" % self.buffer
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:])}
        size = int(headers.get("content-length", 0)) if has_body else 0
        while len(self.buffer) < size:
            assert self.more(), "closed within the body"
        body, self.buffer = self.buffer[:size], self.buffer[size:]
        return int(lines[0].split(" ")[1]), headers, body

    def is_closed(self):
        """Waits for the end; a reset is an error."""
        return self.buffer == b"" and not self.more()

    def close(self):
        self.socket.close()


def get(path, *fields):
    return "GET %s HTTP/1.1\r\nHost: test\r\n%s\r\n" % (path, "".join(f + "\r\n" for f in fields))


def post(body, *fields):
    return "POST /v1/jobs HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n%s\r\n%s" % (
        "".join(f + "\r\n" for f in fields), body)


class GatewayCase(cresstest.TestCase):
    def gateway(self, **environment):
        """A gateway whose broker and store are connected."""
        program = self.start("cress-gateway", "--listen", "127.0.0.1:0", **environment)
        program.wait_log("ready on ")
        program.url = re.search(r"ready on (\S+)", program.log()).group(1)
        wait_for(lambda: http("GET", program.url + "/readyz").status == 200, "readiness")
        return program

    def queue_with_worker(self, gateway):
        """A new queue that a worker of its own consumes: (queue, worker)."""
        queue = unique("q")
        worker = self.worker("--queues", queue)
        wait_for(lambda: self.stats(gateway, queue)["consumers"], "the worker's consumers")
        return queue, worker

    def stats(self, gateway, queue):
        answer = http("GET", gateway.url + "/v1/queues")
        self.assertEqual(answer.status, 200, answer.body)
        found = [entry for entry in answer.json() if entry["name"] in (queue, "default")]
        self.assertIn("default", [entry["name"] for entry in found])
        return next((entry for entry in found if entry["name"] == queue), {"consumers": 0})

    def wire(self, program):
        wire = Wire(program.url)
        self.addCleanup(wire.close)
        return wire

    def assert_problem(self, answer, status, code=None):
        got, headers, body = answer
        self.assertEqual(got, status, body)
        self.assertEqual(headers["content-type"], PROBLEM)
        document = json.loads(body)
        self.assertEqual(document["status"], status)
        self.assertTrue(document["title"] and document["detail"] and document["type"])
        if code:
            self.assertEqual(document["code"], code)
        return document

    def assert_http_problem(self, answer, status, code=None):
        return self.assert_problem((answer.status, answer.headers, answer.body), status, code)


class Transport(GatewayCase):
    """What the wire may look like, and what else gets."""

    def test_pipelined_requests_are_answered_in_order(self):
        wire = self.wire(self.gateway())
        wire.send(get("/healthz") + get("/nope") + get("/readyz") + get("/v1/jobs/none") + get("/healthz"))
        self.assertEqual([wire.read()[0] for _ in range(5)], [200, 404, 200, 404, 200])
        wire.send(get("/healthz"))
        self.assertEqual(wire.read()[0], 200)

    def test_a_malformed_pipelined_request_gets_its_400_after_the_others(self):
        wire = self.wire(self.gateway())
        wire.send(get("/v1/jobs/none") + "GARBAGE\r\n\r\n")
        self.assertEqual(wire.read()[0], 404)
        self.assert_problem(wire.read(), 400, "malformed_request")
        self.assertTrue(wire.is_closed())

    def test_a_body_may_come_in_chunks_and_pieces(self):
        wire = self.wire(self.gateway())
        body = '{"task": 1}'
        wire.send(post("", "Transfer-Encoding: chunked"))
        for letter in body:
            wire.send("1\r\n%s\r\n" % letter)
        wire.send("0\r\n\r\n" + get("/healthz"))
        self.assert_problem(wire.read(), 422)
        self.assertEqual(wire.read()[0], 200)

    def test_a_client_may_ask_before_it_sends_the_body(self):
        wire = self.wire(self.gateway())
        wire.send(post("", "Content-Length: 2", "Expect: 100-continue"))
        self.assertEqual(wire.read()[0], 100)
        wire.send("[]")
        self.assert_problem(wire.read(), 422)

    def test_a_client_that_closes_its_sending_side_is_answered(self):
        wire = self.wire(self.gateway())
        wire.send(get("/v1/jobs/none", "Connection: close"))
        wire.socket.shutdown(socket.SHUT_WR)
        self.assert_problem(wire.read(), 404)

    def test_old_http_is_answered_and_closed(self):
        wire = self.wire(self.gateway()).send("GET /healthz HTTP/1.0\r\n\r\n")
        self.assertEqual(wire.read()[0], 200)
        self.assertTrue(wire.is_closed())

    def test_head_has_no_body(self):
        wire = self.wire(self.gateway()).send(get("/healthz").replace("GET", "HEAD", 1) + get("/healthz"))
        status, headers, _ = wire.read(has_body=False)
        self.assertEqual((status, headers["content-length"]), (200, "14"))
        self.assertEqual(wire.read()[2], b'{"alive":true}')

    def test_what_could_be_read_in_two_ways_is_refused(self):
        gateway = self.gateway()
        for text in (post("{}", "Content-Length: 2", "Content-Length: 2"),
                     post("0\r\n\r\n", "Content-Length: 5", "Transfer-Encoding: chunked"),
                     post("zz\r\n", "Transfer-Encoding: chunked"),
                     "GET / HTTP/1.1\nHost: a\n\n"):
            wire = self.wire(gateway).send(text)
            self.assert_problem(wire.read(), 400, "malformed_request")
            self.assertTrue(wire.is_closed())

    def test_a_body_over_the_limit_gets_413_although_it_is_still_being_sent(self):
        gateway = self.gateway(CRESS_GATEWAY_MAX_BODY="1M")
        size = 32 << 20
        wire = self.wire(gateway).send(post("", "Content-Length: %d" % size))
        with contextlib.suppress(OSError):  # the gateway reads on only for a while
            wire.send(b"x" * (4 << 20))
        self.assert_problem(wire.read(), 413, "too_large")

        wire = self.wire(gateway).send(post("", "Transfer-Encoding: chunked"))
        with contextlib.suppress(OSError):
            for _ in range(64):
                wire.send(b"10000\r\n" + b"x" * 65536 + b"\r\n")
        self.assert_problem(wire.read(), 413, "too_large")

        curl = subprocess.run(
            ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--data-binary", "@-",
             "-H", "Content-Type: application/json", gateway.url + "/v1/jobs"],
            input=b"x" * (8 << 20), capture_output=True, timeout=30, check=True)
        self.assertEqual(curl.stdout, b"413")

    def test_a_body_of_exactly_the_limit_is_read(self):
        gateway = self.gateway(CRESS_GATEWAY_MAX_BODY="1024")
        body = "[%s]" % (" " * 1022)
        wire = self.wire(gateway).send(post(body, "Content-Length: 1024"))
        self.assert_problem(wire.read(), 422)
        wire.send(post("400\r\n%s\r\n0\r\n\r\n" % body, "Transfer-Encoding: chunked"))
        self.assert_problem(wire.read(), 422)
        wire.send(post(body + " ", "Content-Length: 1025"))
        self.assert_problem(wire.read(), 413)

    def test_a_header_over_the_limit_gets_431(self):
        gateway = self.gateway()
        for fields in (["X: " + "x" * 20000], ["X: y"] * 101, ["X: " + "x" * 500000]):
            wire = self.wire(gateway)
            with contextlib.suppress(OSError):
                wire.send(get("/healthz", *fields))
            self.assert_problem(wire.read(), 431, "header_too_large")
        wire = self.wire(gateway).send(get("/" + "x" * 9000))
        self.assertIn(wire.read()[0], (404, 414))

    def test_a_request_that_stops_arriving_gets_408(self):
        gateway = self.gateway(CRESS_GATEWAY_IDLE_TIMEOUT="300ms")
        for text in ("GET /healthz HTT", post('{"task"', "Content-Length: 100"),
                     post("5\r\nab", "Transfer-Encoding: chunked"),
                     post("", "Content-Length: 5", "Expect: 100-continue")):
            wire = self.wire(gateway).send(text)
            if "Expect" in text:
                self.assertEqual(wire.read()[0], 100)
            self.assert_problem(wire.read(), 408, "request_timeout")
            self.assertTrue(wire.is_closed())

    def test_a_header_that_trickles_gets_408(self):
        wire = self.wire(self.gateway(CRESS_GATEWAY_IDLE_TIMEOUT="300ms"))
        wire.send("GET /healthz HTTP/1.1\r\nHost: a\r\n")
        wire.socket.settimeout(0.05)
        end = time.monotonic() + 10
        while time.monotonic() < end and not wire.buffer:
            with contextlib.suppress(TimeoutError):
                wire.more()
            with contextlib.suppress(OSError):
                wire.send("X: y\r\n")
        self.assert_problem(wire.read(), 408, "request_timeout")

    def test_a_body_that_keeps_arriving_is_waited_for(self):
        wire = self.wire(self.gateway(CRESS_GATEWAY_IDLE_TIMEOUT="300ms"))
        wire.send(post("", "Content-Length: 12"))
        for letter in '{"task": 1} ':
            time.sleep(0.1)  # the pace is what is tested: twelve pauses, each below the limit
            wire.send(letter)
        self.assert_problem(wire.read(), 422)

    def test_an_idle_connection_is_closed_without_a_word(self):
        wire = self.wire(self.gateway(CRESS_GATEWAY_IDLE_TIMEOUT="300ms"))
        wire.send(get("/healthz"))
        self.assertEqual(wire.read()[0], 200)
        self.assertTrue(wire.is_closed())

    def test_one_connection_too_many_gets_503(self):
        gateway = self.gateway(CRESS_GATEWAY_MAX_CONNECTIONS="5")
        wires = [self.wire(gateway) for _ in range(5)]
        for wire in wires:
            self.assertEqual(wire.send(get("/healthz")).read()[0], 200)
        late = self.wire(gateway)
        answer = late.read()
        self.assert_problem(answer, 503, "too_many_connections")
        self.assertIn("retry-after", answer[1])
        self.assertTrue(late.is_closed())
        wires.pop().close()
        wait_for(lambda: self.wire(gateway).send(get("/healthz")).read()[0] == 200, "a free connection")

    def test_a_client_that_reads_nothing_is_dropped(self):
        gateway = self.gateway(CRESS_GATEWAY_IDLE_TIMEOUT="300ms")
        wire = self.wire(gateway)
        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with contextlib.suppress(OSError):
            wire.socket.settimeout(2)
            for _ in range(20000):
                wire.send(get("/metrics"))
        wait_for(lambda: b"cress_http_connections 1\n" in http("GET", gateway.url + "/metrics").body,
                 "the connection to be gone")


class Api(GatewayCase):
    """Jobs, queues, health: the answers of docs/http-api.md."""

    def test_a_job_from_post_to_result(self):
        gateway = self.gateway()
        queue, _ = self.queue_with_worker(gateway)
        answer = http("POST", gateway.url + "/v1/jobs",
                      {"task": "cress.echo", "payload": {"n": 1}, "queue": queue})
        self.assertEqual(answer.status, 202, answer.body)
        record = answer.json()
        self.assertEqual(answer.headers["location"], "/v1/jobs/" + record["id"])
        self.assertGreaterEqual(int(answer.headers["retry-after"]), 1)
        self.assertEqual((record["task"], record["queue"], record["payload"]),
                         ("cress.echo", queue, {"n": 1}))
        url = gateway.url + answer.headers["location"]
        answer = http("GET", url + "?wait=20s")
        self.assertEqual((answer.status, answer.json()["state"]), (200, "succeeded"))
        self.assertNotIn("retry-after", answer.headers)
        etag = answer.headers["etag"]
        self.assertRegex(etag, r'^"\d+"$')
        for header in (etag, "W/" + etag, '"0", %s' % etag, "*"):
            self.assertEqual(http("GET", url, headers={"If-None-Match": header}).status, 304)
        self.assertEqual(http("GET", url, headers={"If-None-Match": '"0"'}).status, 200)
        self.assertEqual(http("HEAD", url).headers["etag"], etag)
        result = http("GET", url + "/result")
        self.assertEqual((result.status, result.json()), (200, {"n": 1}))

    def test_a_failed_job_is_no_error_but_has_no_result(self):
        gateway = self.gateway()
        queue, _ = self.queue_with_worker(gateway)
        answer = http("POST", gateway.url + "/v1/jobs?wait=20",
                      {"task": "cress.fail", "payload": {"message": "boo", "permanent": True}, "queue": queue})
        self.assertEqual((answer.status, answer.json()["state"]), (200, "failed"))
        url = gateway.url + "/v1/jobs/" + answer.json()["id"]
        self.assertEqual(http("GET", url).status, 200)
        problem = self.assert_http_problem(http("GET", url + "/result"), 409, "job_failed")
        self.assertEqual(problem["state"], "failed")
        self.assertIn("boo", problem["error"]["message"])

    def test_a_long_poll_is_woken_by_the_end_of_the_job(self):
        gateway = self.gateway()
        queue, _ = self.queue_with_worker(gateway)
        job = http("POST", gateway.url + "/v1/jobs",
                   {"task": "cress.sleep", "payload": {"ms": 1500}, "queue": queue}).json()
        url = gateway.url + "/v1/jobs/" + job["id"]
        begun = time.monotonic()
        pending = http("GET", url + "/result")
        self.assertEqual(pending.status, 202)
        self.assertIn("retry-after", pending.headers)
        short = http("GET", url, headers={"Prefer": "wait=0.2"})
        self.assertFalse(short.json()["done"])
        self.assertIn("preference-applied", short.headers)
        answer = http("GET", url, headers={"Prefer": "wait=30"})
        self.assertEqual(answer.json()["state"], "succeeded")
        self.assertLess(time.monotonic() - begun, 10)

    def test_a_long_poll_with_a_version_ends_at_the_next_one(self):
        gateway = self.gateway()
        queue, worker = self.queue_with_worker(gateway)
        worker.stop()  # the queue exists, and nobody takes from it
        job = http("POST", gateway.url + "/v1/jobs",
                   {"task": "cress.sleep", "payload": {"ms": 5000}, "queue": queue})
        url, version = gateway.url + job.headers["location"], {"If-None-Match": job.headers["etag"]}
        self.assertEqual(http("GET", url + "?wait=0.3", headers=version).status, 304)
        answers = []
        poll = threading.Thread(target=lambda: answers.append(http("GET", url + "?wait=30", headers=version)))
        poll.start()
        wait_for(lambda: b"cress_http_waiters 1\n" in http("GET", gateway.url + "/metrics").body, "the poll")
        self.worker("--queues", queue)
        poll.join(20)
        self.assertEqual((answers[0].status, answers[0].json()["state"]), (200, "running"))
        self.assertNotEqual(answers[0].headers["etag"], job.headers["etag"])

    def test_a_client_that_leaves_is_forgotten(self):
        gateway = self.gateway()
        job = http("POST", gateway.url + "/v1/jobs", {"task": "cress.noop", "delay_ms": 600000}).json()
        wire = self.wire(gateway).send(get("/v1/jobs/%s?wait=60" % job["id"]))

        def waiters():
            return int(re.search(rb"^cress_http_waiters (\d+)", http("GET", gateway.url + "/metrics").body,
                                 re.M).group(1))
        wait_for(lambda: waiters() == 1, "the poll")
        wire.close()
        wait_for(lambda: waiters() == 0, "the poll to be forgotten", deadline=5)

    def test_pipelined_behind_a_long_poll(self):
        gateway = self.gateway()
        job = http("POST", gateway.url + "/v1/jobs", {"task": "cress.noop", "delay_ms": 600000}).json()
        wire = self.wire(gateway).send(get("/v1/jobs/%s?wait=0.5" % job["id"]))
        wire.send(get("/healthz"))
        self.assertEqual(json.loads(wire.read()[2])["id"], job["id"])
        self.assertEqual(wire.read()[2], b'{"alive":true}')

    def test_bad_requests_say_what_is_wrong(self):
        url = self.gateway().url + "/v1/jobs"
        json_type = {"Content-Type": "application/json"}
        self.assert_http_problem(http("POST", url, b"{}", {"Content-Type": "text/plain"}), 415)
        broken = self.assert_http_problem(http("POST", url, b'{"task":\n  oops}', json_type), 400, "bad_json")
        self.assertIn("line 2, column", broken["detail"])
        for body in (b"", b"\xff", b'{"task":"cress.noop"} x'):
            self.assert_http_problem(http("POST", url, body, json_type), 400, "bad_json")
        twice = http("POST", url, b'{"task":"cress.noop","task":"cress.echo"}', json_type)
        self.assertIn("task is given twice", self.assert_http_problem(twice, 422, "invalid")["detail"])
        for body, word in (([], ""), ({"payload": 1}, "task"), ({"task": 1}, "task"),
                           ({"task": "cress.noop", "quene": "x"}, "quene"),
                           ({"task": "page.rendr"}, "page.rend"),
                           ({"task": "cress.noop", "delay_ms": -1}, "delay_ms"),
                           ({"task": "cress.noop", "id": "a b"}, "id")):
            problem = self.assert_http_problem(http("POST", url, body), 422)
            self.assertIn(word, problem["detail"])
        missing = unique("nowhere")
        problem = self.assert_http_problem(
            http("POST", url, {"task": "cress.noop", "queue": missing}), 404, "unknown_queue")
        self.assertIn(missing, problem["detail"])
        self.assert_http_problem(http("POST", url, {"task": "cress.noop", "payload": "x" * 1500000}), 413)
        self.assert_http_problem(http("GET", url + "/none"), 404, "unknown_job")
        self.assert_http_problem(http("GET", url + "/none?wait=soon"), 400, "bad_wait")
        self.assert_http_problem(http("GET", url + "/a%20b"), 404, "unknown_job")
        answer = http("DELETE", url)
        self.assert_http_problem(answer, 405)
        self.assertEqual(answer.headers["allow"], "POST, OPTIONS")

    def test_an_id_is_taken_once_it_has_run(self):
        gateway, job = self.gateway(), unique("id")
        queue, _ = self.queue_with_worker(gateway)
        request = {"task": "cress.noop", "queue": queue, "id": job}
        self.assertEqual(http("POST", gateway.url + "/v1/jobs?wait=20", request).status, 200)
        answer = http("POST", gateway.url + "/v1/jobs", request)
        problem = self.assert_http_problem(answer, 409, "job_exists")
        self.assertEqual(problem["state"], "succeeded")
        self.assertEqual(answer.headers["location"], "/v1/jobs/" + job)

    def test_queues(self):
        gateway = self.gateway()
        queue, worker = self.queue_with_worker(gateway)
        self.assertEqual(worker.stop(), 0)
        wait_for(lambda: self.stats(gateway, queue)["consumers"] == 0, "the consumers to be gone")
        http("POST", gateway.url + "/v1/jobs", {"task": "cress.noop", "queue": queue})
        http("POST", gateway.url + "/v1/jobs", {"task": "cress.noop", "queue": queue, "priority": "high"})
        wait_for(lambda: self.stats(gateway, queue)["ready"] == 2, "two jobs to be ready")
        self.assertEqual(self.stats(gateway, queue),
                         {"name": queue, "ready": 2, "unacked": 0, "consumers": 0, "dead": 0, "paused_at": None})

    def test_batches(self):
        gateway = self.gateway()
        self.assert_http_problem(http("GET", gateway.url + "/v1/batches/" + unique("none")), 404,
                                 "unknown_batch")

    def test_cross_origin_pages_are_let_in_by_list(self):
        gateway = self.gateway(CRESS_GATEWAY_CORS_ORIGINS="https://app.example")
        url = gateway.url + "/v1/jobs"
        mine, other = {"Origin": "https://app.example"}, {"Origin": "https://evil.example"}
        preflight = {"Access-Control-Request-Method": "POST"}
        answer = http("OPTIONS", url, headers=dict(mine, **preflight))
        self.assertEqual(answer.status, 204)
        self.assertEqual(answer.headers["access-control-allow-origin"], "https://app.example")
        self.assertIn("POST", answer.headers["access-control-allow-methods"])
        self.assertIn("Content-Type", answer.headers["access-control-allow-headers"])
        answer = http("GET", url + "/none", headers=mine)
        self.assertEqual(answer.headers["access-control-allow-origin"], "https://app.example")
        self.assertIn("ETag", answer.headers["access-control-expose-headers"])
        self.assertEqual(answer.headers["vary"], "Origin")
        for answer in (http("GET", url + "/none", headers=other), http("GET", url + "/none"),
                       http("OPTIONS", url, headers=dict(other, **preflight))):
            self.assertNotIn("access-control-allow-origin", answer.headers)

    def test_pages_for_people(self):
        gateway = self.gateway()
        for path, kind in (("/", "text/html"), ("/jobs/x", "text/html"), ("/batches/x", "text/html"),
                           ("/app.js", "text/javascript"), ("/style.css", "text/css")):
            answer = http("GET", gateway.url + path)
            self.assertEqual(answer.status, 200)
            self.assertTrue(answer.headers["content-type"].startswith(kind))
            self.assertIn("default-src 'none'", answer.headers["content-security-policy"])

    def test_metrics(self):
        gateway = self.gateway()
        body = http("GET", gateway.url + "/metrics").body
        self.assertIn(b"cress_http_connections 1\n", body)
        self.assertIn(b"cress_broker_connected 1\n", body)
        self.assertIn(b"cress_store_connected 1\n", body)
        self.assertIn(b"# TYPE cress_http_requests_total counter", body)


class Faults(GatewayCase):
    """Broker or store away: 503 within a second, and back by itself."""

    def server_pid(self, name):
        with open(os.path.join(cresstest.env("CRESS_TEST_STACK"), name + ".pid"), encoding="ascii") as file:
            return int(file.read())

    @contextlib.contextmanager
    def paused(self, name):
        pid = self.server_pid(name)
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def stack(self, verb, name):
        subprocess.run([os.path.join(cresstest.ROOT, "scripts/stack"), verb, "--dir",
                        cresstest.env("CRESS_TEST_STACK"), "--only", name],
                       check=True, capture_output=True, timeout=120)

    def assert_refused_soon(self, method, url, body=None):
        begun = time.monotonic()
        answer = http(method, url, body)
        took = time.monotonic() - begun
        self.assert_http_problem(answer, 503)
        self.assertIn("retry-after", answer.headers)
        self.assertLess(took, 1.0)

    def recovers(self, gateway):
        wait_for(lambda: http("POST", gateway.url + "/v1/jobs", {"task": "cress.noop"}).status == 202,
                 "the gateway to recover")
        wait_for(lambda: http("GET", gateway.url + "/readyz").status == 200, "readiness")

    def test_the_broker_hangs(self):
        gateway = self.gateway()
        self.recovers(gateway)
        with self.paused("rabbitmq"):
            self.assert_refused_soon("POST", gateway.url + "/v1/jobs", {"task": "cress.noop"})
            self.assert_refused_soon("GET", gateway.url + "/v1/queues")
            self.assertEqual(http("GET", gateway.url + "/v1/jobs/none").status, 404)
        self.recovers(gateway)

    def test_the_store_hangs(self):
        gateway = self.gateway()
        with self.paused("redis"):
            self.assert_refused_soon("GET", gateway.url + "/v1/jobs/none")
            self.assert_refused_soon("GET", gateway.url + "/v1/jobs/none?wait=30")
            self.assert_refused_soon("POST", gateway.url + "/v1/jobs", {"task": "cress.noop"})
            self.assert_refused_soon("GET", gateway.url + "/readyz")
            self.assertEqual(http("GET", gateway.url + "/healthz").status, 200)
        self.recovers(gateway)

    def test_servers_are_killed_and_come_back(self):
        gateway = self.gateway()
        for name in ("redis", "rabbitmq"):
            os.kill(self.server_pid(name), signal.SIGKILL)
            try:
                wait_for(lambda: http("GET", gateway.url + "/readyz").status == 503, "the loss to be seen")
                self.assert_refused_soon("POST", gateway.url + "/v1/jobs", {"task": "cress.noop"})
            finally:
                self.stack("start", name)
            self.recovers(gateway)

    def test_a_gateway_starts_before_its_servers(self):
        gateway = self.start("cress-gateway", "--listen", "127.0.0.1:0",
                             CRESS_BROKER_URL="amqp://127.0.0.1:1/", CRESS_STORE_URL="redis://127.0.0.1:1")
        gateway.wait_log("ready on ")
        url = re.search(r"ready on (\S+)", gateway.log()).group(1)
        self.assert_refused_soon("GET", url + "/v1/jobs/x")
        self.assert_refused_soon("POST", url + "/v1/jobs", {"task": "cress.noop"})
        problem = http("GET", url + "/readyz").json()
        self.assertFalse(problem["broker"]["ready"] or problem["store"]["ready"])
        self.assertTrue(problem["broker"]["detail"])
        self.assertEqual(gateway.stop(), 0)


class Process(GatewayCase):
    """Start and stop."""

    def test_sigterm_answers_long_polls_and_exits_with_0(self):
        gateway = self.gateway()
        job = http("POST", gateway.url + "/v1/jobs", {"task": "cress.noop", "delay_ms": 600000}).json()
        idle = self.wire(gateway).send(get("/healthz"))
        idle.read()
        poll = self.wire(gateway).send(get("/v1/jobs/%s?wait=60" % job["id"]))
        wait_for(lambda: b"cress_http_waiters 1\n" in http("GET", gateway.url + "/metrics").body, "the poll")
        begun = time.monotonic()
        gateway.signal(signal.SIGTERM)
        status, headers, body = poll.read()
        self.assertEqual((status, headers["connection"]), (200, "close"))
        self.assertEqual(json.loads(body)["state"], "scheduled")
        self.assertTrue(idle.is_closed())
        self.assertEqual(gateway.wait(), 0)
        self.assertLess(time.monotonic() - begun, 5)

    def test_an_address_in_use_is_said_clearly(self):
        gateway = self.gateway()
        done = cresstest.run("cress-gateway", "--listen", gateway.url[len("http://"):])
        self.assertEqual(done.returncode, 69)
        self.assertIn("address already in use", done.stderr)

    def test_usage(self):
        done = cresstest.run("cress-gateway", "--help")
        self.assertEqual(done.returncode, 0)
        self.assertTrue(done.stdout.startswith("Examples:"))
        self.assertIn("--listen", done.stdout)
        self.assertEqual(cresstest.run("cress-gateway", "--version").returncode, 0)
        self.assertEqual(cresstest.run("cress-gateway", "--nonsense").returncode, 2)
        self.assertEqual(cresstest.run("cress-gateway", "--listen", "nonsense").returncode, 78)

    def test_an_idle_gateway_is_small(self):
        gateway = self.gateway()
        with open("/proc/%d/status" % gateway.pid, encoding="ascii") as file:
            resident_kb = int(re.search(r"VmRSS:\s+(\d+) kB", file.read()).group(1))
        if "asan" not in cresstest.BUILD:
            self.assertLess(resident_kb, 15 * 1024)


if __name__ == "__main__":
    unittest.main()
